"""Sentences as unit vectors of their words' TF-IDF, for languages that an encoder does not know.

Knows no language and loads nothing. Terms share a fixed number of places by a hash with a sign (Weinberger
and others, "Feature Hashing for Large Scale Multitask Learning", 2009), so that a book takes no more room a
sentence than a note. docs/models.md has the figures by which it was preferred to the English encoder.
"""

import math
from collections import Counter
from collections.abc import Generator, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from models.extractive.choose import terms

DIMENSION = 1024
_SENTENCES_AT_ONCE = 512
"""Between two pauses."""


def embedded(sentences: Sequence[str]) -> Generator[None, None, NDArray[np.float32]]:
    """A row of length 1 for each sentence; of zeros for one without terms. A generator, to pause in."""
    having: Counter[str] = Counter()
    for start in range(0, len(sentences), _SENTENCES_AT_ONCE):
        for sentence in sentences[start : start + _SENTENCES_AT_ONCE]:
            having.update(set(terms(sentence)))
        yield
    rows = np.zeros((len(sentences), DIMENSION), dtype=np.float32)
    for i, sentence in enumerate(sentences):
        for term, number in Counter(terms(sentence)).items():
            place = crc32(term.encode("utf-8", "surrogatepass"))
            sign = 1 if place & 1 else -1
            weight = (1 + math.log(number)) * math.log((1 + len(sentences)) / (0.5 + having[term]))
            rows[i, (place >> 1) % DIMENSION] += sign * weight
        if i % _SENTENCES_AT_ONCE == _SENTENCES_AT_ONCE - 1:
            yield
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.maximum(lengths, 1e-9)
    return rows
