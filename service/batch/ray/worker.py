"""Does units in an actor's process, with a runtime of its own; whatever goes wrong comes back as a result."""

import pickle
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import ray

from models.engine.protocol import Output
from models.errors import DragomanError, EngineFailed
from service.batch import preflight
from service.batch.lanes import UnitWork
from service.batch.ray.actors import Actors
from service.batch.ray.desk import DONE
from service.batch.task import Task
from service.batch.unit import Done, Unit
from service.work.outputs import OutputKeys

if TYPE_CHECKING:
    from service.runtime import Runtime

TELL_EVERY_S = 1.0
"""How often the desk hears of tokens, and a worker whether it is to go on."""

TRIES = 4
"""Actors that die may be unlucky, or their machine be taken away; this often it is the work."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to do; it is pickled."""

    open_runtime: Callable[..., "Runtime"]
    """Called in the worker's process with its `device` and `threads`, before anything heavy is imported."""
    task: Task
    models: Mapping[str, str]
    """Known so far; they must be the worker's own too, by their revisions."""
    record_timeout_s: float | None
    remembers: bool


class Recalled:
    """The desk's memory, from afar."""

    def __init__(self, desk: Any):
        self._desk = desk

    def recall(self, keys: Sequence[bytes], sees: int) -> dict[bytes, Output]:
        """See `UnitMemory`."""
        found: dict[bytes, Output] = ray.get(self._desk.recall.remote(keys, sees)) if keys else {}
        return found

    def begun(self, unit: int) -> dict[bytes, Output]:
        """Return nothing; see `keep`."""
        return {}

    def keep(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep nothing: a unit is done again whole if its actor dies."""


class RayWorker:
    """The class that Ray Data maps units with; several threads may call it."""

    def __init__(self, order: Order, actors: Actors, desk: Any):
        self._order = order
        self._actors = actors
        self._desk = desk
        self._models: Mapping[str, str] = {}
        self._work: UnitWork | None = None
        self._problem: Exception | None = None
        try:
            self._begin()
        except Exception as error:  # noqa: BLE001 - an actor that fails here is told by its trace alone
            self._problem = _sent(error)

    def _begin(self) -> None:
        order = self._order
        runtime = order.open_runtime(
            device=self._actors.device, threads=self._actors.threads, throughput=True
        )
        self._runtime = runtime
        self._fetch(order.models)
        order.task.models(runtime)
        memory = Recalled(self._desk) if order.remembers else None
        own = order.task.work(runtime)
        self._work = UnitWork(own, OutputKeys(runtime), memory, order.record_timeout_s, self._actors.device)
        threading.Thread(target=self._tell, args=(self._work,), name="tell", daemon=True).start()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A row for each unit: its number, and pickled what has become of it, a Done or an exception."""
        rows = [self._row(body.as_py()) for body in batch["unit"]]
        return pa.Table.from_pylist(rows, RESULTS)

    def _row(self, body: bytes) -> dict[str, Any]:
        if body == DONE:
            return {"number": None, "result": b""}
        unit, models = pickle.loads(body)  # noqa: S301 - the driver's own
        return {"number": unit.number, "result": pickle.dumps(self._result(unit, models))}

    def _result(self, unit: Unit, models: Mapping[str, str]) -> Done | Exception:
        if self._problem is not None or self._work is None:
            return self._problem or RuntimeError("the worker did not begin")
        if ray.get(self._desk.begin.remote(unit.number)) > TRIES:
            return EngineFailed(f"{TRIES} times an actor died over the same {len(unit.contents)} records")
        try:
            self._fetch(models)
            return self._work.do(unit)
        except Exception as error:  # noqa: BLE001 - it ends the run, and the driver says so
            return _sent(error)

    def _fetch(self, models: Mapping[str, str]) -> None:
        """Have those too that the driver has come upon since, at its revisions. Raises ModelUnavailable."""
        preflight.fetch(self._runtime, dict(models.items() - self._models.items()))
        self._models = models

    def _tell(self, work: UnitWork) -> None:
        """Until the run ends, whether it is over or given up."""
        name = uuid.uuid4().hex
        try:
            while ray.get(self._desk.tell.remote(name, work.tokens())):
                time.sleep(TELL_EVERY_S)
        finally:  # the desk may be gone as well
            work.stop()


RESULTS = pa.schema([("number", pa.int64()), ("result", pa.large_binary())])


def _sent(error: Exception) -> Exception:
    """The error as one that can be pickled, and that tells where it was."""
    where = socket.gethostname()
    if isinstance(error, DragomanError):
        error.message = f"{error.message} (on {where})"
        return error
    return RuntimeError(f"{type(error).__name__}: {error} (on {where})")
