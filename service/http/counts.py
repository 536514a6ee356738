"""Where use is counted if nothing else is named: in what the workers share, for the package `limits`."""

import itertools
import time

from limits.storage import Storage

from service.errors import StoreUnavailable
from service.shared import SharedState

SCHEME = "memory"
"""What the settings call it; `limits` has another storage of this name, which knows one process."""
SHARED_SCHEME = "dragoman"
_ADD = """
INSERT INTO used (key, amount, expires) VALUES (:key, :amount, :now + :expiry)
ON CONFLICT (key) DO UPDATE SET
    amount = iif(expires <= :now, excluded.amount, amount + excluded.amount),
    expires = iif(expires <= :now, excluded.expires, expires)
RETURNING amount
"""
_SWEEP_EVERY = 1000


class SharedCounts(Storage):
    """Counts with an end. Each call is one statement, and so whole beside those of other workers."""

    STORAGE_SCHEME: list[str] | None = [SHARED_SCHEME]  # noqa: RUF012 - as `limits` declares it

    def __init__(self, uri: str | None = None, *, shared: SharedState, wrap_exceptions: bool = False):
        super().__init__(uri, wrap_exceptions)
        self._shared = shared
        self._calls = itertools.count()

    @property
    def base_exceptions(self) -> type[Exception]:
        return StoreUnavailable

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = time.time()
        if not next(self._calls) % _SWEEP_EVERY:
            self._shared.change("DELETE FROM used WHERE expires <= :now", now=now)
        return int(self._shared.rows(_ADD, key=key, amount=amount, now=now, expiry=expiry)[0][0])

    def get(self, key: str) -> int:
        query = "SELECT amount FROM used WHERE key = :key AND expires > :now"
        rows = self._shared.rows(query, key=key, now=time.time())
        return int(rows[0][0]) if rows else 0

    def get_expiry(self, key: str) -> float:
        rows = self._shared.rows("SELECT expires FROM used WHERE key = :key", key=key)
        return float(rows[0][0]) if rows else time.time()

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        return self._shared.change("DELETE FROM used")

    def clear(self, key: str) -> None:
        self._shared.change("DELETE FROM used WHERE key = :key", key=key)
