"""The steps of a task: a generator that yields the work it needs and is sent the results; it never waits.

`models.driver` runs tasks; batching, listeners and early ends are its affair.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from models.catalog import ModelEntry
from models.engine.protocol import Engine, Generation, Output
from models.errors import DeadlineExceeded, ModelLoading

if TYPE_CHECKING:
    from models.pool import ModelPool

T = TypeVar("T")

LOADING_CHECK_S = 0.1
"""The time between two checkpoints while a task waits for a model."""


@dataclass(frozen=True, slots=True)
class Generate:
    """Generations that a task wants; it is sent their outputs, in order."""

    engine: Engine
    generations: Sequence[Generation]
    decode: Callable[[tuple[int, ...]], str] | None = None
    """Turns token ids into text; given where a reader may see the words as they are written."""


@dataclass(frozen=True, slots=True)
class Gather:
    """Tasks within a task, which run together; it is sent their values, in order.

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


Steps = Generator[Generate | Gather | Event | None, Any, T]
"""A task that works long by itself yields None now and then: a checkpoint, where its deadline is checked."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """The end of one task: a value, or the error that ended it."""

    value: T | None
    error: Exception | None
    text_s: float = 0.0
    """Its time for reading and restoring text."""
    model_s: float = 0.0
    """Its time of waiting for the engines."""
    output_tokens: int = 0
    """Tokens of all outputs that it was sent."""

    def unwrap(self) -> T:
        """Return the value; raise the error if there is one."""
        if self.error is not None:
            raise self.error
        assert self.value is not None  # noqa: S101 - one of the two is always set
        return self.value


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that a task read and wrote, over all models that it used."""

    source_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.source_tokens + other.source_tokens, self.output_tokens + other.output_tokens)

    @classmethod
    def of(cls, generations: Iterable[Generation], outputs: Iterable[Output]) -> "Usage":
        """Count generations and their outputs."""
        counts = [
            output.usage or (len(generation.source_ids), len(output.token_ids))
            for generation, output in zip(generations, outputs, strict=True)
        ]
        return cls(sum(read for read, _ in counts), sum(written for _, written in counts))


def until_loaded(pool: "ModelPool", entries: Iterable[ModelEntry]) -> Steps[None]:
    """Wait until these models are loaded. Raises ModelUnavailable, and ModelLoading at the deadline."""
    for entry in entries:
        try:
            while not pool.is_ready(entry, wait_s=LOADING_CHECK_S):
                yield None
        except DeadlineExceeded as error:
            stage = pool.stages().get(entry.name, "loading")
            raise ModelLoading(f"{entry.name} is not ready yet ({stage}); try again later") from error
