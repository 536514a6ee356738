"""What a server's workers share at run time: counts, and models' load progress.

A SQLite file in a folder that is deleted with the server, or in memory with one worker. Each change is one
statement: in a longer transaction, all workers would wait for one that waits for its interpreter. What a
worker holds is released when it ends.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from models.load_progress import LOADING, READY, LoadProgress
from service.errors import StoreUnavailable
from service.store.database import LOCK_TIMEOUT_S, private

_TABLES = """
CREATE TABLE IF NOT EXISTS held (
    what TEXT, caller TEXT, pid INTEGER, amount INTEGER, PRIMARY KEY (what, caller, pid)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS held_nothing AFTER UPDATE ON held WHEN new.amount <= 0 BEGIN
    DELETE FROM held WHERE what = new.what AND caller = new.caller AND pid = new.pid;
END;
CREATE TABLE IF NOT EXISTS used (key TEXT PRIMARY KEY, amount INTEGER, expires REAL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS used_expires ON used (expires);
CREATE TABLE IF NOT EXISTS stage (
    pid INTEGER, model TEXT, stage TEXT, PRIMARY KEY (pid, model)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failure (model TEXT PRIMARY KEY, why TEXT) WITHOUT ROWID;
"""
_OF_PROCESSES = ("held", "stage")
_TAKE = """
INSERT INTO held (what, caller, pid, amount) SELECT :what, :caller, :pid, :amount
WHERE :amount + (
    SELECT coalesce(sum(amount), 0) + coalesce(sum(amount) FILTER (WHERE caller = :caller), 0)
    FROM held WHERE what = :what
) <= :capacity
OR (:amount <= :least AND NOT EXISTS (SELECT 1 FROM held WHERE what = :what AND caller = :caller))
ON CONFLICT (what, caller, pid) DO UPDATE SET amount = amount + excluded.amount
"""
_GIVE = """
UPDATE held SET amount = amount - :amount WHERE what = :what AND caller = :caller AND pid = :pid
"""
_HELD = "SELECT coalesce(sum(amount), 0) FROM held WHERE what = :what"


class SharedState:
    """The tables, in a folder's file or in memory. Threads may share it, and forked processes its file.

    All methods raise StoreUnavailable where SQLite raises.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder
        self.engines: Sequence[Path] = ()
        """The files of the processes that the workers' engines are in, one for each card."""
        self._file = Path(":memory:") if folder is None else folder / "shared.sqlite"
        # In memory there is one connection, and each has tables of its own.
        self._turn = threading.Lock() if folder is None else nullcontext()
        self._idle: list[sqlite3.Connection] = []
        self._hold = -1
        if folder is not None:
            private(self._file)
            with self._connection() as db:
                db.executescript(_TABLES)
            self.close()  # whoever made it may fork

    def change(self, statement: str, **values: object) -> int:
        """Run a statement; return how many rows it changed."""
        with self._connection() as db:
            return db.execute(statement, values).rowcount

    def rows(self, statement: str, **values: object) -> list[Any]:
        """Return the rows of a query, or of a change that returns some."""
        with self._connection() as db:
            return db.execute(statement, values).fetchall()

    def take(self, what: str, caller: str, amount: int, *, capacity: int, least: int) -> bool:
        """See `service.shares.ShareCounts.take`."""
        own = {"what": what, "caller": caller, "pid": os.getpid(), "amount": amount}
        return bool(self.change(_TAKE, **own, capacity=capacity, least=least))

    def give(self, what: str, caller: str, amount: int) -> None:
        """See `service.shares.ShareCounts.give`."""
        self.change(_GIVE, what=what, caller=caller, pid=os.getpid(), amount=amount)

    def held(self, what: str) -> int:
        """See `service.shares.ShareCounts.held`."""
        return int(self.rows(_HELD, what=what)[0][0])

    def ended(self, pid: int) -> None:
        """Give back what a process held that has ended; and leave nothing open, since who asks may fork."""
        for table in _OF_PROCESSES:
            self.change(f"DELETE FROM {table} WHERE pid = :pid", pid=pid)  # noqa: S608 - constants
        self.close()

    def hold(self) -> None:
        """Say that this process uses the folder, until it ends."""
        if self.folder is not None:
            self._hold = os.open(self.folder, os.O_RDONLY)
            fcntl.flock(self._hold, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Remove the tables, unless another process uses them.

        For when the process that removes the folder was killed.
        """
        if self.folder is not None:
            with suppress(BlockingIOError):
                fcntl.flock(self._hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for each in self.folder.glob(f"{self._file.name}*"):
                    each.unlink(missing_ok=True)

    def close(self) -> None:
        """Close what is open now."""
        while self._idle:
            self._idle.pop().close()

    # ------------------------------------------------------------------ inside

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else uses meanwhile: threads that wait for one have none to wait for."""
        try:
            with self._turn:
                try:
                    db = self._idle.pop()
                except IndexError:
                    db = self._open()
                try:
                    yield db
                finally:
                    self._idle.append(db)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable("what the workers share", self._file, error) from error

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._file, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")  # it need not outlive the machine
        if self.folder is None:
            db.executescript(_TABLES)
        return db


class SharedLoadProgress(LoadProgress):
    """The load progress of all workers: a model is ready if one of them has it."""

    def __init__(self, shared: SharedState):
        super().__init__()
        self._shared = shared

    def tell(self, model: str, stage: str | None) -> None:
        """See `LoadProgress.tell`."""
        over = "DELETE FROM stage WHERE pid = :pid AND model = :model"
        put = "REPLACE INTO stage VALUES (:pid, :model, :stage)"
        self._shared.change(over if stage is None else put, pid=os.getpid(), model=model, stage=stage)

    def stages(self) -> dict[str, str]:
        """See `LoadProgress.stages`."""
        # One that fetches says more than one that waits for what is fetched.
        told = "SELECT model, stage FROM stage ORDER BY stage = :ready, stage <> :loading, pid"
        return dict(self._shared.rows(told, ready=READY, loading=LOADING))

    def fail(self, model: str, why: str | None) -> None:
        """See `LoadProgress.fail`."""
        over, put = "DELETE FROM failure WHERE model = :model", "REPLACE INTO failure VALUES (:model, :why)"
        self._shared.change(over if why is None else put, model=model, why=why)

    def failures(self) -> dict[str, str]:
        """See `LoadProgress.failures`."""
        return dict(self._shared.rows("SELECT model, why FROM failure"))
