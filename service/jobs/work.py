"""Does a job's items: plans them, runs them in small steps, and keeps their results."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from models.driver import CancelToken, Driver
from models.errors import ClientDisconnected, EngineFailed, EngineGone
from models.steps import Event
from models.translate.translator import SegmentReady
from service.database import Database
from service.errors import StoreUnavailable
from service.jobs.job import Item, Job
from service.jobs.outputs import JobOutputs
from service.jobs.parts import in_parts
from service.jobs.store import JobStore
from service.limits import job_limits
from service.schemas.events import render_event
from service.work import plan
from service.work.outputs import OutputKeys
from service.work.plan import PlannedTask, Result

if TYPE_CHECKING:
    from service.runtime import Runtime

MOST_INTERRUPTIONS = 3
"""A job that ran each time the service, or its engines' process, died may be what it dies of."""
BATCH_SIZE = 8
"""Sentences or windows that a job asks for at a time: more is faster, and others wait longer."""
SOON_S = 0.5
"""A segment is kept when the progress is, or after so long."""


class JobWork:
    """Does jobs, one at a time in each thread that asks."""

    def __init__(self, runtime: "Runtime", store: JobStore, database: Database):
        self._runtime = runtime
        self._store = store
        self._database = database
        self._keys = OutputKeys(runtime)
        self._limits = job_limits(runtime.settings)

    def run(self, job: Job, cancel: CancelToken, got_on: Callable[[], None] = lambda: None) -> None:
        """Do what is left of the job, and end it; `got_on` hears whenever something new of it is kept.

        Raises ClientDisconnected if `cancel` was called, Gone if the job was, StoreUnavailable, EngineGone if
        the engines are started again, and InvalidInput where the whole request has become wrong since it was
        taken.
        """
        if job.interruptions >= MOST_INTERRUPTIONS:
            times = f"the service ended {job.interruptions} times while it worked on this"
            self.fail(job, EngineFailed(times))
            return
        memory = JobOutputs(self._database, self._keys, job, got_on)
        results: Sequence[Result] = ()
        after = -1
        while items := self._store.pending(job, after=after, limit=BATCH_SIZE):
            results = self._run_together(job, items, cancel, memory)
            self._store.record(job, {item.number: r for item, r in zip(items, results, strict=True)})
            got_on()
            after = items[-1].number
        alone = results[0] if results and job.form != "texts" else None
        self._store.end(job, alone.data if alone is not None and alone.failed else None)

    def fail(self, job: Job, error: Exception) -> None:
        """End the job with a problem."""
        self._store.end(job, Result.of_error(error, job.request_id).data)

    def _run_together(
        self, job: Job, items: Sequence[Item], cancel: CancelToken, memory: JobOutputs
    ) -> list[Result]:
        start = perf_counter()
        plans = self._plans(job, items, cancel)
        told = _Told(self._store, job, plans[0].text)
        is_one = job.form != "texts"
        driver: Driver[Any] = Driver(
            [each.steps for each in plans],
            wait=True,
            at_most=BATCH_SIZE,
            in_order=is_one,
            cache=memory,
            cancel=cancel,
            on_progress=told.progress if is_one else None,
        )
        outcomes = driver.run(told.hear if is_one else None)
        cancel.raise_if_cancelled()
        told.keep()
        total_s = perf_counter() - start
        results = []
        for item, own, outcome in zip(items, plans, outcomes, strict=True):
            try:
                results.append(own.result(outcome, total_s))
            except (ClientDisconnected, StoreUnavailable, EngineGone):  # not the item's own
                raise
            except Exception as error:  # noqa: BLE001 - any failure is this item's alone
                number = item.number if job.form == "texts" else None
                results.append(Result.of_error(error, job.request_id, number))
        return results

    def _plans(self, job: Job, items: Sequence[Item], cancel: CancelToken) -> list[PlannedTask]:
        recall = self._runtime.memory.of(job.owner, job.caller).recall
        if job.form == "document":
            name, data = str(job.options["file"]), items[0].content
            assert isinstance(data, bytes)  # noqa: S101 - a document's content is its bytes
            options = {key: value for key, value in job.options.items() if key != "file"}
            settings = self._runtime.settings
            apart = partial(
                self._runtime.children.run,
                timeout_s=settings.request_timeout_s,
                require=cancel.raise_if_cancelled,
            )
            return [
                plan.of_document(
                    self._runtime,
                    job.task,
                    options,
                    (name, data),
                    limits=self._limits,
                    apart=apart,
                    recall=recall,
                )
            ]
        make = plan.with_options(self._runtime, job.task, job.options, job.owner)
        field = "html" if job.form == "html" else "text"
        requests = [make(**{field: item.content}) for item in items]
        return [PlannedTask("", in_parts(self._runtime, each, recall), plan.result) for each in requests]


class _Told:
    """Keeps how far a single text is and its segments. A document's have their source, from its `text`."""

    def __init__(self, store: JobStore, job: Job, text: str):
        self._store = store
        self._job = job
        self._text = text
        self._standing = job.done, job.total
        self._new: dict[int, bytes] = {}
        self._kept_at = monotonic()

    def hear(self, event: Event) -> None:
        """Note a segment, which is kept soon."""
        if isinstance(event, SegmentReady):
            self._new[event.index] = _rendered(event, self._text)
            if monotonic() - self._kept_at > SOON_S:
                self.keep()

    def progress(self, done: int, total: int) -> None:
        """Keep how far it is, and what was heard. Raises Gone if the job was cancelled."""
        self._standing = done, total
        self._store.progress(self._job, done, total, self._new)
        self._new = {}
        self._kept_at = monotonic()

    def keep(self) -> None:
        """Keep what was heard, if there is something."""
        if self._new:
            self.progress(*self._standing)


def _rendered(event: SegmentReady, text: str) -> bytes:
    """Return the segment as JSON, with its source where the caller has no text that its span refers to."""
    segment = event.segment
    if text and segment.original is None:
        segment = replace(segment, original=text[segment.source.start : segment.source.end])
    _, body = render_event(replace(event, segment=segment))
    return body.model_dump_json().encode()
