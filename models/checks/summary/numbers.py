"""Flags numbers in an output that its source does not have, however either writes them."""

import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from models.checks.flag import Flag
from models.checks.language.numerals import Numeral
from models.checks.language.quantities import hedges, number_words
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.summary.dates import dated_places
from models.text.span import Span

_UNTELLING = frozenset({0.0, 1.0})
"""`one` and `first` are often no numbers."""
_ABOUT_SHARE = 0.06
_SILENT_SHARE = 0.01
_OUT_OF = re.compile(r" (?:in|in every|out of|of|sur|von|de cada|su|из) ")
_MOST_PARTS = 20
_MOST_NAMED = 2
_TIMES_AFTER = re.compile(r"[ -]times?\b")
_LEAST_ROUNDED = 10.0


def check(pair: Pair) -> Iterator[Flag]:
    """Yield a flag for each number that the source lacks. Dates are not checked here."""
    dated = dated_places(pair)
    held = _SourceNumbers(pair.source)
    verdicts: dict[tuple[object, ...], bool] = {}
    beside: dict[Span, list[Numeral]] = {}
    for numeral in pair.output.numerals:
        if not dated.isdisjoint(range(*numeral.span)) or is_untelling(numeral):
            continue
        hedge = hedges().search(pair.output.text, max(0, numeral.span.start - 24), numeral.span.start)
        side = hedge.lastgroup if hedge else None
        counted = numeral.kind == "cardinal" and not _TIMES_AFTER.match(pair.output.text, numeral.span.end)
        asked = (numeral.values, numeral.kind, numeral.unit, side, counted)
        if asked not in verdicts:
            verdicts[asked] = held.bears_out(numeral, side, counted)
        if not verdicts[asked]:
            yield _flag(pair, numeral, beside)


def is_untelling(numeral: Numeral) -> bool:
    """Return whether the number says too little to check: `one`, `the first`, `millions`."""
    if numeral.spelled and numeral.value >= 100 and math.log10(numeral.value).is_integer():
        return True
    return numeral.value in _UNTELLING and (numeral.spelled or numeral.kind == "ordinal")


@dataclass(frozen=True)
class _SourceNumbers:
    """The numbers of a source."""

    source: Reading

    def bears_out(self, numeral: Numeral, hedge: str | None, counted: bool) -> bool:
        """Return whether the source has the number, exactly or as nearly as the hedge allows."""
        values = self._counts if counted else self.source.values
        exact = self._sorted_counts if counted else self._sorted
        if any(_is_in(value, values, exact) for value in numeral.values):
            return True
        if any(number_words().get(value, frozenset()) & self.source.keys for value in numeral.values):
            return True
        if numeral.kind == "fraction":
            return _is_in(numeral.value * 100, values, exact)
        if numeral.unit == "%" and any(abs(numeral.value - share) < 1 for share in self._shares):
            return True
        return any(_holds_within(exact, rounding_range(value, hedge)) for value in numeral.values)

    @cached_property
    def _sorted(self) -> list[float]:
        return sorted(self.source.values)

    @cached_property
    def _sorted_counts(self) -> list[float]:
        return sorted(self._counts)

    @cached_property
    def _counts(self) -> frozenset[float]:
        """All values but those of ordinals: `fourth` does not support `four`."""
        counts = [numeral for numeral in self.source.numerals if numeral.kind != "ordinal"]
        return frozenset(value for numeral in counts for value in numeral.values)

    @cached_property
    def _shares(self) -> frozenset[float]:
        """The source's shares, such as `a fifth`, `two thirds` or `one in five`, in percent."""
        numerals = self.source.numerals
        parts = [n for n in numerals if n.kind == "ordinal" and n.spelled and 1 < n.value <= _MOST_PARTS]
        found = {100 / part.value for part in parts}
        for first, second in pairwise(numerals):
            between = self.source.text[first.span.end : second.span.start]
            of_parts = second.kind == "ordinal" and between in (" ", "-")
            if 0 < first.value <= second.value <= _MOST_PARTS and (of_parts or _OUT_OF.fullmatch(between)):
                found.add(100 * first.value / second.value)
        return frozenset(found)


def _is_in(value: float, values: frozenset[float], in_order: list[float]) -> bool:
    if value in values:
        return True
    near = 1e-9 * value
    return value != int(value) and _holds_within(in_order, (value - near, value + near))


def _holds_within(in_order: list[float], limits: tuple[float, float]) -> bool:
    at = bisect_left(in_order, limits[0])
    return at < len(in_order) and in_order[at] <= limits[1]


def rounds_to(value: float, exact: float, hedge: str | None) -> bool:
    """Return whether `value` can stand for `exact`, rounded at its last digit to the side of the hedge."""
    least, most = rounding_range(value, hedge)
    return least <= exact <= most


def rounding_range(value: float, hedge: str | None) -> tuple[float, float]:
    """Return the least and the most that `value` may stand for; (inf, -inf) for one that is never rounded."""
    last_place = _last_place(value)
    if last_place < _LEAST_ROUNDED and value == int(value):
        return math.inf, -math.inf
    if hedge is None:
        near = min(_SILENT_SHARE * value, last_place / 2)
        return value - near, value + near
    near = min(_ABOUT_SHARE * value, last_place)
    return value if hedge == "more" else value - near, value if hedge == "less" else value + near


def _last_place(value: float) -> float:
    """Return the place value of the last digit before the noughts: 1e6 for two million, 0.1 for 2.5."""
    digits = f"{value:.15g}"
    if "e" in digits or "." in digits:
        return 10.0 ** math.floor(math.log10(value)) if "e" in digits else 10.0 ** -len(digits.split(".")[1])
    return 10.0 ** (len(digits) - len(digits.rstrip("0")))


def _flag(pair: Pair, numeral: Numeral, beside: dict[Span, list[Numeral]]) -> Flag:
    """Return the number's flag. `beside` caches the numbers of each sentence of the source."""
    written = pair.output.text[numeral.span.start : numeral.span.end]
    evidence = pair.evidence[pair.output.sentence_at(numeral.span.start)]
    others: list[Numeral] = []
    if evidence:
        sentence = evidence[0].span
        if sentence not in beside:
            beside[sentence] = _beside(pair, sentence)
        others = beside[sentence]
    if not others:
        return Flag("number", numeral.span, f"The source does not have the number {written}.")
    listed = " and ".join(dict.fromkeys(pair.source.text[o.span.start : o.span.end] for o in others))
    return Flag("number", numeral.span, f"The source has {listed}, not {written}.", source=others[0].span)


def _beside(pair: Pair, sentence: Span) -> list[Numeral]:
    """Return the numbers of a sentence of the source, if they are few enough to name."""
    start, end = sentence
    numerals = pair.source.numerals
    first = bisect_left(numerals, start, key=lambda other: other.span.start)
    after = bisect_left(numerals, end, key=lambda other: other.span.start)
    first_date = bisect_left(pair.source_dates, start, key=lambda date: date.span.start)
    after_dates = bisect_left(pair.source_dates, end, key=lambda date: date.span.start)
    dated = {date.span.start for date in pair.source_dates[first_date:after_dates]}
    beside = [n for n in numerals[first:after] if n.span.start not in dated and not is_untelling(n)]
    return beside if len(beside) <= _MOST_NAMED else []
