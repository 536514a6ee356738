"""Identifies the caller: by the request's API key, wherever its client puts it, or by none.

If anonymous use is off, every address but those listed here requires a key. Nothing of a body over 64 KB is
read to find one.
"""

import logging
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from flask import Flask, Request, g, request
from werkzeug.sansio.utils import host_is_trusted

from service.errors import KeyRequired
from service.http.forms import KEY_BYTES, BoundedRequest
from service.http.quotas import Caller
from service.settings import Settings
from service.shares import CALLER, KEY, known, named
from service.store.keys import Key, Keys

if TYPE_CHECKING:
    from service.http.compat.family import Family

OPEN_BLUEPRINTS = frozenset({"page", "docs", "status"})
OPEN_VIEWS = frozenset(
    {
        "libretranslate.languages",
        "libretranslate.frontend_settings",
        "libretranslate.health",
        "libretranslate.download_file",  # its address is a secret of its own
        "huggingface.health",
    }
)
SCHEMES = frozenset({"bearer", "deepl-auth-key"})
FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")
"""Headers that a proxy in front sets, one or the other."""

log = logging.getLogger(__name__)


class Auth:
    """Puts `caller` and `key_id` into Flask's `g`, or refuses the request.

    A key that is wrong or revoked is refused also where none is needed. But the other families' clients
    send whatever key they were made with: where no key was ever made here, theirs mean nothing.
    """

    def __init__(self, keys: Keys, settings: Settings, families: Sequence["Family"]):
        self._keys = keys
        self._settings = settings
        self._families = families
        self._has_warned = False

    def install(self, app: Flask) -> None:
        """To be called before hooks that want to know the caller are registered."""
        app.before_request(self._ask)

    def _ask(self) -> None:
        g.key_id, g.is_admin, g.is_key_unread = None, False, False
        CALLER.set("")
        self._warn_of_proxy()
        if request.url_rule is None or request.method == "OPTIONS" or is_open(request.endpoint or ""):
            return  # browsers ask for OPTIONS without the key
        key = self._key()
        g.key_id = key.id if key else None
        g.is_admin = key is not None and key.admin
        g.caller = self._caller(key)
        CALLER.set(g.caller.name)
        known()

    def _key(self) -> Key | None:
        """Return the request's key; None if it needs none. Raises KeyRequired, and what `find` raises."""
        family = next((each for each in self._families if each.owns(request.path)), None)
        given = _header_key(request)
        is_unread = False
        if given is None and family is not None:
            sent = cast(BoundedRequest, request)
            given, is_unread = family.key(sent), not sent.is_short
        g.is_key_unread = is_unread and given is None and self._keys.any()
        anonymous = self._settings.anonymous
        if anonymous and (given is None or (family is not None and not self._keys.any())):
            return None
        if given is None:
            where = f"; one in a body of over {KEY_BYTES} bytes is not read" if is_unread else ""
            raise KeyRequired(f"an API key is required, but none was sent{where}")
        return self._keys.find(given)

    def _caller(self, key: Key | None) -> Caller:
        settings = self._settings
        cross_site = is_cross_site(settings.trusted_hosts)
        if key is None:
            name = named(request.remote_addr or "")
            is_known = not cross_site and self._is_operator()
            daily_characters = settings.anonymous_daily_characters
            return Caller(name, settings.anonymous_rate_limit, daily_characters, is_known)
        daily_characters = key.daily_characters or settings.daily_characters
        return Caller(f"{KEY}{key.id}", key.rate or settings.rate_limit, daily_characters, not cross_site)

    def _is_operator(self) -> bool:
        """True for who calls from this machine, with no proxy between: the data is theirs to read anyway."""
        is_forwarded = self._settings.trusted_proxies or any(each in request.headers for each in FORWARDED)
        # A name that somebody may own can lead a browser of this machine here (DNS rebinding).
        return not is_forwarded and is_local(request.remote_addr or "") and is_nobodys(request.host)

    def _warn_of_proxy(self) -> None:
        if self._has_warned or self._settings.trusted_proxies or "X-Forwarded-For" not in request.headers:
            return
        self._has_warned = True
        log.warning(
            "X-Forwarded-For arrives, and DRAGOMAN_TRUSTED_PROXIES is 0: all callers of a proxy share the "
            "proxy's limits; set it to the number of proxies in front"
        )


def is_local(host: str) -> bool:
    """Return True for an address of this machine alone."""
    try:
        parsed = ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback


def is_nobodys(host: str) -> bool:
    """Return True for an address, and for a name without a dot: no page elsewhere can have one of these."""
    name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    if not name:  # werkzeug gives none with characters that it does not expect, such as `a_b.example`
        return False
    try:
        ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(".localhost")
    return True


def is_cross_site(hosts: tuple[str, ...]) -> bool:
    """Return True for a request that a browser sent for another site's page; `hosts` are names of ours."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "cross-site"
    if not (origin := request.headers.get("Origin")):
        return False  # no browser, or one that followed a link
    try:
        theirs = urlsplit(origin).netloc
    except ValueError:
        return True
    return theirs != request.host and not (hosts and host_is_trusted(theirs, hosts))


def is_open(endpoint: str) -> bool:
    """Return True if this view never wants a key."""
    return endpoint.partition(".")[0] in OPEN_BLUEPRINTS or endpoint in OPEN_VIEWS


def _header_key(request: Request) -> str | None:
    # By hand: werkzeug takes a malformed bearer token for parameters, and it would pass for no key.
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() in SCHEMES and token.strip():
        return token.strip()
    return request.headers.get("X-API-Key", "").strip() or None
