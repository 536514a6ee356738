"""OUT.cache: an SQLite file with every result of a batch by its key, so that none is computed twice.

A unit is committed in one transaction, and so is a window's plan: after a kill at any moment, a unit is
complete or not started. Knows keys and JSON; knows no task and no format.
"""

import json
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from models.engine.protocol import Output
from models.errors import DragomanError, InvalidInput
from service.store.results import JSON, PROBLEM, StoredResult, packed, unpacked

VERSION = 1
REMEMBERED_UNITS = 512
"""Outputs of so many units are remembered, of some hundred thousand sentences."""
_KEYS_AT_ONCE = 500
"""SQLite bounds the number of parameters."""

_OUTPUTS = """
CREATE TABLE outputs (key BLOB, unit INTEGER, body BLOB, PRIMARY KEY (key, unit)) STRICT, WITHOUT ROWID;
CREATE INDEX outputs_by_unit ON outputs (unit);
"""
_TABLES = f"""
PRAGMA user_version = {VERSION};
CREATE TABLE results (key BLOB PRIMARY KEY, failed INTEGER, attempt INTEGER, run INTEGER, body BLOB,
  facts TEXT) STRICT;
CREATE TABLE plans (window BLOB PRIMARY KEY, first INTEGER, sees INTEGER, units TEXT) STRICT;
{_OUTPUTS}
CREATE TABLE numbers (name TEXT PRIMARY KEY, value REAL) STRICT;
"""


class CacheFailed(DragomanError):
    """The file cannot be written, for instance because the disk is full."""


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """The units that the records of a window are shared out to."""

    first: int
    """The number of the first unit."""
    cache_horizon: int
    """The outputs of units up to this number are recalled for its units; those of later ones are not."""
    units: tuple[tuple[int, ...], ...]
    """Each unit's records, by their places in the window."""


class OutputTable:
    """Outputs of units in a table: sentences that stand in later texts too need not be done again.

    A later unit recalls the outputs of units up to its horizon, whatever is in the table by then. Without a
    connection of the owner's, the table is in a temporary file of SQLite's own, for one thread.
    """

    def __init__(self, connection: sqlite3.Connection | None = None):
        if connection is None:
            connection = sqlite3.connect("", isolation_level=None)
            connection.executescript(f"PRAGMA journal_mode = OFF; {_OUTPUTS}")
        self._connection = connection

    def put(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep the outputs of a unit, in place of those it had."""
        self._connection.execute("DELETE FROM outputs WHERE unit = ?", (unit,))
        self.keep(unit, outputs)

    def keep(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep more outputs of a unit."""
        rows = ((key, unit, packed(output)) for key, output in outputs.items())
        self._connection.executemany("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?)", rows)

    def forget(self, horizon: int) -> None:
        """Drop the outputs that no unit recalls any more whose horizon is this, or later."""
        self._connection.execute("DELETE FROM outputs WHERE unit <= ?", (horizon - REMEMBERED_UNITS,))

    def begun(self, unit: int) -> dict[bytes, Output]:
        """Return what was kept of a unit before it was cut off."""
        rows = self._connection.execute("SELECT key, body FROM outputs WHERE unit = ?", (unit,))
        return {key: unpacked(body) for key, body in rows}

    def recall(self, keys: Sequence[bytes], horizon: int) -> dict[bytes, Output]:
        """Return those that are known: of several outputs of one generation the oldest that still counts."""
        query = (
            "SELECT key, body FROM outputs WHERE unit <= ? AND unit > ? AND key IN (%s) ORDER BY unit DESC"
        )
        rows = _rows_in(self._connection, query, keys, horizon, horizon - REMEMBERED_UNITS)
        return {key: unpacked(body) for key, body in rows}

    def units(self) -> Iterator[tuple[int, dict[bytes, Output]]]:
        """Yield all that is in the table, unit by unit."""
        rows = self._connection.execute("SELECT unit, key, body FROM outputs ORDER BY unit")
        for unit, own in groupby(rows, key=lambda row: int(row[0])):
            yield unit, {key: unpacked(body) for _, key, body in own}


class BatchCache:
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
        self._outputs = OutputTable(self._connection)
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
                for statement in filter(str.strip, _TABLES.split(";")):
                    run(statement)
            elif found != VERSION:
                raise InvalidInput(f"{path} was not created by dragoman; --restart replaces it")
            run("COMMIT")
        except sqlite3.OperationalError as error:
            raise InvalidInput(f"{path} is in use by another run, or cannot be opened ({error})") from error
        except sqlite3.DatabaseError as error:
            raise InvalidInput(f"{path} is not a cache of results ({error})") from error

    def __enter__(self) -> "BatchCache":
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._connection.close()

    # ------------------------------------------------------------------ a run

    def begin(self, *, restart: bool = False, retry_failed: bool = False) -> None:
        """Begin a run, after forgetting everything if it is a `restart`.

        With `retry_failed`, results that are errors don't count, unless this same retry made them.
        """
        with self._transaction() as run:
            for table in ("results", "plans", "outputs", "numbers") if restart else ():
                run(f"DELETE FROM {table}")  # noqa: S608
            self._run = int(self.number("runs")) + 1
            self._set("runs", self._run)
            if retry_failed:
                self._attempt = int(self.number("attempt"))
                if not self.number("retrying"):
                    self._attempt += 1
                    self._set("attempt", self._attempt)
                    self._set("retrying", 1)

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
            if not failed or self._attempt is None or attempt >= self._attempt
        }

    def results(self, keys: Sequence[bytes]) -> dict[bytes, StoredResult]:
        """Return the results of those keys that have one."""
        found = {}
        for key, failed, body, facts in self._rows(
            "SELECT key, failed, body, facts FROM results WHERE key IN (%s)", keys
        ):
            media_type = PROBLEM if failed else JSON
            found[key] = StoredResult(zlib.decompress(body), media_type, **json.loads(facts))
        return found

    def commit(
        self, unit: int, results: Mapping[bytes, StoredResult], outputs: Mapping[bytes, Output]
    ) -> None:
        """Keep a unit's results, all of them or none, and its outputs for later units."""
        rows = [
            (
                *(key, result.failed, self._attempt or 0, self._run, zlib.compress(result.data, 1)),
                json.dumps(
                    {
                        "language": result.language,
                        "flags": dict(result.flags),
                        "sentences": result.sentences,
                        "likely_right": result.likely_right,
                    }
                ),
            )
            for key, result in results.items()
        ]
        with self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._outputs.put(unit, outputs)

    # ------------------------------------------------------------------ plans

    def plan(self, window: bytes, units: Callable[[], Sequence[Sequence[int]]]) -> WindowPlan:
        """Return the window's plan, made of `units` if it has none yet; one without units is not kept.

        What the units recall is what those of the last window but one, and of earlier ones, have written: the
        last window's may be in work. That is kept as well, and so is the same after a kill.
        """
        name = window + str(self._attempt or "").encode()
        with self._transaction() as run:
            row = run("SELECT first, sees, units FROM plans WHERE window = ?", (name,)).fetchone()
            if row:
                return WindowPlan(row[0], row[1], tuple(map(tuple, json.loads(row[2]))))
            parts = tuple(map(tuple, units()))
            first = int(self.number("units")) + 1
            plan = WindowPlan(first, int(self.number("last_first")) - 1, parts)
            if not parts:
                return plan
            run("INSERT INTO plans VALUES (?, ?, ?, ?)", (name, first, plan.cache_horizon, json.dumps(parts)))
            self._set("units", first + len(parts) - 1)
            self._set("last_first", first)
            oldest = int(self.number("last_sees"))  # of the two windows that may be in work
            self._outputs.forget(oldest)
            self._set("last_sees", plan.cache_horizon)
            return plan

    # ------------------------------------------------------------------ outputs

    def recall(self, keys: Sequence[bytes], horizon: int) -> dict[bytes, Output]:
        """See `OutputTable`."""
        with self._lock:
            return self._outputs.recall(keys, horizon)

    def begun(self, unit: int) -> dict[bytes, Output]:
        """See `OutputTable`."""
        with self._lock:
            return self._outputs.begun(unit)

    def keep(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """See `OutputTable`."""
        with self._transaction():
            self._outputs.keep(unit, outputs)

    def units(self) -> Iterator[tuple[int, dict[bytes, Output]]]:
        """See `OutputTable`."""
        with self._lock:
            yield from self._outputs.units()

    # ------------------------------------------------------------------ inside

    def _rows(self, query: str, keys: Sequence[bytes]) -> list[Any]:
        with self._lock:
            return list(_rows_in(self._connection, query, keys))

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
                    raise CacheFailed(f"results cannot be kept: {error}") from error
                raise


def _rows_in(db: sqlite3.Connection, query: str, keys: Sequence[bytes], *before: object) -> Iterator[Any]:
    """Yield the rows of a query whose parameters are `before`, and then the keys in `IN (%s)`."""
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[start : start + _KEYS_AT_ONCE]
        yield from db.execute(query % ",".join("?" * len(some)), [*before, *some])
