"""An output beside its source. All checks share one reading of each."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from models.checks.evidence import Evidence, TermWeights, evidence
from models.checks.flag import Flag
from models.checks.language.dates import DatePart, dates
from models.checks.language.entities import Entity, Mention, hints, mentions
from models.checks.language.names import KnownNames, Name, names
from models.checks.language.reading import Reading


@dataclass(frozen=True)
class Pair:
    """An output and what it was made from: a summary and its article, or a translation and its source."""

    source: Reading
    output: Reading

    @cached_property
    def evidence(self) -> list[tuple[Evidence, ...]]:
        """For each sentence of the output, the source's sentences that support it best, best first."""
        return evidence(self.source, self.output, self.weights)

    @cached_property
    def weights(self) -> TermWeights:
        return TermWeights(self.source)

    @cached_property
    def source_dates(self) -> list[DatePart]:
        return dates(self.source)

    @cached_property
    def output_dates(self) -> list[DatePart]:
        return dates(self.output)

    @cached_property
    def source_mentions(self) -> list[Mention]:
        """The days, months, places and known people that the source names."""
        return mentions(self.source)

    @cached_property
    def output_mentions(self) -> list[Mention]:
        return mentions(self.output)

    @cached_property
    def source_hints(self) -> Counter[Entity]:
        """How often the source may name each of such, certainly or not."""
        return hints(self.source, self.source_mentions)

    @cached_property
    def output_hints(self) -> Counter[Entity]:
        return hints(self.output, self.output_mentions)

    @cached_property
    def output_names(self) -> list[Name]:
        return names(self.output)

    @cached_property
    def surely_named(self) -> frozenset[str]:
        """The keys of words that the output capitalizes where not every word has a capital."""
        return frozenset(part.key for name in self.output_names for part in name if not part.initial)

    @cached_property
    def known_names(self) -> KnownNames:
        """The names of the source."""
        return KnownNames(self.source)

    @cached_property
    def across_languages(self) -> bool:
        """True if the two are known to be in different languages."""
        ours, theirs = self.output.base_language, self.source.base_language
        return ours != theirs and "und" not in (ours, theirs)


Check = Callable[[Pair], Iterable[Flag | None]]
"""A check yields its flags, and None at each checkpoint of a long one."""
