"""Numbers in an output that its source does not hold, however either writes them."""

import math
import re
from collections.abc import Iterator
from itertools import pairwise

from models.checks.flag import Flag
from models.checks.numerals import Numeral
from models.checks.pair import Pair
from models.checks.quantities import hedges, number_words

_UNTELLING = frozenset({0.0, 1.0})
"""`one` and `first` are as often no number."""
_ABOUT_SHARE = 0.06
_SILENT_SHARE = 0.01
_OUT_OF = re.compile(r" (?:in|in every|out of|of|sur|von|de cada|su|из) ")
_MOST_PARTS = 20
_TIMES_AFTER = re.compile(r"[ -]times?\b")
_LEAST_ROUNDED = 10.0


def check(pair: Pair) -> Iterator[Flag]:
    """A flag for each number; dates are not looked at here."""
    dated = {place for date in pair.output_dates if date.sure for place in range(*date.span)}
    for numeral in pair.output.numerals:
        if not dated.isdisjoint(range(*numeral.span)) or is_untelling(numeral):
            continue
        if not _holds(pair, numeral):
            yield _flag(pair, numeral)


def is_untelling(numeral: Numeral) -> bool:
    if numeral.spelled and numeral.value >= 100 and math.log10(numeral.value).is_integer():
        return True  # `a hundred`, `millions`
    return numeral.value in _UNTELLING and (numeral.spelled or numeral.kind == "ordinal")


def _holds(pair: Pair, numeral: Numeral) -> bool:
    values = _values(pair, numeral)
    if any(_is_in(value, values) for value in numeral.values):
        return True
    words = number_words()
    if any(words.get(value, frozenset()) & pair.source.keys for value in numeral.values):
        return True
    if numeral.kind == "fraction":
        return _is_in(numeral.value * 100, values)
    if numeral.unit == "%" and any(abs(numeral.value - share) < 1 for share in _shares(pair)):
        return True
    hedge = hedges().search(pair.output.text, max(0, numeral.span.start - 24), numeral.span.start)
    word = hedge.lastgroup if hedge else None
    return any(rounds_to(value, exact, word) for value in numeral.values for exact in values)


def _values(pair: Pair, numeral: Numeral) -> frozenset[float]:
    """The source's values to look for this one in: `fourth` does not bear out `four`."""
    if numeral.kind != "cardinal" or _TIMES_AFTER.match(pair.output.text, numeral.span.end):
        return pair.source.values
    return frozenset(
        value for other in pair.source.numerals if other.kind != "ordinal" for value in other.values
    )


def _shares(pair: Pair) -> Iterator[float]:
    """What the source gives as `a fifth`, `two thirds`, `one in five` or `four out of five`, in percent."""
    text, numerals = pair.source.text, pair.source.numerals
    for numeral in numerals:
        if numeral.kind == "ordinal" and numeral.spelled and numeral.value > 1:
            yield 100 / numeral.value
    for first, second in pairwise(numerals):
        between = text[first.span.end : second.span.start]
        if second.value and (
            _OUT_OF.fullmatch(between) or (second.kind == "ordinal" and between in (" ", "-"))
        ):
            yield 100 * first.value / second.value


def _is_in(value: float, values: frozenset[float]) -> bool:
    if value in values:
        return True
    return value != int(value) and any(math.isclose(value, other, rel_tol=1e-9) for other in values)


def rounds_to(value: float, exact: float, hedge: str | None) -> bool:
    """Whether `value` stands for `exact`: by about its last digit, and on the side that the hedge says."""
    if _last_place(value) < _LEAST_ROUNDED and value == int(value):
        return False
    if (hedge == "more" and exact < value) or (hedge == "less" and exact > value):
        return False
    if hedge is None:
        return abs(exact - value) <= min(_SILENT_SHARE * value, _last_place(value) / 2)
    return abs(exact - value) <= min(_ABOUT_SHARE * value, _last_place(value))


def _last_place(value: float) -> float:
    """What one of the last digit before the noughts is worth: 1e6 for two million, 0.1 for 2.5."""
    digits = f"{value:.15g}"
    if "e" in digits or "." in digits:
        return 10.0 ** math.floor(math.log10(value)) if "e" in digits else 10.0 ** -len(digits.split(".")[1])
    return 10.0 ** (len(digits) - len(digits.rstrip("0")))


def _flag(pair: Pair, numeral: Numeral) -> Flag:
    written = pair.output.text[numeral.span.start : numeral.span.end]
    return Flag("number", numeral.span, f"the source does not have the number {written}")
