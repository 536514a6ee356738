"""Requests as bytes and answers as they come, over connections that are kept open; loopback only."""

import base64
import contextlib
import json
import socket
import time
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any, Literal
from urllib.parse import urlsplit

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

    def __init__(self, port: int, timeout_s: float):
        self._address = ("127.0.0.1", port)
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
                self._sock = socket.create_connection(self._address, self._timeout_s)
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
