"""OUT.cache: an SQLite file with every result by its key, so that none is made twice.

A unit is committed in one transaction, and so is a window's plan: a kill at any moment leaves units that are
whole or not begun. Knows keys and JSON; knows no task and no format.
"""

import json
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from models.engine.protocol import Output
from models.errors import DragomanError, InvalidInput
from service.batch.remembered import SCHEMA as REMEMBERED
from service.batch.remembered import Remembered
from service.batch.unit import Done, Kept
from service.store.database import rows_in

VERSION = 1

_SCHEMA = f"""
PRAGMA user_version = {VERSION};
CREATE TABLE results (key BLOB PRIMARY KEY, failed INTEGER, attempt INTEGER, run INTEGER, body BLOB,
  facts TEXT) STRICT;
CREATE TABLE plans (window BLOB PRIMARY KEY, first INTEGER, sees INTEGER, units TEXT) STRICT;
{REMEMBERED}
CREATE TABLE numbers (name TEXT PRIMARY KEY, value REAL) STRICT;
"""


class StoreFailed(DragomanError):
    """The file cannot be written, for instance because the disk is full."""


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """The units that the records of a window are shared out to."""

    first: int
    """The number of the first unit."""
    sees: int
    """Of all its units; see `Unit.sees`."""
    units: tuple[tuple[int, ...], ...]
    """Each unit's records, by their places in the window."""


class ResultStore:
    """The file, locked against a second run; a context manager. Any thread may use it.

    Without a path it is a file of the system's own that ends with it. Raises InvalidInput if the file is
    something else, or in use.
    """

    def __init__(self, path: Path | None):
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            path or "", check_same_thread=False, isolation_level=None, timeout=0.5
        )
        try:
            self._open(path)
        except BaseException:
            self._connection.close()
            raise
        self._remembered = Remembered(self._connection)
        self._attempt: int | None = None
        self._run = 0

    def _open(self, path: Path | None) -> None:
        run = self._connection.execute
        try:
            run("PRAGMA locking_mode = EXCLUSIVE")
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = NORMAL")
            run("BEGIN IMMEDIATE")
            found = run("PRAGMA user_version").fetchone()[0]
            if found == 0 and not run("SELECT 1 FROM sqlite_master").fetchone():
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    run(statement)
            elif found != VERSION:
                raise InvalidInput(f"{path} was made by something else; --restart begins anew")
            run("COMMIT")
        except sqlite3.OperationalError as error:
            raise InvalidInput(f"{path} is in use by another run, or cannot be opened ({error})") from error
        except sqlite3.DatabaseError as error:
            raise InvalidInput(f"{path} is not a cache of results ({error})") from error

    def __enter__(self) -> "ResultStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def clear(self) -> None:
        """Forget everything."""
        with self._transaction() as run:
            for table in ("results", "plans", "outputs", "numbers"):
                run(f"DELETE FROM {table}")  # noqa: S608

    # ------------------------------------------------------------------ a run

    def begin(self, *, retry_failed: bool) -> None:
        """With `retry_failed`, results that are errors don't count, unless this same retry made them."""
        self._run = int(self.number("runs")) + 1
        self.keep_number("runs", self._run)
        if not retry_failed:
            return
        attempt = int(self.number("attempt"))
        if not self.number("retrying"):
            attempt += 1
            with self._transaction():
                self._set("attempt", attempt)
                self._set("retrying", 1)
        self._attempt = attempt

    def finish(self) -> None:
        """Note that the run has come to its end."""
        with self._transaction() as run:
            run("DELETE FROM plans")
            self._set("retrying", 0)

    def number(self, name: str) -> float:
        """Return a number that was kept, or 0."""
        with self._lock:
            row = self._connection.execute("SELECT value FROM numbers WHERE name = ?", (name,)).fetchone()
        return float(row[0]) if row else 0.0

    def keep_number(self, name: str, value: float) -> None:
        """Keep a number for later runs."""
        with self._transaction():
            self._set(name, value)

    # ------------------------------------------------------------------ results

    def known(self, keys: Sequence[bytes]) -> dict[bytes, bool]:
        """Return the keys that have a result that counts, each with True if an earlier run made it."""
        rows = self._rows("SELECT key, failed, attempt, run FROM results WHERE key IN (%s)", keys)
        return {
            key: run < self._run
            for key, failed, attempt, run in rows
            if not self._is_old_error(failed, attempt)
        }

    def results(self, keys: Sequence[bytes]) -> dict[bytes, Kept]:
        """Return the results of those keys that have one."""
        rows = self._rows("SELECT key, failed, body, facts FROM results WHERE key IN (%s)", keys)
        return {key: _kept(bool(failed), body, facts) for key, failed, body, facts in rows}

    def commit(self, unit: int, keys: Sequence[bytes], done: Done) -> None:
        """Keep a unit's results, all of them or none."""
        attempt = self._attempt or 0
        results = [
            (key, kept.failed, attempt, self._run, zlib.compress(kept.body.encode(), 1), _facts(kept))
            for key, kept in zip(keys, done.kept, strict=True)
        ]
        with self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?)", results)
            self._remembered.put(unit, done.remember)

    def _is_old_error(self, failed: int, attempt: int) -> bool:
        return bool(failed) and self._attempt is not None and attempt < self._attempt

    # ------------------------------------------------------------------ plans

    def plan(self, window: bytes, units: Callable[[], Sequence[Sequence[int]]]) -> WindowPlan | None:
        """Return the window's plan, made of `units` if it has none yet; None if there is nothing to do.

        What the units see is what those of the last window but one, and of earlier ones, have written: the
        last window's may be in work. That is kept as well, and so is the same after a kill.
        """
        name = window + str(self._attempt or "").encode()
        with self._transaction() as run:
            row = run("SELECT first, sees, units FROM plans WHERE window = ?", (name,)).fetchone()
            if row:
                return WindowPlan(row[0], row[1], tuple(map(tuple, json.loads(row[2]))))
            parts = tuple(map(tuple, units()))
            if not parts:
                return None
            first = int(self.number("units")) + 1
            plan = WindowPlan(first, int(self.number("last_first")) - 1, parts)
            run("INSERT INTO plans VALUES (?, ?, ?, ?)", (name, first, plan.sees, json.dumps(parts)))
            self._set("units", first + len(parts) - 1)
            self._set("last_first", first)
            oldest = int(self.number("last_sees"))  # of the two windows that may be in work
            self._remembered.forget(oldest)
            self._set("last_sees", plan.sees)
            return plan

    # ------------------------------------------------------------------ memory

    def recall(self, keys: Sequence[bytes], sees: int) -> dict[bytes, Output]:
        """See `UnitMemory`."""
        with self._lock:
            return self._remembered.recall(keys, sees)

    def begun(self, unit: int) -> dict[bytes, Output]:
        """See `UnitMemory`."""
        with self._lock:
            return self._remembered.of_unit(unit)

    def keep(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """See `UnitMemory`."""
        with self._transaction():
            self._remembered.add(unit, outputs)

    def remembered(self) -> Iterator[tuple[int, dict[bytes, Output]]]:
        """Yield all outputs that later units may recall, by the units that made them."""
        with self._lock:
            yield from self._remembered.units()

    # ------------------------------------------------------------------ inside

    def _rows(self, query: str, keys: Sequence[bytes]) -> list[Any]:
        with self._lock:
            return list(rows_in(self._connection, query, keys))

    def _set(self, name: str, value: float) -> None:
        self._connection.execute("INSERT OR REPLACE INTO numbers VALUES (?, ?)", (name, float(value)))

    @contextmanager
    def _transaction(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    raise StoreFailed(f"results cannot be kept: {error}") from error
                raise


def _facts(kept: Kept) -> str:
    return json.dumps({"language": kept.language, "flags": dict(kept.flags)})


def _kept(failed: bool, body: bytes, facts: str) -> Kept:
    told = json.loads(facts)
    return Kept(zlib.decompress(body).decode(), failed, told["language"], told["flags"])
