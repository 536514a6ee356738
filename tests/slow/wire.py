"""Requests as bytes and answers as they come, over connections that are kept open; loopback only.

`faults` says what is wrong with an answer, whatever was asked. It knows the forms of errors by address, and
not how the service makes them.
"""

import base64
import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

Ending = Literal["whole", "half-close", "close"]
"""After the bytes: wait for the answer; say that there are no more, and wait; go away."""
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request, as it goes over the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    ending: Ending = "whole"
    broken: bool = False
    """Whether the bytes are not HTTP, or not as long as they say, so that there may be no answer."""

    def raw(self) -> bytes:
        names = {name.lower() for name, _ in self.headers}
        headers = list(self.headers)
        if "host" not in names:
            headers.insert(0, ("Host", "127.0.0.1"))
        if (self.body or self.method not in ("GET", "HEAD")) and not names & {
            "content-length",
            "transfer-encoding",
        }:
            headers.append(("Content-Length", str(len(self.body))))
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + HEAD_END + self.body

    def to_json(self) -> dict[str, Any]:
        """All of it, to be sent again."""
        body = base64.b64encode(self.body).decode()
        return {
            "method": self.method,
            "target": self.target,
            "headers": list(self.headers),
            "body": body,
            "ending": self.ending,
            "broken": self.broken,
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Sent":
        headers = tuple((name, value) for name, value in told["headers"])
        return cls(**{**told, "headers": headers, "body": base64.b64decode(told["body"])})

    def __str__(self) -> str:
        head, _, body = self.raw().partition(HEAD_END)
        shown = body[:300] + (b"... (%d bytes)" % len(body) if len(body) > 300 else b"")
        return f"{head[:600].decode('latin-1')!r} {shown!r} {self.ending}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; status 0 with the reason in `error` where that was no whole answer."""

    status: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One caller's connection, opened anew whenever the server, or an error, has closed it."""

    def __init__(self, port: int, timeout_s: float, *, source: str = "127.0.0.1"):
        self._address = ("127.0.0.1", port)
        self._source = (source, 0)
        self._timeout_s = timeout_s
        self._sock: socket.socket | None = None

    def send(self, sent: Sent) -> Reply:
        """Send the request and read its answer. One whose kept connection was closed meanwhile goes again."""
        start = time.monotonic()
        if self._sock is not None:
            answer = self._try(sent, start)
            if answer.status or "nothing came back" not in answer.error:
                return answer
        self.close()
        for wait_s in (0.05, 0.2, 0.0):
            try:
                self._sock = socket.create_connection(self._address, self._timeout_s, self._source)
                break
            except OSError as error:
                if not wait_s:
                    return Reply(0, time.monotonic() - start, error=f"no connection: {error}")
                time.sleep(wait_s)
        return self._try(sent, time.monotonic())

    def _try(self, sent: Sent, start: float) -> Reply:
        sock = self._sock
        assert sock is not None
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may be there already
                sock.sendall(sent.raw())
                if sent.ending == "half-close":
                    sock.shutdown(socket.SHUT_WR)
            if sent.ending == "close":
                self.close()
                return Reply(0, time.monotonic() - start, error="went away")
            response = HTTPResponse(sock, method=sent.method)
            with contextlib.closing(response):
                response.begin()
                body = response.read()
            headers = {name.lower(): value for name, value in response.headers.items()}
            if response.will_close or sent.ending != "whole" or sent.broken:
                self.close()
            return Reply(response.status, time.monotonic() - start, headers, body)
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            nothing = isinstance(error, ConnectionError) or "Remote end closed" in str(error)
            said = "nothing came back" if nothing else type(error).__name__
            return Reply(0, time.monotonic() - start, error=f"{said}: {error}")

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def loopback_port(url: str) -> int:
    """The port of a server on this machine; raises ValueError for any other address."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname != "127.0.0.1":
        raise ValueError(f"{url}: the server must be on this machine, as in http://127.0.0.1:8080")
    return parts.port or 80


OWN_5XX = (503, 504)
"""What an honest service may say that is not a fault of a request's."""
LIBRE = frozenset(
    {"/translate", "/detect", "/languages", "/frontend/settings", "/health", "/translate_file", "/suggest"}
)
TRACES = (b"Traceback (most recent call last)", b'.py", line ', b"site-packages", b"/dist-packages/")


def form(target: str) -> str:
    """The form that errors have at an address.

    It is `problem`, `message` (DeepL), `error` (LibreTranslate, Hugging Face), `openai`, or `jsonrpc` (MCP),
    where the answer may be a problem too.
    """
    path = unquote(urlsplit("/" + target.lstrip("/")).path)  # waitress takes `//v2` for `/v2`
    if path.startswith(("/v2/", "/v3/")):
        return "message"
    if path.startswith(("/pipeline/", "/download_file/")) or path.rstrip("/") in LIBRE:
        return "error"
    if path.startswith(("/v1/chat/", "/v1/models/")) and path != "/v1/models/":
        return "openai"
    return "jsonrpc" if path.rstrip("/") == "/mcp" else "problem"


def faults(sent: Sent, answer: Reply, *, deadline_s: float, secrets: Sequence[bytes] = ()) -> Iterator[str]:
    """What is wrong with an answer. `secrets` are paths and the like that no answer may hold."""
    if answer.seconds > deadline_s and not sent.broken:  # the rest of a broken request is waited for
        yield f"it took {answer.seconds:.1f} s, over {deadline_s:.1f} s"
    if answer.status == 0:
        if not sent.broken and sent.ending != "close":
            yield f"there was no whole answer: {answer.error}"
        return
    if answer.status >= 500 and answer.status not in OWN_5XX:
        yield f"status {answer.status}"
    for secret in (*TRACES, *secrets):
        if secret in answer.body and secret not in sent.body:
            yield f"the answer tells {secret.decode(errors='replace')!r}"
    if sent.method == "HEAD":
        return
    if answer.status >= 400:
        yield from _error(sent, answer)
    elif answer.media_type == "application/json" and answer.body:
        yield from _json(answer.body)
    elif answer.media_type == "text/event-stream":
        yield from _stream(answer.body)


def _error(sent: Sent, answer: Reply) -> Iterator[str]:
    if "x-request-id" not in answer.headers:  # waitress's own, for what it cannot parse
        if not (sent.broken and answer.status in (400, 405, 413, 414, 417, 431, 501, 505)):
            yield f"status {answer.status} did not come from the application"
        return
    promised = form(sent.target)
    if promised == "jsonrpc" and answer.media_type == "application/problem+json":
        promised = "problem"
    wanted = "application/problem+json" if promised == "problem" else "application/json"
    if answer.media_type != wanted:
        yield f"an error as {answer.media_type or 'nothing'}, not {wanted}"
        return
    try:
        told = _parsed(answer.body)
    except ValueError as error:
        yield f"an error that is no JSON: {error}"
        return
    if promised == "problem":
        missing = [name for name in ("type", "title", "status", "detail", "request_id") if not told.get(name)]
        if missing or told["status"] != answer.status:
            yield f"a problem document without {missing or 'its own status'}"
    elif promised in ("openai", "jsonrpc"):
        if not isinstance(told.get("error"), dict) or not told["error"].get("message"):
            yield "an error without `error` and its `message`"
    elif not isinstance(told.get(promised), str):
        yield f"an error without `{promised}`"


def _json(body: bytes) -> Iterator[str]:
    try:
        _parsed(body)
    except ValueError as error:
        yield f"an answer that is no JSON: {error}"


def _parsed(body: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(body.decode("utf-8"), parse_constant=refuse)


def _stream(body: bytes) -> Iterator[str]:
    frames = [frame for frame in body.split(b"\n\n") if frame and not frame.startswith(b":")]
    ends = rb"data: \[DONE\]|(?:event: (?:result|error)\ndata: |data: (?=\{\"error\"))(.+)"
    last = re.fullmatch(ends, frames[-1] if frames else b"", re.DOTALL)
    if not body.endswith(b"\n\n") or last is None:
        yield "a stream without its last event"
    elif last[1] is not None:
        yield from _json(last[1])
