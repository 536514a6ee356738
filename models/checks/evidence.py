"""Finds the source sentences that support a sentence of the output, by shared words, names and numbers.

A word that few source sentences have weighs more. The sentence that covers most of the weight comes first,
then those that cover most of the rest. Needs no model: an article takes a millisecond or two.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from models.checks.language.reading import Reading
from models.text.span import Span

_MOST_SENTENCES = 3
_LEAST_GAIN = 0.08
"""A further sentence has to cover this share of the weight, or it tells a reader nothing."""
_LEAST_SCORE = 0.12
_MOST_HOLDERS = 1000
"""A term in more sentences than this tells none of them from another; a book would take minutes."""
_NOT_THE_SAME = 0.99
"""The highest score of a sentence that differs, even if it has every word."""
_COMMON = 0.1
"""The weight of a stop word, where another word has 1."""

Term = Hashable


@dataclass(frozen=True, slots=True)
class Evidence:
    """A stretch of the source that supports a sentence of the output."""

    span: Span
    """In the source."""
    score: float
    """The share of the sentence that it supports, 0 to 1."""


def evidence(source: Reading, output: Reading, weights: "TermWeights") -> list[tuple[Evidence, ...]]:
    """Return for each sentence of the output at most three sentences of the source, best first; often fewer.

    A sentence that the source has word for word gets that one alone, with score 1. Between two languages only
    numbers and names spelled alike count. `weights` are the source's.
    """
    places = {" ".join(source.at(span).split()): span for span in reversed(source.sentences)}
    found = []
    for span, terms in zip(output.sentences, terms_by_sentence(output), strict=True):
        same = places.get(" ".join(output.at(span).split()))
        found.append((Evidence(same, 1.0),) if same else _best(weights, terms))
    return found


class TermWeights:
    """The weight of each term of a source, and the sentences that have it."""

    def __init__(self, source: Reading):
        self.sentences = source.sentences
        self.terms = terms_by_sentence(source)
        self.holders: dict[Term, list[int]] = {}
        for i, sentence in enumerate(self.terms):
            for term in sentence:
                self.holders.setdefault(term, []).append(i)

    def weight(self, term: Term, factor: float) -> float:
        """Return the term's weight: little for one in every sentence, the most for one in none."""
        holders = len(self.holders.get(term, ()))
        return factor * math.log1p(len(self.sentences) / (holders + 0.5))


def terms_by_sentence(reading: Reading) -> list[dict[Term, float]]:
    """Return the terms of each sentence with their factors: small for a stop word, 1 for a number."""
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
