"""The SQLite files in which the service keeps what is its users': private, prepared once, in transactions."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from service.errors import StoreUnavailable

log = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 30.0
"""How long one waits for another's transaction."""


class Database:
    """One file, which is made when it is first asked for. It may be shared.

    `kept` is for messages; `tables` are SQL that may run again and again; `upgrade` brings an old file up to
    date.
    """

    def __init__(
        self,
        file: Path,
        kept: str,
        tables: str,
        upgrade: Callable[[sqlite3.Connection], None] = lambda _db: None,
    ):
        self.file = file
        self._kept = kept
        self._tables = tables
        self._upgrade = upgrade
        self._lock = threading.Lock()
        self._prepared = False

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection of its own, in a transaction that is kept if nothing is raised.

        Raises StoreUnavailable where SQLite raises.
        """
        try:
            with closing(self._connect()) as db:
                db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                yield db
                db.execute("COMMIT")  # whoever raises closes the connection first, and so takes it back
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(self._kept, self.file, error) from error

    def _connect(self) -> sqlite3.Connection:
        with self._lock:
            if not self._prepared or not self.file.exists():
                self._prepare()
                self._prepared = True
        # A result is read while it is written to a socket, and who closes it then may be another thread.
        db = sqlite3.connect(self.file, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA foreign_keys = ON")
        return db

    def _prepare(self) -> None:
        private(self.file)
        with closing(sqlite3.connect(self.file, timeout=LOCK_TIMEOUT_S)) as db:
            db.executescript(self._tables)
            self._upgrade(db)
            db.commit()


def private(file: Path) -> None:
    """See to it that the file is there, and that nobody but its owner reads it, nor a folder made for it.

    SQLite gives the files that it makes beside it the same mode; those of an older version are put right.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        file.touch(mode=0o600)
    for each in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
        with suppress(OSError):  # it is not there, or another user's, which works as it is
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)


def add_columns(db: sqlite3.Connection, table: str, columns: str) -> None:
    """Give a table of an older version these columns, `NAME TYPE, NAME TYPE`, where it lacks them."""
    known = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
    for column in columns.split(", "):
        if column.split()[0] not in known:
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
