"""Sentences in, the best of them out: embedded a few at a time, then chosen."""

import re
from collections.abc import Generator, Sequence

import numpy as np

from models.extractive.choose import best_first, choose, count_words
from models.extractive.encoder import Embeddings, SentenceEncoder
from models.extractive.headline import MOST_WORDS, headline
from models.extractive.lexical import embedded

SENTENCES_AT_ONCE = 64
"""Between two pauses; a quarter of a second's work, about."""
_HEADLINES = 8
"""The best sentences that are cut, to see which becomes a good headline."""
_TOO_LONG = 0.25
"""Against a headline of twice MOST_WORDS, in units of a sentence's score; on a plateau from 0.1 to 0.3."""
_POINTS_BACK = 0.1
"""Against a headline that begins with a word for what was named before."""
_PRONOUN = re.compile(r"(?:He|She|It|They|We|I|This|That|These|Those|His|Her|Its|Their|You|There)\b")


def summarize(
    sentences: Sequence[str],
    encoder: SentenceEncoder | None,
    *,
    max_words: int,
    max_sentences: int | None = None,
) -> Generator[None, None, list[int]]:
    """The numbers of the sentences to take, in order, of at most `max_words` words together.

    `encoder` is None where it does not know the language: then their words decide. A generator, so that its
    caller can give up at a pause. The first sentence taken may alone be longer. Empty only if there is no
    sentence.
    """
    if not sentences:
        return []
    rows = yield from _embedded(sentences, encoder)
    return choose(sentences, rows, max_words=max_words, max_sentences=max_sentences)


def pick_headline(
    sentences: Sequence[str], encoder: SentenceEncoder | None, language: str, *, max_words: int
) -> Generator[None, None, tuple[int, str]]:
    """The number of a sentence of at most `max_words` words, and the headline that it is cut to."""
    rows = yield from _embedded(sentences, encoder)
    best, found = float("-inf"), (0, "")
    for number, value in best_first(sentences, rows, max_words=max_words)[:_HEADLINES]:
        cut = headline(sentences[number], language)
        value -= _TOO_LONG * max(0, count_words(cut) - MOST_WORDS) / MOST_WORDS
        value -= _POINTS_BACK * (_PRONOUN.match(cut) is not None)
        if value > best:
            best, found = value, (number, cut)
        yield
    return found


def _embedded(sentences: Sequence[str], encoder: SentenceEncoder | None) -> Generator[None, None, Embeddings]:
    if encoder is None:
        return (yield from embedded(sentences))
    rows = []
    for start in range(0, len(sentences), SENTENCES_AT_ONCE):
        rows.append(encoder.embed(sentences[start : start + SENTENCES_AT_ONCE]))
        yield
    return np.concatenate(rows)
