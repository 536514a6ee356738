"""Where in the source an output's sentence comes from, by the words, names and numbers they share.

A sentence's words weigh by how few sentences of the source have them. The sentence that covers most of the
weight comes first, then those that cover most of what is still bare. No model: an article takes a millisecond
or two.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from models.checks.language.reading import Reading
from models.text.span import Span

_MOST_SENTENCES = 3
_LEAST_GAIN = 0.08
"""A further sentence has to cover that much of the weight, or it tells a reader nothing."""
_LEAST_SCORE = 0.12
_MOST_HOLDERS = 1000
"""What more sentences have tells none of them from another; a book would take minutes."""
_NOT_THE_SAME = 0.99
"""The most that another sentence can support, though it has every word."""
_COMMON = 0.1
"""What a stop word weighs beside another word."""

Term = Hashable


@dataclass(frozen=True, slots=True)
class Evidence:
    """A stretch of the source that supports a sentence of the output."""

    span: Span
    """In the source."""
    score: float
    """How much of the sentence it supports, 0 to 1."""


def evidence(source: Reading, output: Reading, weights: "TermWeights") -> list[tuple[Evidence, ...]]:
    """For each sentence of the output at most three sentences of the source, best first; often fewer.

    A sentence that the source has word for word has that one alone, with score 1. Between languages only
    names as they are written and numbers count. `weights` are the source's.
    """
    places = {" ".join(source.text[s.start : s.end].split()): s for s in reversed(source.sentences)}
    found = []
    for span, terms in zip(output.sentences, terms_by_sentence(output), strict=True):
        same = places.get(" ".join(output.text[span.start : span.end].split()))
        found.append((Evidence(same, 1.0),) if same else _best(weights, terms))
    return found


class TermWeights:
    """What each term of a source weighs, and where it is."""

    def __init__(self, source: Reading):
        self.sentences = source.sentences
        self.terms = terms_by_sentence(source)
        self.holders: dict[Term, list[int]] = {}
        for i, sentence in enumerate(self.terms):
            for term in sentence:
                self.holders.setdefault(term, []).append(i)

    def weight(self, term: Term, factor: float) -> float:
        """A term in every sentence weighs little, one in none the most."""
        holders = len(self.holders.get(term, ()))
        return factor * math.log1p(len(self.sentences) / (holders + 0.5))


def terms_by_sentence(reading: Reading) -> list[dict[Term, float]]:
    """The terms of each sentence, with how much each counts: a stop word little, a number most."""
    terms: list[dict[Term, float]] = [{} for _ in reading.sentences]
    if not terms:
        return terms
    for i, words in enumerate(reading.words_by_sentence):
        for word in words:
            terms[i].setdefault(word.stem, _COMMON if reading.is_common(word) else 1.0)
    for numeral in reading.numerals:
        terms[reading.sentence_at(numeral.span.start)][numeral.value] = 1.0
    return terms


def _best(weights: TermWeights, terms: dict[Term, float]) -> tuple[Evidence, ...]:
    bare = {term: weights.weight(term, factor) for term, factor in terms.items()}
    whole = sum(bare.values())
    if not weights.sentences:
        return ()
    chosen: list[Evidence] = []
    while bare and len(chosen) < _MOST_SENTENCES:
        gains = np.zeros(len(weights.sentences))
        for term, weight in bare.items():
            if term in weights.holders:
                gains[weights.holders[term][:_MOST_HOLDERS]] += weight
        best = int(gains.argmax())  # the first of the best
        score = float(gains[best]) / whole
        if score < (_LEAST_GAIN if chosen else _LEAST_SCORE):
            break
        chosen.append(Evidence(weights.sentences[best], min(_NOT_THE_SAME, score)))
        bare = {term: weight for term, weight in bare.items() if term not in weights.terms[best]}
    return tuple(chosen)
