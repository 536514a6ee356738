"""Measures how well the words around a place of an output fit those around a place of its source."""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from models.checks.evidence import TermWeights
from models.checks.language.reading import Reading, Word
from models.text.span import Span

_SAME_SENTENCE = 0.8
_NEIGHBOURING_SENTENCE = 0.4
_NEAR_WORDS = 6
_NEAR = 0.2
"""Added to the weight of the same sentence."""
_COMMON = 0.1
_FADING_BEFORE = 3.0
_FADING_AFTER = 4.0
"""The distance in words at which a word counts half. The words after a number or a name tell more of it."""

Context = dict[str, float]
"""Stems with their weights, which add up to 1."""


@dataclass(frozen=True)
class Surroundings:
    """A source that tells how well a place of it fits a context."""

    source: Reading
    weights: TermWeights

    def context(self, output: Reading, span: Span) -> Context:
        """Return the words around a place in its sentence. Rare and near ones weigh most."""
        words = output.words_by_sentence[output.sentence_at(span.start)]
        before = [word for word in reversed(words) if word.span.end <= span.start]
        after = [word for word in words if word.span.start >= span.end]
        found: Context = {}
        for side, fading in ((before, _FADING_BEFORE), (after, _FADING_AFTER)):
            for distance, word in enumerate(side):
                weight = self._weight(output, word) / (1 + distance / fading)
                found[word.stem] = found.get(word.stem, 0.0) + weight
        whole = sum(found.values())
        return {stem: weight / whole for stem, weight in found.items()}

    def by_sentence(self, context: Context) -> list[float]:
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
            own = {self._sentences[i] for i in self._places.get(stem, ())}
            beside = {i + step for i in own for step in (-1, 1)} - own
            self._known_holders[stem] = own, beside - {-1, len(self.source.sentences)}
        return self._known_holders[stem]

    def nearness(self, context: Context, offset: int) -> float:
        """Return the share of the context within a few words of a place of the source, 0 to 0.2."""
        at = bisect_left(self._starts, offset)
        places = range(max(0, at - _NEAR_WORDS), min(len(self._starts), at + _NEAR_WORDS + 1))
        sentence = self.source.sentence_at(offset)
        near = {self.source.words[i].stem for i in places if self._sentences[i] == sentence}
        return _NEAR * sum(context.get(stem, 0.0) for stem in near)

    def _weight(self, output: Reading, word: Word) -> float:
        return self.weights.weight(word.stem, _COMMON if output.is_common(word) else 1.0)

    @cached_property
    def _known_holders(self) -> dict[str, tuple[set[int], set[int]]]:
        return {}

    @cached_property
    def _starts(self) -> list[int]:
        return [word.start for word in self.source.words]

    @cached_property
    def _sentences(self) -> list[int]:
        return [i for i, words in enumerate(self.source.words_by_sentence) for _ in words]

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = defaultdict(list)
        for i, word in enumerate(self.source.words):
            places[word.stem].append(i)
        return places
