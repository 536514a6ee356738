"""Flags facts that a summary takes from its source but combines in another way.

Names and numbers: the words around one are compared with those around each of its occurrences in the source,
and around others of its kind; if another fits clearly better, it is in the wrong place. Sentences: a
summarizer that copies goes wrong where it joins, when half of one sentence and half of another say what
neither did.
"""

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from models.checks.evidence import TermWeights
from models.checks.flag import Flag
from models.checks.language.dates import is_calendar_word
from models.checks.language.names import (
    Name,
    are_forms_of_one,
    is_place,
    nouns_are_capitalized,
    same_names,
    stem_sizes,
    territories,
    untitled,
)
from models.checks.language.numbers import Numeral
from models.checks.language.reading import Reading, Word
from models.checks.pair import Pair
from models.checks.summary.facts import is_untelling, rounds_to
from models.text.sentences import is_unspaced
from models.text.span import Span

_LOCATIVE = re.compile(r"\b(?:in|at|from|to|near|across|of|outside|around|into) $")
_OF_PEOPLE = ("an", "ans", "ish", "ese", "ch", "sh", "s")
"""Endings of names of peoples, which stand where no country can."""
_LEAST_LETTERS = 3
LEAST_GAIN = 1 / 3
"""The other one must have so much more of the surroundings. Chosen on the first sentences of 2,068 articles,
with the rest as the source: of 1,335 names and numbers 7 are flagged. A logistic model of both shares and the
number of places, fitted to far fewer articles, flagged 24, and found less of what was planted."""
_MOST_WORDS = 2000
"""A longer output is no summary, and to compare every place with every other would take minutes."""
_MOST_NUMBERS = 200
_MOST_BY_NEARNESS = 0.21
_MOST_PLACES = 6
"""A name or number with more places in the source may stand anywhere."""
_SAME_SENTENCE = 0.8
_NEIGHBOURING_SENTENCE = 0.4
_NEAR_WORDS = 6
_NEAR = 0.2
"""Added to the weight of the same sentence."""
_COMMON = 0.1
_FADING_BEFORE = 3.0
_FADING_AFTER = 4.0
"""The distance in words at which a word counts half. The words after a number or a name tell more of it."""


@dataclass(frozen=True)
class Surroundings:
    """A source that tells how well the words around a place of it fit those around a place of an output."""

    source: Reading
    weights: TermWeights

    def context(self, output: Reading, span: Span) -> dict[str, float]:
        """Return the stems around a place in its sentence with weights that add up to 1.

        Rare and near ones weigh most.
        """
        words = output.words_by_sentence[output.sentence_at(span.start)]
        before = [word for word in reversed(words) if word.span.end <= span.start]
        after = [word for word in words if word.span.start >= span.end]
        found: dict[str, float] = {}
        for side, fading in ((before, _FADING_BEFORE), (after, _FADING_AFTER)):
            for distance, word in enumerate(side):
                weight = self.weights.weight(word.stem, _COMMON if output.is_common(word) else 1.0)
                found[word.stem] = found.get(word.stem, 0.0) + weight / (1 + distance / fading)
        whole = sum(found.values())
        return {stem: weight / whole for stem, weight in found.items()}

    def by_sentence(self, context: dict[str, float]) -> list[float]:
        """Return for each sentence of the source how much of the context is in or beside it, 0 to 0.8."""
        held = [0.0] * len(self.source.sentences)
        for stem, weight in context.items():
            own, beside = self._holders(stem)
            for i in own:
                held[i] += _SAME_SENTENCE * weight
            for i in beside:
                held[i] += _NEIGHBOURING_SENTENCE * weight
        return held

    def _holders(self, stem: str) -> tuple[set[int], set[int]]:
        """Return the sentences of the source that have the stem, and their neighbours that do not."""
        if stem not in self._known_holders:
            own = self._sentences_of_stems.get(stem, set())
            beside = {i + step for i in own for step in (-1, 1)} - own
            self._known_holders[stem] = own, beside - {-1, len(self.source.sentences)}
        return self._known_holders[stem]

    def nearness(self, context: dict[str, float], offset: int) -> float:
        """Return the share of the context within a few words of a place of the source, 0 to 0.2."""
        at = bisect_left(self._starts, offset)
        places = range(max(0, at - _NEAR_WORDS), min(len(self._starts), at + _NEAR_WORDS + 1))
        sentence = self.source.sentence_at(offset)
        near = {self.source.words[i].stem for i in places if self._sentences[i] == sentence}
        return _NEAR * sum(context.get(stem, 0.0) for stem in near)

    @cached_property
    def _known_holders(self) -> dict[str, tuple[set[int], set[int]]]:
        return {}

    @cached_property
    def _starts(self) -> list[int]:
        return [word.span.start for word in self.source.words]

    @cached_property
    def _sentences(self) -> list[int]:
        """The number of each word's sentence."""
        return [i for i, words in enumerate(self.source.words_by_sentence) for _ in words]

    @cached_property
    def _sentences_of_stems(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = defaultdict(set)
        for word, sentence in zip(self.source.words, self._sentences, strict=True):
            found[word.stem].add(sentence)
        return found


def check_placement(pair: Pair) -> Iterator[Flag | None]:
    """Yield a flag for each name or number whose surroundings the source has around another."""
    output = pair.output
    if pair.across_languages or len(output.words) > _MOST_WORDS or len(output.numerals) > _MOST_NUMBERS:
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
    dates = [date.span for date in pair.output_dates if date.sure]
    for numeral in pair.output.numerals:
        yield None
        start = numeral.span.start
        is_date = any(date.start <= start < date.end for date in dates)
        if numeral.kind != "cardinal" or is_untelling(numeral) or is_date:
            continue
        same = sorted({span for value in numeral.values for span in places.get(value, ())})
        if not 0 < len(same) <= _MOST_PLACES:
            continue
        sentence = pair.output.sentence_at(start)
        beside = [n for n in pair.output.numerals if pair.output.sentence_at(n.span.start) == sentence]
        stated = {value for other in beside for value in other.values}
        rivals = [n.span for n in others if stated.isdisjoint(n.values) and _is_rival(numeral, n)]
        if flag := _misplaced(pair, surroundings, numeral.span, same, rivals):
            yield flag


def _is_rival(numeral: Numeral, other: Numeral) -> bool:
    """Return whether the other number could have stood in the place of this one."""
    if other.value <= 1 or (numeral.unit == "%") != (other.unit == "%"):
        return False
    if numeral.unit and other.unit and numeral.unit != other.unit:
        return False
    return not any(rounds_to(value, exact, "near") for value in numeral.values for exact in other.values)


def _names(pair: Pair, surroundings: Surroundings) -> Iterator[Flag | None]:
    source = _SourceNames(pair)
    language = pair.output.base_language
    stated: dict[int, set[str]] = defaultdict(set)
    for name in pair.output_names:
        stated[pair.output.sentence_at(name[0].span.start)] |= {part.key for part in name}
    for whole in pair.output_names:
        yield None
        name = tuple(
            part
            for part in untitled(whole)
            if len(part.key) >= _LEAST_LETTERS and not is_calendar_word(part.key, language)
        )
        kind = _kind(name, pair.output.text, language)
        if kind is None or not all(pair.known_names.holds(part) for part in name):
            continue
        same = source.spans(source.sharing(part.key for part in name))
        if not 0 < len(same) <= _MOST_PLACES:
            continue
        beside = source.sharing(stated[pair.output.sentence_at(name[0].span.start)])
        rivals = source.spans(source.of_kind(kind) - beside)
        if flag := _misplaced(pair, surroundings, _span(name), same, rivals):
            yield flag


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


class _SourceNames:
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

    def of_kind(self, kind: str) -> set[int]:
        """Return the numbers of the names of this `_kind`."""
        return self._by_kind.get(kind, set())

    @cached_property
    def _by_kind(self) -> dict[str | None, set[int]]:
        found: dict[str | None, set[int]] = defaultdict(set)
        for i, name in enumerate(self._names):
            found[_kind(name, self._source.text, self._source.base_language)].add(i)
        return found

    def spans(self, numbers: Iterable[int]) -> list[Span]:
        """Return the places of these names, in order."""
        return [_span(self._names[i]) for i in sorted(numbers)]

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


def _misplaced(
    pair: Pair, surroundings: Surroundings, span: Span, same: Sequence[Span], rivals: Sequence[Span]
) -> Flag | None:
    """Return a flag if the place in the source of a rival fits better than its own."""
    if not rivals:
        return None
    context = surroundings.context(pair.output, span)
    held = surroundings.by_sentence(context)

    def in_sentence(place: Span) -> float:
        return held[pair.source.sentence_at(place.start)]

    def fit(place: Span) -> float:
        return in_sentence(place) + surroundings.nearness(context, place.start)

    # nearness adds 0.2 at most, and takes longest
    least = max(map(in_sentence, rivals)) - _MOST_BY_NEARNESS
    rival = max((place for place in rivals if in_sentence(place) >= least), key=fit)
    if fit(rival) - max(map(fit, same)) < LEAST_GAIN:
        return None
    reason = f"Where the source says this it has {pair.source.at(rival)}, not {pair.output.at(span)}."
    return Flag("placement", span, reason, source=rival)


# Splices. In an output that mostly copies, a sentence of many short scraps from two places of the source is
# doubtful. A small logistic model decides, fitted to people's judgements of sentences: bench/checks.py has
# figures. It says nothing about an output that paraphrases.

_LEAST_WORDS = 6
SPLICE_COEFFICIENTS = (-1.35, 3.46, 1.19, 3.08, -0.64)
"""Of `signs`, in their order."""
SPLICE_BIAS = 0.12
"""With it a sentence above 0 is flagged: about one in fifty of those that people found faithful."""
_COPIED_WORDS = 4
"""A stretch of this many words was copied, not matched by chance."""
_MOST_STARTS = 1000


def check_splices(pair: Pair) -> Iterator[Flag | None]:
    """Yield a flag for each doubtful sentence, over the whole of it."""
    words = pair.output.words
    if pair.across_languages or not words or len(words) > _MOST_WORDS or is_unspaced(words[0].key):
        return
    for i, found in signs(pair):
        if found and sum(a * b for a, b in zip(SPLICE_COEFFICIENTS, found, strict=True)) + SPLICE_BIAS > 0:
            reason = "It is put together from parts that the source has in different places."
            yield Flag("splice", pair.output.sentences[i], reason, source=pair.evidence[i][0].span)
        else:
            yield None


def signs(pair: Pair) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Yield the number of each sentence with what tells a splice; with nothing, if it cannot be one."""
    sentences = pair.output.words_by_sentence
    cut = _copied(pair.source, sentences)
    long = sum(scrap for scraps in cut for scrap in scraps if scrap >= _COPIED_WORDS)
    copied = long / max(1, sum(map(len, sentences)))
    for i, (words, scraps, evidence) in enumerate(zip(sentences, cut, pair.evidence, strict=True)):
        if len(words) < _LEAST_WORDS or len(scraps) < 2 or not evidence:
            yield i, ()
            continue
        share = len(scraps) / len(words)
        second = evidence[1].score if len(evidence) > 1 else 0.0
        yield i, (share, share * copied, second, second * copied, math.log(len(words)))


def _copied(source: Reading, sentences: list[list[Word]]) -> list[list[int]]:
    """Cut each sentence into the longest stretches of words that the source has, and return their lengths.

    A word that the source does not have is a stretch of 0. Words are compared by their stems.
    """
    stems = [word.stem for word in source.words]
    places: dict[str, list[int]] = defaultdict(list)
    for i, stem in enumerate(stems):
        places[stem].append(i)
    cut: list[list[int]] = []
    for sentence in sentences:
        own = [word.stem for word in sentence]
        cut.append([])
        first = 0
        while first < len(own):
            longest = 0
            for place in places.get(own[first], ())[:_MOST_STARTS]:
                longest = max(longest, _shared(own, first, stems, place))
                if first + longest == len(own):
                    break  # no other place has more; without this, a text that repeats itself takes very long
            cut[-1].append(longest)
            first += max(longest, 1)
    return cut


def _shared(sentence: list[str], first: int, stems: list[str], place: int) -> int:
    words = 0
    most = min(len(sentence) - first, len(stems) - place)
    while words < most and sentence[first + words] == stems[place + words]:
        words += 1
    return words
