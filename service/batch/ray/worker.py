"""The actor that does units, with a runtime of its own."""

import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray

from models.errors import DragomanError, EngineFailed
from service.batch import preflight
from service.batch.lanes import UnitWork
from service.batch.ray.actors import Actors
from service.batch.ray.cluster import reason
from service.batch.ray.memory import Recalled
from service.batch.task import Order
from service.batch.unit import Done, Unit
from service.store.results import OutputKeys


class RayWorker:
    """The actor's class; several threads call it. `memory` is the actor that remembers, if any does."""

    def __init__(self, order: Order, actors: Actors, memory: Any):
        self._order = order
        self._actors = actors
        self._memory = memory
        self._name = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._work: UnitWork | None = None

    def begin(self) -> None:
        """Open the runtime and load the models, unless that is done. Raises DragomanError."""
        with _placed():
            self._begun()

    def do(self, unit: Unit) -> Done:
        """Do a unit. Raises DragomanError."""
        with _placed():
            done = self._begun().do(unit)
            if self._memory is not None:  # before the unit counts as done, and others may see it
                ray.get(self._memory.remember.remote(unit.number, dict(done.remember)))
            return done

    def progress(self) -> tuple[str, int, Mapping[int, float]]:
        """Return a name of this process's own, the output tokens that it has made, and its units' shares."""
        if self._work is None:
            return self._name, 0, {}
        return self._name, self._work.tokens(), self._work.shares()

    def _begun(self) -> UnitWork:
        order, actors = self._order, self._actors
        with self._lock:
            if self._work is None:
                self._runtime = order.open_runtime(device=actors.device, threads=actors.threads)
                preflight.fetch(self._runtime, order.models)
                order.task.models(self._runtime)
                memory = None if self._memory is None else Recalled(self._memory)
                own = order.task.work(self._runtime)
                keys = OutputKeys(self._runtime.pool, self._runtime.store)
                self._work = UnitWork(own, keys, memory, order.record_timeout_s, actors.device)
            return self._work


@contextmanager
def _placed() -> Iterator[None]:
    """Errors are for the user to read, and say on which machine they were."""
    try:
        yield
    except DragomanError as error:
        error.message = f"{error.message} (on {socket.gethostname()})"
        raise
    except Exception as error:
        raise EngineFailed(f"{reason(error)} (on {socket.gethostname()})") from error
