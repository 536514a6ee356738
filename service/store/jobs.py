"""Jobs in the database: requests, progress, results, and pending callbacks.

An item (a text, page or document of a job) is stored as soon as it is done, and its text is deleted; when the
job ends, all its texts are. For a single text, segments are stored until the whole is there. Whoever claims a
job has it as long as the lease is renewed: then it is another's to claim, and nothing that the first one
writes counts. Times are by the database's clock. Runs nothing: reading a job needs no worker.
"""

import errno
import json
import os
import secrets
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    Update,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    update,
)

from models.engine.protocol import Output
from models.errors import DragomanError, Overloaded
from service.errors import StoreUnavailable, UnknownJob
from service.shares import MAX_JOB_BYTES, MAX_QUEUED_JOBS, MAX_QUEUED_JOBS_PER_CALLER, stored_shares
from service.store import schema
from service.store.database import Database
from service.store.result_files import ResultFiles
from service.store.results import JSON, StoredResult, TaskName, packed, unpacked
from service.store.schema import job_item, job_output, job_segment
from service.store.statements import now, piece, put, rows_in, total

Form = Literal["text", "html", "texts", "document"]
Status = Literal["queued", "running", "done", "failed", "cancelled"]
CallbackStatus = Literal["pending", "delivered", "failed"]

LEASE_S = 20.0
"""A job whose server has not been heard of for so long is another's to claim."""
CALLBACK_LEASE_S = 60.0
"""A callback that was claimed and not noted as tried for so long is another's to send."""
PIECE_BYTES = 1 << 18
"""Of a result, read in one transaction."""
ITEMS_AT_ONCE, SEGMENTS_AT_ONCE = 64, 512
"""Items, and segments, read or forgotten in one transaction: no other waits long."""
EXPIRED_AT_ONCE = 20
CLAIMS_AT_ONCE = 8
"""Of a caller's jobs so many may be claimed at the same moment, each by another server."""

_job, _item = schema.job.c, job_item.c


class JobCancelled(DragomanError):
    """The job was cancelled while it was worked on, or another server has it."""


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
    """The number of times that a server died while it worked on this."""
    callback: str | None
    callback_status: CallbackStatus | None
    callback_tries: int
    callback_due: float | None
    caller: str
    lease: str | None
    """Of the claim that runs it."""

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


_COLUMNS = [_job[field.name] for field in fields(Job)]
_WAITS = _job.status == "queued"
_OVER = _job.status == "running", _job.lease_until < now()
_PENDING = _job.callback_status == "pending"
_WAITING: dict[str, Any] = {"status": "queued", "lease": None, "lease_until": None}


def _next_job() -> Select[Any]:
    """Return the query for the job whose turn it is, which nobody else claims meanwhile.

    Callers take turns: first who has least in work, then who has waited longest since their own last turn.
    """
    one, other, waiting = (schema.job.alias(name) for name in ("one", "other", "waiting"))
    place = func.row_number().over(partition_by=one.c.caller, order_by=one.c.number).label("place")
    queue = (
        select(one.c.number, one.c.caller, one.c.created, place).where(one.c.status == "queued").subquery()
    )
    in_work = select(other.c.caller, func.count().label("jobs")).where(other.c.status == "running")
    running = in_work.group_by(other.c.caller).subquery()
    last = select(func.max(other.c.claimed)).where(other.c.caller == queue.c.caller).scalar_subquery()
    return (
        select(waiting.c.number)
        .join(queue, queue.c.number == waiting.c.number)
        .outerjoin(running, running.c.caller == queue.c.caller)
        .where(waiting.c.status == "queued", queue.c.place <= CLAIMS_AT_ONCE)
        .order_by(
            queue.c.place + func.coalesce(running.c.jobs, 0),
            case((queue.c.created > last, queue.c.created), else_=last),
            queue.c.number,
        )
        .limit(1)
        .with_for_update(of=waiting, skip_locked=True)
    )


_CLAIM = (
    update(schema.job)
    .where(_job.number == _next_job().scalar_subquery())
    .values(
        status="running",
        lease=bindparam("new_lease"),
        lease_until=now() + bindparam("lease_s"),
        started=func.coalesce(_job.started, now()),
        claimed=now(),
    )
    .returning(*_COLUMNS)
)


def _someone_waits() -> Select[Any]:
    other = schema.job.alias()
    in_work = select(other.c.number).where(other.c.status == "running", other.c.caller == _job.caller)
    return select(_job.number).where(_WAITS, ~in_work.exists()).limit(1)


class JobStore:
    """The jobs in a database. It may be shared, by threads, processes and servers.

    Large results are files at `place`, a folder or an address, if there is one.
    """

    def __init__(self, database: Database, place: str | None = None):
        self._database = database
        self._files = ResultFiles(place)

    # ------------------------------------------------------------------ for callers

    def create(self, new: NewJob) -> Job:
        """Keep a new job. Raises Overloaded where there are too many, or they keep too much.

        One that is there under the id that was chosen is returned as it stands.
        """
        options = json.dumps(new.options)  # in which a glossary may be
        size = len(options) + sum(map(_size, new.contents))
        row = {
            "id": new.id or secrets.token_hex(16),
            "owner": new.owner,
            "caller": new.caller,
            "task": new.task,
            "form": new.form,
            "options": options,
            "request_id": new.request_id,
            "status": "queued",
            "done": sum(isinstance(content, StoredResult) for content in new.contents),
            "total": len(new.contents),
            "bytes": size,
            "created": now(),
            "interruptions": 0,
            "claimed": 0.0,
            "callback": new.callback,
            "callback_tries": 0,
        }
        with self._database.transaction(alone=f"jobs of {new.owner}") as db:
            if new.id is not None:
                with suppress(UnknownJob):
                    return _owned(db, new.id, new.owner)
            self._require_room(db, new, size)
            made = _as_job(db.execute(insert(schema.job).values(row).returning(*_COLUMNS)).one())
            items = [_new_item(made.number, i, content) for i, content in enumerate(new.contents)]
            db.execute(insert(job_item), items)
            return made

    def get(self, job_id: str, owner: str | None) -> Job:
        """Return one of the owner's jobs. Raises UnknownJob."""
        with self._database.transaction(write=False) as db:
            return _owned(db, job_id, owner)

    def page(self, owner: str | None, *, limit: int, before: int | None = None) -> list[Job]:
        """Return the owner's jobs, the newest first; those with numbers below `before`."""
        query = select(*_COLUMNS).where(_job.owner == owner).order_by(_job.number.desc()).limit(limit)
        if before is not None:
            query = query.where(_job.number < before)
        return [_as_job(row) for row in self._database.read(query)]

    def results(self, job: Job) -> Iterator[StoredResult]:
        """Yield the results of the job's items, in order, reading as it goes. Raises UnknownJob."""
        columns = (column for column in _item if column is not _item.content)
        query = select(*columns).where(_item.job == job.number)
        left = job.total if job.form == "texts" else 1
        for row in self._database.pages(query, ITEMS_AT_ONCE, _item.number):
            whole = self._files.read(row.file) if row.file else row.data
            if len(whole or b"") != (row.size or 0):
                break
            yield StoredResult(whole, row.media_type, row.filename, row.notes)
            left -= 1
        if left:
            raise UnknownJob("the job was deleted while its results were read")

    def open(self, job: Job, when_read: Callable[[], None] = lambda: None) -> "ResultFile":
        """Return the job's result as a file, which calls `when_read` once it was read. Raises UnknownJob."""
        columns = _item.number, _item.size, _item.file, _item.media_type, _item.filename, _item.notes
        rows = self._database.read(select(*columns).where(_item.job == job.number).order_by(_item.number))
        if not rows:
            raise UnknownJob("the job was deleted while its results were read")

        def read(item: Row[Any], start: int, size: int) -> bytes:
            if item.file:
                return self._files.read(item.file, start, start + size)
            with self._database.transaction(write=False) as db:
                own = _item.job == job.number, _item.number == item.number
                return piece(db, _item.data, own, start, size)

        return ResultFile(read, job.form, rows, when_read)

    def segments(self, job: Job, after: int) -> Iterator[tuple[int, bytes]]:
        """Yield the segments that were told after this place, each with its own, reading as it goes."""
        told = job_segment.c.told
        query = select(told, job_segment.c.body).where(job_segment.c.job == job.number, told > after)
        return self._database.pages(query, SEGMENTS_AT_ONCE, told)

    def remove(self, job_id: str, owner: str | None, *, forget: bool = True) -> Job:
        """Cancel a job that has not ended; `forget` one that has. Returns it as it was. Raises UnknownJob."""
        with self._database.transaction() as db:
            job = _owned(db, job_id, owner, lock=True)
            if not job.ended:
                _end(db, [_job.number == job.number], job, "cancelled", None)
        if job.ended and forget:
            self.forget(job.number)
        return job

    def forget(self, number: int) -> None:
        """Forget a job, whatever its state. Nobody finds it from the beginning; its items go in pieces."""
        this = _job.number == number
        hidden = {
            "id": literal("forgotten-") + cast(_job.number, Text),
            "owner": "",
            "caller": "",
            "bytes": 0,
        }
        ended = {"status": "cancelled", "finished": 0.0, "lease": None, "callback_status": None}
        self._database.write(update(schema.job).where(this).values(hidden | ended))
        files = select(_item.file).where(_item.job == number, _item.file.is_not(None))
        self._files.remove(file for (file,) in self._database.read(files))
        for table, most in ((job_item, ITEMS_AT_ONCE), (job_segment, SEGMENTS_AT_ONCE)):
            of_job = table.c.job == number
            some = select(table.c.number).where(of_job).order_by(table.c.number).limit(most)
            while rows := self._database.read(some):
                self._database.write(delete(table).where(of_job, table.c.number <= rows[-1].number))
        self._database.write(delete(schema.job).where(this))

    def _require_room(self, db: Connection, new: NewJob, size: int) -> None:
        """Raise Overloaded if the caller's share, or the whole queue, has no room for a job of `size` bytes.

        A full queue takes the first job of a key all the same, so that nobody's key is locked out by others.
        """
        unended = _job.status.in_(("queued", "running"))
        everybody_s = total(db, literal(1), unended)
        own = total(db, literal(1), unended, _job.caller == new.caller)
        if own >= MAX_QUEUED_JOBS_PER_CALLER:
            raise Overloaded(
                f"this caller already has {own} jobs waiting, of at most {MAX_QUEUED_JOBS_PER_CALLER}",
                retry_after_s=30.0,
            )
        if everybody_s >= MAX_QUEUED_JOBS and (own or new.owner is None):
            raise Overloaded(f"the queue is full: {everybody_s} jobs are waiting", retry_after_s=30.0)
        for whose, column, value, share in stored_shares(new.caller, new.owner):
            kept = total(db, _job.bytes, _job[column] == value)
            if kept + size > share * MAX_JOB_BYTES:
                raise Overloaded(
                    f"the jobs of {whose} would keep {kept + size} bytes, of at most "
                    f"{share * MAX_JOB_BYTES}; delete those whose results were fetched",
                    retry_after_s=60.0,
                )

    # ------------------------------------------------------------------ for workers

    def recover(self) -> int:
        """Let jobs wait again whose servers have not been heard of; returns how many.

        Those of a file's servers are processes of this machine, and known to be gone at once.
        """
        if not self._database.is_remote:
            running = self._database.read(select(_job.lease).where(_job.status == "running"))
            if gone := [lease for (lease,) in running if lease and not _is_alive(lease)]:
                self._database.write(update(schema.job).where(_job.lease.in_(gone)).values(lease_until=0.0))
        if not self._database.read(select(_job.number).where(*_OVER).limit(1)):
            return 0  # without a write nobody is kept waiting for a look
        over = schema.job.alias()
        lost = select(over.c.number).where(over.c.status == "running", over.c.lease_until < now())
        each = update(schema.job).where(_job.number.in_(lost.with_for_update(skip_locked=True)))
        return self._database.write(each.values(**_WAITING, interruptions=_job.interruptions + 1))

    def claim(self) -> Job | None:
        """Return the next job that waits, which is running from now on."""
        if not self._database.read(select(_job.number).where(_WAITS).limit(1)):
            return None
        with self._database.transaction() as db:
            lease = {"new_lease": f"{os.getpid()}-{secrets.token_hex(8)}", "lease_s": LEASE_S}
            row = db.execute(_CLAIM, lease).one_or_none()
            return None if row is None else _as_job(row)

    def renew(self, leases: Collection[str]) -> set[str]:
        """Say that jobs are in work still; returns the leases of those that nobody ended or claimed."""
        own = update(schema.job).where(_job.status == "running", _job.lease.in_(leases))
        with self._database.transaction() as db:
            return set(db.scalars(own.values(lease_until=now() + LEASE_S).returning(_job.lease)))

    def someone_waits(self) -> bool:
        """Return True if a caller has jobs waiting, and none in work."""
        return bool(self._database.read(_someone_waits()))

    def requeue(self, job: Job, *, interrupted: bool = False) -> None:
        """Let a running job wait again, `interrupted` if it may be to blame; what is done stays done."""
        interruptions = _job.interruptions + int(interrupted)
        self._database.write(_held(job).values(**_WAITING, claimed=now(), interruptions=interruptions))

    def pending(self, job: Job, *, after: int, limit: int) -> list[tuple[int, str | bytes]]:
        """Return the next items that are not done, of those with numbers above `after`: number and content.

        Raises JobCancelled; a cancelled job has forgotten what its items were.
        """
        query = select(_item.number, _item.content).where(_item.job == job.number, _item.size.is_(None))
        with self._database.transaction(write=False) as db:
            rows = db.execute(query.where(_item.number > after).order_by(_item.number).limit(limit)).all()
            # Afterwards: in PostgreSQL the job may be cancelled, and its texts forgotten, between the two.
            if db.scalar(select(_job.lease).where(_job.number == job.number)) != job.lease:
                raise _not_held()
            return [(i, content if job.form == "document" else content.decode()) for i, content in rows]

    def record(self, job: Job, results: Mapping[int, StoredResult]) -> None:
        """Keep items' results. Raises JobCancelled."""
        size = sum(len(result.data) for result in results.values())
        more = len(results) if job.form == "texts" else 0
        files = self._files.add({i: each.data for i, each in results.items()})
        rows = [{"this_item": i, **_columns(each, files.get(i))} for i, each in results.items()]
        this = update(job_item).where(_item.job == job.number, _item.number == bindparam("this_item"))
        try:
            with self._database.transaction() as db:
                _hold(db, job, interruptions=0, bytes=_job.bytes + size, done=_job.done + more)
                db.execute(this.values(content=None), rows)
                db.execute(delete(job_output).where(job_output.c.job == job.number))
        except JobCancelled:  # after any other error the results may be committed all the same
            self._files.remove(files.values())
            raise

    def progress(self, job: Job, done: int, total: int, segments: Mapping[int, bytes]) -> None:
        """Say how far it is, and keep new segments. Raises JobCancelled.

        A segment that has changed comes after all others; one that is told again keeps its place.
        """
        told = job_segment.c
        changed = told.job == job.number, told.number == bindparam("this"), told.body != bindparam("new")
        with self._database.transaction() as db:
            _hold(db, job, done=done, total=total)
            if segments:
                db.execute(
                    delete(job_segment).where(*changed), [{"this": i, "new": b} for i, b in segments.items()]
                )
                rows = [{"job": job.number, "number": i, "body": body} for i, body in segments.items()]
                put(db, job_segment, rows)

    def outputs(self, job: Job, keys: Sequence[bytes]) -> dict[bytes, Output]:
        """Return those of a job's outputs that are kept."""
        query = select(job_output.c.key, job_output.c.body).where(job_output.c.job == job.number)
        with self._database.transaction(write=False) as db:
            return {key: unpacked(body) for key, body in rows_in(db, query, job_output.c.key, keys)}

    def keep_outputs(self, job: Job, outputs: Mapping[bytes, Output]) -> None:
        """Keep engines' outputs until the results are there. Raises JobCancelled."""
        rows = [{"job": job.number, "key": key, "body": packed(each)} for key, each in outputs.items()]
        with self._database.transaction() as db:
            _hold(db, job, interruptions=0)
            put(db, job_output, rows, change=("body",))

    def end(self, job: Job, problem: bytes | None = None) -> None:
        """The job is done, or has failed for this problem; nothing happens if it is not held any more."""
        with self._database.transaction() as db:
            own = _job.number == job.number, _job.lease == job.lease
            _end(db, own, job, "done" if problem is None else "failed", problem)

    def expire(self, kept_s: float) -> int:
        """Forget some jobs that ended this long ago; returns how many."""
        ended = select(_job.number).where(_job.finished < now() - kept_s).limit(EXPIRED_AT_ONCE)
        rows = self._database.read(ended)
        for (number,) in rows:
            self.forget(number)
        return len(rows)

    # ------------------------------------------------------------------ callbacks

    def due_callbacks(self) -> list[PendingCallback]:
        """Return the callbacks that are to be tried now, those due longest first."""
        due = select(_job.number, _job.caller, _job.callback).where(_PENDING, _job.callback_due <= now())
        return [PendingCallback(*row) for row in self._database.read(due.order_by(_job.callback_due))]

    def next_callback_s(self) -> float | None:
        """Return the seconds until the next try, of the callbacks that are not due yet."""
        first = func.min(_job.callback_due) - now()
        ((wait_s,),) = self._database.read(select(first).where(_PENDING, _job.callback_due > now()))
        return None if wait_s is None else float(wait_s)

    def claim_callback(self, number: int) -> Job | None:
        """Return the job of a callback that is due, which nobody else sends now; None if it is not due."""
        this = update(schema.job).where(_job.number == number, _PENDING, _job.callback_due <= now())
        with self._database.transaction() as db:
            claimed = this.values(callback_due=now() + CALLBACK_LEASE_S).returning(*_COLUMNS)
            row = db.execute(claimed).one_or_none()
            return None if row is None else _as_job(row)

    def callback_tried(self, job: Job, status: CallbackStatus, wait_s: float | None = None) -> None:
        """Note the try of a claimed callback, and when the next one is due if it is pending still."""
        this = update(schema.job).where(_job.number == job.number, _job.callback_due == job.callback_due)
        due = None if wait_s is None else now() + wait_s
        tries = _job.callback_tries + 1
        self._database.write(this.values(callback_status=status, callback_tries=tries, callback_due=due))


class ResultFile:
    """A job's result, read by the piece: a client that reads slowly costs no more memory.

    Of many texts it is the JSON of all. Raises OSError if the job was deleted meanwhile.
    """

    def __init__(
        self,
        read: Callable[[Row[Any], int, int], bytes],
        form: Form,
        items: Sequence[Row[Any]],
        when_read: Callable[[], None],
    ):
        self._read = read
        self._when_read = when_read
        first = items[0]
        self.media_type: str = first.media_type
        self.filename: str | None = first.filename
        self.notes: str = first.notes
        self._parts: list[Row[Any] | bytes] = [items[0]]
        """Items, and what is between them."""
        lengths = [items[0].size or 0]
        if form == "texts":
            self.media_type, self.filename, self.notes = JSON, None, ""
            self._parts, lengths = [], []
            for i, item in enumerate(items):
                before = b"," if i else b'{"results":['
                self._parts += [before, b"null" if item.size is None else item]
                lengths += [len(before), 4 if item.size is None else item.size]
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
                raise OSError(errno.ESTALE, "it was deleted while it was read")
            piece += more
            position += most
        return piece

    def _of_item(self, item: Row[Any], start: int, size: int) -> bytes:
        try:
            return self._read(item, start, size)
        except StoreUnavailable as error:
            raise OSError(errno.EIO, error.message) from error


def _as_job(row: Row[Any]) -> Job:
    return Job(**{**row._asdict(), "options": json.loads(row.options)})


def _owned(db: Connection, job_id: str, owner: str | None, *, lock: bool = False) -> Job:
    query = select(*_COLUMNS).where(_job.id == job_id, _job.owner == owner)
    if lock:  # nobody ends it before this transaction is over
        query = query.with_for_update()
    if (row := db.execute(query).one_or_none()) is None:
        raise UnknownJob(f"unknown job: {job_id[:100]!r}")
    return _as_job(row)


def _is_alive(lease: str) -> bool:
    """Return whether the process that has this lease runs, on this machine."""
    try:
        os.kill(int(lease.partition("-")[0]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):  # another user's; an older version's
        pass
    return True


def _held(job: Job) -> Update:
    return update(schema.job).where(_job.number == job.number, _job.lease == job.lease)


def _hold(db: Connection, job: Job, **changes: Any) -> None:
    """Renew a job's lease, and change the job. Raises JobCancelled if it is not held any more."""
    if not db.execute(_held(job).values(lease_until=now() + LEASE_S, **changes)).rowcount:
        raise _not_held()


def _not_held() -> JobCancelled:
    return JobCancelled("the job was cancelled, or another server has it")


def _end(
    db: Connection, which: Iterable[ColumnElement[bool]], job: Job, status: Status, problem: bytes | None
) -> None:
    ended = {"status": status, "finished": now(), "problem": problem, "lease": None, "callback_due": now()}
    told = case((_job.callback.is_(None), null()), else_="pending")
    if db.execute(update(schema.job).where(*which).values(**ended, callback_status=told)).rowcount:
        of_job = _item.job == job.number
        # Not those done, whose texts are forgotten already: a row is written whole, its result too.
        db.execute(update(job_item).where(of_job, _item.content.is_not(None)).values(content=None))
        db.execute(delete(job_output).where(job_output.c.job == job.number))
        segments = job_segment.c.job == job.number
        if status == "done" and job.form != "document":  # which has no other place for them
            db.execute(delete(job_segment).where(segments))
        kept = total(db, _item.size, of_job) + total(db, func.length(job_segment.c.body), segments)
        kept_too = func.length(_job.options)
        db.execute(update(schema.job).where(_job.number == job.number).values(bytes=kept + kept_too))


def _new_item(number: int, i: int, content: str | bytes | StoredResult) -> dict[str, Any]:
    sent = content.encode() if isinstance(content, str) else content
    if isinstance(sent, StoredResult):
        return {"job": number, "number": i, "content": None, **_columns(sent)}
    return {"job": number, "number": i, "content": sent, **_NOT_DONE}


def _columns(result: StoredResult, file: str | None = None) -> dict[str, Any]:
    """Return the columns of an item that is done, whose result is in a file if there is one."""
    about = {"media_type": result.media_type, "filename": result.filename, "notes": result.notes}
    return {"size": len(result.data), "data": None if file else result.data, "file": file, **about}


_NOT_DONE = dict.fromkeys(_columns(StoredResult(b"")))


def _size(content: str | bytes | StoredResult) -> int:
    if isinstance(content, StoredResult):
        return len(content.data)
    return len(content.encode()) if isinstance(content, str) and not content.isascii() else len(content)
