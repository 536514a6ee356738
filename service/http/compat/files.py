"""Finished files, kept for a while under names that cannot be guessed, until they are fetched."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from models.errors import Overloaded
from service.shared import SharedState

_KEEP = """
INSERT INTO file (key, name, data, media_type, until, caller)
SELECT :key, :name, :data, :media_type, :until, :caller
WHERE :size + (
    SELECT coalesce(sum(length(data)), 0) + coalesce(sum(length(data)) FILTER (WHERE caller = :caller), 0)
    FROM file
) <= :most
"""
_DROP_OLDEST = """
DELETE FROM file WHERE number = (SELECT min(number) FROM file WHERE caller = :caller)
"""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file as it is to be downloaded."""

    name: str
    data: bytes
    media_type: str


class KeptFiles:
    """Keeps files in what the workers share, for `ttl_s`, at most `max_bytes` of them together.

    Of these each caller has the share that `Shares` would give him; beyond it his own oldest files go.
    """

    def __init__(
        self,
        caller: Callable[[], str] = lambda: "",
        *,
        ttl_s: float = 1800.0,
        max_bytes: int = 64 << 20,
        shared: SharedState | None = None,
    ):
        self._caller = caller
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._shared = shared or SharedState()

    def put(self, name: str, data: bytes, media_type: str) -> str:
        """Keep a file; returns the key that it is fetched by. Raises Overloaded where there is no room."""
        self._sweep()
        key, caller = f"{secrets.token_urlsafe(18)}.{name}", self._caller()
        row = {"key": key, "name": name, "data": data, "media_type": media_type, "caller": caller}
        until = time.monotonic() + self._ttl_s
        while not self._shared.change(_KEEP, **row, until=until, size=len(data), most=self._max_bytes):
            if not self._shared.change(_DROP_OLDEST, caller=caller):
                raise Overloaded("no more files can be kept now", retry_after_s=60.0)
        return key

    def get(self, key: str) -> KeptFile | None:
        """The file, unless its time is over."""
        self._sweep()
        rows = self._shared.rows("SELECT name, data, media_type FROM file WHERE key = :key", key=key)
        return KeptFile(*rows[0]) if rows else None

    def _sweep(self) -> None:
        self._shared.change("DELETE FROM file WHERE until <= :now", now=time.monotonic())
