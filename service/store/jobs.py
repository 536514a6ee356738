"""Jobs in SQLite: requests, progress, results, and pending callbacks.

An item (a text, page or document of a job) is stored as soon as it is done, and its text is deleted; when the
job ends, all its texts are. For a single text, segments are stored until the whole is there. Runs nothing:
reading a job needs no worker.
"""

import errno
import json
import os
import secrets
import sqlite3
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from models.engine.protocol import Output
from models.errors import DragomanError, Overloaded
from service.errors import StoreUnavailable, UnknownJob
from service.settings import Settings
from service.shares import MAX_JOB_BYTES, MAX_QUEUED_JOBS, MAX_QUEUED_JOBS_PER_CALLER, stored_shares
from service.store.database import SqliteFile, rows_in
from service.store.results import JSON, StoredResult, TaskName, packed, unpacked

Form = Literal["text", "html", "texts", "document"]
Status = Literal["queued", "running", "done", "failed", "cancelled"]
CallbackStatus = Literal["pending", "delivered", "failed"]

PIECE_BYTES = 1 << 18
"""Of a result, read in one transaction."""
ITEMS_AT_ONCE, SEGMENTS_AT_ONCE = 64, 512
"""Items, and segments, read or forgotten in one transaction: no other waits long."""

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
    callback_due REAL,
    caller TEXT NOT NULL DEFAULT '',
    bytes INTEGER NOT NULL DEFAULT 0,
    claimed REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS job_status ON job (status, number);
CREATE INDEX IF NOT EXISTS job_owner ON job (owner, number);
CREATE INDEX IF NOT EXISTS job_caller ON job (caller, claimed);
CREATE INDEX IF NOT EXISTS job_callback ON job (callback_due) WHERE callback_status = 'pending';
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
CREATE TABLE IF NOT EXISTS segment (
    told INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    number INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (job, number)
);
CREATE INDEX IF NOT EXISTS segment_told ON segment (job, told);
CREATE TABLE IF NOT EXISTS kept (
    job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    key BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (job, key)
);
"""
"""`kept` has the engines' outputs for items in work, so that an interruption does not lose them."""

_JOB = (
    "number, id, owner, task, form, options, request_id, status, done, total, created, started, finished, "
    "problem, interruptions, callback, callback_status, callback_tries, caller"
)
_CLAIM = f"""
UPDATE job SET status = 'running', started = coalesce(started, :now), claimed = :now
WHERE number = (
    SELECT first.number
    FROM (SELECT caller, min(number) AS number FROM job WHERE status = 'queued' GROUP BY caller) AS first
    JOIN job ON job.number = first.number
    ORDER BY
        (SELECT count(*) FROM job AS other WHERE status = 'running' AND other.caller = first.caller),
        max(job.created, (SELECT max(claimed) FROM job AS other WHERE other.caller = first.caller)),
        first.number
    LIMIT 1
)
RETURNING {_JOB}
"""  # noqa: S608 - of constants
"""Callers take turns: first who has least in work, then who has waited longest since their own last turn."""
_RECORD = """
UPDATE item SET content = NULL, data = ?, media_type = ?, filename = ?, notes = ? WHERE job = ? AND number = ?
"""
_END = """
UPDATE job SET status = ?, finished = ?, problem = ?,
    callback_status = iif(callback IS NULL, NULL, 'pending'), callback_due = ?
WHERE number = ? AND status IN ('queued', 'running')
"""
_HIDE = """
UPDATE job SET id = 'forgotten-' || number, owner = '', caller = '', bytes = 0, finished = 0,
    status = 'cancelled', callback_status = NULL
WHERE number = ?
"""
_TELL = """
INSERT OR REPLACE INTO segment (job, number, body) SELECT :job, :number, :body
WHERE NOT EXISTS (SELECT 1 FROM segment WHERE job = :job AND number = :number AND body = :body)
"""
"""One that has changed comes after all others; one that is told again, after a restart, keeps its place."""
_DROP_SEGMENTS = """
DELETE FROM segment WHERE job = :job AND (SELECT form FROM job WHERE number = :job) != 'document'
"""
"""A document that comes back as a file has no other place for them."""
_SOMEONE_WAITS = """
SELECT 1 FROM job AS waiting WHERE status = 'queued' AND NOT EXISTS (
    SELECT 1 FROM job AS other WHERE other.status = 'running' AND other.caller = waiting.caller
) LIMIT 1
"""


class JobCancelled(DragomanError):
    """The job was cancelled while it was worked on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as it is put in."""

    task: TaskName
    form: Form
    options: Mapping[str, Any]
    """The request's other fields, checked; a document's hold its name, as `file`."""
    contents: Sequence[str | bytes | StoredResult]
    """The items in order; a StoredResult for one that was wrong from the start."""
    request_id: str
    id: str | None = None
    """One that was chosen before, under which it is kept once; None for a new one."""
    owner: str | None = None
    caller: str = ""
    """Whose share it takes: the key's, or the address's without one."""
    callback: str | None = None
    """The URL that is told when it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it stands. Times are seconds since 1970."""

    number: int
    """Jobs are done, and listed, in the order of their numbers."""
    id: str
    owner: str | None
    task: TaskName
    form: Form
    options: Mapping[str, Any]
    request_id: str
    status: Status
    done: int
    """Of `total`: texts, or of a single one the pieces that models were given; then both may grow."""
    total: int
    created: float
    started: float | None
    finished: float | None
    problem: bytes | None
    """A problem document, of a job that failed."""
    interruptions: int
    """The number of times that the service died while it worked on this."""
    callback: str | None
    callback_status: CallbackStatus | None
    callback_tries: int
    caller: str

    @property
    def ended(self) -> bool:
        """True if nothing more will become of it."""
        return self.status in ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class PendingCallback:
    """A callback that is to be sent: its job's number, whose job that is, and where it goes."""

    number: int
    caller: str
    url: str


class JobStore:
    """The jobs in a data folder. It may be shared, by threads and by processes."""

    def __init__(self, settings: Settings):
        self._database = SqliteFile(settings.data_dir / "jobs.sqlite", "the jobs", _TABLES)

    # ------------------------------------------------------------------ for callers

    def create(self, new: NewJob) -> Job:
        """Keep a new job. Raises Overloaded where there are too many, or they keep too much.

        One that is there under the id that was chosen is returned as it stands.
        """
        total = len(new.contents)
        done = sum(isinstance(content, StoredResult) for content in new.contents)
        size = sum(map(_size, new.contents))
        job_id, own = new.id or secrets.token_hex(16), json.dumps(new.options)
        row = (job_id, new.owner, new.task, new.form, own, new.request_id)
        with self._database.transaction() as db:
            if new.id is not None:
                with suppress(UnknownJob):
                    return _owned(db, new.id, new.owner)
            self._require_room(db, new, size)
            number = db.execute(
                "INSERT INTO job (id, owner, task, form, options, request_id, status, done, total, created, "
                "callback, caller, bytes) VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
                (*row, done, total, time.time(), new.callback, new.caller, size),
            ).lastrowid
            db.executemany(
                "INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (number, i, None, c.data, c.media_type, c.filename, c.notes)
                    if isinstance(c, StoredResult)
                    else (number, i, c, None, None, None, None)
                    for i, c in enumerate(new.contents)
                ),
            )
            return _job(db.execute(f"SELECT {_JOB} FROM job WHERE number = ?", (number,)).fetchone())  # noqa: S608

    def get(self, job_id: str, owner: str | None) -> Job:
        """Return one of the owner's jobs. Raises UnknownJob."""
        with self._database.transaction(write=False) as db:
            return _owned(db, job_id, owner)

    def page(self, owner: str | None, *, limit: int, before: int | None = None) -> list[Job]:
        """Return the owner's jobs, the newest first; those with numbers below `before`."""
        query = f"SELECT {_JOB} FROM job WHERE owner IS ? AND number < ? ORDER BY number DESC LIMIT ?"  # noqa: S608
        most = 2**63 - 1 if before is None else before
        return [_job(row) for row in self._database.read(query, owner, most, limit)]

    def results(self, job: Job) -> Iterator[StoredResult]:
        """Yield the results of the job's items, in order, reading as it goes. Raises UnknownJob."""
        total = job.total if job.form == "texts" else 1
        number = -1
        while number + 1 < total:
            rows = self._database.read(
                "SELECT number, data, media_type, filename, notes FROM item "
                "WHERE job = ? AND number > ? ORDER BY number LIMIT ?",
                *(job.number, number, ITEMS_AT_ONCE),
            )
            yield from (StoredResult(*row[1:]) for row in rows)
            if not rows:
                raise UnknownJob("the job was deleted while its results were read")
            number = rows[-1][0]

    def open(self, job: Job, when_read: Callable[[], None] = lambda: None) -> "ResultFile":
        """Return the job's result as a file, which calls `when_read` once it was read. Raises UnknownJob."""
        fields = "number, length(data), media_type, filename, notes"
        rows = self._database.read(
            f"SELECT {fields} FROM item WHERE job = ? ORDER BY number",  # noqa: S608 - of constants
            job.number,
        )
        if not rows:
            raise UnknownJob("the job was deleted while its results were read")
        return ResultFile(self._database, job, rows, when_read)

    def segments(self, job: Job, after: int) -> Iterator[tuple[int, bytes]]:
        """Yield the segments that were told after this place, each with its own, reading as it goes."""
        query = "SELECT told, body FROM segment WHERE job = ? AND told > ? ORDER BY told LIMIT ?"
        while rows := self._database.read(query, job.number, after, SEGMENTS_AT_ONCE):
            yield from rows
            after = rows[-1][0]

    def remove(self, job_id: str, owner: str | None) -> Job:
        """Cancel a job that has not ended; forget one that has. Returns it as it was. Raises UnknownJob."""
        with self._database.transaction() as db:
            job = _owned(db, job_id, owner)
            if not job.ended:
                _end(db, job.number, "cancelled", None)
        if job.ended:
            self.forget(job.number)
        return job

    def forget(self, number: int) -> None:
        """Forget a job, whatever its state. Nobody finds it from the beginning; its items go in pieces."""
        self._database.write(_HIDE, number)
        for table, most in (("item", ITEMS_AT_ONCE), ("segment", SEGMENTS_AT_ONCE)):
            some = f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE job = ? LIMIT ?)"  # noqa: S608
            while self._database.write(some, number, most):
                pass
        self._database.write("DELETE FROM job WHERE number = ?", number)

    def _require_room(self, db: sqlite3.Connection, new: NewJob, size: int) -> None:
        """Raise Overloaded if the caller's share, or the whole queue, has no room for a job of `size` bytes.

        A full queue takes the first job of a key all the same, so that nobody's key is locked out by others.
        """
        waiting = "SELECT count(*) FROM job WHERE status IN ('queued', 'running')"
        (everybody_s,) = db.execute(waiting).fetchone()
        (own,) = db.execute(f"{waiting} AND caller = ?", (new.caller,)).fetchone()
        if own >= MAX_QUEUED_JOBS_PER_CALLER:
            raise Overloaded(
                f"this caller already has {own} jobs waiting, of at most {MAX_QUEUED_JOBS_PER_CALLER}",
                retry_after_s=30.0,
            )
        if everybody_s >= MAX_QUEUED_JOBS and (own or new.owner is None):
            raise Overloaded(f"the queue is full: {everybody_s} jobs are waiting", retry_after_s=30.0)
        for whose, which, value, share in stored_shares(new.caller, new.owner):
            query = f"SELECT coalesce(sum(bytes), 0) FROM job WHERE {which} IS ?"  # noqa: S608 - of constants
            (kept,) = db.execute(query, (value,)).fetchone()
            if kept + size > share * MAX_JOB_BYTES:
                raise Overloaded(
                    f"the jobs of {whose} would keep {kept + size} bytes, of at most "
                    f"{share * MAX_JOB_BYTES}; delete those whose results were fetched",
                    retry_after_s=60.0,
                )

    # ------------------------------------------------------------------ for workers

    def recover(self) -> None:
        """Put what ran when the service died back into the queue; to be called before anything runs."""
        self._database.write(
            "UPDATE job SET status = 'queued', interruptions = interruptions + 1 WHERE status = 'running'"
        )

    def claim(self) -> Job | None:
        """Return the next job that waits, which is running from now on."""
        # Without a write nobody is kept waiting for a look.
        if not self._database.read("SELECT 1 FROM job WHERE status = 'queued' LIMIT 1"):
            return None
        with self._database.transaction() as db:
            rows = db.execute(_CLAIM, {"now": time.time()}).fetchall()
            return _job(rows[0]) if rows else None

    def running(self) -> set[int]:
        """Return the numbers of the jobs that run."""
        return {
            number for (number,) in self._database.read("SELECT number FROM job WHERE status = 'running'")
        }

    def someone_waits(self) -> bool:
        """Return True if a caller has jobs waiting, and none in work."""
        return bool(self._database.read(_SOMEONE_WAITS))

    def requeue(self, job: Job, *, interrupted: bool = False) -> None:
        """Let a running job wait again, `interrupted` if it may be to blame; what is done stays done."""
        self._database.write(
            "UPDATE job SET status = 'queued', claimed = ?, interruptions = interruptions + ? "
            "WHERE number = ? AND status = 'running'",
            *(time.time(), interrupted, job.number),
        )

    def pending(self, job: Job, *, after: int, limit: int) -> list[tuple[int, str | bytes]]:
        """Return the next items that are not done, of those with numbers above `after`: number and content.

        Raises JobCancelled; a cancelled job has forgotten what its items were.
        """
        with self._database.transaction() as db:
            _require_running(db, job)
            return db.execute(
                "SELECT number, content FROM item WHERE job = ? AND number > ? AND data IS NULL "
                "ORDER BY number LIMIT ?",
                (job.number, after, limit),
            ).fetchall()

    def record(self, job: Job, results: Mapping[int, StoredResult]) -> None:
        """Keep items' results. Raises JobCancelled."""
        with self._database.transaction() as db:
            _require_running(db, job, getting_on=True)
            db.executemany(
                _RECORD,
                [(r.data, r.media_type, r.filename, r.notes, job.number, i) for i, r in results.items()],
            )
            size = sum(len(result.data) for result in results.values())
            more = len(results) if job.form == "texts" else 0
            db.execute(
                "UPDATE job SET bytes = bytes + ?, done = done + ? WHERE number = ?", (size, more, job.number)
            )
            db.execute("DELETE FROM kept WHERE job = ?", (job.number,))

    def progress(self, job: Job, done: int, total: int, segments: Mapping[int, bytes]) -> None:
        """Say how far it is, and keep new segments. Raises JobCancelled."""
        with self._database.transaction() as db:
            _require_running(db, job)
            db.execute("UPDATE job SET done = ?, total = ? WHERE number = ?", (done, total, job.number))
            told = [{"job": job.number, "number": i, "body": body} for i, body in segments.items()]
            db.executemany(_TELL, told)

    def outputs(self, job: Job, keys: Sequence[bytes]) -> dict[bytes, Output]:
        """Return those of a job's outputs that are kept."""
        with self._database.transaction(write=False) as db:
            rows = rows_in(db, "SELECT key, body FROM kept WHERE job = ? AND key IN (%s)", keys, job.number)
            return {key: unpacked(body) for key, body in rows}

    def keep_outputs(self, job: Job, outputs: Mapping[bytes, Output]) -> None:
        """Keep engines' outputs until the results are there. Raises JobCancelled."""
        with self._database.transaction() as db:
            _require_running(db, job, getting_on=True)
            rows = [(job.number, key, packed(output)) for key, output in outputs.items()]
            db.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", rows)

    def end(self, job: Job, problem: bytes | None = None) -> None:
        """The job is done, or has failed for this problem; nothing happens if it was cancelled before."""
        with self._database.transaction() as db:
            _end(db, job.number, "done" if problem is None else "failed", problem)

    def expire(self, before: float) -> int:
        """Forget the jobs that ended before this time; returns how many."""
        rows = self._database.read("SELECT number FROM job WHERE finished < ?", before)
        for (number,) in rows:
            self.forget(number)
        return len(rows)

    # ------------------------------------------------------------------ callbacks

    def due_callbacks(self, now: float) -> list[PendingCallback]:
        """Return the callbacks that are to be tried now, those due longest first."""
        rows = self._database.read(
            "SELECT number, caller, callback FROM job "
            "WHERE callback_status = 'pending' AND callback_due <= ? ORDER BY callback_due",
            now,
        )
        return [PendingCallback(*row) for row in rows]

    def next_callback_due(self, after: float) -> float | None:
        """Return the time of the next try, of the callbacks that are not due before `after`."""
        ((due,),) = self._database.read(
            "SELECT min(callback_due) FROM job WHERE callback_status = 'pending' AND callback_due > ?", after
        )
        return None if due is None else float(due)

    def callback_job(self, number: int) -> Job | None:
        """Return the job of a callback that is still to be sent; None if it was forgotten."""
        query = f"SELECT {_JOB} FROM job WHERE number = ? AND callback_status = 'pending'"  # noqa: S608
        rows = self._database.read(query, number)
        return _job(rows[0]) if rows else None

    def callback_tried(self, job: Job, status: CallbackStatus, due: float | None = None) -> None:
        """Note a try, and when the next one is due if it is pending still."""
        self._database.write(
            "UPDATE job SET callback_status = ?, callback_tries = callback_tries + 1, callback_due = ? "
            "WHERE number = ?",
            *(status, due, job.number),
        )


class ResultFile:
    """A job's result, read from the database by the piece: a client that reads slowly costs no more memory.

    Of many texts it is the JSON of all. Raises OSError if the job was deleted meanwhile.
    """

    def __init__(
        self,
        database: SqliteFile,
        job: Job,
        items: Sequence[tuple[int, int | None, str, str | None, str]],
        when_read: Callable[[], None],
    ):
        self._database = database
        self._job = job.number
        self._when_read = when_read
        _, _, self.media_type, self.filename, self.notes = items[0]
        self._parts: list[int | bytes] = [items[0][0]]
        """Items by number, and what is between them."""
        lengths = [items[0][1] or 0]
        if job.form == "texts":
            self.media_type, self.filename, self.notes = JSON, None, ""
            self._parts, lengths = [], []
            for i, (number, length, *_) in enumerate(items):
                before = b"," if i else b'{"results":['
                self._parts += [before, b"null" if length is None else number]
                lengths += [len(before), 4 if length is None else length]
            self._parts.append(b"]}")
            lengths.append(2)
        self._starts = list(accumulate(lengths, initial=0))
        self.size = self._starts[-1]
        self._position = 0
        self._piece = 0, b""
        """Where the last piece that was read starts, and what it is."""

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        from_where = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}
        self._position = from_where[whence] + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return at most so many of the next bytes, and b"" at the end only."""
        start, piece = self._piece
        if not start <= self._position < start + len(piece):
            start, piece = self._piece = self._position, self._next_piece()
        found = piece[self._position - start :]
        found = found if size < 0 else found[:size]
        self._position += len(found)
        return found

    def close(self) -> None:
        """Be done with it; nothing is open between two pieces."""
        if self._position >= self.size:
            self._when_read()

    def _next_piece(self) -> bytes:
        """Return a piece from the position on: small parts together, or a piece of a large one."""
        piece, position = b"", self._position
        while len(piece) < PIECE_BYTES and position < self.size:
            i = bisect_right(self._starts, position) - 1
            part, start = self._parts[i], position - self._starts[i]
            most = min(self._starts[i + 1] - position, PIECE_BYTES - len(piece))
            more = part[start : start + most] if isinstance(part, bytes) else self._of_item(part, start, most)
            if len(more) != most:
                raise OSError(errno.ESTALE, "the job was deleted while its result was read")
            piece += more
            position += most
        return piece

    def _of_item(self, number: int, start: int, size: int) -> bytes:
        row = "SELECT rowid FROM item WHERE job = ? AND number = ? AND length(data) >= ?"
        try:
            return self._database.piece(
                ("item", "data"), row, self._job, number, start + size, start=start, size=size
            )
        except StoreUnavailable as error:
            raise OSError(errno.EIO, error.message) from error


def _job(row: tuple[object, ...]) -> Job:
    fields = dict(zip(_JOB.split(", "), row, strict=True))
    fields["options"] = json.loads(str(fields["options"]))
    return Job(**fields)  # type: ignore[arg-type]


def _owned(db: sqlite3.Connection, job_id: str, owner: str | None) -> Job:
    row = db.execute(f"SELECT {_JOB} FROM job WHERE id = ? AND owner IS ?", (job_id, owner)).fetchone()  # noqa: S608
    if row is None:
        raise UnknownJob(f"unknown job: {job_id[:100]!r}")
    return _job(row)


def _require_running(db: sqlite3.Connection, job: Job, *, getting_on: bool = False) -> None:
    """Raise JobCancelled if it was; whatever gets on is not what the service died of."""
    change = "interruptions = 0" if getting_on else "status = status"
    running = f"UPDATE job SET {change} WHERE number = ? AND status = 'running'"  # noqa: S608
    if not db.execute(running, (job.number,)).rowcount:
        raise JobCancelled("the job was cancelled")


def _end(db: sqlite3.Connection, number: int, status: Status, problem: bytes | None) -> None:
    now = time.time()
    if db.execute(_END, (status, now, problem, now, number)).rowcount:
        # Not those done, whose texts are forgotten already: a row is written whole, its result too.
        db.execute("UPDATE item SET content = NULL WHERE job = ? AND content IS NOT NULL", (number,))
        db.execute("DELETE FROM kept WHERE job = ?", (number,))
        if status == "done":
            db.execute(_DROP_SEGMENTS, {"job": number})
        of_job = "SELECT coalesce(sum(length({})), 0) FROM {} WHERE job = job.number"
        kept = f"({of_job.format('data', 'item')}) + ({of_job.format('body', 'segment')})"
        db.execute(f"UPDATE job SET bytes = {kept} WHERE number = ?", (number,))  # noqa: S608


def _size(content: str | bytes | StoredResult) -> int:
    if isinstance(content, StoredResult):
        return len(content.data)
    return len(content.encode()) if isinstance(content, str) and not content.isascii() else len(content)
