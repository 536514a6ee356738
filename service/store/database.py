"""Opens SQLite files: private to their owner, prepared once, used in transactions."""

import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import StoreUnavailable

log = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 30.0
"""The longest wait for another's transaction."""
_KEYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class PairSize:
    """Two languages, and how many entries or sentences are kept for them."""

    source: str
    target: str
    size: int


class Database:
    """One file, made at its first use. Threads may share it.

    `kept` names the content in messages; `tables` are SQL that may run again and again. All methods raise
    StoreUnavailable where SQLite raises.
    """

    def __init__(self, file: Path, kept: str, tables: str):
        self.file = file
        self._kept = kept
        self._tables = tables
        self._lock = threading.Lock()
        self._prepared = False

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        """Open a connection in a transaction, which is committed unless something is raised."""
        try:
            with closing(self._connect()) as db:
                db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                yield db
                db.execute("COMMIT")  # whoever raises closes the connection first, and so takes it back
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(self._kept, self.file, error) from error

    def read(self, query: str, *values: object) -> list[Any]:
        """Return the rows of one query."""
        with self.transaction(write=False) as db:
            return db.execute(query, values).fetchall()

    def write(self, statement: str, *values: object) -> int:
        """Run one statement; return how many rows it changed."""
        with self.transaction() as db:
            return db.execute(statement, values).rowcount

    def piece(self, value: tuple[str, str], row: str, *values: object, start: int, size: int) -> bytes:
        """Return a piece of a value, of a table and a column, in the row that a query gives.

        What comes before it is not read. The query returns the row's id; b"" if it returns none.
        """
        with self.transaction(write=False) as db:
            if (found := db.execute(row, values).fetchone()) is None:
                return b""
            with db.blobopen(*value, found[0], readonly=True) as blob:
                blob.seek(start)
                return blob.read(size)

    def _connect(self) -> sqlite3.Connection:
        with self._lock:
            if not self._prepared or not self.file.exists():
                private(self.file)
                with closing(sqlite3.connect(self.file, timeout=LOCK_TIMEOUT_S)) as db:
                    db.executescript(self._tables)
                self._prepared = True
        # A result is read while it is written to a socket, and who closes it then may be another thread.
        db = sqlite3.connect(self.file, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA foreign_keys = ON")
        return db


def private(file: Path) -> None:
    """Make the file if it does not exist, and let its owner alone read it, and any folder made for it.

    SQLite gives the files that it makes beside it the same mode; those that others can read are put right.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        file.touch(mode=0o600)
    for each in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
        with suppress(OSError):  # it does not exist, or another user's, which works as it is
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)


def rows_in(
    db: sqlite3.Connection, query: str, keys: Sequence[bytes | str], *before: object
) -> Iterator[Any]:
    """Yield the rows of a query whose parameters are `before`, and then the keys in `IN (%s)`.

    The query runs for a few hundred keys at a time, as SQLite bounds the number of parameters.
    """
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[start : start + _KEYS_AT_ONCE]
        yield from db.execute(query % ",".join("?" * len(some)), [*before, *some])
