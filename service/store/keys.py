"""API keys: owner and quotas. Only a hash of the key is stored.

A key is 32 random bytes, so a plain SHA-256 of it cannot be searched.
"""

import hashlib
import secrets
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Select, insert, select, update

from models.errors import InvalidInput
from service.errors import RevokedKey, UnknownKey
from service.settings import checked_rate
from service.store.database import Database
from service.store.schema import api_key

START = "drg_"
SHOWN = len(START) + 6
"""Characters of a key that are kept and shown, so that its holder can tell it from others."""
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept."""

    id: str
    name: str
    prefix: str
    created: datetime
    revoked: datetime | None
    rate: str | None
    """Its own, such as `60/minute`; None where the settings' counts."""
    daily_characters: int | None
    admin: bool = False
    """True if it may have the server fetch models."""


_KEYS = select(*(api_key.c[field.name] for field in fields(Key))).order_by(api_key.c.created, api_key.c.id)


class Keys:
    """The keys in a database. It may be shared."""

    def __init__(self, database: Database):
        self._database = database

    def create(
        self,
        name: str,
        *,
        rate: str | None = None,
        daily_characters: int | None = None,
        admin: bool = False,
    ) -> tuple[Key, str]:
        """Make a key; returns what is known of it, and the key itself, which cannot be had again."""
        name = _checked(name)
        if daily_characters is not None and daily_characters < 1:
            raise InvalidInput(
                f"{daily_characters} characters a day", field="daily_characters", allowed="1 or more"
            )
        rate = None if rate is None else checked_rate(rate)
        secret = START + secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        key = Key(secrets.token_hex(4), name, secret[:SHOWN], now, None, rate, daily_characters, admin)
        row = {**asdict(key), "created": now.timestamp(), "hash": _hash(secret)}
        self._database.write(insert(api_key).values(row))
        return key, secret

    def all(self) -> list[Key]:
        """All keys, those revoked among them, the oldest first."""
        return self._read(_KEYS)

    def revoke(self, key_id: str) -> Key:
        """Take a key back; one that is revoked already stays as it is. Raises InvalidInput."""
        now = datetime.now(UTC)
        known = {key.id: key for key in self.all()}
        if key_id not in known:
            raise InvalidInput(
                f"unknown key id: {key_id[:100]!r}", field="ID", allowed="an id from `dragoman keys list`"
            )
        this = api_key.c.id == key_id, api_key.c.revoked.is_(None)
        self._database.write(update(api_key).where(*this).values(revoked=now.timestamp()))
        return replace(known[key_id], revoked=known[key_id].revoked or now)

    def find(self, secret: str) -> Key:
        """The key itself, as someone sent it -> what is known of it. Raises UnknownKey or RevokedKey."""
        found = self._read(_KEYS.where(api_key.c.hash == _hash(secret)))
        if not found:
            raise UnknownKey("unknown API key")
        if found[0].revoked is not None:
            raise RevokedKey("the API key was revoked")
        return found[0]

    def any(self) -> bool:
        """Return True if a key was ever made here."""
        return bool(self._read(_KEYS.order_by(None).limit(1)))

    # ------------------------------------------------------------------ inside

    def _read(self, which: Select[Any]) -> list[Key]:
        return [] if self._database.empty else [_key(row) for row in self._database.read(which)]


def _key(row: Row[Any]) -> Key:
    revoked = None if row.revoked is None else datetime.fromtimestamp(row.revoked, UTC)
    return Key(**{**row._asdict(), "created": datetime.fromtimestamp(row.created, UTC), "revoked": revoked})


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _checked(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidInput(
            f"{name[:100]!r} is not a valid key name",
            field="NAME",
            allowed=f"1 to {LONGEST_NAME} characters, in one line",
        )
    return name
