"""The state of tasks that run, for their driver: who waits for what, and how long it took."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from models.tasks.steps import Event, Outcome, Steps, Timings

if TYPE_CHECKING:
    from models.tasks.flights import Flight


@dataclass(slots=True)
class Effort:
    """The work done by a driver."""

    text_s: float = 0.0
    engine_s: float = 0.0
    source_tokens: int = 0
    output_tokens: int = 0
    remembered_tokens: int = 0
    """Output tokens that did not have to be made again."""

    def add(self, other: "Effort") -> None:
        """Count another driver's work as well."""
        self.text_s += other.text_s
        self.engine_s += other.engine_s
        self.source_tokens += other.source_tokens
        self.output_tokens += other.output_tokens
        self.remembered_tokens += other.remembered_tokens


@dataclass(slots=True, eq=False)
class Running:
    """A task on its way, or a part of one: of the outputs or values that it waits for, `left` are missing."""

    task: "TaskState"
    steps: Steps[Any]
    parent: "Running | None" = None
    place: int = 0
    answers: list[Any] = field(default_factory=list)
    left: int = 0
    children: list["Running"] = field(default_factory=list)
    flights: list["Flight"] = field(default_factory=list)
    is_alive: bool = True
    is_failing: bool = False
    """An error is on its way to it."""

    def go_on(self, answer: Any) -> Any:
        """Return the next step. Raises StopIteration with the value at its end, and what goes wrong."""
        self.is_failing = False
        self.children, self.flights = [], []
        start = time.perf_counter()
        try:
            return self.steps.throw(answer) if isinstance(answer, Exception) else self.steps.send(answer)
        finally:
            self.task.text_s += time.perf_counter() - start

    def expect(self, number: int) -> None:
        """Wait for so many outputs or values."""
        self.answers, self.left = [None] * number, number

    def branch(self, parts: Sequence[Steps[Any]]) -> list["Running"]:
        """Return its parts as tasks of their own, and wait for their values."""
        self.expect(len(parts))
        self.children = [Running(self.task, steps, self, i) for i, steps in enumerate(parts)]
        return self.children

    def top(self) -> "Running":
        """Return the part of the whole task that this is within: the sentence, say, of a translation."""
        top = self
        while top.parent is not None and top.parent.parent is not None:
            top = top.parent
        return top

    def take(self, place: int, value: Any) -> bool:
        """Put an output or a value in its place; returns whether it was the last one missing."""
        self.answers[place] = value
        self.left -= 1
        return self.left == 0 and self.is_alive and not self.is_failing


class TaskState:
    """A whole task: its end, and where its time went."""

    def __init__(self, steps: Steps[Any]):
        self.root = Running(self, steps)
        self.value: Any = None
        self.error: Exception | None = None
        self.text_s = 0.0
        self.output_tokens = 0
        self.was_admitted = False
        """An engine took something of it: what follows waits where a queue is full."""
        self._model_s = 0.0
        self._flying = 0
        self._since = 0.0

    def outcome(self) -> Outcome[Any]:
        """Return the end that it came to."""
        return Outcome(self.value, self.error, Timings(self.text_s, self._model_s), self.output_tokens)

    def end_with(self, error: Exception) -> None:
        """Raise the error where the task waits; a value that it returns then is its value.

        It may pause on its way there, and tell events that nobody hears, but not ask for more.
        """
        self.root.is_alive = False
        try:
            step = self.root.steps.throw(error)
            while step is None or isinstance(step, Event):
                step = next(self.root.steps)
            self.root.steps.close()
            self.error = error
        except StopIteration as end:
            self.value = end.value
        except Exception as raised:  # noqa: BLE001 - any failure is this task's alone
            self.error = raised

    def departs(self) -> None:
        """Note that something of it is in an engine."""
        self.was_admitted = True
        if self._flying == 0:
            self._since = time.perf_counter()
        self._flying += 1

    def arrives(self) -> None:
        """Note that something of it is in an engine no more."""
        self._flying -= 1
        if self._flying == 0:
            self._model_s += time.perf_counter() - self._since
