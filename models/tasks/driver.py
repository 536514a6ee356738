"""The driver of tasks: takes each from step to step, gives their generations to the engines, and ends them.

One loop for all ways to work. In rounds, everything that can go on does, then all that is wanted is submitted
together and awaited: batches depend on the tasks alone. Otherwise whatever has its outputs goes on at once,
which is quicker for a reader who watches.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Generic, TypeVar

from models.engine.protocol import LATE
from models.errors import DeadlineExceeded
from models.tasks.flights import Flights, Landing, OutputMemory
from models.tasks.running import Effort, Running, TaskState
from models.tasks.steps import Call, Event, Outcome, Steps, Together
from models.tasks.stop import Stop, abandoned
from models.tasks.turns import Turns

T = TypeVar("T")

LOOKS_EVERY_S = 0.01
"""How often a driver looks whether all batches of its round have begun."""


class Driver(Generic[T]):
    """Runs tasks to their ends, once.

    `deadline` is on `time.monotonic()`'s clock, and `stop` ends them all. With `wait` a full engine queue is
    waited for; otherwise a task whose first generations find it full fails with Overloaded. Unless it is
    `in_rounds`, each task and part goes on when its own outputs are there. If it `is_watched`, words are told
    as they are written. `at_most` so many generations are submitted in a round, so that others get a turn;
    `in_order` those of a text's beginning come before those of its end, rather than long ones first.
    A round waits for its turn, if there are `turns`, and that time does not count. `on_progress` hears how
    many of the parts known so far are done: sentences, say, of a translation. A task's failure touches no
    other.
    """

    def __init__(
        self,
        tasks: Sequence[Steps[T]],
        *,
        deadline: float | None = None,
        wait: bool = False,
        in_rounds: bool = True,
        is_watched: bool = False,
        at_most: int | None = None,
        in_order: bool = False,
        memory: OutputMemory | None = None,
        turns: Turns | None = None,
        stop: Stop | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ):
        self._tasks = [TaskState(steps) for steps in tasks]
        self._deadline = deadline
        self._in_rounds = in_rounds
        self._turns = turns or Turns()
        self._stop = stop or Stop()
        self._on_progress = on_progress
        self._flights = Flights(
            wait=wait, at_most=at_most, in_order=in_order, memory=memory, tells=is_watched
        )
        self._progress = self._told = (0, 0)
        self._ready: deque[tuple[Running, Any]] = deque((task.root, None) for task in self._tasks)
        """Those that go on, each with a value that is sent, or an exception that is raised there."""

    @property
    def effort(self) -> Effort:
        """The work done so far."""
        return replace(self._flights.effort, text_s=sum(task.text_s for task in self._tasks))

    def run(self, on_event: Callable[[Event], None] | None = None) -> list[Outcome[T]]:
        """Run all tasks and return their outcomes, in order; `on_event` hears what they tell."""
        for event in self.events(math.inf):
            if event is not None and on_event is not None:
                on_event(event)
        return [task.outcome() for task in self._tasks]

    def events(self, tick_s: float) -> Generator[Event | None, None, list[Outcome[T]]]:
        """Run all tasks and return their outcomes; yield events as they come, and None at pauses.

        While engines work there is a yield every `tick_s` at the latest. A caller that closes this generator
        ends the tasks and frees their places.
        """
        with self._stop.waking(self._flights.wake):
            try:
                while self._ready or self._flights:
                    while self._ready:
                        yield from self._advance(*self._ready.popleft())
                    self._tell_progress()
                    if self._flights and not self._is_over():
                        yield from self._round(tick_s)
            finally:
                for task in self._tasks:
                    self._drop(task.root)
        return [task.outcome() for task in self._tasks]

    # ------------------------------------------------------------------ from step to step

    def _advance(self, running: Running, answer: Any) -> Iterator[Event | None]:
        """Take a task on until it wants something that must be waited for, or ends."""
        while running.is_alive and not self._is_over():
            try:
                step = running.go_on(answer)
            except StopIteration as end:
                self._ended(running, end.value)
                return
            except Exception as error:  # noqa: BLE001 - any failure is this task's alone
                self._failed(running, error)
                return
            answer = None
            if isinstance(step, Call) and step.generations:
                self._flights.ask(running, step)
                self._count(running, 0, len(step.generations))
                return
            if isinstance(step, Together) and step.tasks:
                self._ready.extend((child, None) for child in running.branch(step.tasks))
                self._count(running, 0, len(step.tasks))
                return
            if isinstance(step, Call | Together):
                answer = []
            else:
                yield step

    def _ended(self, running: Running, value: Any) -> None:
        running.is_alive = False
        if running.parent is None:
            running.task.value = value
        else:
            self._take(running.parent, running.place, value)

    def _take(self, running: Running, place: int, value: Any) -> None:
        """Put a value or an output in its place, and have the task go on if it was the last one missing."""
        self._count(running, 1, 0)
        if running.take(place, value):
            self._ready.append((running, running.answers))

    def _failed(self, running: Running, error: Exception) -> None:
        self._drop(running)
        if running.parent is None:
            running.task.error = error
        else:
            self._raise(running.parent, error)

    def _raise(self, running: Running, error: Exception) -> None:
        """Have a task that waits go on with an error, and give up all that it waits for."""
        if running.is_alive and not running.is_failing:
            self._give_up_parts(running)
            running.is_failing = True
            self._ready.append((running, error))

    def _drop(self, running: Running) -> None:
        """End a task without a value, and all that it waits for."""
        if running.is_alive:
            running.is_alive = False
            self._give_up_parts(running)
            running.steps.close()

    def _give_up_parts(self, running: Running) -> None:
        for child in running.children:
            self._drop(child)
        self._flights.give_up(running)

    def _is_over(self) -> bool:
        """End all tasks if time is up or nobody waits any more; returns whether that is so."""
        error: Exception
        if self._stop.stopped:
            error = abandoned()
        elif self._deadline is not None and time.monotonic() >= self._deadline:
            error = late()
        else:
            return False
        self._ready.clear()
        for task in self._tasks:
            if task.root.is_alive:
                self._give_up_parts(task.root)
                task.end_with(error)
        return True

    # ------------------------------------------------------------------ to the engines and back

    def _round(self, tick_s: float) -> Iterator[Event | None]:
        """Submit what waits and listen until tasks can go on."""
        if recalled := self._flights.recall():
            self._land(recalled)
            return
        asked_for = time.monotonic()
        with ExitStack() as turn:
            turn.enter_context(self._turns.gate)
            if self._deadline is not None:
                self._deadline += time.monotonic() - asked_for
            with self._turns.timed(self._flights.effort):
                self._land(self._flights.submit(self._deadline))
                if self._turns.overlap:
                    yield from self._listen(LOOKS_EVERY_S, until_begun=True)
                    turn.close()
                yield from self._listen(tick_s)
        self._flights.keep()

    def _listen(self, tick_s: float, *, until_begun: bool = False) -> Iterator[Event | None]:
        """Wait for outputs: in rounds for all of them, else until one lets a task go on."""
        flights = self._flights
        while flights.is_flying and (self._in_rounds or not self._ready or flights.has_news):
            if until_begun and flights.have_begun:
                return
            left_s = math.inf if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            heard = flights.listen(min(tick_s, left_s))
            if isinstance(heard, Landing):
                self._land([heard])
            elif self._is_over():
                return
            else:
                yield heard

    def _land(self, landings: Sequence[Landing]) -> None:
        """Give outputs to all who asked for them."""
        for landing in landings:
            for running, place in landing.takers:
                if isinstance(landing.output, Exception):
                    self._raise(running, landing.output)
                else:
                    running.task.output_tokens += len(landing.output.token_ids)
                    self._take(running, place, landing.output)

    def _count(self, running: Running, done: int, total: int) -> None:
        if running.parent is None:
            self._progress = (self._progress[0] + done, self._progress[1] + total)

    def _tell_progress(self) -> None:
        if self._on_progress is not None and self._progress != self._told:
            self._told = self._progress
            self._on_progress(*self._progress)


def late() -> DeadlineExceeded:
    """Return the error that ends a task at its deadline."""
    return DeadlineExceeded(LATE)


def run_all(
    tasks: Sequence[Steps[T]],
    *,
    deadline: float | None = None,
    wait: bool = False,
    in_rounds: bool = True,
    stop: Stop | None = None,
) -> list[Outcome[T]]:
    """Run tasks together and return their outcomes in the same order; see `Driver`."""
    return Driver(tasks, deadline=deadline, wait=wait, in_rounds=in_rounds, stop=stop).run()


def run(task: Steps[T], *, deadline: float | None = None, wait: bool = False) -> Outcome[T]:
    """Run one task to its end."""
    return run_all([task], deadline=deadline, wait=wait)[0]


def stream(
    task: Steps[T], *, deadline: float | None = None, tick_s: float = 1.0, stop: Stop | None = None
) -> Generator[Event | None, None, Outcome[T]]:
    """Run one task for a reader who watches, and return its outcome; see `Driver.events`."""
    driver = Driver([task], deadline=deadline, in_rounds=False, is_watched=True, stop=stop)
    (outcome,) = yield from driver.events(tick_s)
    return outcome
