"""OUT.cache: an SQLite file with every result of a batch by its key, so that none is computed twice.

A unit is committed in one transaction, and so is a window's plan: after a kill at any moment, a unit is
complete or not started. Knows keys and JSON; knows no task and no format.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    QueuePool,
    Table,
    Text,
    create_engine,
    delete,
    inspect,
    or_,
    select,
    types,
)
from sqlalchemy.exc import DatabaseError, OperationalError

from models.engine.protocol import Output
from models.errors import InvalidInput
from service.store.database import Database, begin
from service.store.results import JSON, PROBLEM, StoredResult, packed, unpacked
from service.store.statements import put, rows_in

VERSION = 1
REMEMBERED_UNITS = 512
"""Outputs of so many units are remembered, of some hundred thousand sentences."""
_FACTS = "language", "flags", "sentences", "likely_right"

METADATA = MetaData()
_result = Table(
    "results",
    METADATA,
    Column("key", LargeBinary, primary_key=True),
    Column("failed", Boolean),
    Column("attempt", Integer),
    Column("run", Integer),
    Column("body", LargeBinary),
    Column("facts", types.JSON),
)
_plan = Table(
    "plans",
    METADATA,
    Column("window", LargeBinary, primary_key=True),
    Column("first", Integer),
    Column("sees", Integer),
    Column("units", types.JSON),
)
_output = Table(
    "outputs",
    METADATA,
    Column("key", LargeBinary, primary_key=True),
    Column("unit", Integer, primary_key=True, index=True),
    Column("body", LargeBinary),
    sqlite_with_rowid=False,
)
_number = Table("numbers", METADATA, Column("name", Text, primary_key=True), Column("value", Double))


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """The units that the records of a window are shared out to."""

    first: int
    """The number of the first unit."""
    cache_horizon: int
    """The outputs of units up to this number are recalled for its units; those of later ones are not."""
    units: tuple[tuple[int, ...], ...]
    """Each unit's records, by their places in the window."""


class BatchCache(Database):
    """The file, locked against a second run; a context manager. Any thread may use it.

    Without a path it is a file of the system's own that ends with it. Raises InvalidInput if the file is
    something else, or in use.
    """

    def __init__(self, path: Path | None):
        super().__init__(Path(), "sqlite://")  # not by the file's name: one that is deleted is not made anew
        self.kept = f"the cache of results {path or ''}".strip()
        self._path = path
        self._attempt: int | None = None
        self._run = 0
        try:
            self._opened()
        except BaseException:
            self.close()
            raise

    def _new_engine(self) -> Engine:
        # One connection, which has the lock, and which threads wait for.
        options: dict[str, Any] = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0}
        return create_engine("sqlite://", creator=self._connect, pool_timeout=None, **options)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path or "", timeout=0.5, check_same_thread=False, isolation_level=None)
        for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"):
            db.execute(f"PRAGMA {setting}")
        return db

    def _prepare(self, engine: Engine) -> None:
        try:
            with begin(engine) as db:
                found = db.exec_driver_sql("PRAGMA user_version").scalar()
                if not found and not inspect(db).get_table_names():
                    METADATA.create_all(db)
                    db.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
                elif found != VERSION:
                    raise InvalidInput(
                        f"{self._path} is of another version or program; delete it, or name another --cache"
                    )
        except OperationalError as error:
            why = f"is in use by another run, or cannot be opened ({error.orig})"
            raise InvalidInput(f"{self._path} {why}") from error
        except DatabaseError as error:
            raise InvalidInput(f"{self._path} is not a cache of results ({error.orig})") from error

    def __enter__(self) -> "BatchCache":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ------------------------------------------------------------------ a run

    def begin(self, *, restart: bool = False, retry_failed: bool = False) -> None:
        """Begin a run, after forgetting everything if it is a `restart`.

        With `retry_failed`, results that are errors don't count, unless this same retry made them.
        """
        with self.transaction() as db:
            for table in METADATA.sorted_tables if restart else ():
                db.execute(delete(table))
            self._run = int(_get(db, "runs")) + 1
            _set(db, {"runs": self._run})
            if retry_failed:
                self._attempt = int(_get(db, "attempt")) + (not _get(db, "retrying"))
                _set(db, {"attempt": self._attempt, "retrying": 1})

    def finish(self) -> None:
        """Note that the run has come to its end."""
        with self.transaction() as db:
            db.execute(delete(_plan))
            _set(db, {"retrying": 0})

    def number(self, name: str) -> float:
        """Return a number that was kept, or 0."""
        with self.transaction(write=False) as db:
            return _get(db, name)

    def keep_number(self, name: str, value: float) -> None:
        """Keep a number for later runs."""
        with self.transaction() as db:
            _set(db, {name: value})

    # ------------------------------------------------------------------ results

    def known(self, keys: Sequence[bytes]) -> dict[bytes, bool]:
        """Return the keys that have a result that counts, each with True if an earlier run made it."""
        counts = or_(~_result.c.failed, _result.c.attempt >= (self._attempt or 0))
        query = select(_result.c.key, _result.c.run).where(counts)
        with self.transaction(write=False) as db:
            return {key: run < self._run for key, run in rows_in(db, query, _result.c.key, keys)}

    def results(self, keys: Sequence[bytes]) -> dict[bytes, StoredResult]:
        """Return the results of those keys that have one."""
        with self.transaction(write=False) as db:
            return {
                row.key: StoredResult(zlib.decompress(row.body), PROBLEM if row.failed else JSON, **row.facts)
                for row in rows_in(db, select(_result), _result.c.key, keys)
            }

    def commit(
        self, unit: int, results: Mapping[bytes, StoredResult], outputs: Mapping[bytes, Output]
    ) -> None:
        """Keep a unit's results, all of them or none, and its outputs for later units, in place of others."""
        rows = [
            {
                "key": key,
                "failed": result.failed,
                "attempt": self._attempt or 0,
                "run": self._run,
                "body": zlib.compress(result.data, 1),
                "facts": {name: getattr(result, name) for name in _FACTS},
            }
            for key, result in results.items()
        ]
        with self.transaction() as db:
            put(db, _result, rows, change=("failed", "attempt", "run", "body", "facts"))
            db.execute(delete(_output).where(_output.c.unit == unit))
            _keep(db, unit, outputs)

    # ------------------------------------------------------------------ plans

    def plan(self, window: bytes, units: Callable[[], Sequence[Sequence[int]]]) -> WindowPlan:
        """Return the window's plan, made of `units` if it has none yet; one without units is not kept.

        What the units recall is what those of the last window but one, and of earlier ones, have written: the
        last window's may be in work. That is kept as well, and so is the same after a kill.
        """
        name = window + str(self._attempt or "").encode()
        with self.transaction() as db:
            if (row := db.execute(select(_plan).where(_plan.c.window == name)).one_or_none()) is not None:
                return WindowPlan(row.first, row.sees, tuple(map(tuple, row.units)))
            parts = tuple(map(tuple, units()))
            first, horizon = int(_get(db, "units")) + 1, int(_get(db, "last_first")) - 1
            oldest = int(_get(db, "last_sees"))  # of the two windows that may be in work
            if parts:
                put(db, _plan, [{"window": name, "first": first, "sees": horizon, "units": parts}])
                _set(db, {"units": first + len(parts) - 1, "last_first": first, "last_sees": horizon})
        self.forget(oldest)
        return WindowPlan(first, horizon, parts)

    # ------------------------------------------------------------------ outputs

    def keep(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep more outputs of a unit: sentences that stand in later texts too need not be done again."""
        with self.transaction() as db:
            _keep(db, unit, outputs)

    def forget(self, horizon: int) -> None:
        """Drop the outputs that no unit recalls any more whose horizon is this, or later."""
        self.write(delete(_output).where(_output.c.unit <= horizon - REMEMBERED_UNITS))

    def begun(self, unit: int) -> dict[bytes, Output]:
        """Return what was kept of a unit before it was cut off."""
        query = select(_output.c.key, _output.c.body).where(_output.c.unit == unit)
        return {key: unpacked(body) for key, body in self.read(query)}

    def recall(self, keys: Sequence[bytes], horizon: int) -> dict[bytes, Output]:
        """Return those that are known: of several outputs of one generation the oldest that still counts.

        A later unit recalls the outputs of units up to its horizon, whatever is in the table by then.
        """
        which = _output.c.unit <= horizon, _output.c.unit > horizon - REMEMBERED_UNITS
        query = select(_output.c.key, _output.c.body).where(*which).order_by(_output.c.unit.desc())
        with self.transaction(write=False) as db:
            return {key: unpacked(body) for key, body in rows_in(db, query, _output.c.key, keys)}

    def units(self) -> Iterator[tuple[int, dict[bytes, Output]]]:
        """Yield all outputs, unit by unit."""
        query = select(_output.c.unit, _output.c.key, _output.c.body).order_by(_output.c.unit)
        with self.transaction(write=False) as db:
            for unit, own in groupby(db.execute(query), key=lambda row: int(row.unit)):
                yield unit, {row.key: unpacked(row.body) for row in own}


def _keep(db: Connection, unit: int, outputs: Mapping[bytes, Output]) -> None:
    rows = [{"key": key, "unit": unit, "body": packed(output)} for key, output in outputs.items()]
    put(db, _output, rows, change=("body",))


def _get(db: Connection, name: str) -> float:
    return db.scalar(select(_number.c.value).where(_number.c.name == name)) or 0.0


def _set(db: Connection, values: Mapping[str, float]) -> None:
    put(db, _number, [{"name": name, "value": value} for name, value in values.items()], change=("value",))
