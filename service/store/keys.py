"""API keys in SQLite: owner and quotas. Only a hash of the key is stored.

A key is 32 random bytes, so a plain SHA-256 of it cannot be searched.
"""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from models.errors import InvalidInput
from service.errors import RevokedKey, UnknownKey
from service.settings import checked_rate
from service.store.database import Database

FILE = "keys.sqlite"
START = "drg_"
SHOWN = len(START) + 6
"""Characters of a key that are kept and shown, so that its holder can tell it from others."""
LONGEST_NAME = 200

_TABLE = """
CREATE TABLE IF NOT EXISTS key (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BLOB NOT NULL,
    created TEXT NOT NULL,
    revoked TEXT,
    rate TEXT,
    daily_characters INTEGER
);
CREATE INDEX IF NOT EXISTS key_by_hash ON key (hash);
CREATE TABLE IF NOT EXISTS admin (
    id TEXT PRIMARY KEY REFERENCES key (id)
);
"""
_COLUMNS = "id, name, prefix, created, revoked, rate, daily_characters"
_IS_ADMIN = "EXISTS (SELECT 1 FROM admin WHERE admin.id = key.id)"


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


class Keys:
    """The keys in a folder's file, which is made with the first key. It may be shared."""

    def __init__(self, folder: Path):
        self._file = folder / FILE
        self._database = Database(self._file, "the keys", _TABLE)

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
        with self._database.transaction() as db:
            db.execute(
                f"INSERT INTO key (hash, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
                (_hash(secret), key.id, name, key.prefix, now.isoformat(), None, rate, daily_characters),
            )
            if admin:
                db.execute("INSERT INTO admin (id) VALUES (?)", (key.id,))
        return key, secret

    def all(self) -> list[Key]:
        """All keys, those revoked among them, the oldest first."""
        return self._read("ORDER BY created, id")

    def revoke(self, key_id: str) -> Key:
        """Take a key back; one that is revoked already stays as it is. Raises InvalidInput."""
        now = datetime.now(UTC)
        known = {key.id: key for key in self.all()}
        if key_id not in known:
            raise InvalidInput(
                f"unknown key id: {key_id[:100]!r}", field="ID", allowed="an id from `dragoman keys list`"
            )
        with self._database.transaction() as db:
            revoked = "UPDATE key SET revoked = ? WHERE id = ? AND revoked IS NULL"
            db.execute(revoked, (now.isoformat(), key_id))
        return replace(known[key_id], revoked=known[key_id].revoked or now)

    def find(self, secret: str) -> Key:
        """The key itself, as someone sent it -> what is known of it. Raises UnknownKey or RevokedKey."""
        found = self._read("WHERE hash = ?", _hash(secret))
        if not found:
            raise UnknownKey("unknown API key")
        if found[0].revoked is not None:
            raise RevokedKey("the API key was revoked")
        return found[0]

    def any(self) -> bool:
        """Return True if a key was ever made here."""
        return bool(self._read("LIMIT 1"))

    # ------------------------------------------------------------------ inside

    def _read(self, which: str, *values: object) -> list[Key]:
        if not self._file.exists():
            return []
        query = f"SELECT {_COLUMNS}, {_IS_ADMIN} FROM key {which}"  # noqa: S608 - of constants
        return [_key(row) for row in self._database.read(query, *values)]


def _key(row: tuple[str, str, str, str, str | None, str | None, int | None, int]) -> Key:
    key_id, name, prefix, created, revoked, rate, daily_characters, admin = row
    ended = None if revoked is None else datetime.fromisoformat(revoked)
    made = datetime.fromisoformat(created)
    return Key(key_id, name, prefix, made, ended, rate, daily_characters, bool(admin))


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
