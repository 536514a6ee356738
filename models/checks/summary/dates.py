"""Flags weekdays, months, days and years in an output that its source does not have."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from functools import cached_property
from itertools import product

from models.checks.flag import Flag
from models.checks.language.mentioned_dates import MentionedDate, in_figures
from models.checks.pair import Pair

_DECADE = "s"
_DAYS_OF_A_WEEK = 7
_MOST_NAMED = 3
"""The most dates of the source that a reason names."""


def check(pair: Pair) -> Iterator[Flag]:
    """Yield a flag for each part of a date. If the source has another in its place, the reason names it."""
    held = _SourceDates(pair)
    for mentioned in pair.output_dates:
        if mentioned.sure and not held.bears_out(mentioned):
            yield _flag(pair, held, mentioned)
    for span, readings in in_figures(pair.output_dates).items():
        if _names_one_year(readings) and not held.has_day(readings):
            written = pair.output.text[span.start : span.end]
            yield Flag("date", span, f"The source does not mention {written}.")


def dated_places(pair: Pair) -> set[int]:
    """Return the characters of the output that surely belong to dates."""
    spans = [date.span for date in pair.output_dates if date.sure]
    held = _SourceDates(pair)
    for span, readings in in_figures(pair.output_dates).items():
        if _names_one_year(readings) or held.has_all(readings):
            spans.append(span)
    return {place for span in spans for place in range(*span)}


def _names_one_year(readings: list[MentionedDate]) -> bool:
    """Return whether the year has four figures: `1.2.34` may be no date at all."""
    return len({each.value for each in readings if each.part == "year"}) == 1


class _SourceDates:
    """The dates of a source, indexed for each kind of question."""

    def __init__(self, pair: Pair):
        self._pair = pair
        self._by_part: dict[tuple[str, int | None], list[MentionedDate]] = defaultdict(list)
        self._decades: set[int] = set()
        self._months_of_days: dict[int, set[int | None]] = defaultdict(set)
        for each in pair.source_dates:
            self._by_part[each.part, each.month].append(each)
            if each.part == "year":
                self._decades.add(each.value // 10)
            elif each.part == "day":
                self._months_of_days[each.value].add(each.month)
        self._named: dict[tuple[str, int | None], list[str]] = {}
        self._exact = {(each.part, each.value, each.month) for each in pair.source_dates}

    def bears_out(self, mentioned: MentionedDate) -> bool:
        """Return whether the source has the date, or says it in other words."""
        value = mentioned.value
        if (mentioned.part, value, mentioned.month) in self._exact:
            return True
        if mentioned.part == "day":
            # `the 7th`, where the month was named before
            return float(value) in self._free_numbers and not self._months_of_days.get(value)
        if mentioned.part == "weekday":
            return not self.others(mentioned) and value in self._weekdays
        if mentioned.part == "year":
            decade = self._pair.output.text[mentioned.span.end : mentioned.span.end + 1] == _DECADE
            return float(value) in self._pair.source.values or (decade and value // 10 in self._decades)
        return False

    def has_day(self, readings: list[MentionedDate]) -> bool:
        """Return whether the source has the day in one of its readings: `3/4/2020` has two."""
        days = [each for each in readings if each.part == "day" and self.bears_out(each)]
        return any(("month", day.month, None) in self._exact for day in days)

    def has_all(self, readings: list[MentionedDate]) -> bool:
        """Return whether the source has the day and one of the years that `3/4/20` may mean."""
        return self.has_day(readings) and any(
            each.part == "year" and self.bears_out(each) for each in readings
        )

    def others(self, mentioned: MentionedDate) -> list[MentionedDate]:
        """Return the source's dates of the same part; for a day, only those of the same month."""
        return self._by_part.get((mentioned.part, mentioned.month), [])

    def named_instead(self, mentioned: MentionedDate) -> list[str]:
        """Return these dates as written, each once, and at most one more than a reason names."""
        kind = mentioned.part, mentioned.month
        if kind not in self._named:
            text = self._pair.source.text
            written = (text[other.span.start : other.span.end] for other in self.others(mentioned))
            self._named[kind] = list(dict.fromkeys(written))[: _MOST_NAMED + 1]
        return self._named[kind]

    @cached_property
    def _free_numbers(self) -> set[float]:
        """The values of the source's ordinals: a day may stand without its month."""
        return {numeral.value for numeral in self._pair.source.numerals if numeral.kind == "ordinal"}

    @cached_property
    def _weekdays(self) -> set[int]:
        """The weekdays of the source's days and months, in any year that it names."""
        years = {each.value for each in self._pair.source_dates if each.part == "year"}
        days = {(month, day) for day, months in self._months_of_days.items() for month in months if month}
        found: set[int] = set()
        for year, (month, day) in product(years, days):
            if len(found) == _DAYS_OF_A_WEEK:
                break
            with suppress(ValueError):
                found.add(date(year, month, day).weekday())
        return found


def _flag(pair: Pair, held: _SourceDates, mentioned: MentionedDate) -> Flag:
    written = pair.output.text[mentioned.span.start : mentioned.span.end]
    others = held.others(mentioned)
    if not others:
        return Flag("date", mentioned.span, f"The source does not mention {written}.")
    named = _listed(held.named_instead(mentioned))
    return Flag("date", mentioned.span, f"The source has {named}, not {written}.", source=others[0].span)


def _listed(named: list[str]) -> str:
    most = named if len(named) <= _MOST_NAMED else [*named[:_MOST_NAMED], "others"]
    return " and ".join(filter(None, (", ".join(most[:-1]), most[-1])))
