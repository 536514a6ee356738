"""Request bodies: how large they may be, read as JSON, and never left half read.

A socket closed with unread bytes in it is reset, and the client then loses the answer that says why it
was refused. So what a view did not read is read and thrown away, within bounds, before the answer goes out.
"""

import re
import time
from collections.abc import Iterable, Iterator
from io import RawIOBase
from typing import TYPE_CHECKING, Any

from flask import Request, g
from gunicorn.http.errors import NoMoreData
from pydantic_core import from_json
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.wsgi import ClosingIterator

from models.errors import Overloaded
from service.errors import InvalidJson
from service.http.admission import Shares

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

    from service.settings import Settings

CHUNK_BYTES = 1 << 16
BYTES_PER_CHARACTER = 12
"""JSON may write a character as two \\uXXXX escapes, a form as four of %XX."""
OTHER_BYTES = 1 << 16
"""Room for a body's other fields."""
OTHER_VALUES = 20_000
"""Room in JSON for a glossary of 5,000 entries, and for other fields."""
WHOLE_BYTES = 1 << 16
"""A request that is no longer than this holds no thread before it is there."""
ARRIVING = 64
"""Long bodies that may be in arrival at the same time: each holds a thread."""

_PLAIN = re.compile(rb"[^\\]")
"""Matches where JSON can be cut without cutting an escape."""


class TooSlow(NoMoreData):  # type: ignore[misc]
    """A client takes too long to send its request; gunicorn knows it as one that went away."""


def max_body_bytes(limits: "Settings") -> int:
    """The longest body that can hold a request within the limit of characters."""
    most = max(limits.max_request_characters, limits.max_html_characters)
    return most * BYTES_PER_CHARACTER + OTHER_BYTES


def max_json_values(limits: "Settings") -> int:
    """The most values that the JSON of a request within the limits can have, and then some.

    A value takes up to 200 bytes of memory, and of a body as few as three.
    """
    return OTHER_VALUES + 4 * limits.max_texts


def read_json(request: Request) -> Any:
    """The body's value; raises InvalidJson, or werkzeug's exceptions for its type and length."""
    if not request.is_json:
        was = request.mimetype or "no Content-Type"
        raise UnsupportedMediaType(f"the body must be application/json, not {was}")
    data = request.get_data()
    _require_few_values(data, g.get("max_json_values", OTHER_VALUES))
    try:
        # jiter refuses what json.loads lets through or dies of: lone surrogates, NaN, 1,000-fold nesting.
        return from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidJson(f"the body is not valid JSON: {error}", allowed="a JSON object in UTF-8") from None


def _require_few_values(data: bytes, most: int) -> None:
    """Raise RequestEntityTooLarge for JSON of more values than `most`, before each becomes an object."""
    if data.count(b",") + data.count(b"[") + data.count(b"{") <= most:
        return
    # Most of them stand in texts, as a rule, so these are left out: slice by slice, lest others wait.
    signs = quotes = start = 0
    while start < len(data):
        end = _PLAIN.search(data, min(start + CHUNK_BYTES, len(data)) - 1)
        part = data[start : end.end() if end else len(data)]
        start += len(part)
        bare = part.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')
        outside = b"".join(bare[quotes % 2 :: 2])
        quotes += len(bare) - 1
        signs += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        if signs > most or quotes > 4 * most:  # a name and a text for each, of two quotes each
            raise RequestEntityTooLarge(f"the body has more than {most} values")


class BodyDrain:
    """WSGI middleware that reads what the application left of a request's body.

    At most `max_bytes` and `max_s` are spent on it, and only as many threads as a client may hold by sending:
    what is left then, the worker throws away without a thread. A client that sends nothing for `stall_s` is
    given up, and so is one that takes nothing. A socket's time is for all that it is given at once, so the
    answer goes out in pieces.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        arriving: Shares | None = None,
        *,
        max_bytes: int = 64 << 20,
        max_s: float = 15.0,
        stall_s: float = 30.0,
    ):
        self._app = app
        self._arriving = arriving or Shares(ARRIVING)
        self._max_bytes = max_bytes
        self._max_s = max_s
        self._stall_s = stall_s

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if sock := environ.get("gunicorn.socket"):
            sock.settimeout(self._stall_s)
        body = environ["wsgi.input"] = _SafeBody(environ["wsgi.input"])
        answer = self._app(environ, start_response)
        if environ.get("wsgi.input_terminated") and not body.ended:  # else reading on would wait for ever
            self._drain(body, environ.get("REMOTE_ADDR", ""))
        return ClosingIterator(_in_pieces(answer), getattr(answer, "close", None))

    def _drain(self, body: "_SafeBody", address: str) -> None:
        end = time.monotonic() + self._max_s
        left = self._max_bytes
        try:
            with self._arriving.enter(address):
                while left > 0 and time.monotonic() < end and (read := body.read(min(left, CHUNK_BYTES))):
                    left -= len(read)
        except (OSError, Overloaded):
            return  # gone, stalled, malformed, or one of too many: there is nothing more to be had


def _in_pieces(answer: Iterable[bytes]) -> Iterator[bytes]:
    for part in answer:
        for start in range(0, max(1, len(part)), CHUNK_BYTES):
            yield part[start : start + CHUNK_BYTES]


class _SafeBody(RawIOBase):
    """gunicorn's body, whose errors are all OSErrors: those werkzeug knows as a client's fault."""

    def __init__(self, stream: "InputStream"):
        self._stream = stream
        self.ended = False
        """True once there is nothing more to read, or nothing that could be read."""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            data = self._stream.read(-1 if size is None else size)
        except OSError:
            self.ended = True
            raise
        except Exception as error:  # gunicorn's parse errors have no base but Exception
            self.ended = True
            raise OSError("the body is malformed") from error
        self.ended = not data and size != 0
        return data

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
