"""Requests to other hosts: checks where a URL leads, and connects to exactly that address.

The host's name is resolved once, its addresses must be public, and the connection goes to a checked address:
a name that resolves differently later (DNS rebinding) gains nothing. Redirects are not followed.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from models.errors import InvalidInput

NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's own server for its machines: a public address that stays inside
        "192.0.0.0/24",  # IETF protocol assignments, such as port control by anycast: RFC 6890, 7723
        "192.88.99.0/24",  # relays of 6to4, whatever is next: RFC 7526
        "64:ff9b:1::/48",  # IPv4 by a local gateway, private addresses too: RFC 8215
        "100::/32",  # addresses that lead nowhere: RFC 6666, 9780
        "2001:1::/32",  # port control and other anycast: RFC 7723, 8155
        "2001:20::/28",  # names of hosts, not their places: RFC 7343
        "3fff::/20",  # documentation: RFC 9637
        "5f00::/16",  # segments inside a network: RFC 9602
        "fec0::/10",  # site-local: RFC 3879
    )
)
"""What `ipaddress.is_global` lets through, all of it or in some versions of Python."""

_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
"""The upper half of an interface's part that ends in an IPv4 address: RFC 5214."""


def is_public(address: str) -> bool:
    """Whether it is an address of the open internet, and so is any that is written inside it."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        if (translated := _translated(ip)) is not None:
            return is_public(str(translated))
        if (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP and not is_public(str(_last(ip))):
            return False
    if any(ip in network for network in NOT_PUBLIC if network.version == ip.version):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _translated(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a gateway, or this machine, would make of it."""
    if ip in _NAT64 or ip in _COMPATIBLE:
        return _last(ip)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def _last(ip: IPv6Address) -> IPv4Address:
    return IPv4Address(int(ip) & 0xFFFFFFFF)


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
        raise _refused(field, f"is not a URL: {error}") from None
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

    @contextmanager
    def cut_off_after(self, seconds: float) -> Iterator[None]:
        """Cut it off unless this context, which the whole of a request is in, is left in time."""
        timer = threading.Timer(seconds, self.cut_off)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def cut_off(self) -> None:
        """End what is waited for, from another thread."""
        self.late = True
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # ended already


def _refused(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field} {message}", field=field, allowed=ALLOWED)
