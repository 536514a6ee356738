"""Sentences put together from scraps of the source that do not belong together.

A summarizer that copies goes wrong where it joins: half of one sentence and half of another say what neither
did. So in an output that mostly copies, a sentence of many short scraps, from two places of the source, is
doubtful. How doubtful, a small logistic model says, fitted to people's judgements of sentences
(bench/checks.py has the figures). It tells nothing about an output that paraphrases.
"""

import math
from collections import Counter
from collections.abc import Iterator

from models.checks.flag import Flag
from models.checks.fragments import Fragment, copied_share, fragments
from models.checks.pair import Pair
from models.checks.placement import MOST_WORDS
from models.checks.reading import Word
from models.checks.stems import is_unspaced

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
"""From here on a sentence is flagged: about one in twenty-five of those that people found faithful."""


def check(pair: Pair) -> Iterator[Flag]:
    """A flag for each doubtful sentence, over the whole of it."""
    words = pair.output.words
    if pair.across_languages or not words or len(words) > MOST_WORDS or is_unspaced(words[0].key):
        return
    sentences = pair.output.words_by_sentence
    cut = fragments(pair.source, sentences)
    copied = copied_share(cut)
    for i, (words, scraps) in enumerate(zip(sentences, cut, strict=True)):
        if len(words) < _LEAST_WORDS or len(scraps) == 1 or pair.evidence[i][:1] == ():
            continue
        if _doubt(pair, i, words, scraps, copied) > _LIMIT:
            reason = "put together from parts that the source has in different places"
            yield Flag("splice", pair.output.sentences[i], reason, source=pair.evidence[i][0].span)


def _doubt(pair: Pair, sentence: int, words: list[Word], scraps: list[Fragment], copied: float) -> float:
    """The logit of the sentence being wrong."""
    evidence = pair.evidence[sentence]
    share = len(scraps) / len(words)
    second = evidence[1].score if len(evidence) > 1 else 0.0
    longest = max((scrap.words for scrap in scraps if scrap.held), default=0) / len(words)
    return (
        share * (_SCRAPS + _SCRAPS_WHERE_COPIED * copied)
        + second * (_SECOND_EVIDENCE + _SECOND_EVIDENCE_WHERE_COPIED * copied)
        + longest * _LONGEST_SCRAP
        + min(2, _repeated(pair, sentence, words)) * _REPEATED
        + math.log(len(words)) * _LENGTH
        + _BIAS
    )


def _repeated(pair: Pair, sentence: int, words: list[Word]) -> int:
    """How many telling words the sentence has twice and no sentence of its evidence has."""
    counts = Counter(word.stem for word in words if not pair.output.is_common(word))
    held = [
        Counter(word.stem for word in pair.source.words_by_sentence[pair.source.sentence_at(e.span.start)])
        for e in pair.evidence[sentence]
    ]
    return sum(count > 1 and all(other[stem] < 2 for other in held) for stem, count in counts.items())
