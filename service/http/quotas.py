"""Each caller's quotas: requests by rate, characters by day (UTC).

auth.py identifies the caller. Counts are stored in the workers' shared state, in the database, or at the
configured URL.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, Response, g, request
from flask_limiter import ApplicationLimit, Limiter
from limits import RateLimitItemPerDay
from limits.errors import ConfigurationError
from limits.storage import Storage

from models.errors import InvalidInput
from service.errors import CharactersSpent, KeyRequired, StoreUnavailable
from service.problems import try_again
from service.shared import SharedState
from service.store.database import Database

UNLIMITED = 1_000_000_000_000
"""Characters a day, where there is no limit; DeepL tells its own clients the same number."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests that no rate counts ..."""
WORK_BY_GET = frozenset({"deepl.translate"})
"""... but for these, which do a text's work."""
READING_BY_POST = frozenset({"deepl.document_status", "deepl.document_result"})
"""As DeepL's clients ask, every few seconds, how a document stands."""

SCHEME = "memory"
"""What the settings call it; `limits` has another storage of this name, which knows one process."""
TABLE_SCHEME = "dragoman"
_ADD = """
INSERT INTO used (key, amount, expires) VALUES (:key, :amount, :now + :expiry)
ON CONFLICT (key) DO UPDATE SET
    amount = CASE WHEN used.expires <= :now THEN excluded.amount ELSE used.amount + excluded.amount END,
    expires = CASE WHEN used.expires <= :now THEN excluded.expires ELSE used.expires END
RETURNING amount
"""
_SWEEP_EVERY = 1000

_DAY = RateLimitItemPerDay(UNLIMITED, namespace="characters")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent the request, for as long as it lasts in `g.caller`."""

    name: str
    """The name that their use is counted under; neither a key nor an address."""
    rate: str | None
    daily_characters: int | None
    is_known: bool
    """True with a key, and for the operator; false for strangers, and where another site's page asks.

    Only who is known may list what is kept, name it by a name, and has a translation memory: all without a
    key share one owner, and a visitor's browser would write and read that visitor's memory for any page.
    """


def require_known(what: str) -> None:
    """Raise KeyRequired, saying what there is not, unless the caller is known."""
    if not _caller().is_known:
        raise KeyRequired(f"without an API key {what}")


class Quotas:
    """Counts what callers use, and refuses what is too much.

    `storage` is a URL as `limits` reads it, but that `memory://` is `shared`. Without one it is that too, or
    `database`, if that is one that several machines may share.
    """

    def __init__(self, storage: str | None, shared: SharedState, database: Database):
        options: dict[str, Any] = {"wrap_exceptions": True}
        if storage is None and database.is_remote:
            storage, options["table"] = f"{TABLE_SCHEME}://", (database.run, time.time)
        elif storage is None or storage.startswith(f"{SCHEME}:"):
            storage, options["table"] = f"{TABLE_SCHEME}://", (shared.rows, time.monotonic)
        self._limiter = Limiter(
            lambda: _caller().name,
            application_limits=[ApplicationLimit(lambda: _caller().rate or "", error_message=self._refusal)],
            strategy="fixed-window",
            storage_uri=storage,
            storage_options=options,
        )
        self._limiter.request_filter(lambda: not _has_a_rate())

    def install(self, app: Flask) -> None:
        """To be called after the callers are made known. Raises InvalidInput for a storage not to be had."""
        try:
            self._limiter.init_app(app)
        except ConfigurationError as error:  # without its words, since URLs hold passwords
            raise InvalidInput(
                "the storage is not available: its scheme is unknown, or its package is not installed",
                field="limits_storage",
                allowed="memory://, or redis://... with dragoman[redis]",
            ) from error
        self._storage = self._limiter.storage
        app.after_request(self._finish)

    def charge(self, texts: Iterable[str | None]) -> None:
        """Count the characters that the caller gives to read. Raises CharactersSpent, counting nothing.

        They are given back if the server is at fault, but not if the client disconnected: the work had begun.
        """
        characters = sum(len(text) for text in texts if text)
        caller, day = _caller(), _today()
        # Counted first: of two requests at once, of any worker, only one finds the last characters there.
        left = (caller.daily_characters or UNLIMITED) - self._count(caller, day, characters)
        if left < 0:
            self._count(caller, day, -characters)
            raise CharactersSpent(
                f"the request has {characters} characters; {max(0, left + characters)} of today's "
                f"{caller.daily_characters} are left",
                retry_after_s=_until_tomorrow_s(),
            )
        g.charged = (day, characters)

    def usage(self) -> tuple[int, int | None]:
        """Return the caller's characters of today, and the daily limit; None if there is none."""
        caller = _caller()
        return self._used(caller, _today()), caller.daily_characters

    # ------------------------------------------------------------------ inside

    def _used(self, caller: Caller, day: str) -> int:
        return self._storage.get(_DAY.key_for(caller.name, day))

    def _count(self, caller: Caller, day: str, characters: int) -> int:
        """Add to the caller's characters of the day, and return how many there are."""
        return self._storage.incr(_DAY.key_for(caller.name, day), _DAY.get_expiry(), characters)

    def _refusal(self) -> str:
        limit = self._limiter.current_limit
        reset_s = 1.0 if limit is None else limit.reset_at - time.time()
        return f"the rate limit is {_caller().rate}; {try_again(reset_s)}"

    def _finish(self, response: Response) -> Response:
        if (limit := self._limiter.current_limit) is not None:
            reset_s = str(max(1, math.ceil(limit.reset_at - time.time())))
            response.headers["RateLimit-Limit"] = str(limit.limit.amount)
            response.headers["RateLimit-Remaining"] = str(limit.remaining)
            response.headers["RateLimit-Reset"] = reset_s
            if limit.breached:
                response.headers["Retry-After"] = reset_s
        if g.get("charged") and (response.status_code == 429 or response.status_code >= 500):
            day, characters = g.pop("charged")
            self._count(_caller(), day, -characters)
        return response


def _caller() -> Caller:
    caller: Caller = g.caller
    return caller


def _has_a_rate() -> bool:
    caller: Caller | None = g.get("caller")
    if caller is None or caller.rate is None:
        return False
    if request.endpoint in READING_BY_POST:
        return False
    return request.method not in READING or request.endpoint in WORK_BY_GET


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _until_tomorrow_s() -> float:
    now = datetime.now(UTC)
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (tomorrow - now).total_seconds()


class TableCounts(Storage):
    """Counts with an end, in the table `used`. Each call is one statement, and so whole beside others'.

    `table` runs such a statement and has a clock. Processes of one machine share the monotonic one, so a
    window that began while the date was wrong ends like any other; several machines need synchronized ones.
    """

    STORAGE_SCHEME: list[str] | None = [TABLE_SCHEME]  # noqa: RUF012 - as `limits` declares it

    def __init__(
        self,
        uri: str | None = None,
        *,
        table: tuple[Callable[..., Sequence[Any]], Callable[[], float]],
        wrap_exceptions: bool = False,
    ):
        super().__init__(uri, wrap_exceptions)
        self._run, self._now = table
        self._calls = itertools.count()

    @property
    def base_exceptions(self) -> type[Exception]:
        return StoreUnavailable

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = self._now()
        if not next(self._calls) % _SWEEP_EVERY:
            self._run("DELETE FROM used WHERE expires <= :now", now=now)
        return int(self._run(_ADD, key=key, amount=amount, now=now, expiry=expiry)[0][0])

    def get(self, key: str) -> int:
        query = "SELECT amount FROM used WHERE key = :key AND expires > :now"
        rows = self._run(query, key=key, now=self._now())
        return int(rows[0][0]) if rows else 0

    def get_expiry(self, key: str) -> float:
        rows = self._run("SELECT expires FROM used WHERE key = :key", key=key)
        left_s = float(rows[0][0]) - self._now() if rows else 0.0
        return time.time() + left_s

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        self._run("DELETE FROM used")
        return None

    def clear(self, key: str) -> None:
        self._run("DELETE FROM used WHERE key = :key", key=key)
