"""What checks look at: an output beside its source, each read once however many checks there are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from models.checks.flag import Flag
from models.text.segment import sentences
from models.text.span import Span


@dataclass(frozen=True)
class Reading:
    """A text as checks read it; what several of them need is found once."""

    text: str
    language: str
    """ISO 639-1 or BCP 47; `und` if not known."""

    @cached_property
    def sentences(self) -> list[Span]:
        """Its sentences, in order."""
        return sentences(self.text, self.language)


@dataclass(frozen=True)
class Pair:
    """An output and what it was made from: a summary and its article, or a translation and its source."""

    source: Reading
    output: Reading


Check = Callable[[Pair], Iterable[Flag]]
"""Every check's signature. A check is the function `check` of the module with its name."""
