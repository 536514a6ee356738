"""Tasks as steps: a task yields what it wants generated and is sent the outputs.

A task is a generator of `Call`s and never waits itself. So one driver runs a single task, or many in
rounds whose calls are submitted together: the items of an array share batches, and the batches made of
a file depend on that file alone, which keeps an interrupted run's output the same.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from models.engine.protocol import Engine, Generation, Output
from models.errors import DeadlineExceeded

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """Generations that a task wants done, and the engine to do them."""

    engine: Engine
    generations: Sequence[Generation]
    on_output: Callable[[int, Output], None] | None = None
    """Told of each generation's output as soon as it is there, where `stream` runs the task."""
    on_token: Callable[[int, int], None] | None = None
    """Told so of each new token, with its generation's index; greedy search only."""


Steps = Generator[Call | None, list[Output], T]
"""A task that works long by itself yields None now and then: a pause, at which its deadline is looked at."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a task's time went, in seconds: reading and restoring text, and waiting for the engines."""

    text_s: float
    model_s: float


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of one task: a value, or the error that ended it."""

    value: T | None
    error: Exception | None
    timings: Timings

    def unwrap(self) -> T:
        """The value; raises the error if there is one."""
        if self.error is not None:
            raise self.error
        assert self.value is not None  # noqa: S101 - one of the two is always set
        return self.value


@dataclass(slots=True)
class Running(Generic[T]):
    """A task on its way, for its driver."""

    steps: Steps[T]
    call: Call | None = None
    futures: list[Future[Output]] = field(default_factory=list)
    value: T | None = None
    error: Exception | None = None
    text_s: float = 0.0
    model_s: float = 0.0

    def advance(self, outputs: list[Output] | None, deadline: float | None) -> None:
        """Run the task to its next call, or to its end; at a pause, not past the deadline."""
        paused = self.step(outputs, deadline)
        while paused:
            paused = self.step([], deadline)

    def step(self, outputs: list[Output] | None, deadline: float | None) -> bool:
        """Run the task to its next call, to its end, or to a pause within the deadline: then True."""
        start = time.perf_counter()
        paused = False
        try:
            self.call = next(self.steps) if outputs is None else self.steps.send(outputs)
            paused = self.call is None
        except StopIteration as stop:
            self.call, self.value = None, stop.value
        except Exception as error:  # noqa: BLE001 - any failure is this task's alone
            self.call, self.error = None, error
        self.text_s += time.perf_counter() - start
        if paused and deadline is not None and time.monotonic() >= deadline:
            self.fail(late())
            paused = False
        return paused

    def generations(self, deadline: float | None) -> Iterator[Generation]:
        """What the call is to submit."""
        for generation in self.call.generations if self.call else ():
            yield replace(generation, deadline=deadline)

    def cancel(self) -> None:
        """Free the places of what is not done."""
        for future in self.futures:
            future.cancel()

    def fail(self, error: Exception) -> None:
        """Give the error up to the task, so that it can release what it holds, and end it."""
        self.cancel()
        self.call, self.error = None, error
        self.steps.close()

    def collect(self, deadline: float | None) -> None:
        """Wait for this round's outputs and go on with them."""
        start = time.perf_counter()
        try:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            outputs = _results(self.futures, left)
        except Exception as error:  # noqa: BLE001 - any failure is this task's alone
            self.model_s += time.perf_counter() - start
            self.fail(error)
            return
        self.model_s += time.perf_counter() - start
        self.advance(outputs, deadline)


def _results(futures: Sequence[Future[Output]], timeout_s: float | None) -> list[Output]:
    end = None if timeout_s is None else time.monotonic() + timeout_s
    try:
        return [f.result(None if end is None else max(0.0, end - time.monotonic())) for f in futures]
    except FutureTimeout as error:
        raise late() from error


def late() -> DeadlineExceeded:
    """What ends a task at its deadline."""
    return DeadlineExceeded("the request ran past its time and was cancelled")


def run_all(
    tasks: Sequence[Steps[T]], *, deadline: float | None = None, wait: bool = False
) -> list[Outcome[T]]:
    """Run tasks together, in rounds, and return their outcomes in the same order.

    `deadline` is on `time.monotonic()`'s clock. With `wait` a full engine queue is waited for; otherwise
    a task whose first call finds it full ends with Overloaded. A task's failure touches no other.
    """
    running = [Running(task) for task in tasks]
    first = True
    try:
        for task in running:
            task.advance(None, deadline)
        while active := [task for task in running if task.call is not None]:
            submit(active, deadline, wait=wait or not first)
            for task in active:
                if task.call is not None:
                    task.collect(deadline)
            first = False
    finally:  # interrupted: nobody waits for the rest
        for task in running:
            task.cancel()
            task.steps.close()
    return [Outcome(t.value, t.error, Timings(t.text_s, t.model_s)) for t in running]


def run(task: Steps[T], *, deadline: float | None = None, wait: bool = False) -> Outcome[T]:
    """Run one task to its end."""
    return run_all([task], deadline=deadline, wait=wait)[0]


def submit(tasks: Sequence[Running[T]], deadline: float | None, *, wait: bool) -> None:
    """Submit one round: one submission for each engine, so that it sees the whole round at once."""
    by_engine: dict[int, list[Running[T]]] = {}
    for task in tasks:
        assert task.call is not None  # noqa: S101 - only active tasks come here
        by_engine.setdefault(id(task.call.engine), []).append(task)
    for group in by_engine.values():
        calls = [task.call for task in group if task.call is not None]
        generations = [generation for task in group for generation in task.generations(deadline)]
        try:
            futures = calls[0].engine.submit(generations, wait=wait)
        except Exception as error:  # noqa: BLE001 - refused: all of this group is
            for task in group:
                task.fail(error)
            continue
        for task, call in zip(group, calls, strict=True):
            n = len(call.generations)
            task.futures, futures = futures[:n], futures[n:]
