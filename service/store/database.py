"""Opens the one database: an SQLite file in the data folder, private to its owner, or PostgreSQL.

It is made, or brought to this version, at its first use. SQLAlchemy is imported then: most commands do
without it. Knows no table; `migrations` and `old_files` do.
"""

import logging
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import InvalidInput
from service.errors import StoreUnavailable, import_extra

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Engine, Executable, Select

log = logging.getLogger(__name__)

FILE = "dragoman.db"
LOCK_TIMEOUT_S = 30.0
"""The longest wait for another's transaction."""
CONNECTIONS = 32
"""The most of one process, each for as long as a transaction takes."""
_PATIENCE = {
    "connect_timeout": "5",  # seconds, for a server that does not answer; the others, for one that is gone
    "tcp_user_timeout": "20000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
"""What libpq is told where the URL of the database does not say it."""


@dataclass(frozen=True, slots=True)
class PairSize:
    """Two languages, and how many entries or sentences are kept for them."""

    source: str
    target: str
    size: int


class Database:
    """A folder's file, or with `url` a PostgreSQL database. Threads may share it; a fork may not.

    All methods raise StoreUnavailable where the database raises.
    """

    kept = "the database"
    """What errors call it."""

    def __init__(self, folder: Path, url: str | None = None):
        self.folder = folder
        self._file = folder / FILE if url is None else None
        self._url = url
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._prepared: Engine | None = None

    @property
    def empty(self) -> bool:
        """True if nothing was ever kept; asking makes no file."""
        # Older versions' files are copied when it is opened.
        return self._file is not None and not (self._file.exists() or any(self.folder.glob("*.sqlite")))

    @contextmanager
    def transaction(self, *, write: bool = True, alone: str | None = None) -> Iterator["Connection"]:
        """Open a connection in a transaction, which is committed unless something is raised.

        A transaction that writes by what it has read says `alone` what it is about: no other one of that name
        runs meanwhile. (In SQLite no other one runs that writes.) Raises InvalidInput for a value that the
        database cannot hold.
        """
        from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError

        try:
            with begin(self._opened(), write, alone) as db:
                yield db
        except DataError as error:  # PostgreSQL has no NUL in texts
            raise InvalidInput(f"a value cannot be stored: {error.orig}", allowed="no NUL") from error
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            reason = error.orig if isinstance(error, DBAPIError) and error.orig else error
            raise StoreUnavailable(self.kept, self._file, reason) from error

    def read(self, query: "Executable") -> Sequence[Any]:
        """Return the rows of one query."""
        with self.transaction(write=False) as db:
            return db.execute(query).all()

    def pages(self, query: "Select[Any]", at_once: int, *place: "Column[Any]") -> Iterator[Any]:
        """Yield a query's rows in the order of `place`, reading so many at once.

        Whoever reads slowly holds no connection.
        """
        from sqlalchemy import tuple_

        query = query.order_by(*place).limit(at_once)
        rows = self.read(query)
        while rows:
            yield from rows
            after = tuple_(*place) > tuple_(*(rows[-1]._mapping[each] for each in place))
            rows = self.read(query.where(after)) if len(rows) == at_once else ()

    def write(self, statement: "Executable") -> int:
        """Run one statement; return how many rows it changed."""
        with self.transaction() as db:
            return db.execute(statement).rowcount

    @property
    def is_remote(self) -> bool:
        """True if servers of several machines may share it."""
        return self._file is None

    def unready(self) -> list[str]:
        """The reason why a database on a server cannot be used now; empty when it can, and for a file."""
        from sqlalchemy import select

        try:
            if self.is_remote:
                self.read(select(1))
        except StoreUnavailable as error:
            return [error.message]
        return []

    def run(self, statement: str, **values: object) -> Sequence[Any]:
        """Run an SQL statement; return the rows that it returns, if it does."""
        from sqlalchemy import text

        with self.transaction() as db:
            done = db.execute(text(statement), values)
            return done.all() if done.returns_rows else []

    def close(self) -> None:
        """Close the connections that nobody uses; the next use opens new ones."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    # ------------------------------------------------------------------ inside

    def _opened(self) -> "Engine":
        with self._lock:
            if self._engine is None or not (self._file is None or self._file.exists()):
                self._engine = self._new_engine()
            engine = self._engine
        if engine is not self._prepared:
            # Without the lock: for a server that does not answer, each waits alone.
            self._prepare(engine)
            self._prepared = engine
        return engine

    def _new_engine(self) -> "Engine":
        from sqlalchemy import URL, create_engine, event, make_url

        options: dict[str, Any] = {}
        if self._url is None:
            file = self.folder / FILE
            private(file)
            with closing(sqlite3.connect(file, timeout=LOCK_TIMEOUT_S)) as db:
                db.executescript("PRAGMA auto_vacuum = FULL; PRAGMA journal_mode = WAL;")
            url, begin = URL.create("sqlite", database=str(file)), "PRAGMA foreign_keys = ON"
            # A connection goes from thread to thread, and transactions begin as `begin` says.
            arguments = {"timeout": LOCK_TIMEOUT_S, "check_same_thread": False, "isolation_level": None}
            options["connect_args"] = arguments
        else:
            import_extra("psycopg", what="DRAGOMAN_DATABASE", extra="postgresql")
            url = make_url(self._url)
            url = url.set(query=_PATIENCE | dict(url.query))
            # A process that is stopped, or cut off, in a transaction does not hold up the others for long.
            begin = f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'; SET idle_in_transaction_session_timeout = '60s'"
            options["pool_pre_ping"] = True  # a database that was restarted is connected to anew
        engine = create_engine(
            url,
            max_overflow=CONNECTIONS - 5,
            pool_timeout=LOCK_TIMEOUT_S,
            hide_parameters=True,  # they are callers' texts, and errors go into the log
            **options,
        )
        weakref.finalize(self, engine.dispose)

        @event.listens_for(engine, "connect")
        def connected(db: Any, _: object) -> None:
            db.execute(begin)
            db.commit()

        return engine

    def _prepare(self, engine: "Engine") -> None:
        from service.store.migrations import is_current, migrate
        from service.store.old_files import copy_old_files

        with begin(engine, write=False) as db:
            current = is_current(db)
        if not current:
            with begin(engine, alone="schema") as db:
                migrate(db)
        copy_old_files(self.folder, partial(begin, engine))


@contextmanager
def begin(engine: "Engine", write: bool = True, alone: str | None = None) -> Iterator["Connection"]:
    if not write and engine.dialect.name != "sqlite":
        # Without a BEGIN and a COMMIT of its own; PostgreSQL's statements read what is committed, each anew.
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.begin() as db:
        if engine.dialect.name == "sqlite":
            db.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
        elif alone is not None:
            db.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (alone,))
        yield db


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
