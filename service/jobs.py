"""Jobs: work that is accepted now and fetched later, stored in the database and done in small steps.

Any number of services may share one database. Each claims jobs and renews its leases every second; when one
dies, its leases run out and another service goes on with its jobs. Knows no Flask.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from models.driver import CancelToken, Driver, PendingGeneration
from models.engine.protocol import Output
from models.errors import ClientDisconnected, EngineFailed, EngineGone, InvalidInput, ServerUnavailable
from models.steps import Event
from models.translate.translator import SegmentReady
from service import tasks
from service.answers import render_event
from service.callbacks import STORE_WAIT_S, WAITS_S, Callbacks
from service.errors import StoreUnavailable
from service.job_schemas import stored_options
from service.limits import job_limits
from service.long_texts import in_parts
from service.options import DocumentForm
from service.outbound import Resolve, resolve
from service.shares import CALLER, JOB_WORKERS, idle
from service.store.idempotency import IdempotencyStore
from service.store.jobs import Job, JobCancelled, JobStore, NewJob
from service.store.results import OutputKeys, StoredResult
from service.tasks import PlannedTask

if TYPE_CHECKING:
    from service.runtime import Runtime

log = logging.getLogger(__name__)

READY_S = 0.25
"""Between two looks at whether the models are loaded."""
LOOK_S = 1.0
"""Between two looks at what other servers did: jobs that they took, cancelled, or left behind."""
EXPIRE_EVERY_S = 60.0
CLOSING_S = 8.0
BATCH_SIZE = 8
"""Sentences or windows that a job asks for at a time: more is faster, and others wait longer."""
TURN_S = 30.0
"""After so long a job waits again, if a caller waits who has none in work; what is done of it stays done."""
TURN_TO_BEGINNING = 4.0
"""A job's turn is so many times as long, at least, as it took to begin, which it has to do again."""
MOST_INTERRUPTIONS = 3
"""A job that ran each time the service, or its engines' process, died may be what it dies of."""
SEGMENTS_KEPT_S = 0.5
"""A segment is kept when the progress is, or after so long."""


class JobService:
    """Takes jobs and shows them; they are done by threads of its own once it is started."""

    def __init__(
        self,
        runtime: "Runtime",
        *,
        waits_s: tuple[float, ...] = WAITS_S,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ):
        settings = self._settings = runtime.settings
        self.store = JobStore(runtime.database, settings.results)
        self.idempotency = IdempotencyStore(runtime.database)
        self._runtime = runtime
        self._keys = OutputKeys(runtime.pool, runtime.store)
        self._callbacks = Callbacks(self.store, settings, waits_s=waits_s, resolve=resolve, tls=tls)
        self._at_once = 1 if settings.workers > 1 else JOB_WORKERS
        self._closing = threading.Event()
        self._waiting = threading.Semaphore(0)
        self._guard = threading.Lock()
        self._running: list[RunningJob] = []
        self._threads: list[threading.Thread] = []

    # ------------------------------------------------------------------ for callers

    def take(self, new: NewJob) -> Job:
        """Keep a new job, to be done. Raises InvalidInput for its callback's form, and Overloaded."""
        if new.callback is not None:
            self._callbacks.check(new.callback)
        job = self.store.create(new)
        self._waiting.release()
        return job

    def look_up_callback(self, job: Job) -> None:
        """Raise InvalidInput, and forget the job, if its callback leads to an address that is not public.

        Name servers may take their time, so this is for when nothing is held any more. It is looked up
        anew when it is sent, and nothing depends on this but that the caller hears of it at once.
        """
        if job.callback is None:
            return
        try:
            self._callbacks.look_up(job.callback)
        except InvalidInput:
            self.store.forget(job.number)
            self._cancelled(job)
            raise

    def remove(self, job_id: str, owner: str | None) -> None:
        """Cancel a job that has not ended; forget one that has. Raises UnknownJob."""
        job = self.store.remove(job_id, owner)
        if not job.ended:
            self._cancelled(job)

    def start(self, ready: Callable[[], bool] = lambda: True) -> None:
        """Begin to do jobs as soon as `ready` says so; return at once."""
        self._spawn(self._keep, "jobs", ready)

    def close(self) -> None:
        """Stop working; what is not done is for others to go on with, or for the next start."""
        self._closing.set()
        for running in self._in_work():
            running.cancel.cancel()
        self._waiting.release(self._at_once)
        end = time.monotonic() + CLOSING_S
        self._callbacks.close(CLOSING_S)
        for thread in list(self._threads):
            thread.join(max(0.0, end - time.monotonic()))
        for running in self._in_work():  # in a batch that cannot be stopped midway
            self._give_back(running.job)

    def _cancelled(self, job: Job) -> None:
        """End the work on a job that the store has as cancelled."""
        for running in self._in_work():
            if running.job.id == job.id:
                running.cancel.cancel()
        self._callbacks.wake()

    def _in_work(self) -> "list[RunningJob]":
        with self._guard:
            return list(self._running)

    # ------------------------------------------------------------------ the keeper

    def _spawn(self, target: Callable[..., None], name: str, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)  # now: who closes joins what has begun

    def _keep(self, ready: Callable[[], bool]) -> None:
        """Wait until work may begin, begin, and then look after the jobs, and forget old ones."""
        while not ready():
            if self._closing.wait(READY_S):
                return
        self._callbacks.start()
        for i in range(self._at_once):
            self._spawn(self._work, f"job-{i}")
        expire_at = 0.0
        while not self._closing.is_set():
            try:
                self._renew_leases()
                if recovered := self.store.recover():
                    log.warning("%d jobs wait again: their servers stopped renewing the leases", recovered)
                self._callbacks.wake()
                self._take_turns()
                if time.monotonic() >= expire_at:
                    self.idempotency.expire()
                    if expired := self.store.expire(self._settings.job_retention_s):
                        log.info("deleted %d old jobs", expired)
                    else:
                        expire_at = time.monotonic() + EXPIRE_EVERY_S
            except StoreUnavailable:  # which is in the log
                self._closing.wait(STORE_WAIT_S)
            self._closing.wait(LOOK_S)

    def _renew_leases(self) -> None:
        """Say that this service is alive; end the work on jobs that were cancelled, or are another's."""
        if in_work := {running.job.lease or "": running for running in self._in_work()}:
            for lease in in_work.keys() - self.store.renew(in_work.keys()):
                in_work[lease].cancel.cancel()

    def _take_turns(self) -> None:
        """If all workers are busy and a caller waits who has none, end the turn that is longest over."""
        in_work = self._in_work()
        over = max(in_work, key=lambda running: running.over_s, default=None)
        if over is None or over.over_s < 0 or len(in_work) < self._at_once:
            return
        if self.store.someone_waits():
            log.info("job %s goes back to the queue, to let others run", over.job.id)
            over.cancel.cancel()

    # ------------------------------------------------------------------ the workers

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                job = self.store.claim()
                if job is None:
                    self._waiting.acquire(timeout=LOOK_S)
                else:
                    self._do(job)
            except StoreUnavailable:  # which is in the log
                self._closing.wait(STORE_WAIT_S)

    def _do(self, job: Job) -> None:
        CALLER.set(job.caller)
        running = RunningJob(self._runtime, self.store, self._keys, job)
        with self._guard:
            self._running.append(running)
        if self._closing.is_set():
            running.cancel.cancel()
        try:
            with self._runtime.texts.working(job.caller):
                running.run()
            log.info("job %s ended", job.id)
        except (ClientDisconnected, JobCancelled):
            self._give_back(job)  # which leaves a cancelled one as it is
        except StoreUnavailable:
            self._give_back(job)
            raise
        except EngineGone as error:
            self._closing.wait(error.retry_after_s)
            self._give_back(job, interrupted=not isinstance(error, ServerUnavailable))
        except Exception as error:
            if not isinstance(error, InvalidInput):
                log.exception("job %s failed", job.id)
            self.store.end(job, tasks.failure(error, job.request_id).data)
        finally:
            with self._guard:
                self._running.remove(running)
            self._callbacks.wake()

    def _give_back(self, job: Job, *, interrupted: bool = False) -> None:
        """Put the job back among those that wait, once the store can be written."""
        while True:
            try:
                self.store.requeue(job, interrupted=interrupted)
                return
            except StoreUnavailable:
                if self._closing.wait(STORE_WAIT_S):
                    return  # its lease runs out


class RunningJob:
    """A job in work: does its items, keeps what comes of them, and knows how long its turn has lasted."""

    def __init__(self, runtime: "Runtime", store: JobStore, keys: OutputKeys, job: Job):
        self.job = job
        self.cancel = CancelToken()
        self._runtime = runtime
        self._store = store
        self._keys = keys
        self._is_one = job.form != "texts"
        self._begun = time.monotonic()
        self._began_s: float | None = None
        """Seconds until something new of it was kept."""
        self._progress = job.done, job.total
        self._segments: dict[int, bytes] = {}
        """Of a single text: those that are not kept yet."""
        self._kept_at = self._begun
        self._text = ""

    @property
    def over_s(self) -> float:
        """Seconds beyond its turn; below 0 while the turn lasts, or nothing is kept yet."""
        if self._began_s is None:
            return -1.0
        return time.monotonic() - self._begun - max(TURN_S, TURN_TO_BEGINNING * self._began_s)

    def run(self) -> None:
        """Do what is left of the job, and end it.

        Raises ClientDisconnected if stopped, JobCancelled, StoreUnavailable, EngineGone if the engines are
        started again, and InvalidInput where the whole request has become wrong since it was taken.
        """
        job, store = self.job, self._store
        if job.interruptions >= MOST_INTERRUPTIONS:
            times = f"the service stopped {job.interruptions} times while running this job"
            store.end(job, tasks.failure(EngineFailed(times), job.request_id).data)
            return
        results: dict[int, StoredResult] = {}
        after = -1
        while items := store.pending(job, after=after, limit=BATCH_SIZE):
            results = self._run_together(dict(items))
            store.record(job, results)
            self._got_on()
            after = items[-1][0]
        alone = None
        if self._is_one:  # whose result may have been recorded before the service was stopped
            alone = results.get(0) or next(iter(store.results(job)), None)
        store.end(job, alone.data if alone is not None and alone.failed else None)

    def _run_together(self, items: Mapping[int, str | bytes]) -> dict[int, StoredResult]:
        start = time.perf_counter()
        plans = self._plans(list(items.values()))
        self._text = plans[0].text
        driver: Driver[Any] = Driver(
            [each.steps for each in plans],
            wait=True,
            at_most=BATCH_SIZE,
            in_order=self._is_one,
            cache=self,
            cancel=self.cancel,
            on_progress=self._note if self._is_one else None,
            flow=CALLER.get(),
            idle=idle,
        )
        outcomes = driver.run(self._hear if self._is_one else None)
        self.cancel.raise_if_cancelled()
        self._keep_segments()
        total_s = time.perf_counter() - start
        results = {}
        for number, own, outcome in zip(items, plans, outcomes, strict=True):
            try:
                results[number] = own.result(outcome, total_s)
            except (ClientDisconnected, StoreUnavailable, EngineGone):  # not the item's own
                raise
            except Exception as error:  # noqa: BLE001 - any failure is this item's alone
                of_many = None if self._is_one else number
                results[number] = tasks.failure(error, self.job.request_id, of_many)
        return results

    def _plans(self, contents: Sequence[str | bytes]) -> list[PlannedTask]:
        job, runtime = self.job, self._runtime
        recall = runtime.translation_memory.of(job.owner, job.caller).recall
        glossaries = runtime.glossaries.of(job.owner)
        options = stored_options(job)
        if isinstance(options, DocumentForm):
            (data,) = contents
            assert isinstance(data, bytes)  # noqa: S101 - a document's content is its bytes
            in_child = partial(
                runtime.children.run,
                timeout_s=runtime.settings.request_timeout_s,
                require=self.cancel.raise_if_cancelled,
            )
            limits = job_limits(runtime.settings)
            return [
                tasks.of_document(
                    runtime, options, data, glossaries, limits=limits, in_child=in_child, recall=recall
                )
            ]
        make = tasks.request_maker(options, runtime, glossaries)
        field = "html" if job.form == "html" else "text"
        requests = [make(**{field: content}) for content in contents]
        return [PlannedTask("", in_parts(runtime, each, recall), tasks.result) for each in requests]

    # ------------------------------------------------------------------ what comes of it

    def recall(self, wanted: Sequence[PendingGeneration]) -> dict[PendingGeneration, Output]:
        """See `models.driver.OutputCache`."""
        keys = {self._keys(each): each for each in wanted}
        return {keys[key]: output for key, output in self._store.outputs(self.job, list(keys)).items()}

    def keep(self, made: Mapping[PendingGeneration, Output], failed: int) -> None:
        """See `models.driver.OutputCache`. Raises JobCancelled."""
        self._store.keep_outputs(self.job, {self._keys(each): output for each, output in made.items()})
        self._got_on()

    def _got_on(self) -> None:
        if self._began_s is None:
            self._began_s = time.monotonic() - self._begun

    def _hear(self, event: Event) -> None:
        """Note a segment as JSON; with its source where the caller has no text that its span refers to."""
        if not isinstance(event, SegmentReady):
            return
        segment = event.segment
        if self._text and segment.original is None:
            original = self._text[segment.source.start : segment.source.end]
            event = replace(event, segment=replace(segment, original=original))
        _, body = render_event(event)
        self._segments[event.index] = body.model_dump_json().encode()
        if time.monotonic() - self._kept_at > SEGMENTS_KEPT_S:
            self._keep_segments()

    def _note(self, done: int, total: int) -> None:
        """Keep how far it is, and what was heard. Raises JobCancelled."""
        self._progress = done, total
        self._store.progress(self.job, done, total, self._segments)
        self._segments = {}
        self._kept_at = time.monotonic()

    def _keep_segments(self) -> None:
        if self._segments:
            self._note(*self._progress)
