"""Works on the jobs that wait, in threads of its own, as long as it holds the lock beside their file.

The lock is the process's: of two services with one data folder one does the jobs, the other only takes them,
until the first has ended.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from models.driver import CancelToken
from models.errors import ClientDisconnected, EngineGone, InvalidInput, ServerUnavailable
from service.database import private
from service.errors import StoreUnavailable
from service.jobs.courier import Courier
from service.jobs.job import Gone, Job
from service.jobs.store import JobStore
from service.jobs.work import JobWork

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25
"""Between two looks at whether the models are loaded and the lock is free."""
IDLE_S = 5.0
"""Between two looks for jobs that another service with the same folder took, ..."""
SHARED_IDLE_S = 0.5
"""... or another worker of this one, which takes as many."""
EXPIRE_EVERY_S = 60.0
CLOSING_S = 8.0
TURN_S = 30.0
"""After so long a job waits again, if a caller waits who has none in work; what is done of it stays done."""
TURN_TO_BEGINNING = 4.0
"""A job's turn is so many times as long, at least, as it took to begin, which it has to do again."""
LOOK_FOR_TURNS_S = 1.0


@dataclass(slots=True)
class _Turn:
    """A job in work."""

    job: Job
    cancel: CancelToken
    begun: float
    began_s: float | None = None
    """Seconds until something new of it was kept."""

    def got_on(self) -> None:
        """Note that something of the job was kept."""
        if self.began_s is None:
            self.began_s = time.monotonic() - self.begun

    @property
    def over_s(self) -> float:
        """Seconds beyond its turn; below 0 while the turn lasts, or nothing is kept yet."""
        if self.began_s is None:
            return -1.0
        return time.monotonic() - self.begun - max(TURN_S, TURN_TO_BEGINNING * self.began_s)


class JobRunner:
    """Threads that do jobs. `shared` says that other workers of this service take and cancel them too."""

    def __init__(
        self,
        store: JobStore,
        work: JobWork,
        courier: Courier,
        lock: FileLock,
        *,
        workers: int,
        retention_s: float,
        shared: bool = False,
    ):
        self._store = store
        self._work = work
        self._courier = courier
        self._lock = lock
        self._workers = workers
        self._retention_s = retention_s
        self._shared = shared
        self._closing = threading.Event()
        self._waiting = threading.Semaphore(0)
        self._guard = threading.Lock()
        self._running: dict[str, _Turn] = {}
        self._threads: list[threading.Thread] = []

    # ------------------------------------------------------------------ from other threads

    def start(self, ready: Callable[[], bool] = lambda: True) -> None:
        """Begin as soon as `ready` says so and the lock is free; return at once."""
        self._spawn(self._keep, "jobs", ready)

    def wake(self) -> None:
        """Look for a new job now."""
        self._waiting.release()

    def cancelled(self, job: Job) -> None:
        """End the work on a job that the store has as cancelled."""
        with self._guard:
            running = self._running.get(job.id)
        if running is not None:
            running.cancel.cancel()
        self._courier.wake()

    def close(self) -> None:
        """CancelToken working; what is not done goes on after the next start."""
        self._closing.set()
        for turn in self._in_work():
            turn.cancel.cancel()
        for _ in range(self._workers):
            self.wake()
        end = time.monotonic() + CLOSING_S
        self._courier.close(CLOSING_S)
        for thread in list(self._threads):
            thread.join(max(0.0, end - time.monotonic()))
        for turn in self._in_work():  # in a batch that cannot be stopped midway
            self._give_back(turn.job)

    def _in_work(self) -> list[_Turn]:
        with self._guard:
            return list(self._running.values())

    # ------------------------------------------------------------------ the keeper

    def _spawn(self, target: Callable[..., None], name: str, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)  # now: who closes joins what has begun

    def _keep(self, ready: Callable[[], bool]) -> None:
        """Wait until work may begin, begin, and then forget old jobs now and then."""
        while not ready():
            if self._closing.wait(LOOK_EVERY_S):
                return
        try:
            if not self._acquire():
                return
            begun, expire_at = False, 0.0
            while not self._closing.is_set():
                try:
                    if not begun:
                        self._begin()
                        begun = True
                    if time.monotonic() >= expire_at:
                        expire_at = time.monotonic() + EXPIRE_EVERY_S
                        if expired := self._store.expire(time.time() - self._retention_s):
                            log.info("%d old jobs forgotten", expired)
                    if self._shared:
                        self._hear_of_others()
                    self._take_turns()
                except StoreUnavailable:  # which is in the log
                    self._closing.wait(EXPIRE_EVERY_S)
                self._closing.wait(LOOK_FOR_TURNS_S)
        finally:
            own = threading.current_thread()  # not always the first: it may begin before it is listed
            for thread in [thread for thread in self._threads if thread is not own]:
                thread.join(CLOSING_S)
            self._lock.release()

    def _acquire(self) -> bool:
        """Wait for the lock; False if it is closed before."""
        while not self._closing.is_set():
            try:
                private(Path(self._lock.lock_file))
                self._lock.acquire(timeout=0)
            except Timeout:
                self._closing.wait(LOOK_EVERY_S)
            except OSError as error:
                log.error("jobs wait: %s", error)
                self._closing.wait(EXPIRE_EVERY_S)
            else:
                return True
        return False

    def _hear_of_others(self) -> None:
        """End the work on jobs that were cancelled elsewhere, and have their callbacks sent."""
        self._courier.wake()
        if turns := self._in_work():
            running = self._store.running()
            for turn in turns:
                if turn.job.number not in running:
                    turn.cancel.cancel()

    def _take_turns(self) -> None:
        """If all workers are busy and a caller waits who has none, end the turn that is longest over."""
        turns = self._in_work()
        over = max(turns, key=lambda turn: turn.over_s, default=None)
        if over is None or over.over_s < 0 or len(turns) < self._workers:
            return
        if self._store.someone_waits():
            log.info("job %s waits again, for others' turns", over.job.id)
            over.cancel.cancel()

    def _begin(self) -> None:
        self._store.recover()
        self._courier.start()
        for i in range(self._workers):
            self._spawn(self._work_on, f"job-{i}")

    # ------------------------------------------------------------------ the workers

    def _work_on(self) -> None:
        while not self._closing.is_set():
            try:
                job = self._store.claim()
                if job is None:
                    self._waiting.acquire(timeout=SHARED_IDLE_S if self._shared else IDLE_S)
                else:
                    self._do(job)
            except StoreUnavailable:  # which is in the log
                self._closing.wait(IDLE_S)

    def _do(self, job: Job) -> None:
        turn = _Turn(job, CancelToken(), time.monotonic())
        with self._guard:
            self._running[job.id] = turn
        if self._closing.is_set():
            turn.cancel.cancel()
        try:
            self._work.run(job, turn.cancel, turn.got_on)
            log.info("job %s ended", job.id)
        except (ClientDisconnected, Gone):
            self._give_back(job)  # which leaves a cancelled one as it is
        except StoreUnavailable:
            self._give_back(job)
            raise
        except EngineGone as error:
            self._closing.wait(error.retry_after_s)
            self._give_back(job, interrupted=not isinstance(error, ServerUnavailable))
        except InvalidInput as error:
            self._work.fail(job, error)
        except Exception as error:
            log.exception("job %s failed", job.id)
            self._work.fail(job, error)
        finally:
            with self._guard:
                if self._running.get(job.id) is turn:  # given back, it may run again already
                    del self._running[job.id]
            self._courier.wake()

    def _give_back(self, job: Job, *, interrupted: bool = False) -> None:
        """Put the job back among those that wait, once the store can be written."""
        while True:
            try:
                self._store.requeue(job, interrupted=interrupted)
                return
            except StoreUnavailable:
                if self._closing.wait(IDLE_S):
                    return  # it is found running at the next start
