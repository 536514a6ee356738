"""Jobs in a SQLite file: what was asked, what is done, what came out. Whoever looks needs no runner.

An item's result is kept as soon as it is there, and its text forgotten; at a job's end all its texts are. Of
a single text the segments are kept as they come, until the whole is there.
"""

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping

from service.database import Database
from service.errors import UnknownJob
from service.jobs.job import Gone, Item, Job, NewJob, Status
from service.jobs.room import require_room
from service.work.plan import Result

JOB = (
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
RETURNING {JOB}
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
_FORGET = "DELETE FROM {0} WHERE rowid IN (SELECT rowid FROM {0} WHERE job = ? LIMIT ?)"
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
_PIECE, _SEGMENTS = 64, 512
"""Items, and segments, read or forgotten in one transaction: no other waits long."""


class JobStore:
    """The jobs in a file. It may be shared."""

    def __init__(self, database: Database):
        self._database = database

    # ------------------------------------------------------------------ callers' side

    def create(self, new: NewJob) -> Job:
        """Keep a new job. Raises Overloaded where there are too many, or they keep too much."""
        total = len(new.contents)
        done = sum(isinstance(content, Result) for content in new.contents)
        size = sum(map(_size, new.contents))
        row = (uuid.uuid4().hex, new.owner, new.task, new.form, json.dumps(new.options), new.request_id)
        with self._database.transaction() as db:
            require_room(db, new, size)
            cursor = db.execute(
                "INSERT INTO job (id, owner, task, form, options, request_id, status, done, total, created, "
                "callback, caller, bytes) VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
                (*row, done, total, time.time(), new.callback, new.caller, size),
            )
            number = cursor.lastrowid
            db.executemany(
                "INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (number, i, None, c.data, c.media_type, c.filename, c.notes)
                    if isinstance(c, Result)
                    else (number, i, c, None, None, None, None)
                    for i, c in enumerate(new.contents)
                ),
            )
            return job_of(db.execute(f"SELECT {JOB} FROM job WHERE number = ?", (number,)).fetchone())  # noqa: S608

    def get(self, job_id: str, owner: str | None) -> Job:
        """One of the owner's jobs. Raises UnknownJob."""
        with self._database.transaction(write=False) as db:
            return _get(db, job_id, owner)

    def page(self, owner: str | None, *, limit: int, before: int | None = None) -> list[Job]:
        """The owner's jobs, the newest first; those with numbers below `before`."""
        with self._database.transaction(write=False) as db:
            rows = db.execute(
                f"SELECT {JOB} FROM job WHERE owner IS ? AND number < ? ORDER BY number DESC LIMIT ?",  # noqa: S608
                (owner, 2**63 - 1 if before is None else before, limit),
            )
            return [job_of(row) for row in rows]

    def results(self, job: Job) -> Iterator[Result]:
        """Yield the results of the job's items, in order, reading as it goes. Raises UnknownJob."""
        total = job.total if job.form == "texts" else 1
        number = -1
        while number + 1 < total:
            with self._database.transaction(write=False) as db:
                rows = db.execute(
                    "SELECT number, data, media_type, filename, notes FROM item "
                    "WHERE job = ? AND number > ? ORDER BY number LIMIT ?",
                    (job.number, number, _PIECE),
                ).fetchall()
            yield from (Result(*row[1:]) for row in rows)
            if not rows:
                raise UnknownJob("the job was forgotten while its results were read")
            number = rows[-1][0]

    def segments(self, job: Job, after: int) -> Iterator[tuple[int, bytes]]:
        """Yield the segments that were told after this place, each with its own, reading as it goes."""
        rows: list[tuple[int, bytes]] = [(after, b"")]
        while rows:
            with self._database.transaction(write=False) as db:
                rows = db.execute(
                    "SELECT told, body FROM segment WHERE job = ? AND told > ? ORDER BY told LIMIT ?",
                    (job.number, rows[-1][0], _SEGMENTS),
                ).fetchall()
            yield from rows

    def remove(self, job_id: str, owner: str | None) -> Job:
        """Cancel a job that has not ended; forget one that has. Returns it as it was. Raises UnknownJob."""
        with self._database.transaction() as db:
            job = _get(db, job_id, owner)
            if not job.ended:
                _end(db, job.number, "cancelled", None)
        if job.ended:
            self.forget(job.number)
        return job

    def forget(self, number: int) -> None:
        """Forget a job, whatever its state. Nobody finds it from the beginning; its items go in pieces."""
        with self._database.transaction() as db:
            db.execute(_HIDE, (number,))
        for table, most in (("item", _PIECE), ("segment", _SEGMENTS)):
            left = 1
            while left:
                with self._database.transaction() as db:
                    left = db.execute(_FORGET.format(table), (number, most)).rowcount
        with self._database.transaction() as db:
            db.execute("DELETE FROM job WHERE number = ?", (number,))

    # ------------------------------------------------------------------ the runner's side

    def recover(self) -> None:
        """Put what ran when the service died back into the queue; to be called before anything runs."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE job SET status = 'queued', interruptions = interruptions + 1 WHERE status = 'running'"
            )

    def claim(self) -> Job | None:
        """The next job that waits, which is running from now on."""
        with self._database.transaction(write=False) as db:  # nobody is kept waiting for a look
            if db.execute("SELECT 1 FROM job WHERE status = 'queued' LIMIT 1").fetchone() is None:
                return None
        with self._database.transaction() as db:
            rows = db.execute(_CLAIM, {"now": time.time()}).fetchall()
            return job_of(rows[0]) if rows else None

    def running(self) -> set[int]:
        """Return the numbers of the jobs that run."""
        with self._database.transaction(write=False) as db:
            return {number for (number,) in db.execute("SELECT number FROM job WHERE status = 'running'")}

    def someone_waits(self) -> bool:
        """Return True if a caller has jobs waiting, and none in work."""
        with self._database.transaction(write=False) as db:
            return db.execute(_SOMEONE_WAITS).fetchone() is not None

    def requeue(self, job: Job, *, interrupted: bool = False) -> None:
        """Let a running job wait again, `interrupted` if it may be to blame; what is done stays done."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE job SET status = 'queued', claimed = ?, interruptions = interruptions + ? "
                "WHERE number = ? AND status = 'running'",
                (time.time(), interrupted, job.number),
            )

    def pending(self, job: Job, *, after: int, limit: int) -> list[Item]:
        """Return the next items that are not done, in order, of those with numbers above `after`.

        Raises Gone if the job was cancelled: it has forgotten what its items were then.
        """
        with self._database.transaction() as db:
            require_running(db, job)
            rows = db.execute(
                "SELECT number, content FROM item WHERE job = ? AND number > ? AND data IS NULL "
                "ORDER BY number LIMIT ?",
                (job.number, after, limit),
            )
            return [Item(*row) for row in rows]

    def record(self, job: Job, results: Mapping[int, Result]) -> None:
        """Keep items' results. Raises Gone if the job was cancelled."""
        with self._database.transaction() as db:
            require_running(db, job, getting_on=True)
            db.executemany(
                _RECORD,
                [(r.data, r.media_type, r.filename, r.notes, job.number, i) for i, r in results.items()],
            )
            size = sum(len(result.data) for result in results.values())
            db.execute("UPDATE job SET bytes = bytes + ? WHERE number = ?", (size, job.number))
            db.execute("DELETE FROM kept WHERE job = ?", (job.number,))
            if job.form == "texts":
                db.execute("UPDATE job SET done = done + ? WHERE number = ?", (len(results), job.number))

    def progress(self, job: Job, done: int, total: int, segments: Mapping[int, bytes]) -> None:
        """Say how far it is, and keep new segments. Raises Gone if the job was cancelled."""
        with self._database.transaction() as db:
            require_running(db, job)
            db.execute("UPDATE job SET done = ?, total = ? WHERE number = ?", (done, total, job.number))
            told = [{"job": job.number, "number": i, "body": body} for i, body in segments.items()]
            db.executemany(_TELL, told)

    def end(self, job: Job, problem: bytes | None = None) -> None:
        """The job is done, or has failed for this problem; nothing happens if it was cancelled before."""
        with self._database.transaction() as db:
            _end(db, job.number, "done" if problem is None else "failed", problem)

    def expire(self, before: float) -> int:
        """Forget the jobs that ended before this time; returns how many."""
        with self._database.transaction(write=False) as db:
            rows = db.execute("SELECT number FROM job WHERE finished < ?", (before,)).fetchall()
        for (number,) in rows:
            self.forget(number)
        return len(rows)


def job_of(row: tuple[object, ...]) -> Job:
    """The job in a row of the columns JOB."""
    fields = dict(zip(JOB.split(", "), row, strict=True))
    fields["options"] = json.loads(str(fields["options"]))
    return Job(**fields)  # type: ignore[arg-type]


def _get(db: sqlite3.Connection, job_id: str, owner: str | None) -> Job:
    row = db.execute(f"SELECT {JOB} FROM job WHERE id = ? AND owner IS ?", (job_id, owner)).fetchone()  # noqa: S608
    if row is None:
        raise UnknownJob(f"there is no job {job_id[:100]!r}")
    return job_of(row)


def require_running(db: sqlite3.Connection, job: Job, *, getting_on: bool = False) -> None:
    """Raise Gone if it was cancelled; whatever gets on is not what the service died of."""
    change = "interruptions = 0" if getting_on else "status = status"
    if not db.execute(
        f"UPDATE job SET {change} WHERE number = ? AND status = 'running'",  # noqa: S608
        (job.number,),
    ).rowcount:
        raise Gone("the job was cancelled")


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


def _size(content: str | bytes | Result) -> int:
    if isinstance(content, Result):
        return len(content.data)
    return len(content.encode()) if isinstance(content, str) and not content.isascii() else len(content)
