"""Requests to other hosts: where a URL leads, and a connection to that very address.

The host's name is looked up once, its addresses are checked, and that very address is connected to: a name
that leads elsewhere the second time leads nowhere. Redirects are answers like any other, and not followed.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import SplitResult, urlsplit

from models.errors import InvalidInput
from service.addresses import is_public

CONNECT_S = 5.0
SILENCE_S = 15.0
"""The longest that an answer may be waited for without a byte."""
PORTS = {"http": 80, "https": 443}
ALLOWED = "http or https, to a host with public addresses"

Resolve = Callable[[str, int], Sequence[str]]
"""From a host's name and a port to its addresses. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL, and the address that it leads to."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query."""
    address: str


def resolve(host: str, port: int) -> list[str]:
    """The host's addresses, by the system's resolver."""
    return list(
        dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP))
    )


def checked_url(url: str, field: str) -> SplitResult:
    """The URL's parts. Raises InvalidInput for one that is none, or not of a kind that is called."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _refused(field, f"is no URL: {error}") from None
    if parts.scheme not in PORTS or not host or not url.isascii():
        raise _refused(field, f"cannot be {url[:100]!r}")
    if parts.username is not None or parts.password is not None:
        raise _refused(field, "must not hold a user's name or password")
    return parts


def destination(url: str, field: str, *, private: bool, resolve: Resolve = resolve) -> Destination:
    """Where the URL leads. Raises InvalidInput, also if an address is not public, unless `private`."""
    parts = checked_url(url, field)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise _refused(field, f"leads to {host[:100]!r}, which is not found: {why}") from None
    if not addresses or not (private or all(map(is_public, addresses))):
        raise _refused(field, f"leads to {host[:100]!r}, which is not public")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme, host, port, path, addresses[0])


class PinnedConnection(HTTPConnection):
    """A connection to the destination's address, in the name of its host."""

    def __init__(self, to: Destination, tls: ssl.SSLContext | None):
        super().__init__(to.host, to.port, timeout=CONNECT_S)
        self.default_port = PORTS[to.scheme]
        self._to = to
        self._tls = (tls or ssl.create_default_context()) if to.scheme == "https" else None
        self._socket: socket.socket | None = None
        self.late = False
        """True once it was cut off."""

    def connect(self) -> None:
        self._socket = self.sock = socket.create_connection((self._to.address, self._to.port), CONNECT_S)
        if self._tls is not None:
            self._socket = self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._to.host)
        self.sock.settimeout(SILENCE_S)
        if self.late:
            raise TimeoutError("the connection took too long")

    def cut_off_after(self, seconds: float) -> "_CutOff":
        """Return a context that the whole of a request has to end in."""
        return _CutOff(self, seconds)

    def cut_off(self) -> None:
        """End what is waited for, from another thread."""
        self.late = True
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # ended already


class _CutOff:
    """Cuts a connection off unless this context is left in time."""

    def __init__(self, connection: PinnedConnection, seconds: float):
        self._timer = threading.Timer(seconds, connection.cut_off)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _refused(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field} {message}", field=field, allowed=ALLOWED)
