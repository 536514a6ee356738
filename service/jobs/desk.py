"""Takes jobs and gives their results: puts the parts together over a runtime."""

import ssl
from typing import TYPE_CHECKING

from filelock import FileLock

from models.errors import InvalidInput
from service.jobs.callback import Resolve, resolve
from service.jobs.courier import WAITS_S, Courier
from service.jobs.database import jobs_database
from service.jobs.job import Job, NewJob
from service.jobs.outbox import Outbox
from service.jobs.runner import JobRunner
from service.jobs.schemas import render_job
from service.jobs.store import JobStore
from service.jobs.work import JobWork

if TYPE_CHECKING:
    from service.runtime import Runtime


JOB_WORKERS = 2
"""Jobs that are worked on at the same time."""


class Desk:
    """Takes jobs and shows them; they are done once its `runner` is started."""

    def __init__(
        self,
        runtime: "Runtime",
        *,
        waits_s: tuple[float, ...] = WAITS_S,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ):
        settings = runtime.settings
        database = jobs_database(settings.data_dir)
        secret = settings.callback_secret
        self.store = JobStore(database)
        self.courier = Courier(
            Outbox(database),
            lambda job: render_job(job, settings.job_retention_s).model_dump_json().encode(),
            secret.get_secret_value() if secret else "",
            private=settings.callback_private,
            waits_s=waits_s,
            resolve=resolve,
            tls=tls,
        )
        self.runner = JobRunner(
            self.store,
            JobWork(runtime, self.store, database),
            self.courier,
            FileLock(settings.data_dir / "jobs.lock", mode=0o600, thread_local=False),
            workers=JOB_WORKERS,
            retention_s=settings.job_retention_s,
            shared=settings.workers > 1,
        )

    def take(self, new: NewJob) -> Job:
        """Keep a new job, to be done. Raises InvalidInput for its callback's form, and Overloaded."""
        if new.callback is not None:
            self.courier.check(new.callback)
        job = self.store.create(new)
        self.runner.wake()
        return job

    def look_up_callback(self, job: Job) -> None:
        """Raise InvalidInput, and forget the job, if its callback leads to an address that is not public.

        Name servers may take their time, so this is for when nothing is held any more. It is looked up
        anew when it is sent, and nothing depends on this but that the caller hears of it at once.
        """
        if job.callback is None:
            return
        try:
            self.courier.look_up(job.callback)
        except InvalidInput:
            self.store.forget(job.number)
            self.runner.cancelled(job)
            raise

    def remove(self, job_id: str, owner: str | None) -> None:
        """Cancel a job that has not ended; forget one that has. Raises UnknownJob."""
        job = self.store.remove(job_id, owner)
        if not job.ended:
            self.runner.cancelled(job)
