"""Flags facts that a translation lost, changed or invented: numbers, times, days, places, people, negations.

Compares what one side certainly says with everything the other side may say. Does not count occurrences.
"""

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from babel.numbers import format_decimal

from models.checks.flag import Flag, Severity
from models.checks.language import locale_of, table
from models.checks.language.dates import months_in
from models.checks.language.entities import Entity, EntityKind, Mention, country_of, name_in
from models.checks.language.names import INFLECTING
from models.checks.language.negation import denials
from models.checks.language.numbers import Numeral, number_words
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.text.sentences import is_unspaced
from models.text.span import Span

# Numbers: what one side writes in digits, or exactly in words. The other may have it in digits or words, with
# its own separators and multipliers, as a month's name, in Roman or Chinese numerals, or on another clock.

_TOLERANCE = 1e-9
_SMALL = 12
_NEXT_MAGNITUDE = 1000
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


def check_numbers(pair: Pair) -> Iterator[Flag]:
    """Yield one flag for each changed number, with both places; else one for each that was lost or added."""
    source, output = pair.source, pair.output
    there, here = _Values(source, beside=output), _Values(output, beside=source)
    for theirs, ours in (*_changed(_small, there, here), *_changed(_magnitudes, there, here)):
        reason = f"The source has {source.at(theirs)} where this has {output.at(ours)}."
        yield Flag("number", ours, reason, source=theirs)
    lost, added = _unmatched(there, here), _unmatched(here, there)
    if len(lost) == len(added):
        for one, other in zip(lost, added, strict=True):
            reason = f"The source has {source.at(one.span)} where this has {output.at(other.span)}."
            yield Flag("number", other.span, reason, source=one.span)
        return
    for numeral in lost:
        reason = f"The number {source.at(numeral.span)} of the source is missing."
        yield Flag("number", output.whole, reason, source=numeral.span)
    for numeral in added:
        reason = f"The source has no such number as {output.at(numeral.span)}."
        yield Flag("number", numeral.span, reason)


def _changed(find: "_Find", there: "_Values", here: "_Values") -> Iterator[tuple[Span, Span]]:
    """Yield what only one text has, in words, with what only the other has: `three` and `deux`.

    Alone neither tells: `two` may be `both`, and `thousands` many.
    """
    lost = [span for span, low, high in find(there.reading) if not here.has_between(low, high)]
    added = [span for span, low, high in find(here.reading) if not there.has_between(low, high)]
    yield from zip(lost, added, strict=False)


def _small(reading: Reading) -> Iterator[tuple[Span, float, float]]:
    for numeral in reading.numerals:
        if numeral.spelled and numeral.kind == "cardinal" and 1 < numeral.value <= _SMALL:
            yield numeral.span, numeral.value, numeral.value


def _magnitudes(reading: Reading) -> Iterator[tuple[Span, float, float]]:
    for span, scale in reading.magnitudes:
        yield span, scale, scale * _NEXT_MAGNITUDE


_Find = Callable[[Reading], Iterator[tuple[Span, float, float]]]
"""Finds numbers in words, each with the least and the most that the other text may have in its place."""


class _Values:
    """All values that a text may be said to have. `beside` is the text it is compared with."""

    def __init__(self, reading: Reading, beside: Reading):
        self.reading = reading
        found = set(reading.values) | {scale for _, scale in reading.magnitudes}
        found |= {value for value, words in number_words().items() if not words.isdisjoint(reading.keys)}
        for numeral in reading.numerals:
            found |= _said_otherwise(numeral, reading)
        self.dates = _dates(reading.text) if reading.numerals else []
        for date in self.dates:
            found |= {float(int(part)) for part in _DIGITS.findall(date[0])}
        found |= set(map(float, months_in(reading)))
        found |= set(_roman(reading.text))
        found |= {_HAN[character] for character in _HAN.keys() & set(reading.text)}
        if reading.base_language in _BUDDHIST:
            found |= {value - _BUDDHIST_ERA for value in found if value > _BUDDHIST_ERA + _FIRST_YEAR}
        if beside.base_language in _BUDDHIST:
            found |= {value + _BUDDHIST_ERA for value in found if _FIRST_YEAR < value < _LAST_YEAR}
        self._sorted = sorted(found)

    def has(self, value: float) -> bool:
        near = bisect_left(self._sorted, value - _TOLERANCE * value)
        return near < len(self._sorted) and self._sorted[near] <= value + _TOLERANCE * value

    def has_between(self, low: float, high: float) -> bool:
        """Return whether the text has a value from `low` to `high`; with both the same, that value."""
        near = bisect_left(self._sorted, low)
        return near < len(self._sorted) and (self._sorted[near] == low or self._sorted[near] < high)

    def has_hour(self, hour: float) -> bool:
        """Return whether the text has the hour, on either clock."""
        return any(map(self.has, (hour, hour + 12, hour - 12)))


def _dates(text: str) -> list[re.Match[str]]:
    return [match for match in _DATE.finditer(text) if len(match[0]) <= _DATE_CHARACTERS]


def _parts(numeral: Numeral, reading: Reading) -> list[float]:
    """Return the whole numbers that the numeral's digits make."""
    return [float(int(part)) for part in _DIGITS.findall(reading.at(numeral.span))]


def _said_otherwise(numeral: Numeral, reading: Reading) -> set[float]:
    """Return other values for the number: the parts of a time, on either clock, or a decade's century."""
    if numeral.kind == "time":
        hour = numeral.value // 60
        return {hour, (hour + 12) % 24, *_parts(numeral, reading), *_with_point(numeral)}
    if numeral.kind == "fraction":
        return set(_parts(numeral, reading))
    return {numeral.value % 100, numeral.value // 100 + 1} if _is_decade(numeral.value) else set()


def _with_point(time: Numeral) -> tuple[float, float]:
    """Return 5.3 and 17.3 for 5.30pm, as the other language may write it."""
    minute = time.value % 60 / 100
    return time.value // 60 + minute, time.value // 60 % 12 + minute


def _unmatched(own: _Values, other: _Values) -> list[Numeral]:
    reading, dates = own.reading, [Span(*match.span()) for match in own.dates]
    return [
        numeral
        for numeral in reading.numerals
        if _is_exact(numeral, reading)
        and not _stands(numeral, reading, other)
        and not (numeral.span.is_within(dates) and all(map(other.has, _parts(numeral, reading))))
    ]


def _is_exact(numeral: Numeral, reading: Reading) -> bool:
    """Return whether it is in digits, or in words but neither small (`second`) nor round (`hundreds`)."""
    if not numeral.spelled:
        return not _ONLY_NOUGHTS.fullmatch(reading.at(numeral.span))
    return numeral.value > _SMALL and not math.log10(numeral.value).is_integer()


def _stands(numeral: Numeral, reading: Reading, other: _Values) -> bool:
    if any(map(other.has, numeral.values)):
        return True
    if numeral.kind == "time":
        hour, minute = divmod(numeral.value, 60)
        parts = other.has_hour(hour) and (minute == 0 or other.has(minute))
        return parts or any(map(other.has, _with_point(numeral)))
    if numeral.kind == "fraction":
        return all(map(other.has, _parts(numeral, reading)))
    return _is_decade(numeral.value) and other.has(numeral.value % 100)


def _is_decade(value: float) -> bool:
    return 1100 <= value < 2100 and value % 10 == 0


def _roman(text: str) -> Iterator[float]:
    for match in _ROMAN.finditer(text):
        digits = [_ROMAN_VALUES[character] for character in match[1] + match[2]]
        yield float(sum(-a if a < b else a for a, b in zip(digits, [*digits[1:], 0], strict=True)))


def check_separators(pair: Pair) -> Iterator[Flag]:
    """Yield an error for each number that is kept as it is and so means another: German 1.184 is 1,184."""
    theirs = {pair.source.at(numeral.span): numeral for numeral in pair.source.numerals}
    for numeral in pair.output.numerals if theirs else ():
        written = pair.output.at(numeral.span)
        same = theirs.get(written)
        if same is not None and same.value != numeral.value and same.value in numeral.values:
            means = f"{numeral.value:g} in this language and {same.value:g} in the source's"
            yield Flag("number", numeral.span, f"{written} is {means}.", source=same.span)


# Bounds: at least and less than.


def check_bounds(pair: Pair) -> Iterator[Flag]:
    """Yield an error if the source bounds what it says from one side alone, and the output from the other."""
    theirs, ours = _bounds(pair.source), _bounds(pair.output)
    if len(theirs) == len(ours) == 1 and theirs.keys() != ours.keys():
        (one,), (other,) = theirs.values(), ours.values()
        reason = f"The source has “{pair.source.at(one)}” where this has “{pair.output.at(other)}”."
        yield Flag("number", other, reason, source=one)


def _bounds(reading: Reading) -> dict[str, Span]:
    """Return the last place of each side from which the text bounds something: `least`, `most`."""
    pattern = _bound_pattern(reading.base_language)
    found = pattern.finditer(reading.text) if pattern is not None else ()
    return {str(match.lastgroup): Span(*match.span()) for match in found}


@cache
def _bound_pattern(language: str) -> re.Pattern[str] | None:
    sides = table("quantities")["bounds"].get(language)
    if sides is None:
        return None
    edge = "" if is_unspaced(sides["most"][0][0]) else r"\b"
    return re.compile(
        "|".join(rf"(?P<{side}>{edge}(?:{'|'.join(words)}){edge})" for side, words in sides.items()),
        re.IGNORECASE,
    )


# Times of day: 2 p.m. is 14 Uhr, and 2 Uhr is at night. Compares times whose half of the day is plain: with
# a.m. or p.m. on one side, on a clock of 24 hours on the other.

_HALF, _DAY = 12, 24
_ON_24 = re.compile(
    r"(?<![\d.,:])(\d{1,2})"
    r"(?:\s?h\s?\d\d|:\d\d|(?:[.:]\d\d)?\s?(?:Uhr|heures?|horas|ore|h|час(?:а|ов)?|[点點时時]))(?![a-zа-я0-9])",
    re.IGNORECASE,
)


def check_times(pair: Pair) -> Iterator[Flag]:
    """Yield an error for each time that the output has in the other half of the day."""
    ours, theirs = pair.output, pair.source
    if _has_24_hours(ours.base_language) and not _has_24_hours(theirs.base_language):
        found = _on_24_hours(ours)
        for span, hour in _plain_times(theirs):
            other = (hour + _HALF) % _DAY
            if hour in found or other not in found or hour == 0 or other == 0:
                continue
            if not any(word in ours.text.lower() for word in _day_periods(ours.base_language)):
                yield _flag_time(pair, span, found[other])
    elif _has_24_hours(theirs.base_language) and not _has_24_hours(ours.base_language):
        found = _on_24_hours(theirs)
        for span, hour in _plain_times(ours):
            other = (hour + _HALF) % _DAY
            if other in found and hour not in found and other > _HALF:
                yield _flag_time(pair, found[other], span)


def _on_24_hours(reading: Reading) -> dict[int, Span]:
    """Return the hours of times on a clock of 24 hours, with their places."""
    found = _ON_24.finditer(reading.text) if reading.numerals else ()
    return {int(match[1]): Span(*match.span()) for match in found}


def _plain_times(reading: Reading) -> Iterator[tuple[Span, int]]:
    """Yield the times that say which half of the day they are in, with their hours, 0 to 23."""
    for numeral in reading.numerals:
        if numeral.kind == "time" and len(numeral.values) == 1:
            yield numeral.span, int(numeral.value) // 60


def _flag_time(pair: Pair, source: Span, output: Span) -> Flag:
    reason = f"The source has {pair.source.at(source)}, which is not {pair.output.at(output)}."
    return Flag("number", output, reason, source=source)


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


# Entities: a country may be named by its people, a month by its number, a government by its capital.

_LEAST_PLACES = 2
_FLAG_KINDS: dict[EntityKind, str] = {
    "weekday": "date",
    "month": "date",
    "season": "date",
    "place": "place",
    "person": "name",
}


def check_entities(pair: Pair) -> Iterator[Flag]:
    """Yield an error for each day, month, place or person that became another, and for a date made up.

    What was lost without another in its place, or is a country that only the output names, gets a warning:
    translators leave out what goes without saying, and add it.
    """
    source, output = pair.source, pair.output
    theirs, ours = pair.source_mentions, pair.output_mentions
    lost = _unsupported(source, theirs, output, pair.output_hints) if theirs else []
    added = _unsupported(output, ours, source, pair.source_hints) if ours else []
    yield from _foreign_forms(pair)
    if not lost and not added:
        yield from _named_twice(pair)
    for kind, flagged in _FLAG_KINDS.items() if lost or added else ():
        gone = [mention for mention in lost if mention.entity.kind == kind]
        new = [mention for mention in added if mention.entity.kind == kind]
        changed = min(len(gone), len(new))
        for one, other in zip(gone[:changed], new[:changed], strict=True):
            reason = f"The source has {source.at(one.span)} where this has {output.at(other.span)}."
            yield Flag(flagged, other.span, reason, source=one.span)
        for mention in gone[changed:]:
            written, name = source.at(mention.span), name_in(mention.entity, output.language)
            hint = f", {name}," if name and name != written else ""
            reason = f"{written}{hint} is named in the source and not here."
            yield Flag(flagged, output.whole, reason, "warning", mention.span)
        for mention in new[changed:]:
            severity: Severity = "error" if flagged == "date" else "warning"
            reason = f"The source does not name {output.at(mention.span)}."
            yield Flag(flagged, mention.span, reason, severity)


def _named_twice(pair: Pair) -> Iterator[Flag]:
    """Yield an error if one place stands for two: it is named more often than in the source, another less."""
    there, here = (
        [mention for mention in found if mention.entity.kind == "place"]
        for found in (pair.source_mentions, pair.output_mentions)
    )
    if len(there) < _LEAST_PLACES or not here:
        return
    rarer, oftener = pair.source_hints - pair.output_hints, pair.output_hints - pair.source_hints
    rarer &= Counter(m.entity for m in there) - Counter(m.entity for m in here)
    lost, again = ([m for m in found if m.entity in own] for found, own in ((there, rarer), (here, oftener)))
    for one, other in zip(lost[-1:], again[-1:], strict=False):
        if country_of(other.entity) != one.entity:  # `Athens` says what Greece does
            written = pair.source.at(one.span), pair.output.at(other.span)
            reason = f"The source has {written[0]} where this has {written[1]} again."
            yield Flag("place", other.span, reason, source=one.span)


def _foreign_forms(pair: Pair) -> Iterator[Flag]:
    """Yield a warning for each person whose name stands as in the source: Putin is Poutine in French."""
    people = {m.entity: m.span for m in pair.source_mentions if m.entity.kind == "person"}
    for person, span in people.items() if pair.across_languages else ():
        written, name = pair.source.at(span), name_in(person, pair.output.language)
        if name and written != name and name not in pair.output.text:
            at = pair.output.text.find(written)
            if at >= 0:
                place = Span(at, at + len(written))
                yield Flag("name", place, f"{written} is {name} in this language.", "warning", span)


def _unsupported(own: Reading, found: list[Mention], other: Reading, known: Counter[Entity]) -> list[Mention]:
    """Return what the other text, which hints at the `known`, does not name, nor has word for word."""
    text = other.text.lower()
    kept = {written for written in {own.at(mention.span) for mention in found} if written.lower() in text}
    return [
        mention
        for mention in found
        if mention.entity not in known
        and country_of(mention.entity) not in known
        and own.at(mention.span) not in kept
    ]


_DENYING_TWICE = "ru"
"""The language in which one denial takes several words: `nobody ever` is `nobody never not`."""


def check_negation(pair: Pair) -> Iterator[Flag]:
    """Yield a warning if the source denies more often than the output's words can.

    No error: a language may turn a sentence round, as `I can't wait` becomes `j'ai hâte`.
    """
    theirs, ours = denials(pair.source, kept_in=pair.output.text), denials(pair.output)
    if theirs is None or ours is None or not pair.output.text.strip():
        return
    # `not only` is lost where the output says `only`; `also` says as much
    denied = theirs.sure + (theirs.not_only if ours.only > theirs.only else ())
    found = ours.possible + len(ours.not_only)
    found += sum(max(0, count - theirs.other[name]) for name, count in ours.other.items())
    if len(denied) > found and (found == 0 or pair.source.base_language != _DENYING_TWICE):
        reason = f"The source says “{pair.source.at(denied[0])}”"
        reason += ", and nothing here denies." if found == 0 else " and denies more often than this."
        yield Flag("negation", pair.output.whole, reason, "warning", denied[0])


_LEAST_GROUPED = 10_000
_MOST_DIGITS = 15
"""Longer numbers are no quantities, and no float holds them."""


def right_forms(pair: Pair, flags: Iterable[Flag]) -> Iterator[tuple[Span, str]]:
    """Yield the place in the source, and the right form, of each fact that a flag names and that has one.

    No names in languages that inflect them by case: a plain form would be wrong in most sentences.
    """
    source, language = pair.source, pair.output.base_language
    wrong = {flag.source: flag.kind for flag in flags if flag.source is not None}
    named = {span for span, kind in wrong.items() if kind in _FLAG_KINDS.values()}
    for mention in pair.source_mentions if named and language not in INFLECTING else ():
        start, end = mention.span
        in_compound = "-" in (source.text[start - 1 : start], source.text[end : end + 1])  # `non-UK`
        name = name_in(mention.entity, language)
        if name and mention.span in named and not in_compound:
            yield mention.span, name
    numbers = {span for span, kind in wrong.items() if kind == "number"}
    for numeral in source.numerals if numbers else ():
        if numeral.span in numbers and (number := _in_digits(numeral, language)):
            yield numeral.span, number


def _in_digits(numeral: Numeral, language: str) -> str | None:
    """Return a whole number in the language's digits and separators; None for any other."""
    value = numeral.value
    if numeral.kind != "cardinal" or numeral.multiplier != 1 or not value.is_integer():
        return None
    if value >= 10**_MOST_DIGITS:
        return None
    locale = locale_of(language)
    if value < _LEAST_GROUPED or locale is None:
        return str(int(value))
    return format_decimal(int(value), locale=locale)
