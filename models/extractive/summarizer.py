"""Sentences in, the best of them out: embedded a few at a time, then chosen."""

from collections.abc import Generator, Sequence

import numpy as np

from models.extractive.choose import choose
from models.extractive.encoder import SentenceEncoder

SENTENCES_AT_ONCE = 64
"""Between two pauses; a quarter of a second's work, about."""


def summarize(
    sentences: Sequence[str],
    encoder: SentenceEncoder,
    *,
    max_words: int,
    max_sentences: int | None = None,
) -> Generator[None, None, list[int]]:
    """The numbers of the sentences to take, in order, of at most `max_words` words together.

    A generator, so that its caller can give up at a pause. The first sentence taken may alone be longer.
    Empty only if there is no sentence.
    """
    if not sentences:
        return []
    rows = []
    for start in range(0, len(sentences), SENTENCES_AT_ONCE):
        rows.append(encoder.embed(sentences[start : start + SENTENCES_AT_ONCE]))
        yield
    return choose(sentences, np.concatenate(rows), max_words=max_words, max_sentences=max_sentences)
