"""Room for another job: shares of the queue and of the disk, by callers."""

import sqlite3

from models.errors import Overloaded
from service.jobs.job import NewJob
from service.limits import shares

MAX_QUEUED_JOBS = 1000
"""Jobs in work or waiting; more are refused, except from a key that has none among them."""
MAX_QUEUED_JOBS_PER_CALLER = 100
MAX_JOB_BYTES = 1 << 30
"""What the jobs of a key, or of an address without one, may keep."""

_WAITING = "SELECT count(*) FROM job WHERE status IN ('queued', 'running')"


def require_room(db: sqlite3.Connection, new: NewJob, size: int) -> None:
    """Raise Overloaded if the caller's share, or the whole queue, has no room for a job of `size` bytes.

    A full queue takes the first job of a key all the same, so that nobody's key is locked out by others.
    """
    (everybody_s,) = db.execute(_WAITING).fetchone()
    (own,) = db.execute(f"{_WAITING} AND caller = ?", (new.caller,)).fetchone()
    if own >= MAX_QUEUED_JOBS_PER_CALLER:
        raise Overloaded(
            f"{own} jobs of this caller wait already, of at most {MAX_QUEUED_JOBS_PER_CALLER}",
            retry_after_s=30.0,
        )
    if everybody_s >= MAX_QUEUED_JOBS and (own or new.owner is None):
        raise Overloaded(f"{everybody_s} jobs wait already", retry_after_s=30.0)
    for whose, which, value, share in shares(new.caller, new.owner):
        query = f"SELECT coalesce(sum(bytes), 0) FROM job WHERE {which}"  # noqa: S608 - of constants
        (kept,) = db.execute(query, (value,)).fetchone()
        if kept + size > share * MAX_JOB_BYTES:
            raise Overloaded(
                f"the jobs of {whose} would keep {kept + size} bytes, of at most "
                f"{share * MAX_JOB_BYTES}; delete those whose results were fetched",
                retry_after_s=60.0,
            )
