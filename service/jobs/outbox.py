"""The callbacks that are still to be sent, and the times of their next tries."""

from dataclasses import dataclass

from service.jobs.job import CallbackStatus, Job
from service.jobs.store import JOB, job_of
from service.store.database import Database


@dataclass(frozen=True, slots=True)
class Waiting:
    """A callback that is to be sent: its job's number, whose job that is, and where it goes."""

    number: int
    caller: str
    url: str


class Outbox:
    """The callbacks of the jobs in a file."""

    def __init__(self, database: Database):
        self._database = database

    def due(self, now: float) -> list[Waiting]:
        """The callbacks that are to be tried now, those due longest first."""
        with self._database.transaction(write=False) as db:
            rows = db.execute(
                "SELECT number, caller, callback FROM job "
                "WHERE callback_status = 'pending' AND callback_due <= ? ORDER BY callback_due",
                (now,),
            )
            return [Waiting(*row) for row in rows]

    def job(self, number: int) -> Job | None:
        """The job of a callback that is still to be sent; None if it was forgotten."""
        with self._database.transaction(write=False) as db:
            query = f"SELECT {JOB} FROM job WHERE number = ? AND callback_status = 'pending'"  # noqa: S608
            row = db.execute(query, (number,)).fetchone()
            return None if row is None else job_of(row)

    def next_due(self, after: float) -> float | None:
        """Return the time of the next try, of the callbacks that are not due before `after`."""
        with self._database.transaction(write=False) as db:
            row = db.execute(
                "SELECT min(callback_due) FROM job WHERE callback_status = 'pending' AND callback_due > ?",
                (after,),
            ).fetchone()
            due: float | None = row[0]
            return due

    def tried(self, job: Job, status: CallbackStatus, due: float | None = None) -> None:
        """Note a try, and when the next one is due if it is pending still."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE job SET callback_status = ?, callback_tries = callback_tries + 1, callback_due = ? "
                "WHERE number = ?",
                (status, due, job.number),
            )
