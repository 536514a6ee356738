"""Executes units with Ray actors, each with the models of its machine or GPU. Only this module knows Ray.

The command's own process gives each unit to a free actor and stores the results in its cache. Ray places
actors and restarts those that die. Call `executor.prepare_ray` before importing this module.
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from io import TextIOBase
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from models.engine.protocol import Output
from models.errors import DragomanError, EngineFailed, InvalidInput
from service.batch import preflight
from service.batch.executor import UNITS_AT_ONCE, LocalExecutor, Unit, UnitResult
from service.batch.task import WorkerSpec
from service.store.batch_cache import BatchCache

log = logging.getLogger(__name__)

TRIES = 4
"""An actor may die by bad luck, or because its machine is taken away; this often it is the work."""
STALLED_S = 1800.0
"""The longest time with no token, no new actor and no result while units are waited for. In it models must be
fetched, and machines that were lost come back, or others in their place."""
LOST_S = 30.0
"""So long Ray's head may be unreachable: half of what Ray itself allows."""
GOES_ON = "results are stored; the same command resumes"
CORES_AN_ACTOR = 4
"""The number without --actors. An engine on a CPU gains little from many more."""
LOCAL_STORE_BYTES = 512 * 2**20
"""For units and results on their way; the rest goes to disk."""
CONNECT_TIMEOUT_S = 10.0
SHOWN_CHARACTERS = 200
"""Of a line of Ray's."""


class RayFailed(DragomanError):
    """Ray cannot be reached, or has given up."""


@contextmanager
def ray_executor(
    spec: WorkerSpec, cache: BatchCache | None, *, address: str | None, count: int | None, device: str
) -> Iterator["RayExecutor"]:
    """Yield what does units at the Ray at `address`, or at one that is started here if that is None.

    `count` is the number of actors. Without a `cache` nothing is recalled. Raises InvalidInput and RayFailed.
    """
    with connected(address):
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        actors = planned(machines, count, device, may_grow=address is not None)
        outputs: Any = None
        if cache is not None:  # an actor on this machine, with all that is remembered so far
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            outputs = ray.remote(RayOutputs).options(num_cpus=0, scheduling_strategy=here).remote()
            for unit, made in cache.units():
                ray.get(outputs.put.remote(unit, made))
        actor = ray.remote(RayWorker).options(
            num_cpus=actors.cpus,
            num_gpus=actors.gpus,
            max_concurrency=UNITS_AT_ONCE + 1,
            max_restarts=-1,
            max_task_retries=TRIES - 1,
        )
        executor = RayExecutor([actor.remote(spec, actors, outputs) for _ in range(actors.count)])
        try:
            yield executor
        finally:
            executor.stop()


class RayExecutor:
    """Hands units to workers, UNITS_AT_ONCE at a time to each: a thread waits for each of these.

    A worker is in line as soon as Ray has placed it and it has loaded its models. When it dies, Ray restarts
    it, and meanwhile others do its units.
    """

    def __init__(self, workers: Sequence[Any], *, stalled_s: float = STALLED_S):
        self._workers = workers
        self._stalled_s = stalled_s
        self._free: SimpleQueue[Any] = SimpleQueue()
        """Workers, each as often as it can take a unit; or an error that ends all units."""
        self._threads = ThreadPoolExecutor(len(workers) * UNITS_AT_ONCE, thread_name_prefix="unit")
        self._heard_at = self._answered_at = time.monotonic()
        self._tokens: dict[str, int] = {}
        self._shares: dict[int, float] = {}
        self._asked = {worker.progress.remote(): worker for worker in workers}
        for worker in (*workers,) * UNITS_AT_ONCE:
            self._queue(worker)

    def submit(self, unit: Unit) -> "Future[UnitResult]":
        """Queue a unit. Its future ends with RayFailed if Ray gives up."""
        self._heard_at = time.monotonic()
        return self._threads.submit(self._do, unit)

    def tokens(self) -> int:
        """See `Executor`; asks the workers for the next time. Raises RayFailed if they or Ray are silent."""
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
        if head_answers():
            self._answered_at = now
        if now - self._answered_at > LOST_S:
            raise RayFailed(f"Ray's head has not answered for {LOST_S:.0f} s; {GOES_ON}")
        if now - self._heard_at > self._stalled_s:
            raise RayFailed(f"no actor has reported for {self._stalled_s:,.0f} s; {GOES_ON}")
        return sum(self._tokens.values())

    def shares(self) -> Mapping[int, float]:
        """See `Executor`; known when `tokens` was asked for."""
        return dict(self._shares)

    def stop(self) -> None:
        """Give up what is not done."""
        self._free.put(RayFailed("the run has ended"))
        there = head_answers()  # else nobody can be killed, and whoever tries it waits
        for worker in self._workers if there else ():
            ray.kill(worker)
        self._threads.shutdown(wait=there, cancel_futures=True)

    def _do(self, unit: Unit) -> UnitResult:
        for _ in range(TRIES):
            worker = self._free.get()
            if isinstance(worker, Exception):
                self._free.put(worker)
                raise _told(worker)
            try:
                done: UnitResult = ray.get(worker.do.options(max_task_retries=0).remote(unit))
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
    return RayFailed(f"Ray has given up ({_reason(cause)}); {GOES_ON}")


# ---------------------------------------------------------------------- actors


@dataclass(frozen=True, slots=True)
class Actors:
    """A number of actors, and the cores and GPUs of each."""

    count: int
    cpus: int
    gpus: int = 0


def planned(
    machines: Sequence[Mapping[str, float]], count: int | None, device: str, *, may_grow: bool
) -> Actors:
    """Return actors for machines with these resources (`CPU`, `GPU`): one a GPU, or such as share the CPUs.

    `count` is what the user asks for, `device` is `auto`, `cpu` or `cuda`. Machines that may grow need not
    have room for all actors yet. Raises InvalidInput if there is no room.
    """

    def checked(count: int, there: int, what: str) -> int:
        if count < 1 or (count > there and not may_grow):
            raise InvalidInput(
                f"{max(1, count)} actors need a {what} each, and there are {there}", field="--actors"
            )
        return count

    gpus = sum(int(machine.get("GPU", 0)) for machine in machines)
    if device == "cuda" or (device == "auto" and gpus):
        return Actors(checked(count or gpus, gpus, "GPU"), 1, 1)
    cores = [int(machine.get("CPU", 0)) for machine in machines]
    most = max(cores, default=0)
    if count is None:
        share = max(
            1, most // max(1, most // CORES_AN_ACTOR)
        )  # about so many, and no core, or few, left over
        return Actors(checked(_room(cores, share), sum(cores), "CPU core"), share)
    checked(count, sum(cores), "CPU core")
    shares = [share for share in range(1, most + 1) if _room(cores, share) >= count]
    return Actors(count, max(shares, default=CORES_AN_ACTOR))


def _room(cores: Sequence[int], share: int) -> int:
    """Return how many actors with `share` cores each there is room for."""
    return sum(own // share for own in cores)


class RayWorker:
    """The actor that does units, with a runtime of its own; several threads call it.

    `outputs` is the actor that keeps the outputs of all, if anything is recalled.
    """

    def __init__(self, spec: WorkerSpec, actors: Actors, outputs: Any):
        self._spec = spec
        self._actors = actors
        self._outputs = outputs
        self._name = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._executor: LocalExecutor | None = None

    def begin(self) -> None:
        """Open the runtime and load the models, unless that is done. Raises DragomanError."""
        with _placed():
            self._begun()

    def do(self, unit: Unit) -> UnitResult:
        """Do a unit. Raises DragomanError."""
        with _placed():
            done = self._begun().do(unit)
            if self._outputs is not None:  # before the unit counts as done, and others may recall it
                ray.get(self._outputs.put.remote(unit.number, dict(done.outputs)))
            return done

    def progress(self) -> tuple[str, int, Mapping[int, float]]:
        """Return a name of this process's own, the output tokens that it has made, and its units' shares."""
        if self._executor is None:
            return self._name, 0, {}
        return self._name, self._executor.tokens(), self._executor.shares()

    def _begun(self) -> LocalExecutor:
        spec = self._spec
        device, threads = ("cuda", 0) if self._actors.gpus else ("cpu", self._actors.cpus)
        with self._lock:
            if self._executor is None:
                runtime = spec.open_runtime(device=device, threads=threads)
                preflight.fetch(runtime, spec.models)
                preflight.check(runtime, spec.task.request)
                outputs = None if self._outputs is None else RecalledOutputs(self._outputs)
                self._executor = LocalExecutor(
                    spec.task.work(runtime), outputs, spec.record_timeout_s, device
                )
            return self._executor


@contextmanager
def _placed() -> Iterator[None]:
    """Errors are for the user to read, and say on which machine they were."""
    try:
        yield
    except DragomanError as error:
        error.message = f"{error.message} (on {socket.gethostname()})"
        raise
    except Exception as error:
        raise EngineFailed(f"{_reason(error)} (on {socket.gethostname()})") from error


class RayOutputs:
    """The actor, beside the command, that keeps outputs for all others; they end with it."""

    def __init__(self) -> None:
        self._cache = BatchCache(None)
        self._horizon = -1

    def put(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep the outputs of a unit that is done."""
        self._cache.commit(unit, {}, outputs)

    def recall(self, keys: Sequence[bytes], horizon: int) -> dict[bytes, Output]:
        """See `UnitOutputs`. Forget what is too old for units whose horizon is past the last window's."""
        if horizon > self._horizon:
            self._cache.forget(self._horizon)  # and no more: the window before is in work yet
            self._horizon = horizon
        return self._cache.recall(keys, horizon)


class RecalledOutputs:
    """Those outputs as an actor elsewhere has them; see `UnitOutputs`."""

    def __init__(self, outputs: Any):
        self._outputs = outputs

    def recall(self, keys: Sequence[bytes], horizon: int) -> dict[bytes, Output]:
        """See `UnitOutputs`."""
        found: dict[bytes, Output] = ray.get(self._outputs.recall.remote(keys, horizon)) if keys else {}
        return found

    def begun(self, unit: int) -> dict[bytes, Output]:
        """Return nothing; see `keep`."""
        return {}

    def keep(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep nothing: a unit is done again whole if its actor dies."""


# ---------------------------------------------------------------------- the connection


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to the Ray at `address`, or start one that ends with this context. One that is there is used.

    Ray is kept silent where results or progress go. Raises InvalidInput and RayFailed.
    """
    if address is not None and address.startswith("ray://"):
        raise InvalidInput(
            "no cluster is used from outside; run the command on a machine of it, with `auto` or HOST:PORT",
            field="--ray-address",
        )
    own = not ray.is_initialized()
    with redirect_stdout(_Logged()):  # Ray writes there which workers and machines were lost
        if own:
            _connect(address)
        try:
            yield
        finally:
            if own:
                ray.shutdown()


def head_answers() -> bool:
    """Tell whether Ray's head takes connections. A minute without it, and Ray ends this process silently."""
    try:
        _knock(ray.get_runtime_context().gcs_address)
    except OSError:
        return False
    return True


def _connect(address: str | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        if address not in (None, "auto"):
            _knock(address)
        with _mute():
            if address is None:
                ray.init("local", include_dashboard=False, object_store_memory=LOCAL_STORE_BYTES, **quiet)
            else:
                ray.init(address, **quiet)
    except Exception as error:
        where = "here" if address is None else f"at {address}"
        raise RayFailed(f"Ray is unavailable {where}: {_reason(error)}") from error


def _knock(address: str) -> None:
    """Raise OSError if nobody is there: Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()


@contextmanager
def _mute() -> Iterator[None]:
    """Let nothing reach standard error: Ray's core says there that it was told to say nothing."""
    was = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(was, 2)
        os.close(was)


def _reason(error: Exception) -> str:
    """Return the gist of an error of Ray's, which may be pages: its first line, and its last, the cause."""
    lines = [line.strip()[:SHOWN_CHARACTERS] for line in str(error).splitlines() if line.strip()]
    gist = " ... ".join(dict.fromkeys((*lines[:1], *lines[-1:])))
    return f"{type(error).__name__}: {gist}"


class _Logged(TextIOBase):
    """Makes debug messages of lines."""

    def write(self, text: str) -> int:
        """See TextIOBase."""
        for line in filter(None, map(str.strip, text.splitlines())):
            log.debug("%s", line)
        return len(text)
