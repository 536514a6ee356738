"""Browsers as unwitting messengers: a page of somebody else may send a form here, or call itself this host.

Pages read answers of other hosts only where these allow it (CORS), but a form arrives nonetheless; and a page
whose own name is made to mean this machine's address (DNS rebinding) is none of another host to its browser.
"""

from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.sansio.utils import host_is_trusted

from service.errors import CrossSite, UntrustedHost
from service.http.forms import FORM, URLENCODED
from service.http.metrics import PROBES
from service.http.quotas import READING, WORK_BY_GET

if TYPE_CHECKING:
    from service.settings import Settings

UNASKED = frozenset({"", "text/plain", FORM, URLENCODED})
"""Types of bodies that a page sends anywhere without asking first (the Fetch standard's simple ones)."""


def install(app: Flask, settings: "Settings", is_open: Callable[[str], bool]) -> None:
    """Refuse what a page of another site sends, but at the paths that are open to all pages.

    Any host name is ours unless names are set. But where the server listens on this machine alone and wants
    no key, a name that somebody else could own is refused: nothing but its address guards such a server.
    """
    hosts = settings.trusted_hosts
    guarded = bool(hosts) or (
        _is_local(settings.host) and settings.anonymous and not settings.trusted_proxies
    )

    def check() -> None:
        if request.path in PROBES:
            return
        if guarded and not (_nobodys(request.host) or (hosts and host_is_trusted(request.host, hosts))):
            raise UntrustedHost(
                f"this server is not known as {request.host[:80]!r}",
                allowed="localhost, IP addresses, and the names in DRAGOMAN_TRUSTED_HOSTS",
            )
        if _comes_unasked() and _is_cross_site(hosts) and not is_open(request.path):
            raise CrossSite("a page of another site sent this")

    app.before_request(check)


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _nobodys(host: str) -> bool:
    """True for an address, and for a name without a dot: no page elsewhere can have one of these."""
    name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    try:
        ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(".localhost")
    return True


def _comes_unasked() -> bool:
    if request.method in READING:
        return request.endpoint in WORK_BY_GET
    return request.method == "POST" and request.mimetype in UNASKED


def _is_cross_site(hosts: tuple[str, ...]) -> bool:
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "cross-site"
    if not (origin := request.headers.get("Origin")):
        return False  # no browser, or one that followed a link
    theirs = urlsplit(origin).netloc
    return theirs != request.host and not (hosts and host_is_trusted(theirs, hosts))
