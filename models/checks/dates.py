"""Weekdays, months, days and years in an output that its source does not have."""

from collections.abc import Iterator
from datetime import date

from models.checks.flag import Flag
from models.checks.mentioned_dates import MentionedDate
from models.checks.pair import Pair

_DECADE = "s"


def check(pair: Pair) -> Iterator[Flag]:
    """A flag for each part of a date; where the source has another in its place, the reason names it."""
    held = pair.source_dates
    for mentioned in pair.output_dates:
        if mentioned.sure and not _holds(pair, held, mentioned):
            yield _flag(pair, held, mentioned)


def _holds(pair: Pair, held: list[MentionedDate], mentioned: MentionedDate) -> bool:
    same = [other for other in held if other.part == mentioned.part]
    if any(other.value == mentioned.value and other.month == mentioned.month for other in same):
        return True
    if mentioned.part == "day":
        # `the 7th`, where the month was named before
        months = {other.month for other in same if other.value == mentioned.value}
        return float(mentioned.value) in _free_numbers(pair) and not months
    if mentioned.part == "weekday":
        return not same and mentioned.value in _weekdays_of_dates(held)
    if mentioned.part == "year":
        decade = pair.output.text[mentioned.span.end : mentioned.span.end + 1] == _DECADE
        return float(mentioned.value) in pair.source.values or (
            decade and any(other.value // 10 == mentioned.value // 10 for other in same)
        )
    return False


def _free_numbers(pair: Pair) -> set[float]:
    """Values of the source's ordinals: a day may stand without its month."""
    return {numeral.value for numeral in pair.source.numerals if numeral.kind == "ordinal"}


def _weekdays_of_dates(held: list[MentionedDate]) -> set[int]:
    """The weekdays of the days that the source gives with a month, in any year that it names."""
    years = [other.value for other in held if other.part == "year"]
    found = set()
    for day in held:
        for year in years if day.part == "day" and day.month else ():
            try:
                found.add(date(year, day.month or 1, day.value).weekday())
            except ValueError:
                continue
    return found


def _flag(pair: Pair, held: list[MentionedDate], mentioned: MentionedDate) -> Flag:
    written = pair.output.text[mentioned.span.start : mentioned.span.end]
    others = [
        other
        for other in held
        if other.part == mentioned.part and (mentioned.part != "day" or other.month == mentioned.month)
    ]
    if not others:
        return Flag("date", mentioned.span, f"the source does not mention {written}")
    named = list(dict.fromkeys(pair.source.text[o.span.start : o.span.end] for o in others))
    return Flag(
        "date", mentioned.span, f"the source has {_listed(named)}, not {written}", source=others[0].span
    )


def _listed(named: list[str]) -> str:
    return (
        named[0]
        if len(named) == 1
        else f"{', '.join(named[:-1])} and {named[-1]}"
        if len(named) < 4
        else f"{', '.join(named[:3])} and others"
    )
