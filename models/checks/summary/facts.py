"""Flags numbers, dates, names and quotations in a summary that its source has in no form.

Names and quotations are not compared between two languages.
"""

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import groupby, pairwise, product
from typing import TypeVar

from models.checks.flag import Flag, Severity
from models.checks.language.dates import DatePart, in_figures, is_calendar_word
from models.checks.language.names import (
    Capital,
    Name,
    is_ordinary,
    is_place,
    nouns_are_capitalized,
    ordinary_endings,
    titles,
)
from models.checks.language.numbers import Numeral, hedges, number_words
from models.checks.language.reading import Reading, common_words
from models.checks.pair import Pair
from models.text.sentences import is_unspaced
from models.text.span import Span

_T = TypeVar("_T", Numeral, DatePart)

# Numbers

_UNTELLING = frozenset({0.0, 1.0})
"""`one` and `first` are often no numbers."""
_ABOUT_SHARE = 0.06
_SILENT_SHARE = 0.01
_OUT_OF = re.compile(r" (?:in|in every|out of|of|sur|von|de cada|su|из) ")
_MOST_PARTS = 20
_MOST_NUMBERS_NAMED = 2
_TIMES_AFTER = re.compile(r"[ -]times?\b")
_LEAST_ROUNDED = 10.0


def check_numbers(pair: Pair) -> Iterator[Flag]:
    """Yield a flag for each number that the source lacks, but for those of dates."""
    dated = _dated_places(pair)
    held = _SourceNumbers(pair.source)
    named: dict[Span, list[Numeral]] = {}
    for numeral in pair.output.numerals:
        if not dated.isdisjoint(range(*numeral.span)) or is_untelling(numeral):
            continue
        hedge = hedges().search(pair.output.text, max(0, numeral.span.start - 24), numeral.span.start)
        counted = numeral.kind == "cardinal" and not _TIMES_AFTER.match(pair.output.text, numeral.span.end)
        if held.bears_out(numeral, hedge.lastgroup if hedge else None, counted):
            continue
        written = pair.output.at(numeral.span)
        others: list[Numeral] = []
        if evidence := pair.evidence[pair.output.sentence_at(numeral.span.start)]:
            sentence = evidence[0].span
            if sentence not in named:
                named[sentence] = _numbers_in(pair, sentence)
            others = named[sentence]
        if not others:
            yield Flag("number", numeral.span, f"The source does not have the number {written}.")
            continue
        others = [other for other in others if other.kind == numeral.kind] or others
        listed = " and ".join(dict.fromkeys(pair.source.at(other.span) for other in others))
        yield Flag("number", numeral.span, f"The source says {listed}.", source=others[0].span)


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
        exact = self._counts if counted else self._values
        if any(_is_in(value, exact) for value in numeral.values):
            return True
        if any(number_words().get(value, frozenset()) & self.source.keys for value in numeral.values):
            return True
        if numeral.kind == "fraction":
            return _is_in(numeral.value * 100, exact)
        if numeral.unit == "%":  # within less than one
            limits = (math.nextafter(numeral.value + step, numeral.value) for step in (-1, 1))
            if _holds_within(self._shares, *limits):
                return True
        return any(_holds_within(exact, *rounding_range(value, hedge)) for value in numeral.values)

    @cached_property
    def _values(self) -> list[float]:
        return sorted(self.source.values)

    @cached_property
    def _counts(self) -> list[float]:
        """All values but those of ordinals: `fourth` does not support `four`."""
        counts = [numeral for numeral in self.source.numerals if numeral.kind != "ordinal"]
        return sorted({value for numeral in counts for value in numeral.values})

    @cached_property
    def _shares(self) -> list[float]:
        """The source's shares, such as `a fifth`, `two thirds` or `one in five`, in percent."""
        numerals = self.source.numerals
        parts = [n for n in numerals if n.kind == "ordinal" and n.spelled and 1 < n.value <= _MOST_PARTS]
        found = {100 / part.value for part in parts}
        for first, second in pairwise(numerals):
            between = self.source.text[first.span.end : second.span.start]
            of_parts = second.kind == "ordinal" and between in (" ", "-")
            if 0 < first.value <= second.value <= _MOST_PARTS and (of_parts or _OUT_OF.fullmatch(between)):
                found.add(100 * first.value / second.value)
        return sorted(found)


def _is_in(value: float, in_order: list[float]) -> bool:
    near = 1e-9 * value if value != int(value) else 0.0
    return _holds_within(in_order, value - near, value + near)


def _holds_within(in_order: list[float], least: float, most: float) -> bool:
    at = bisect_left(in_order, least)
    return at < len(in_order) and in_order[at] <= most


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


def _numbers_in(pair: Pair, sentence: Span) -> list[Numeral]:
    """Return the numbers of a sentence of the source, if they are few enough to name."""
    dated = {date.span.start for date in _inside(pair.source_dates, sentence)}
    numerals = _inside(pair.source.numerals, sentence)
    found = [n for n in numerals if n.span.start not in dated and not is_untelling(n)]
    return found if len(found) <= _MOST_NUMBERS_NAMED else []


def _inside(found: list[_T], place: Span) -> list[_T]:
    first, after = (bisect_left(found, at, key=lambda each: each.span.start) for at in place)
    return found[first:after]


# Dates

_DECADE = "s"
_DAYS_OF_A_WEEK = 7
_MOST_DATES_NAMED = 3
"""The most dates of the source that a reason names."""


def check_dates(pair: Pair) -> Iterator[Flag]:
    """Yield a flag for each part of a date. If the source has another in its place, the reason names it."""
    held = _SourceDates(pair)
    for mentioned in pair.output_dates:
        if mentioned.sure and not held.bears_out(mentioned):
            written, others = pair.output.at(mentioned.span), held.others(mentioned)
            if not others:
                yield Flag("date", mentioned.span, f"The source does not mention {written}.")
            else:
                reason = f"The source says {held.listed(mentioned)}."
                yield Flag("date", mentioned.span, reason, source=others[0].span)
    for span, readings in in_figures(pair.output_dates).items():
        if _names_one_year(readings) and not held.has_day(readings):
            yield Flag("date", span, f"The source does not mention {pair.output.at(span)}.")


def _dated_places(pair: Pair) -> set[int]:
    """Return the characters of the output that surely belong to dates."""
    spans = [date.span for date in pair.output_dates if date.sure]
    held = _SourceDates(pair)
    for span, readings in in_figures(pair.output_dates).items():
        if _names_one_year(readings) or held.has_all(readings):
            spans.append(span)
    return {place for span in spans for place in range(*span)}


def _names_one_year(readings: list[DatePart]) -> bool:
    """Return whether the year has four figures: `1.2.34` may be no date at all."""
    return len({each.value for each in readings if each.part == "year"}) == 1


class _SourceDates:
    """The dates of a source, indexed for each kind of question."""

    def __init__(self, pair: Pair):
        self._pair = pair
        self._by_part: dict[tuple[str, int | None], list[DatePart]] = defaultdict(list)
        self._months_of_days: dict[int, set[int | None]] = defaultdict(set)
        self._listed: dict[tuple[str, int | None], str] = {}
        for each in pair.source_dates:
            self._by_part[each.part, each.month].append(each)
            if each.part == "day":
                self._months_of_days[each.value].add(each.month)
        self._years = {each.value for each in self._by_part["year", None]}
        self._decades = {year // 10 for year in self._years}
        self._exact = {(each.part, each.value, each.month) for each in pair.source_dates}

    def bears_out(self, mentioned: DatePart) -> bool:
        """Return whether the source has the date, or says it in other words."""
        value = mentioned.value
        if (mentioned.part, value, mentioned.month) in self._exact:
            return True
        if mentioned.part == "day":
            # `the 7th`, where the month was named before
            return float(value) in self._ordinals and not self._months_of_days.get(value)
        if mentioned.part == "weekday":
            return not self.others(mentioned) and value in self._weekdays
        if mentioned.part == "year":
            end = mentioned.span.end
            is_decade = self._pair.output.text[end : end + 1] == _DECADE
            return float(value) in self._pair.source.values or (is_decade and value // 10 in self._decades)
        return False

    def has_day(self, readings: list[DatePart]) -> bool:
        """Return whether the source has the day in one of its readings: `3/4/2020` has two."""
        days = [each for each in readings if each.part == "day" and self.bears_out(each)]
        return any(("month", day.month, None) in self._exact for day in days)

    def has_all(self, readings: list[DatePart]) -> bool:
        """Return whether the source has the day and one of the years that `3/4/20` may mean."""
        years = (each for each in readings if each.part == "year")
        return self.has_day(readings) and any(map(self.bears_out, years))

    def others(self, mentioned: DatePart) -> list[DatePart]:
        """Return the source's dates of the same part; for a day, only those of the same month."""
        return self._by_part.get((mentioned.part, mentioned.month), [])

    def listed(self, mentioned: DatePart) -> str:
        """Return these dates as written, each once, and the first of very many."""
        kind = mentioned.part, mentioned.month
        if kind not in self._listed:
            named = list(dict.fromkeys(self._pair.source.at(other.span) for other in self.others(mentioned)))
            if len(named) > _MOST_DATES_NAMED:
                named[_MOST_DATES_NAMED:] = ["others"]
            self._listed[kind] = " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
        return self._listed[kind]

    @cached_property
    def _ordinals(self) -> set[float]:
        """Their values: a day may stand without its month."""
        return {numeral.value for numeral in self._pair.source.numerals if numeral.kind == "ordinal"}

    @cached_property
    def _weekdays(self) -> set[int]:
        """The weekdays of the source's days and months, in any year that it names."""
        days = {(month, day) for day, months in self._months_of_days.items() for month in months if month}
        found: set[int] = set()
        for year, (month, day) in product(self._years, days):
            if len(found) == _DAYS_OF_A_WEEK:
                break
            with suppress(ValueError):
                found.add(date(year, month, day).weekday())
        return found


# Names

_LEAST_LETTERS = 2
_ROMAN = re.compile(r"[IVX]+")
_PARTICLE_LETTERS = 3
_MOST_COMPARED = 1000
"""After this many missing words no misspellings are looked for: nobody would read so many."""
_VERB_AFTER = re.compile(
    r" (?:is|are|was|were|has|had|have|will|would|can|could|should|may|might|must|did|does|do|said|says|made"
    r"|gave|took|won|lost|left|went|came|became|began|told|got|ran|held|put|set|beat|led|met|cut|broke|wrote|kept"
    r"|sent|bought|sold|beat|paid|built|sought|fought|drew|chose|spent|spoke|brought|hit|threw|saw|found|drove"
    r"|also|previously|never|who|and|[a-z]{3,}ed|[a-z]{3,}s)\b"
    r"|, (?:\d|(?:who|which|where|the|an?)\b)"
)
"""Follows the first word of an English sentence if that is a name: a bare noun hardly ever begins one."""
_SINGULAR_AFTER = re.compile(
    r"(?: |, who )(?:is|was|has|does)\b| (?!always|perhaps|sometimes)[a-z]{3,}[^\Ws]s\b"
)
"""Shows that a first word with a plural's ending is one person or place."""


def check_names(pair: Pair) -> Iterator[Flag | None]:
    """Yield a flag for each stretch of names that the source lacks, a warning for a likely misspelling."""
    if pair.across_languages:
        return
    known = pair.known_names
    asked = 0
    for name in pair.output_names:
        yield None
        if known.holds_as_initials(name):
            continue
        absent = [part for part in name if _is_surely_a_name(part, name, pair) and not known.holds(part)]
        if len(absent) < len(name):
            absent = [part for part in absent if not known.holds_shortened(part, name)]
        asked += len(absent)
        for part in list(absent) if asked <= _MOST_COMPARED else ():
            if other := known.resembling(part):
                absent.remove(part)
                reason = f"The source spells it {other.written}, not {part.written}."
                yield Flag("spelling", part.span, reason, "warning", other.span)
        if nouns_are_capitalized(pair.output) and len(absent) < len(name):
            continue
        for is_absent, stretch in groupby(name, key=absent.__contains__):
            if is_absent:
                yield _unknown_name(list(stretch), name, pair)


def _is_surely_a_name(part: Capital, name: Name, pair: Pair) -> bool:
    key, written = part.key, part.written
    if len(key) < _LEAST_LETTERS or key in titles() or is_calendar_word(key, pair.output.base_language):
        return False
    if _ROMAN.fullmatch(written):
        return False
    if part is not name[-1] and len(key) <= _PARTICLE_LETTERS and not written.isupper():
        return False
    if nouns_are_capitalized(pair.output):
        start, end = part.span
        adjoins = any(start - 1 == other.span.end or end + 1 == other.span.start for other in name)
        return not part.initial and adjoins
    return not part.initial or _is_name_at_start(part, name, pair)


def _is_name_at_start(part: Capital, name: Name, pair: Pair) -> bool:
    """Return whether a sentence's first word would have a capital elsewhere, too."""
    language = pair.output.base_language
    text, end = pair.output.text, part.span.end
    english = language in ("en", "und")
    if part.key in common_words(language):
        return False
    if is_place(part.key, language):
        return True
    if english and is_ordinary(part.key, "en"):
        return False
    if part.key in pair.surely_named or re.match(r"[’']s\b", text[end - 2 : end]):
        return True
    if not english:  # whose words are not looked at
        return False
    if len(name) > 1 and name[1].span.start - end == 1:
        return not part.key.endswith(ordinary_endings()) or pair.known_names.holds(name[1])
    if part.key.endswith(ordinary_endings()):
        return part.key.endswith("s") and _SINGULAR_AFTER.match(text, end) is not None
    return _VERB_AFTER.match(text, end) is not None


def _unknown_name(stretch: list[Capital], name: Name, pair: Pair) -> Flag:
    span = Span(stretch[0].span.start, stretch[-1].span.end)
    written = pair.output.at(span)
    held = [part.key for part in name if part not in stretch]
    other = pair.known_names.by_part.get(held[-1]) if held else None
    # a noun beside a noun looks like a name where all of them have capitals
    severity: Severity = "warning" if nouns_are_capitalized(pair.output) else "error"
    if other is None:
        return Flag("name", span, f"The source does not name {written}.", severity)
    source = Span(other[0].span.start, other[-1].span.end)
    return Flag("name", span, f"The source says {pair.source.at(source)}.", severity, source)


# Quotations

_MARKS = re.compile(
    r"``([^`\n]{1,2000}?)''|“([^“”\n]+)[”“]|„([^“”„\n]+)[“”]|\"([^\"\n]+)\"|«\s?([^«»\n]+?)\s?»|»([^«»\n]+)«"
    r"|「([^「」\n]+)」|『([^『』\n]+)』"
    r"|(?<!\w)‘([^‘\n]{10,2000}?)’(?!\w)|(?<![\w'])'(?!')([^'\n]{12,2000}?)'(?![\w'])"
)
_LEFT_OUT = re.compile(r"\.\.\.|…|\[[^\[\]]*\]|\([^()]*\)")
_LEAST_WORDS = 2
_LEAST_CHARACTERS = 4
"""The least of a quotation in a script without blanks."""
_MOST_NEAREST = 50
"""After this many false quotations no nearest words are looked for: each search reads the whole source."""
_MOST_SOUGHT = 1000
"""The most different pieces that are looked for whole, once the source has all their pairs of words."""
_QUOTED_WORD = re.compile(r"[^\W_]+")


def check_quotations(pair: Pair) -> Iterator[Flag | None]:
    """Yield a flag for each false quotation of two words or more. `...` and brackets may replace words."""
    if pair.across_languages:
        return
    held: _SourceWords | None = None
    left = _MOST_NEAREST
    for match in _MARKS.finditer(pair.output.text):
        group = match.lastindex or 0
        held = held or _SourceWords(pair.source.text)
        pieces = [piece for piece in _LEFT_OUT.split(match[group]) if _is_telling(piece)]
        if not all(map(held.holds, pieces)):
            nearest = _nearest_sentence(pair.source, match[group]) if left > 0 else None
            left -= 1
            reason = "The source does not have these words."
            if nearest is not None:
                words = pair.source.at(nearest)
                reason = f"The source says: {words}{'.' if words[-1].isalnum() else ''}"
            yield Flag("quotation", Span(*match.span(group)), reason, source=nearest)
        yield None


class _SourceWords:
    """The words of a source, to look for quoted pieces in."""

    def __init__(self, text: str):
        self._text = _squeezed(text)
        self._pairs = set(pairwise(self._text.split()))
        self._known: dict[str, bool] = {}

    def holds(self, piece: str) -> bool:
        """Return whether the source has the piece's words in a row.

        After very many pieces it is enough that the source has each two neighbouring words.
        """
        squeezed = _squeezed(piece)
        if not self._pairs.issuperset(pairwise(squeezed.split())):
            return False
        if squeezed not in self._known and len(self._known) < _MOST_SOUGHT:
            self._known[squeezed] = squeezed in self._text
        return self._known.get(squeezed, True)


def _squeezed(text: str) -> str:
    """Return the text's words, one blank around each, and around each character of an unspaced script."""
    plain = text.casefold().replace("’", "").replace("'", "").replace("ʼ", "")
    words = _QUOTED_WORD.findall(plain)
    return " " + " ".join(" ".join(word) if is_unspaced(word) else word for word in words) + " "


def _is_telling(piece: str) -> bool:
    words = _QUOTED_WORD.findall(piece)
    if any(is_unspaced(word) for word in words):
        return sum(map(len, words)) >= _LEAST_CHARACTERS
    return len(words) >= _LEAST_WORDS


def _nearest_sentence(source: Reading, quotation: str) -> Span | None:
    """Return the source's sentence with the most words of the quotation, if it has over 60% of them."""
    wanted = set(_QUOTED_WORD.findall(quotation.casefold()))
    best, share = None, 0.6
    for sentence in source.sentences:
        held = set(_QUOTED_WORD.findall(source.at(sentence).casefold()))
        if len(wanted & held) / len(wanted) > share:
            best, share = sentence, len(wanted & held) / len(wanted)
    return best
