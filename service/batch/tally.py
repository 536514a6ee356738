"""The numbers of a run so far. Knows no clock but the one it is given."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from models.driver import Effort


@dataclass(slots=True)
class ErrorKind:
    """Errors of one kind: the first one's line and message, and their number."""

    line: int
    message: str
    records: int = 0


@dataclass(slots=True)
class Tally:
    """Counts of one run."""

    size: int | None = None
    """Of the input, in the source's measure."""
    records: int = 0
    """Written, in order."""
    errors: int = 0
    """Records that are errors, as far as that is known."""
    made: int = 0
    """Different contents that this run has worked on."""
    found: int = 0
    """Contents whose results were there from an earlier run."""
    problems: int = 0
    """Records that could not be worked on."""
    characters: int = 0
    """Of what was made."""
    position: float = 0.0
    """The amount of input that is done, in the source's measure."""
    in_work: float = 0.0
    """How much of the input is done of what is in work, in the same measure."""
    worked: float = 0.0
    """The amount of it that this run has worked on."""
    effort: Effort = field(default_factory=Effort)
    tokens: int = 0
    """Output tokens made, those of units in work too."""
    errors_by_kind: dict[str, ErrorKind] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Files of a folder that were not read, by their suffixes."""
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def failed(self, line: int, kind: str, message: str) -> None:
        """Count a record that is written as an error."""
        known = self.errors_by_kind.setdefault(kind, ErrorKind(line, " ".join(message.split())[:200]))
        known.records += 1

    @property
    def reached(self) -> float:
        """The amount of input that is done, with the parts of what is in work."""
        return self.position + self.in_work

    @property
    def repeated(self) -> int:
        """Records with the same content as another one; right when all is written."""
        return max(0, self.records - self.problems - self.made - self.found)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self.clock() - self.began

    def rate(self) -> float:
        """Contents made, a second."""
        return self.made / self.seconds if self.seconds > 0 else 0.0

    def tokens_per_s(self) -> float:
        """Output tokens made, a second."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    def engine_share(self) -> float:
        """The part of the time in which the engine had work, 0 to 1."""
        return min(1.0, self.effort.engine_s / self.seconds) if self.seconds > 0 else 0.0

    def left_s(self) -> float | None:
        """Seconds to the end at the pace so far, if all that is left has to be made; None if unknown."""
        worked = self.worked + self.in_work
        if self.size is None or worked <= 0:
            return None
        return self.seconds * max(0.0, self.size - self.reached) / worked
