"""An output beside its source. All checks share one reading of each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from models.checks.evidence import Evidence, TermWeights, evidence
from models.checks.flag import Flag
from models.checks.language.capitals import Name, names
from models.checks.language.known_names import KnownNames
from models.checks.language.mentioned_dates import MentionedDate, dates
from models.checks.language.named_things import Mention, mentions
from models.checks.language.reading import Reading
from models.checks.pauses import Pausing, read


@dataclass(frozen=True)
class Pair:
    """An output and what it was made from: a summary and its article, or a translation and its source."""

    source: Reading
    output: Reading

    def read(self) -> Pausing[None]:
        """Find all that checks of a summary use, with a pause after each part."""
        yield from read(self, "weights", "evidence", "source_dates", "output_dates", "output_names")
        yield from self.known_names.read()

    @cached_property
    def evidence(self) -> list[tuple[Evidence, ...]]:
        """For each sentence of the output, the source's sentences that support it best, best first."""
        return evidence(self.source, self.output, self.weights)

    @cached_property
    def weights(self) -> TermWeights:
        """The weights of the source's terms."""
        return TermWeights(self.source)

    @cached_property
    def source_dates(self) -> list[MentionedDate]:
        """The dates of the source."""
        return dates(self.source)

    @cached_property
    def output_dates(self) -> list[MentionedDate]:
        """The dates of the output."""
        return dates(self.output)

    @cached_property
    def source_mentions(self) -> list[Mention]:
        """The days, months, places and known people that the source names."""
        return mentions(self.source)

    @cached_property
    def output_mentions(self) -> list[Mention]:
        """The days, months, places and known people that the output names."""
        return mentions(self.output)

    @cached_property
    def output_names(self) -> list[Name]:
        """The names of the output."""
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
"""The signature of a check, which is the function `check` of the module with its name. A long one pauses by
yielding None."""
