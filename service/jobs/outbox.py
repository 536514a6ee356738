"""Which callbacks are still to be sent, and when they are tried next."""

from service.database import Database
from service.jobs.job import CallbackStatus, Job
from service.jobs.store import JOB, job_of


class Outbox:
    """The callbacks of the jobs in a file."""

    def __init__(self, database: Database):
        self._database = database

    def due(self, now: float) -> list[Job]:
        """Some jobs whose callbacks are to be tried now."""
        with self._database.transaction(write=False) as db:
            rows = db.execute(
                f"SELECT {JOB} FROM job WHERE callback_status = 'pending' AND callback_due <= ? "  # noqa: S608
                "ORDER BY callback_due LIMIT 10",
                (now,),
            )
            return [job_of(row) for row in rows]

    def next_due(self) -> float | None:
        """When the next callback is to be tried."""
        with self._database.transaction(write=False) as db:
            row = db.execute("SELECT min(callback_due) FROM job WHERE callback_status = 'pending'").fetchone()
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
