"""Flags times of day that went to the wrong half of the day: 2 p.m. is 14 Uhr, and 2 Uhr is at night.

Compares times whose half is plain: with a.m. or p.m. on one side, on a clock of 24 hours on the other.
"""

import re
from collections.abc import Iterator
from functools import cache

from models.checks.flag import Flag
from models.checks.language.numerals import Numeral
from models.checks.language.reading import Reading
from models.checks.language.sources import locale_of
from models.checks.pair import Pair
from models.text.span import Span

KIND = "number"
_HALF, _DAY = 12, 24
_ON_24 = re.compile(
    r"(?<![\d.,:])(\d{1,2})"
    r"(?:\s?h\s?\d\d|:\d\d|(?:[.:]\d\d)?\s?(?:Uhr|heures?|horas|ore|h|час(?:а|ов)?|[点點时時]))(?![a-zа-я0-9])",
    re.IGNORECASE,
)


def check(pair: Pair) -> Iterator[Flag]:
    """Yield an error for each time that the output has in the other half of the day."""
    if _has_24_hours(pair.output.base_language) and not _has_24_hours(pair.source.base_language):
        for numeral, hour in _plain(pair.source):
            yield from _on_24(pair, numeral, hour)
    elif _has_24_hours(pair.source.base_language) and not _has_24_hours(pair.output.base_language):
        wanted = {int(match[1]): Span(*match.span()) for match in _ON_24.finditer(pair.source.text)}
        for numeral, hour in _plain(pair.output):
            other = (hour + _HALF) % _DAY
            if other in wanted and hour not in wanted and other > _HALF:
                yield _flag(pair, wanted[other], numeral.span)


def _plain(reading: Reading) -> Iterator[tuple[Numeral, int]]:
    """Yield the times that say which half of the day they are in, with their hours, 0 to 23."""
    for numeral in reading.numerals:
        if numeral.kind == "time" and len(numeral.values) == 1:
            yield numeral, int(numeral.value) // 60


def _on_24(pair: Pair, numeral: Numeral, hour: int) -> Iterator[Flag]:
    text = pair.output.text
    found = {int(match[1]): Span(*match.span()) for match in _ON_24.finditer(text)}
    other = (hour + _HALF) % _DAY
    if hour in found or other not in found or hour == 0 or other == 0:
        return
    if not any(word in text.lower() for word in _day_periods(pair.output.base_language)):
        yield _flag(pair, numeral.span, found[other])


def _flag(pair: Pair, source: Span, output: Span) -> Flag:
    theirs, ours = pair.source.text[source.start : source.end], pair.output.text[output.start : output.end]
    return Flag(KIND, output, f"The source has {theirs}, which is not {ours}.", source=source)


@cache
def _has_24_hours(language: str) -> bool:
    locale = locale_of(language)
    return locale is not None and "H" in locale.time_formats["short"].pattern


@cache
def _day_periods(language: str) -> frozenset[str]:
    """Return the words for parts of the day, such as `nachmittags`, with which 2 Uhr may be at 14."""
    locale = locale_of(language)
    periods = locale.day_periods if locale is not None else {}
    return frozenset(
        name.lower()
        for context in periods.values()
        for period, name in context.get("wide", {}).items()
        if period not in ("am", "pm")
    )
