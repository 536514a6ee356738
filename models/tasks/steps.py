"""The steps of a task: a generator that yields what it wants done, is sent what came of it, and never waits.

`models.tasks.driver` runs tasks: whom they share batches with, who listens, and when they end early is its
affair alone.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from models.engine.protocol import Engine, Generation

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """Generations that a task wants done; it is sent their outputs, in order."""

    engine: Engine
    generations: Sequence[Generation]
    decode: Callable[[tuple[int, ...]], str] | None = None
    """Turns token ids into text; given where a reader may see the words as they are written."""


@dataclass(frozen=True, slots=True)
class Together:
    """Tasks within a task, which are run together; it is sent their values, in order.

    The failure of one ends the others, and is raised where they were asked for.
    """

    tasks: Sequence["Steps[Any]"]


class Event:
    """A step that tells a reader who watches the result arrive of something that is done."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Words(Event):
    """A piece of the text that a model is writing. Together they are that text, before it is checked."""

    text: str


Steps = Generator[Call | Together | Event | None, Any, T]
"""A task that works long by itself yields None now and then: a pause, at which its deadline is looked at."""


@dataclass(frozen=True, slots=True)
class Timings:
    """A task's time, in seconds: reading and restoring text, and waiting for the engines."""

    text_s: float
    model_s: float


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """The end of one task: a value, or the error that ended it."""

    value: T | None
    error: Exception | None
    timings: Timings
    output_tokens: int = 0
    """Tokens of all outputs that it was sent."""

    def unwrap(self) -> T:
        """Return the value; raise the error if there is one."""
        if self.error is not None:
            raise self.error
        assert self.value is not None  # noqa: S101 - one of the two is always set
        return self.value
