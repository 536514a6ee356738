"""Executes units in several local processes, which share the engine processes.

Reading, splitting, checking and restoring texts is Python, one core per process. Each process runs one unit
at a time and asks this process, over the unit's connection, for earlier outputs and for its turn on a card.
One round at a time is on each card, as with a single process, so the bytes are the same.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from models import cpu
from models.engine.protocol import Output
from models.errors import ClientDisconnected, DragomanError, EngineFailed
from service.batch.executor import UNITS_AT_ONCE, LocalExecutor, Unit, UnitOutputs, UnitResult
from service.batch.task import WorkerSpec
from service.children import quiet_start
from service.settings import Settings
from service.workers import MOST_WORKERS, for_each_two

log = logging.getLogger(__name__)

TRIES = 4
"""A process may be ended by bad luck, as when memory is short; this often it is the work."""
LETS_GO_S = 1.0
"""In it engines drop what a process asked for that has ended, before others have their turn."""
CORES_A_PROCESS = 8
"""A quick model that writes takes some 20 ms of a core a sentence, and the text work of that sentence 1.6 to
2.9."""


def text_processes(settings: Settings, device: str, *, writes: bool, cards: int = 1) -> int:
    """Return how many processes do the text work of a batch.

    `device` is where the models run, with `cards` if that is GPUs, and `writes` says that one of them writes.
    Where none does, each process computes on one core. One process by itself has two units in work, and so is
    as fast as two.
    """
    if settings.workers:
        return settings.workers
    number = cpu.whole(cpu.usable())
    if device == "cuda":
        return for_each_two(number, cards)
    if writes:
        return min(MOST_WORKERS, max(1, number // CORES_A_PROCESS))
    return 1 if number <= UNITS_AT_ONCE else min(MOST_WORKERS, number)


@dataclass(frozen=True, slots=True)
class UnitQuestion:
    """A unit's work asks something of the process that has the outputs and gives turns."""

    what: str
    """`begin` or `end`, of a turn, or a method of `UnitOutputs`."""
    arguments: tuple[Any, ...]
    tokens: int
    """Output tokens that this process has made so far."""
    shares: Mapping[int, float]
    """See `Executor.shares`."""


# ---------------------------------------------------------------------- in this process


class TextProcesses:
    """At most `count` processes that do units as `spec` says; each is started when a unit has none.

    `engines` is what `Runtime.part_engines` returned, one for each card. Without `outputs` nothing is
    recalled.
    """

    def __init__(self, spec: WorkerSpec, engines: Sequence[Path], outputs: UnitOutputs | None, *, count: int):
        self._start = spec, engines, outputs is not None
        self._outputs = outputs
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="unit")
        self._stopped = threading.Event()
        self._free_cards: SimpleQueue[int] = SimpleQueue()
        for card in range(len(engines)):
            self._free_cards.put(card)
        self._guard = threading.Lock()
        self._all: list[_TextProcess] = []
        self._idle: list[_TextProcess] = []

    def __enter__(self) -> "TextProcesses":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def submit(self, unit: Unit) -> "Future[UnitResult]":
        """Queue a unit."""
        return self._threads.submit(self._do, unit)

    def tokens(self) -> int:
        """See `Executor`; as of the last time that each process asked for something."""
        return sum(process.tokens for process in list(self._all))

    def shares(self) -> Mapping[int, float]:
        """See `Executor`; as of the same time."""
        return {unit: share for process in list(self._all) for unit, share in process.shares.items()}

    def stop(self) -> None:
        """Give up what is not done, and end the processes: whatever counts is kept here."""
        with self._guard:
            self._stopped.set()
            for process in self._all:
                process.end()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _do(self, unit: Unit) -> UnitResult:
        for _ in range(TRIES):
            process = self._taken()
            try:
                answer = self._converse(process, unit)
            except (EOFError, OSError):
                process.end()
                if not self._stopped.is_set():
                    log.warning("a process died on unit %d; retrying it", unit.number)
                continue
            except BaseException:
                process.end()
                raise
            with self._guard:
                self._idle.append(process)
            if isinstance(answer, DragomanError):
                raise answer
            return answer
        raise EngineFailed(f"{TRIES} times a process ended over the same {len(unit.contents)} records")

    def _taken(self) -> "_TextProcess":
        """Return a process that does nothing. Raises ClientDisconnected after `stop`."""
        with self._guard:
            if self._stopped.is_set():
                raise ClientDisconnected()
            if self._idle:
                return self._idle.pop()
            self._all.append(_TextProcess(*self._start))
            return self._all[-1]

    def _converse(self, process: "_TextProcess", unit: Unit) -> UnitResult | DragomanError:
        """Give a process the unit, and what it asks for. Raises EOFError or OSError if it ends."""
        with ExitStack() as turn:
            answers: dict[str, Callable[..., Any]] = {
                "begin": lambda: turn.enter_context(self._turn()),
                "end": turn.close,
            }
            process.connection.send(unit)
            while isinstance(message := process.connection.recv(), UnitQuestion):
                process.tokens, process.shares = message.tokens, message.shares
                answer = answers.get(message.what) or getattr(self._outputs, message.what)
                process.connection.send(answer(*message.arguments))
            process.shares = {}
            answered: UnitResult | DragomanError = message
            return answered

    @contextmanager
    def _turn(self) -> Iterator[int]:
        """Wait for a card, and have it meanwhile."""
        card = self._free_cards.get()
        try:
            yield card
        except (EOFError, OSError):
            self._stopped.wait(LETS_GO_S)
            raise
        finally:
            self._free_cards.put(card)


class _TextProcess:
    """A process, and what it has told."""

    def __init__(self, spec: WorkerSpec, engines: Sequence[Path], recalls: bool):
        context = multiprocessing.get_context("spawn")
        self.connection, there = context.Pipe()
        self.tokens = 0
        self.shares: Mapping[int, float] = {}
        self._process = context.Process(target=serve, args=(there, spec, engines, recalls), daemon=True)
        with there, quiet_start({signal.SIGINT}):  # a terminal's Ctrl-C: this process ends the other one
            self._process.start()

    def end(self) -> None:
        """End the process; whoever converses with it is told by the connection."""
        self._process.kill()
        self._process.join()


# ---------------------------------------------------------------------- in the other process


def serve(connection: Connection, spec: WorkerSpec, engines: Sequence[Path], recalls: bool) -> None:
    """Do the units that come, one after another, until the other end of the connection is closed.

    The answer is a UnitResult, or the DragomanError in its place.
    """
    parent = _Parent(connection)
    while True:
        unit = parent.received()
        try:
            if parent.executor is None:
                runtime = spec.open_runtime()
                runtime.part_engines(engines)  # the other process has had them loaded and tried
                parent.prefer_card = runtime.prefer_card
                parent.executor = LocalExecutor(
                    spec.task.work(runtime),
                    parent if recalls else None,
                    spec.record_timeout_s,
                    runtime.device,
                    gate=parent,
                )
            answer: UnitResult | DragomanError = parent.executor.do(unit)
        except DragomanError as error:
            answer = error
        except Exception as error:
            log.exception("a unit failed")
            answer = EngineFailed(f"{type(error).__name__}: {error}")
        parent.send(answer)


class _Parent:
    """The process that has the outputs (see `UnitOutputs`) and, as a context, gives turns.

    When it has gone, this one ends.
    """

    def __init__(self, connection: Connection):
        self._connection = connection
        self.executor: LocalExecutor | None = None
        self.prefer_card: Callable[[int], None] = lambda card: None

    def __enter__(self) -> None:
        self.prefer_card(self._ask("begin"))

    def __exit__(self, *exception: object) -> None:
        self._ask("end")

    def recall(self, keys: Sequence[bytes], horizon: int) -> dict[bytes, Output]:
        """See `UnitOutputs`."""
        return dict(self._ask("recall", keys, horizon)) if keys else {}

    def begun(self, unit: int) -> dict[bytes, Output]:
        """See `UnitOutputs`."""
        return dict(self._ask("begun", unit))

    def keep(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """See `UnitOutputs`."""
        self._ask("keep", unit, dict(outputs))

    def send(self, message: "UnitQuestion | UnitResult | DragomanError") -> None:
        """Send a message."""
        try:
            self._connection.send(message)
        except OSError:
            os._exit(0)

    def received(self) -> Any:
        """Return the next message."""
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            os._exit(0)

    def _ask(self, what: str, *arguments: Any) -> Any:
        assert self.executor is not None  # noqa: S101 - only its work asks
        self.send(UnitQuestion(what, arguments, self.executor.tokens(), self.executor.shares()))
        return self.received()
