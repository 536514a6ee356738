"""Does units by a Ray Data dataset; see `Doer`. A thread collects results, another one watches."""

import pickle
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray.data import Dataset
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from service.batch.ray.actors import planned
from service.batch.ray.cluster import RayFailed, connected, machines, reason
from service.batch.ray.desk import UnitQueue
from service.batch.ray.units import results
from service.batch.ray.worker import Order
from service.batch.store import ResultStore
from service.batch.unit import Done, Unit

LOOK_EVERY_S = 1.0

STALLED_S = 1800.0
"""So long nothing may be heard of units that are waited for: no token, no worker, no result. Models must be
fetched in that time, and machines that are lost come back, or others in their place."""

GOES_ON = "what is done is kept, and the same command goes on"

END_S = 10.0
"""What the dataset may take to end when it is told to."""


@contextmanager
def ray_doer(
    order: Order, remembered: ResultStore | None, *, address: str | None, count: int | None, device: str
) -> Iterator["RayDoer"]:
    """Connects to Ray, or starts one if `address` is None, and does units there until the context's end.

    `count` is of actors. Raises InvalidInput and RayFailed.
    """
    with connected(address):
        actors = planned(machines(), count, device, may_grow=address is not None)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        desk = ray.remote(UnitQueue).options(num_cpus=0, scheduling_strategy=here).remote()
        if remembered is not None:
            for unit, outputs in remembered.remembered():
                ray.get(desk.remember.remote(unit, outputs))
        dataset = results(desk, order, actors)
        doer = RayDoer(desk, dataset, models=order.models, remembers=remembered is not None)
        try:
            yield doer
        finally:
            doer.stop()


class RayDoer:
    """Units go to the desk, results come from the dataset. It begins at once.

    Each unit takes along which `models` are known by then: that may become more while it runs.
    """

    def __init__(
        self,
        desk: Any,
        dataset: Dataset,
        *,
        models: Mapping[str, str],
        remembers: bool,
        stalled_s: float = STALLED_S,
    ):
        self._desk = desk
        self._dataset = dataset
        self._models = models
        self._remembers = remembers
        self._stalled_s = stalled_s
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[int, Future[Done]]] = {}
        self._failure: Exception | None = None
        self._stopped = threading.Event()
        self._heard: tuple[object, ...] = ()
        self._heard_at = time.monotonic()
        self._tokens = 0
        self._results = 0
        self._collector = threading.Thread(target=self._collect, name="collect", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._collector.start()
        self._watcher.start()

    def submit(self, unit: Unit) -> "Future[Done]":
        """Queue a unit. Its future ends with RayFailed if Ray gives up."""
        future: Future[Done] = Future()
        with self._lock:
            if self._failure is not None:
                raise self._failure
            try:
                body = pickle.dumps((unit, dict(self._models)))
                place = ray.get(self._desk.put.remote(body, unit.sees))
            except RayError as error:
                raise _failed(error) from error
            self._pending[unit.number] = place, future
        return future

    def tokens(self) -> int:
        """See `Doer`."""
        return self._tokens

    def shares(self) -> Mapping[int, float]:
        """See `Doer`: actors do not tell."""
        return {}

    def stop(self) -> None:
        """Give up what is not done, and let the dataset end."""
        self._stopped.set()
        with suppress(RayError):  # if the desk is gone, so is the dataset
            ray.get(self._desk.close.remote(), timeout=END_S)
        self._collector.join(END_S)
        self._watcher.join(END_S)

    # ------------------------------------------------------------------ the threads

    def _collect(self) -> None:
        try:
            for batch in self._dataset.iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            ):
                for row in batch.to_pylist():
                    if row["number"] is not None and self._failure is None:
                        self._resolve(row["number"], pickle.loads(row["result"]))  # noqa: S301 - our workers'
            self._fail(RayFailed("Ray has ended before its work was done"))
        except Exception as error:  # noqa: BLE001 - Ray raises what it likes
            self._fail(_failed(error))

    def _resolve(self, number: int, result: Done | Exception) -> None:
        with self._lock:
            place, _ = self._pending[number]
        if isinstance(result, Done):
            if self._remembers:  # before any unit that may see it is submitted
                ray.get(self._desk.remember.remote(number, dict(result.remember)))
            ray.get(self._desk.done.remote(place, number))
        with self._lock:  # and not before, for what is not pending would not fail with the others
            _, future = self._pending.pop(number)
            self._results += 1
        if isinstance(result, Done):
            future.set_result(result)
        else:
            future.set_exception(result)

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_S):
            try:
                self._tokens, workers = ray.get(self._desk.tokens.remote())
            except Exception as error:  # noqa: BLE001 - Ray raises what it likes
                self._fail(_failed(error))
                return
            now, heard = time.monotonic(), (self._tokens, workers, self._results)
            if heard != self._heard or not self._pending:
                self._heard, self._heard_at = heard, now
            elif now - self._heard_at > self._stalled_s:
                self._fail(
                    RayFailed(f"nothing was heard of any actor for {self._stalled_s:,.0f} s; {GOES_ON}")
                )

    def _fail(self, failure: Exception) -> None:
        """Nothing more will be done."""
        with self._lock:
            self._failure = self._failure or failure
            pending, self._pending = self._pending, {}
        for _, future in pending.values():
            future.set_exception(self._failure)


def _failed(error: Exception) -> RayFailed:
    return RayFailed(f"Ray has given up ({reason(error)}); {GOES_ON}")
