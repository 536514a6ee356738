"""Flags sentences put together from scraps of the source that do not belong together.

A summarizer that copies goes wrong where it joins: half of one sentence and half of another say what neither
did. So in an output that mostly copies, a sentence of many short scraps from two places of the source is
doubtful. A small logistic model decides, fitted to people's judgements of sentences (bench/checks.py has the
figures). It says nothing about an output that paraphrases.
"""

import math
from collections import Counter
from collections.abc import Iterator

from models.checks.flag import Flag
from models.checks.language.reading import Word
from models.checks.pair import Pair
from models.checks.summary.fragments import Fragment, copied_share, fragments
from models.checks.summary.placement import MOST_WORDS
from models.text.sentences import is_unspaced

_LEAST_WORDS = 6
COEFFICIENTS = (-1.6, 4.6, 1.1, 3.8, -1.2, 0.5, -0.8)
"""Of `signs`, in their order."""
BIAS = 0.7
"""With it a sentence above 0 is flagged: about one in fifty of those that people found faithful."""


def check(pair: Pair) -> Iterator[Flag | None]:
    """Yield a flag for each doubtful sentence, over the whole of it."""
    words = pair.output.words
    if pair.across_languages or not words or len(words) > MOST_WORDS or is_unspaced(words[0].key):
        return
    for i, found in signs(pair):
        if found and sum(a * b for a, b in zip(COEFFICIENTS, found, strict=True)) + BIAS > 0:
            reason = "It is put together from parts that the source has in different places."
            yield Flag("splice", pair.output.sentences[i], reason, source=pair.evidence[i][0].span)
        else:
            yield None


def signs(pair: Pair) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Yield the number of each sentence with what tells a splice; with nothing, if it cannot be one."""
    sentences = pair.output.words_by_sentence
    stems = _Stems(pair)
    cut = fragments(pair.source, sentences)
    copied = copied_share(cut)
    for i, (words, scraps) in enumerate(zip(sentences, cut, strict=True)):
        can_be = len(words) >= _LEAST_WORDS and len(scraps) > 1 and pair.evidence[i]
        yield i, _signs(pair, i, words, scraps, copied, stems) if can_be else ()


class _Stems:
    """The counts of stems in each sentence of the source, each counted once."""

    def __init__(self, pair: Pair):
        self._source = pair.source
        self._counts: dict[int, Counter[str]] = {}

    def at(self, offset: int) -> Counter[str]:
        """Return the counts for the sentence that the character belongs to."""
        sentence = self._source.sentence_at(offset)
        if sentence not in self._counts:
            self._counts[sentence] = Counter(word.stem for word in self._source.words_by_sentence[sentence])
        return self._counts[sentence]


def _signs(
    pair: Pair, sentence: int, words: list[Word], scraps: list[Fragment], copied: float, stems: _Stems
) -> tuple[float, ...]:
    """Return what `COEFFICIENTS` are for: scraps, a second place of the source, repetition tell splices."""
    evidence = pair.evidence[sentence]
    share = len(scraps) / len(words)
    second = evidence[1].score if len(evidence) > 1 else 0.0
    longest = max((scrap.words for scrap in scraps if scrap.held), default=0) / len(words)
    repeated = min(2, _repeated(pair, sentence, words, stems))
    return share, share * copied, second, second * copied, longest, repeated, math.log(len(words))


def _repeated(pair: Pair, sentence: int, words: list[Word], stems: _Stems) -> int:
    """Count the rare words that the sentence has twice and no sentence of its evidence does."""
    counts = Counter(word.stem for word in words if not pair.output.is_common(word))
    held = [stems.at(each.span.start) for each in pair.evidence[sentence]]
    return sum(count > 1 and all(other[stem] < 2 for other in held) for stem, count in counts.items())
