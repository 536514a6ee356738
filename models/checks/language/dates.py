"""Finds whole or partial dates in a text: weekdays, months, days of the month, years.

The names of months and weekdays come from CLDR, through Babel. Relative dates such as `last year` are not
dates here.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from babel import Locale

from models.checks.language import locale_of
from models.checks.language.numbers import Numeral
from models.checks.language.reading import Reading, Word, key_of
from models.text.span import Span

_YEARS = range(1000, 2101)
_LIKELY_YEARS = range(1900, 2051)
_ALSO_OTHER_WORDS = frozenset(
    {"may", "march", "mar", "sun", "sat", "mon", "wed", "mars", "mai", "avril", "august", "lun", "dom", "set"}
)
_DATE_BEFORE = re.compile(
    r"(?:\b(?:in|on|of|by|since|until|till|last|next|this|from|early|late|mid|during|between|every|each)[ -]"
    r"|\d(?:st|nd|rd|th|er)?[ \u00a0\u202f])$",
    re.IGNORECASE,
)
_SMALL = frozenset({"mars", "mai", "avril"})
"""Months that their language writes small."""
_GERMAN_DATE = re.compile(r"\d\. (?:Mai|August)\b")
_DAY_BEFORE = re.compile(r"(?:\.|st|nd|rd|th)?(?: of| de| di)? ")
_DAY_AFTER = re.compile(r"\.?(?: the)? ")
_YEAR_FIRST = re.compile(r"(?<![\d./-])([12]\d{3})([-./])(\d{1,2})\2(\d{1,2})(?![\d/-]|\.\d)")
_YEAR_LAST = re.compile(r"(?<![\d./-])(\d{1,2})([-./])(\d{1,2})\2([12]\d{3}|\d\d)(?![\d/-]|\.\d)")
_HAN = re.compile(
    r"(?:(\d{4})\s?[年년]\s?)?(?<!\d)(\d{1,2})\s?[月월](?:\s?(\d{1,2})\s?[日號号일])?|(\d{4})\s?[年년]"
)
_FIGURES = re.compile(r"\d[-./]\d{1,2}[-./]\d")
_YEAR_RANGE = re.compile(r"(?<!\d)([12]\d)(\d\d)[-–/](\d\d)(?!\d)")
_SHORT_YEAR = re.compile(r"(?<!\w)[’'‘](\d\d)(?=s?\b)")
_LEAST_LETTERS = 3


@dataclass(frozen=True, slots=True)
class DatePart:
    """A part of a date."""

    part: Literal["weekday", "month", "day", "year"]
    span: Span
    value: int
    """A weekday is 0 to 6 from Monday, a month 1 to 12, a day 1 to 31."""
    month: int | None = None
    """The month that a day belongs to."""
    sure: bool = True
    """True if the words can mean nothing else."""


@dataclass(frozen=True, slots=True)
class CalendarWords:
    """A language's months and weekdays, by their keys as in `Reading.keys`."""

    months: dict[str, int]
    """1 to 12."""
    weekdays: dict[str, int]
    """0 to 6, Monday first."""


@cache
def calendar_words(language: str) -> CalendarWords:
    """Return the language's full and shortened names; English ones for an unknown language."""
    locale = locale_of(language) or Locale("en")
    months = _by_key(locale.months)
    # newspapers' own abbreviation, which CLDR has as Sep
    return CalendarWords({**months, **({"sept": 9} if "sep" in months else {})}, _by_key(locale.days))


def _by_key(names: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for context in ("stand-alone", "format"):
        for width in ("abbreviated", "wide"):
            for number, name in names.get(context, {}).get(width, {}).items():
                key = key_of(name).strip(". ")
                if len(key) >= _LEAST_LETTERS and key.isalpha():
                    found[key] = number
    return found


def months_in(reading: Reading) -> set[int]:
    """Return the months, 1 to 12, that the text names, in full or shortened."""
    months = calendar_words(reading.base_language).months
    return {months[word.form] for word in reading.letters if word.form in months}


def is_calendar_word(key: str, language: str) -> bool:
    """Return whether the word is a month or a weekday in the language."""
    words = calendar_words(language)
    return key in words.months or key in words.weekdays


def dates(reading: Reading) -> list[DatePart]:
    """Return the parts of dates, in order; one place may stand for two, as `3/4/2020` does."""
    known = calendar_words(reading.base_language)
    has_names = known.months.keys() & reading.keys or known.weekdays.keys() & reading.keys
    found = [*(_in_words(reading, known) if has_names else ()), *_years(reading), *_in_figures(reading.text)]
    return sorted(found, key=lambda date: date.span)


def in_figures(found: list[DatePart]) -> dict[Span, list[DatePart]]:
    """Return the parts of dates in figures whose day and month cannot be told apart, as in `3/4/2020`."""
    spans: dict[Span, list[DatePart]] = {}
    for each in found:
        if each.part == "day" and not each.sure:
            spans.setdefault(each.span, [])
    for each in found:
        if each.span in spans:
            spans[each.span].append(each)
    return spans


def _in_words(reading: Reading, known: CalendarWords) -> Iterator[DatePart]:
    numerals = [n for n in reading.numerals if n.kind in ("cardinal", "ordinal") and not n.unit]
    for word in reading.words:
        if word.key in known.weekdays:
            sure = is_surely_a_date(reading.text, word.start, word.key)
            yield DatePart("weekday", word.span, known.weekdays[word.key], sure=sure)
        elif word.key in known.months:
            month = known.months[word.key]
            days = list(_days(reading.text, word, month, numerals))
            sure = bool(days) or is_surely_a_date(reading.text, word.start, word.key)
            yield DatePart("month", word.span, month, sure=sure)
            yield from days


def is_surely_a_date(text: str, start: int, key: str) -> bool:
    """Return whether the name of a day or month that starts here, such as `May`, can mean nothing else."""
    if key not in _ALSO_OTHER_WORDS:
        return True
    before = text[max(0, start - 12) : start]
    if _GERMAN_DATE.match(text, max(0, start - 3)):
        return True
    return (text[start].isupper() or key in _SMALL) and _DATE_BEFORE.search(before) is not None


def _days(text: str, word: Word, month: int, numerals: list[Numeral]) -> Iterator[DatePart]:
    at = bisect_left(numerals, word.start, key=lambda numeral: numeral.span.start)
    for numeral in numerals[max(0, at - 1) : at + 1]:
        start, end = numeral.span
        if end <= word.start:
            beside = _DAY_BEFORE.fullmatch(text, end, word.start)
        else:
            beside = _DAY_AFTER.fullmatch(text, word.span.end, start)
        if beside and 1 <= numeral.value <= 31 and numeral.value.is_integer():
            yield DatePart("day", numeral.span, int(numeral.value), month)


def _years(reading: Reading) -> Iterator[DatePart]:
    if not reading.numerals:
        return
    for numeral in reading.numerals:
        written = reading.at(numeral.span)
        if len(written) != 4 or not written.isdecimal() or numeral.spelled or numeral.unit:
            continue
        if (year := int(written)) in _YEARS:
            yield DatePart("year", numeral.span, year, sure=year in _LIKELY_YEARS)
    for match in _YEAR_RANGE.finditer(reading.text):
        yield DatePart("year", Span(*match.span(3)), int(match[1] + match[3]), sure=False)
    for match in _SHORT_YEAR.finditer(reading.text):
        for century in (1900, 2000):
            yield DatePart("year", Span(*match.span()), century + int(match[1]), sure=False)


def _in_figures(text: str) -> Iterator[DatePart]:
    figures = _FIGURES.search(text) is not None
    for match in _YEAR_FIRST.finditer(text) if figures else ():
        yield from _figures(Span(*match.span()), int(match[3]), int(match[4]), int(match[1]), sure=True)
    for match in _YEAR_LAST.finditer(text) if figures else ():
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        for full in (year,) if year > 99 else (1900 + year, 2000 + year):
            for month, day in ((first, second), (second, first)):
                yield from _figures(Span(*match.span()), month, day, full, sure=False)
    for match in _HAN.finditer(text) if any(unit in text for unit in "年月년월") else ():
        month, day, year = (int(match[i] or 0) for i in (2, 3, 1))
        yield from _figures(Span(*match.span()), month, day, year or int(match[4] or 0), sure=True)


def _figures(span: Span, month: int, day: int, year: int, sure: bool) -> Iterator[DatePart]:
    if year in _YEARS:
        yield DatePart("year", span, year, sure=sure)
    if 1 <= month <= 12:
        yield DatePart("month", span, month, sure=sure)
        if 1 <= day <= 31:
            yield DatePart("day", span, day, month, sure=sure)
