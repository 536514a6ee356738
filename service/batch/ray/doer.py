"""Does units by Ray's actors; see `Doer`."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from models.errors import DragomanError, EngineFailed
from service.batch.lanes import LANES
from service.batch.ray.actors import planned
from service.batch.ray.cluster import RayFailed, answers, connected, machines, reason
from service.batch.ray.memory import RayMemory
from service.batch.ray.worker import RayWorker
from service.batch.store import ResultStore
from service.batch.task import Order
from service.batch.unit import Done, Unit

TRIES = 4
"""An actor may die by bad luck, or because its machine is taken away; this often it is the work."""

STALLED_S = 1800.0
"""The longest time with no token, no new actor and no result while units are waited for. In it models must be
fetched, and machines that were lost come back, or others in their place."""

LOST_S = 30.0
"""So long Ray's head may be unreachable: half of what Ray itself allows."""

GOES_ON = "what is done is kept, and the same command goes on"


@contextmanager
def ray_doer(
    order: Order, remembered: ResultStore | None, *, address: str | None, count: int | None, device: str
) -> Iterator["RayDoer"]:
    """Yield what does units at the Ray at `address`, or at one that is started here if that is None.

    `count` is the number of actors. Raises InvalidInput and RayFailed.
    """
    with connected(address):
        actors = planned(machines(), count, device, may_grow=address is not None)
        memory = None if remembered is None else _memory(remembered)
        actor = ray.remote(RayWorker).options(
            num_cpus=actors.cpus,
            num_gpus=actors.gpus,
            max_concurrency=LANES + 1,
            max_restarts=-1,
            max_task_retries=TRIES - 1,
        )
        doer = RayDoer([actor.remote(order, actors, memory) for _ in range(actors.count)])
        try:
            yield doer
        finally:
            doer.stop()


def _memory(remembered: ResultStore) -> Any:
    """Start the actor that remembers, on this machine, with all that is remembered so far."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    memory = ray.remote(RayMemory).options(num_cpus=0, scheduling_strategy=here).remote()
    for unit, outputs in remembered.remembered():
        ray.get(memory.remember.remote(unit, outputs))
    return memory


class RayDoer:
    """Hands units to workers, LANES at a time to each: a thread waits for each of these.

    A worker is in line as soon as Ray has placed it and it has loaded its models. When it dies, Ray restarts
    it, and meanwhile others do its units.
    """

    def __init__(self, workers: Sequence[Any], *, stalled_s: float = STALLED_S):
        self._workers = workers
        self._stalled_s = stalled_s
        self._free: SimpleQueue[Any] = SimpleQueue()
        """Workers, each as often as it can take a unit; or an error that ends all units."""
        self._threads = ThreadPoolExecutor(len(workers) * LANES, thread_name_prefix="unit")
        self._heard_at = self._answered_at = time.monotonic()
        self._tokens: dict[str, int] = {}
        self._shares: dict[int, float] = {}
        self._asked = {worker.progress.remote(): worker for worker in workers}
        for worker in (*workers,) * LANES:
            self._queue(worker)

    def submit(self, unit: Unit) -> "Future[Done]":
        """Queue a unit. Its future ends with RayFailed if Ray gives up."""
        self._heard_at = time.monotonic()
        return self._threads.submit(self._do, unit)

    def tokens(self) -> int:
        """See `Doer`; asks the workers for the next time. Raises RayFailed if they or Ray are silent."""
        ready, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)
        for answer in ready:
            worker = self._asked.pop(answer)
            with suppress(RayError):  # it has died, and will be another one
                name, tokens, shares = ray.get(answer)
                self._shares |= shares
                if self._tokens.get(name) != tokens:
                    self._tokens[name], self._heard_at = tokens, time.monotonic()
            self._asked[worker.progress.remote()] = worker
        now = time.monotonic()
        if answers():
            self._answered_at = now
        if now - self._answered_at > LOST_S:
            raise RayFailed(f"Ray's head has not answered for {LOST_S:.0f} s; {GOES_ON}")
        if now - self._heard_at > self._stalled_s:
            raise RayFailed(f"nothing was heard of any actor for {self._stalled_s:,.0f} s; {GOES_ON}")
        return sum(self._tokens.values())

    def shares(self) -> Mapping[int, float]:
        """See `Doer`; known when `tokens` was asked for."""
        return dict(self._shares)

    def stop(self) -> None:
        """Give up what is not done."""
        self._free.put(RayFailed("the run has ended"))
        there = answers()  # else nobody can be killed, and whoever tries it waits
        for worker in self._workers if there else ():
            ray.kill(worker)
        self._threads.shutdown(wait=there, cancel_futures=True)

    # ------------------------------------------------------------------ the threads

    def _do(self, unit: Unit) -> Done:
        for _ in range(TRIES):
            worker = self._free.get()
            if isinstance(worker, Exception):
                self._free.put(worker)
                raise _told(worker)
            try:
                done: Done = ray.get(worker.do.options(max_task_retries=0).remote(unit))
            except RayTaskError as error:
                raise _told(error) from error
            except RayError:
                continue  # it has died, or its machine is lost
            finally:
                self._shares.pop(unit.number, None)
                self._queue(worker)
            self._heard_at = time.monotonic()
            return done
        raise EngineFailed(f"{TRIES} times an actor died over the same {len(unit.contents)} records")

    def _queue(self, worker: Any) -> None:
        """Put a worker in line once it has begun."""
        begun = worker.begin.remote().future()
        begun.add_done_callback(lambda begun: self._free.put(begun.exception() or worker))


def _told(error: Exception) -> DragomanError:
    """Return the error that the user reads: a worker's own, or Ray's in a line."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, DragomanError):
        return cause
    return RayFailed(f"Ray has given up ({reason(cause)}); {GOES_ON}")
