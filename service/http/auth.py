"""Identifies the caller: by the request's API key, wherever its client puts it, or by none.

If anonymous use is off, every address but those listed here requires a key.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from flask import Flask, Request, g, request

from service.errors import KeyRequired
from service.http.body import BodyLimits
from service.http.forms import BoundedRequest
from service.http.quotas import Caller
from service.settings import Settings
from service.shares import CALLER, KEY, Shares, named
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


class Auth:
    """Puts `caller` and `key_id` into Flask's `g`, or refuses the request.

    A key that is wrong or revoked is refused also where none is needed. But the other families' clients
    send whatever key they were made with: where no key was ever made here, theirs mean nothing.
    """

    def __init__(
        self, keys: Keys, settings: Settings, places: Shares, bodies: BodyLimits, families: Sequence["Family"]
    ):
        self._keys = keys
        self._settings = settings
        self._places = places
        self._bodies = bodies
        self._families = families

    def install(self, app: Flask) -> None:
        """To be called before hooks that want to know the caller are registered."""
        app.before_request(self._ask)

    def _ask(self) -> None:
        g.key_id, g.is_admin = None, False
        CALLER.set("")
        if request.url_rule is None or request.method == "OPTIONS" or is_open(request.endpoint or ""):
            return  # browsers ask for OPTIONS without the key
        key = self._key()
        g.key_id = key.id if key else None
        g.is_admin = key is not None and key.admin
        g.caller = self._caller(key)
        CALLER.set(g.caller.name)

    def _key(self) -> Key | None:
        """Return the request's key; None if it needs none. Raises KeyRequired, and what `find` raises."""
        family = next((each for each in self._families if each.owns(request.path)), None)
        given = _header_key(request)
        if given is None and family is not None:
            caller = self._caller(None).name
            self._bodies.receive(caller)  # for it may stand in the body
            with self._places.hold(caller):
                given = family.key(cast(BoundedRequest, request))
        anonymous = self._settings.anonymous
        if anonymous and (given is None or (family is not None and not self._keys.any())):
            return None
        if given is None:
            raise KeyRequired("an API key is required, but none was sent")
        return self._keys.find(given)

    def _caller(self, key: Key | None) -> Caller:
        settings = self._settings
        if key is None:
            name = named(request.remote_addr or "")
            return Caller(name, settings.anonymous_rate_limit, settings.anonymous_daily_characters)
        daily_characters = key.daily_characters or settings.daily_characters
        return Caller(f"{KEY}{key.id}", key.rate or settings.rate_limit, daily_characters)


def is_open(endpoint: str) -> bool:
    """Return True if this view never wants a key."""
    return endpoint.partition(".")[0] in OPEN_BLUEPRINTS or endpoint in OPEN_VIEWS


def _header_key(request: Request) -> str | None:
    # By hand: werkzeug takes a malformed bearer token for parameters, and it would pass for no key.
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() in SCHEMES and token.strip():
        return token.strip()
    return request.headers.get("X-API-Key", "").strip() or None
