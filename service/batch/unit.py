"""A unit of work: contents in, what is kept of each out. It needs nothing else, and can be done anywhere.

A unit's contents always go through the engine together and with nothing else, for with int8 a sentence's
result depends on its batch-mates. So a unit is done whole or not at all.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from models.driver import Effort
from models.engine.protocol import Output
from service.batch.record import Content


@dataclass(frozen=True, slots=True)
class Unit:
    """Contents to be done together."""

    number: int
    """Counts all units of a store, over all runs."""
    sees: int
    """The outputs of units up to this number are remembered for it; those of later ones are not."""
    contents: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The result of one content, as it is kept."""

    body: str
    """JSON: the result, or the error."""
    failed: bool = False
    language: str = "und"
    """Of the source."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """Counts of the checks' findings, by kind."""
    seconds: float = 0.0
    """Its own text work and its share of the engine's time; 0 where another run did it."""


@dataclass(frozen=True, slots=True)
class Done:
    """A unit that is done: `kept` is in the order of its contents."""

    kept: tuple[Kept, ...]
    remember: Mapping[bytes, Output]
    """Outputs of generations, for units that come later."""
    effort: Effort


class UnitMemory(Protocol):
    """Remembers outputs of earlier units."""

    def recall(self, keys: Sequence[bytes], sees: int) -> dict[bytes, Output]:
        """Return those that are known, from units up to the number `sees`."""

    def begun(self, unit: int) -> dict[bytes, Output]:
        """Return those that were kept of the unit before it was cut off."""

    def keep(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep outputs of a unit that is not done yet."""


class Doer(Protocol):
    """Does units, several at a time, in the order in which they are submitted."""

    def submit(self, unit: Unit) -> "Future[Done]":
        """Queue a unit."""

    def tokens(self) -> int:
        """Output tokens made so far, those of units in work too where that is known."""

    def shares(self) -> Mapping[int, float]:
        """Return the part, 0 to 1, that is done of each unit in work, by its number, where that is known."""

    def stop(self) -> None:
        """Give up what is not done."""
