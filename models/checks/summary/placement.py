"""Flags names and numbers that the source has, but in another place than the output.

Compares the words around a name or number in the output with those around each of its places in the source,
and around others of its kind. If they fit another clearly better, it is in the wrong place.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from models.checks.flag import Flag
from models.checks.language.calendar_words import is_calendar_word
from models.checks.language.capitals import Name, nouns_are_capitalized, territories
from models.checks.language.known_names import are_forms_of_one, is_place, same_names, untitled
from models.checks.language.name_forms import stem_sizes
from models.checks.language.numerals import Numeral
from models.checks.pair import Pair
from models.checks.summary.numbers import is_untelling, rounds_to
from models.checks.summary.surroundings import Surroundings
from models.text.span import Span

_LOCATIVE = re.compile(r"\b(?:in|at|from|to|near|across|of|outside|around|into) $")
_OF_PEOPLE = ("an", "ans", "ish", "ese", "ch", "sh", "s")
"""Endings of names of peoples, which stand where no country can."""
_LEAST_LETTERS = 3
LEAST_GAIN = 1 / 3
"""The other one must have so much more of the surroundings. Chosen on the first sentences of 2,068 articles,
with the rest as the source: of 1,335 names and numbers 7 are flagged. A logistic model of both shares and the
number of places, fitted to far fewer articles, flagged 24, and found less of what was planted."""
MOST_WORDS = 2000
"""A longer output is no summary, and to compare every place with every other would take minutes."""
_MOST_NUMBERS = 200
_MOST_BY_NEARNESS = 0.21
_MOST_PLACES = 6
"""A name or number with more places in the source may stand anywhere."""


def check(pair: Pair) -> Iterator[Flag | None]:
    """Yield a flag for each name or number whose surroundings the source has around another."""
    output = pair.output
    if pair.across_languages or len(output.words) > MOST_WORDS or len(output.numerals) > _MOST_NUMBERS:
        return
    surroundings = Surroundings(pair.source, pair.weights)
    yield from _numbers(pair, surroundings)
    if not nouns_are_capitalized(pair.output):
        yield from _names(pair, surroundings)


def _numbers(pair: Pair, surroundings: Surroundings) -> Iterator[Flag | None]:
    places: dict[float, list[Span]] = defaultdict(list)
    for other in pair.source.numerals:
        for value in other.values:
            places[value].append(other.span)
    dated = {date.span.start for date in pair.source_dates}
    others = [n for n in pair.source.numerals if n.kind == "cardinal" and n.span.start not in dated]
    for numeral in pair.output.numerals:
        yield None
        if numeral.kind != "cardinal" or is_untelling(numeral) or _is_date(pair, numeral):
            continue
        same = sorted({span for value in numeral.values for span in places.get(value, ())})
        if not 0 < len(same) <= _MOST_PLACES:
            continue
        sentence = pair.output.sentence_at(numeral.span.start)
        beside = [n for n in pair.output.numerals if pair.output.sentence_at(n.span.start) == sentence]
        stated = {value for other in beside for value in other.values}
        rivals = [n.span for n in others if stated.isdisjoint(n.values) and _is_rival(numeral, n)]
        if rival := _better(pair, surroundings, numeral.span, same, rivals):
            yield _flag(pair, numeral.span, rival)


def _is_rival(numeral: Numeral, other: Numeral) -> bool:
    """Return whether the other number could have stood in the place of this one."""
    if other.value <= 1 or (numeral.unit == "%") != (other.unit == "%"):
        return False
    if numeral.unit and other.unit and numeral.unit != other.unit:
        return False
    return not any(rounds_to(value, exact, "near") for value in numeral.values for exact in other.values)


def _is_date(pair: Pair, numeral: Numeral) -> bool:
    return any(d.span.start <= numeral.span.start < d.span.end for d in pair.output_dates if d.sure)


def _names(pair: Pair, surroundings: Surroundings) -> Iterator[Flag | None]:
    source = _Named(pair)
    stated = _names_by_sentence(pair)
    for whole in pair.output_names:
        yield None
        name = _telling(whole, pair)
        kind = _kind(name, pair.output.text, pair.output.base_language)
        if kind is None or not all(pair.known_names.holds(part) for part in name):
            continue
        same = source.spans(source.sharing(part.key for part in name))
        if not 0 < len(same) <= _MOST_PLACES:
            continue
        beside = source.sharing(stated[pair.output.sentence_at(name[0].span.start)])
        rivals = source.spans(i for i in source.of_kind(kind) if i not in beside)
        if rival := _better(pair, surroundings, _span(name), same, rivals):
            yield _flag(pair, _span(name), rival)


def _telling(name: Name, pair: Pair) -> Name:
    language = pair.output.base_language
    return tuple(
        part
        for part in untitled(name)
        if len(part.key) >= _LEAST_LETTERS and not is_calendar_word(part.key, language)
    )


def _kind(name: Name, text: str, language: str) -> str | None:
    """Return the name's kind, or None: only names of a kind, such as two countries, can be mixed up."""
    if not name or any(is_calendar_word(part.key, language) for part in name):
        return None
    if len(name) > 1:
        return "several words"
    if is_place(name[0].key, language):
        is_country = name[0].key in territories(language) or not name[0].key.endswith(_OF_PEOPLE)
        return "country" if is_country else None
    start = name[0].span.start
    if not name[0].initial and _LOCATIVE.search(text, max(0, start - 16), start):
        return "place"
    return None


def _names_by_sentence(pair: Pair) -> dict[int, set[str]]:
    """Return the keys of all words of names by the output's sentence that they stand in."""
    found: dict[int, set[str]] = defaultdict(set)
    for name in pair.output_names:
        for part in name:
            found[pair.output.sentence_at(part.span.start)].add(part.key)
    return found


class _Named:
    """The names of a source by number, found by any form of one of their words."""

    def __init__(self, pair: Pair):
        self._source = pair.source
        self._names = pair.known_names.untitled
        self._forms: dict[str, frozenset[str]] = {}
        self._by_key: dict[str, set[int]] = defaultdict(set)
        self._by_stem: dict[str, set[str]] = defaultdict(set)
        for i, name in enumerate(self._names):
            for part in name:
                self._by_key[part.key].add(i)
        for key in self._by_key:
            for size in stem_sizes(key):
                self._by_stem[key[:size]].add(key)

    def sharing(self, keys: Iterable[str]) -> set[int]:
        """Return the numbers of the names that have a form of one of the words."""
        return {i for key in keys for form in self._forms_of(key) for i in self._by_key[form]}

    def spans(self, numbers: Iterable[int]) -> list[Span]:
        """Return the places of these names, in order."""
        return [_span(self._names[i]) for i in sorted(numbers)]

    def of_kind(self, kind: str) -> list[int]:
        """Return the numbers of the names of this `_kind`."""
        return self._by_kind.get(kind, [])

    @cached_property
    def _by_kind(self) -> dict[str | None, list[int]]:
        found: dict[str | None, list[int]] = defaultdict(list)
        for i, name in enumerate(self._names):
            found[_kind(name, self._source.text, self._source.base_language)].append(i)
        return found

    def _forms_of(self, key: str) -> frozenset[str]:
        """Return the words of the source's names that are forms of one name with `key`."""
        if key not in self._forms:
            near = {other for size in stem_sizes(key) for other in self._by_stem.get(key[:size], ())}
            near = {other for other in near if are_forms_of_one(other, key)}
            alike = {other for other in (key, *same_names(key)) if other in self._by_key}
            self._forms[key] = frozenset(near | alike)
        return self._forms[key]


def _span(name: Name) -> Span:
    return Span(name[0].span.start, name[-1].span.end)


def _better(
    pair: Pair, surroundings: Surroundings, span: Span, same: Sequence[Span], rivals: Sequence[Span]
) -> Span | None:
    """Return the rival's place in the source that fits the surroundings in the output better, or None."""
    if not rivals:
        return None
    context = surroundings.context(pair.output, span)
    held = surroundings.by_sentence(context)

    def fit(place: Span) -> float:
        return held[pair.source.sentence_at(place.start)] + surroundings.nearness(context, place.start)

    here = max(map(fit, same))
    # nearness adds 0.2 at most, and takes longest
    least = max(held[pair.source.sentence_at(place.start)] for place in rivals) - _MOST_BY_NEARNESS
    rivals = [place for place in rivals if held[pair.source.sentence_at(place.start)] >= least]
    rival = max(rivals, key=fit)
    return rival if fit(rival) - here >= LEAST_GAIN else None


def _flag(pair: Pair, span: Span, rival: Span) -> Flag:
    written = pair.output.text[span.start : span.end]
    other = pair.source.text[rival.start : rival.end]
    reason = f"Where the source says this it has {other}, not {written}."
    return Flag("placement", span, reason, source=rival)
