"""A span of characters in a text."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """`text[start:end]`."""

    start: int
    end: int

    def moved(self, by: int) -> "Span":
        """Return it so many characters further on."""
        return Span(self.start + by, self.end + by)

    def is_within(self, spans: "Sequence[Span]") -> bool:
        """Return whether one of the spans, sorted and not overlapping, contains this one."""
        before = bisect_right(spans, self.start, key=lambda each: each.start)
        return before > 0 and self.end <= spans[before - 1].end
