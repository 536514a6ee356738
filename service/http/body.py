"""Request bodies: read as JSON, and never left half read.

A socket closed with unread bytes in it is reset, and the client then loses the answer that says why it
was refused. So what a view did not read is read and thrown away, within bounds, before the answer goes out.
"""

import time
from collections.abc import Iterable, Iterator
from io import RawIOBase
from typing import TYPE_CHECKING, Any

from flask import Request
from pydantic_core import from_json
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.wsgi import ClosingIterator

from models.errors import InvalidInput

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

    from service.settings import Settings

CHUNK_BYTES = 1 << 16
BYTES_PER_CHARACTER = 12
"""JSON may write a character as two \\uXXXX escapes."""
OTHER_BYTES = 1 << 16
"""Room for a body's other fields."""


class InvalidJson(InvalidInput):
    """The body is not JSON at all."""


def max_body_bytes(settings: "Settings") -> int:
    """The longest body that can hold a request within the limit of characters."""
    most = max(settings.max_request_characters, settings.max_html_characters)
    return most * BYTES_PER_CHARACTER + OTHER_BYTES


def read_json(request: Request) -> Any:
    """The body's value; raises InvalidJson, or werkzeug's exceptions for its type and length."""
    if not request.is_json:
        was = request.mimetype or "no Content-Type"
        raise UnsupportedMediaType(f"the body must be application/json, not {was}")
    data = _read(request)
    try:
        # jiter refuses what json.loads lets through or dies of: lone surrogates, NaN, 1,000-fold nesting.
        return from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidJson(f"the body is not valid JSON: {error}", allowed="a JSON object in UTF-8") from None


def _read(request: Request) -> bytes:
    try:
        data = request.get_data()
        request.stream.read(1)  # werkzeug cuts a body of unknown length at the limit, and tells only now
    except RequestEntityTooLarge:
        raise RequestEntityTooLarge(f"the body is over {request.max_content_length} bytes") from None
    return data


class BodyDrain:
    """WSGI middleware that reads what the application left of a request's body.

    At most `max_bytes` and `max_s` are spent on it. A client that sends nothing for `stall_s` is given up,
    and so is one that takes nothing. A socket's time is for all that it is given at once, so the answer goes
    out in pieces.
    """

    def __init__(
        self, app: "WSGIApplication", *, max_bytes: int = 64 << 20, max_s: float = 15.0, stall_s: float = 30.0
    ):
        self._app = app
        self._max_bytes = max_bytes
        self._max_s = max_s
        self._stall_s = stall_s

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if sock := environ.get("gunicorn.socket"):
            sock.settimeout(self._stall_s)
        body = environ["wsgi.input"] = _Body(environ["wsgi.input"])
        answer = self._app(environ, start_response)
        if environ.get("wsgi.input_terminated"):  # otherwise reading past the end would wait for ever
            self._drain(body)
        return ClosingIterator(_in_pieces(answer), getattr(answer, "close", None))

    def _drain(self, body: "_Body") -> None:
        end = time.monotonic() + self._max_s
        left = self._max_bytes
        try:
            while left > 0 and time.monotonic() < end and (read := body.read(min(left, CHUNK_BYTES))):
                left -= len(read)
        except OSError:
            return  # gone, stalled or malformed: there is nothing more to be had


def _in_pieces(answer: Iterable[bytes]) -> Iterator[bytes]:
    for part in answer:
        for start in range(0, max(1, len(part)), CHUNK_BYTES):
            yield part[start : start + CHUNK_BYTES]


class _Body(RawIOBase):
    """gunicorn's body, whose errors are all OSErrors: those werkzeug knows as a client's fault."""

    def __init__(self, stream: "InputStream"):
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return self._stream.read(-1 if size is None else size)
        except OSError:
            raise
        except Exception as error:  # gunicorn's parse errors have no base but Exception
            raise OSError("the body is malformed") from error

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
