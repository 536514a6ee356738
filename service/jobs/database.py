"""The SQLite file that jobs are kept in: its tables, and transactions on it."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from service.glossaries import StoreUnavailable

_TABLES = """
PRAGMA auto_vacuum = FULL;
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS job (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT,
    task TEXT NOT NULL,
    form TEXT NOT NULL,
    options TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status TEXT NOT NULL,
    done INTEGER NOT NULL,
    total INTEGER NOT NULL,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    problem BLOB,
    interruptions INTEGER NOT NULL DEFAULT 0,
    callback TEXT,
    callback_status TEXT,
    callback_tries INTEGER NOT NULL DEFAULT 0,
    callback_due REAL
);
CREATE INDEX IF NOT EXISTS job_status ON job (status, number);
CREATE INDEX IF NOT EXISTS job_owner ON job (owner, number);
CREATE TABLE IF NOT EXISTS item (
    job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    number INTEGER NOT NULL,
    content,
    data BLOB,
    media_type TEXT,
    filename TEXT,
    notes TEXT,
    PRIMARY KEY (job, number)
);
CREATE TABLE IF NOT EXISTS output (
    job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    item INTEGER NOT NULL,
    number INTEGER NOT NULL,
    digest BLOB NOT NULL,
    token_ids TEXT NOT NULL,
    score REAL,
    finish TEXT NOT NULL,
    PRIMARY KEY (job, item, number)
);
"""

LOCK_TIMEOUT_S = 30.0
"""How long one waits for another's transaction."""


class Database:
    """One file, which is made when it is first asked for. It may be shared."""

    def __init__(self, file: Path):
        self.file = file
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
            raise StoreUnavailable(f"the jobs in {self.file} cannot be used: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        with self._lock:
            if not self._prepared:
                self._prepare()
                self._prepared = True
        # A result is read while it is written to a socket, and who closes it then may be another thread.
        db = sqlite3.connect(self.file, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA foreign_keys = ON")
        return db

    def _prepare(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.touch(mode=0o600)  # people's texts; SQLite gives the files beside it the same mode
        with closing(sqlite3.connect(self.file, timeout=LOCK_TIMEOUT_S)) as db:
            db.executescript(_TABLES)
