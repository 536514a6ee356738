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
from models.checks.language.stems import is_unspaced
from models.checks.pair import Pair
from models.checks.summary.fragments import Fragment, copied_share, fragments
from models.checks.summary.placement import MOST_WORDS

_LEAST_WORDS = 6
_SCRAPS = -1.6
_SCRAPS_WHERE_COPIED = 4.6
_SECOND_EVIDENCE = 1.1
_SECOND_EVIDENCE_WHERE_COPIED = 3.8
_LONGEST_SCRAP = -1.2
_REPEATED = 0.5
_LENGTH = -0.8
_BIAS = 0.8
_LIMIT = 0.25
"""A sentence above it is flagged: about one in twenty-five of those that people found faithful."""


def check(pair: Pair) -> Iterator[Flag | None]:
    """Yield a flag for each doubtful sentence, over the whole of it."""
    words = pair.output.words
    if pair.across_languages or not words or len(words) > MOST_WORDS or is_unspaced(words[0].key):
        return
    sentences = pair.output.words_by_sentence
    stems = _Stems(pair)
    cut = fragments(pair.source, sentences)
    copied = copied_share(cut)
    for i, (words, scraps) in enumerate(zip(sentences, cut, strict=True)):
        yield None
        if len(words) < _LEAST_WORDS or len(scraps) == 1 or pair.evidence[i][:1] == ():
            continue
        if _doubt(pair, i, words, scraps, copied, stems) > _LIMIT:
            reason = "It is put together from parts that the source has in different places."
            yield Flag("splice", pair.output.sentences[i], reason, source=pair.evidence[i][0].span)


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


def _doubt(
    pair: Pair, sentence: int, words: list[Word], scraps: list[Fragment], copied: float, stems: _Stems
) -> float:
    """Return the logit of the sentence being wrong."""
    evidence = pair.evidence[sentence]
    share = len(scraps) / len(words)
    second = evidence[1].score if len(evidence) > 1 else 0.0
    longest = max((scrap.words for scrap in scraps if scrap.held), default=0) / len(words)
    return (
        share * (_SCRAPS + _SCRAPS_WHERE_COPIED * copied)
        + second * (_SECOND_EVIDENCE + _SECOND_EVIDENCE_WHERE_COPIED * copied)
        + longest * _LONGEST_SCRAP
        + min(2, _repeated(pair, sentence, words, stems)) * _REPEATED
        + math.log(len(words)) * _LENGTH
        + _BIAS
    )


def _repeated(pair: Pair, sentence: int, words: list[Word], stems: _Stems) -> int:
    """Count the rare words that the sentence has twice and no sentence of its evidence does."""
    counts = Counter(word.stem for word in words if not pair.output.is_common(word))
    held = [stems.at(each.span.start) for each in pair.evidence[sentence]]
    return sum(count > 1 and all(other[stem] < 2 for other in held) for stem, count in counts.items())
