"""Flags numbers that a translation lost, changed or made up.

Looks for numbers that one side writes in digits, or exactly in words. The other side may have them in digits
or words, with its own separators and multipliers, as a month's name, in Roman or Chinese numerals, or on
another clock. Does not count how often a number comes.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from models.checks.flag import Flag
from models.checks.language.calendar_words import months_in
from models.checks.language.numerals import Numeral
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.text.span import Span

KIND = "number"
_TOLERANCE = 1e-9
_SMALL = 12
_DATE_CHARACTERS = 10
_DIGITS = re.compile(r"\d+")
_DATE = re.compile(r"(?<![\d.])\d{1,4}([./-])\d{1,2}\1\d{2,4}(?![\d/-])")
_ONLY_NOUGHTS = re.compile(r"0{2,}")
_ROMAN = re.compile(
    r"(?<!\w)(?=[VXХ]|I[IVXХ])(X{0,3}|Х{0,3})(I[XХ]|IV|V?I{0,3})(?:(?:er?|ème|º|[-‑][йеямго]+)(?!\w)|(?!\w))"
)
"""Takes the Cyrillic `Х` too, but no lone `I`, which is more often a word."""
_HAN = {character: float(value) for value, character in enumerate("零一二三四五六七八九十")} | {
    "两": 2.0,
    "兩": 2.0,
    "半": 0.5,
}
_BUDDHIST = frozenset(("th", "lo"))
_BUDDHIST_ERA = 543
"""The years that Thai counts more: 2564 is 2021."""
_FIRST_YEAR, _LAST_YEAR = 1000, 2200
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "Х": 10}


def check(pair: Pair) -> Iterator[Flag]:
    """Yield one flag for each changed number, with both places; else one for each that was lost or added."""
    source, output = pair.source.numerals, pair.output.numerals
    lost = _unmatched(source, pair.source.text, _Values(output, pair.output, pair.source))
    added = _unmatched(output, pair.output.text, _Values(source, pair.source, pair.output))
    if len(lost) == len(added):
        yield from (_changed(pair, one, other) for one, other in zip(lost, added, strict=True))
        return
    whole = Span(0, len(pair.output.text))
    for numeral in lost:
        reason = f"The number {_written(pair.source, numeral)} of the source is missing."
        yield Flag(KIND, whole, reason, source=numeral.span)
    for numeral in added:
        yield Flag(KIND, numeral.span, f"The source has no such number as {_written(pair.output, numeral)}.")


def _changed(pair: Pair, lost: Numeral, added: Numeral) -> Flag:
    reason = f"The source has {_written(pair.source, lost)} where this has {_written(pair.output, added)}."
    return Flag(KIND, added.span, reason, source=lost.span)


def _written(reading: Reading, numeral: Numeral) -> str:
    return reading.text[numeral.span.start : numeral.span.end]


class _Values:
    """All values that a text may be said to have. `beside` is the text it is compared with."""

    def __init__(self, found: Sequence[Numeral], reading: Reading, beside: Reading):
        self._values = {value for numeral in found for value in numeral.values}
        for numeral in found:
            self._values |= _said_otherwise(numeral, reading.text)
        self._values |= {
            float(int(part)) for date in _dates(reading.text) for part in _DIGITS.findall(date[0])
        }
        self._values |= set(map(float, months_in(reading.text, reading.base_language)))
        self._values |= set(_roman(reading.text))
        self._values |= {_HAN[character] for character in reading.text if character in _HAN}
        if reading.base_language in _BUDDHIST:
            self._values |= {
                value - _BUDDHIST_ERA for value in self._values if value > _BUDDHIST_ERA + _FIRST_YEAR
            }
        if beside.base_language in _BUDDHIST:
            self._values |= {
                value + _BUDDHIST_ERA for value in self._values if _FIRST_YEAR < value < _LAST_YEAR
            }
        self._sorted = sorted(self._values)

    def has(self, value: float) -> bool:
        if value in self._values:
            return True
        near = bisect_left(self._sorted, value - _TOLERANCE * value)
        return near < len(self._sorted) and self._sorted[near] <= value + _TOLERANCE * value

    def has_hour(self, hour: float) -> bool:
        """Return whether the text has the hour, on either clock."""
        return any(map(self.has, (hour, hour + 12, hour - 12)))


def _dates(text: str) -> list[re.Match[str]]:
    return [match for match in _DATE.finditer(text) if len(match[0]) <= _DATE_CHARACTERS]


def _parts(numeral: Numeral, text: str) -> list[float]:
    """Return the whole numbers that the numeral's digits make."""
    return [float(int(part)) for part in _DIGITS.findall(text[numeral.span.start : numeral.span.end])]


def _said_otherwise(numeral: Numeral, text: str) -> set[float]:
    """Return other values for the number: the parts of a time, on either clock, or a decade's century."""
    if numeral.kind == "time":
        hour = numeral.value // 60
        return {hour, (hour + 12) % 24, *_parts(numeral, text), *_with_point(numeral)}
    if numeral.kind == "fraction":
        return set(_parts(numeral, text))
    return {numeral.value % 100, numeral.value // 100 + 1} if _is_decade(numeral.value) else set()


def _with_point(time: Numeral) -> tuple[float, float]:
    """Return 5.3 and 17.3 for 5.30pm, as the other language may write it."""
    minute = time.value % 60 / 100
    return time.value // 60 + minute, time.value // 60 % 12 + minute


def _unmatched(found: Sequence[Numeral], text: str, other: _Values) -> list[Numeral]:
    dates = [Span(*match.span()) for match in _dates(text)]
    return [
        numeral
        for numeral in found
        if _is_exact(numeral, text)
        and not _stands(numeral, text, other)
        and not (numeral.span.is_within(dates) and all(map(other.has, _parts(numeral, text))))
    ]


def _is_exact(numeral: Numeral, text: str) -> bool:
    """Return whether it is in digits, or in words but neither small (`second`) nor round (`hundreds`)."""
    if not numeral.spelled:
        return not _ONLY_NOUGHTS.fullmatch(text[numeral.span.start : numeral.span.end])
    return numeral.value > _SMALL and not math.log10(numeral.value).is_integer()


def _stands(numeral: Numeral, text: str, other: _Values) -> bool:
    if any(map(other.has, numeral.values)):
        return True
    if numeral.kind == "time":
        hour, minute = divmod(numeral.value, 60)
        return (other.has_hour(hour) and (minute == 0 or other.has(minute))) or any(
            map(other.has, _with_point(numeral))
        )
    if numeral.kind == "fraction":
        return all(map(other.has, _parts(numeral, text)))
    return _is_decade(numeral.value) and other.has(numeral.value % 100)


def _is_decade(value: float) -> bool:
    return 1100 <= value < 2100 and value % 10 == 0


def _roman(text: str) -> Iterator[float]:
    for match in _ROMAN.finditer(text):
        digits = [_ROMAN_VALUES[character] for character in match[1] + match[2]]
        yield float(sum(-a if a < b else a for a, b in zip(digits, [*digits[1:], 0], strict=True)))
