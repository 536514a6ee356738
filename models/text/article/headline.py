"""Finding the headline of a pasted page, once its article is found.

A headline is short, comes before the article's prose or at its beginning, and most of its words come again in
that. Words are compared by their beginnings, for inflection.
"""

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.text.article.clutter import words
from models.text.article.traits import LEAST_COPY_WORDS, LEAST_SHARED, MOST_COPY_WORDS, Lines

_MOST_WORDS = 28
_LEAST_PROSE_WORDS = 10
_MOST_PROSE_LINES = 16
_BEGINNING = 5
_LEAST_SCORE = 0.25
_LEAST_IF_KEPT = 0.5
"""The least score of a line that would be read as the article's if it were no headline."""
_TWICE = 0.3
_FIRST = 0.1
_DISTANCE, _MOST_DISTANCE = 0.02, 20
"""The cost of each line between it and the article."""
_ENOUGH_WORDS = 4
_NO_END = (".", "。", ",", ";", ":", "：", "，", "、")
_ADDRESS = re.compile(r"\w@\w|https?://|www\.")


def find_headline(lines: Lines, kept: NDArray[np.bool_]) -> int | None:
    """The number of the line that is most likely the headline of what is kept."""
    first = int(kept.argmax())
    prose = {i: _beginnings(lines, i) for i in _prose(lines, kept)}
    every: set[str] = set().union(*prose.values())
    is_copied = _copies(lines)
    best, found = _LEAST_SCORE, None
    for i in range(min(lines.count, first + 1)):
        least = max(best, _LEAST_IF_KEPT) if kept[i] else best
        held = set().union(*(prose[j] for j in prose if j != i)) if i in prose else every
        score = _score(lines, i, first, held, least, is_copied) if _may_be(lines, i) else 0.0
        if score > least:
            best, found = score, i
    return found


def _prose(lines: Lines, kept: NDArray[np.bool_]) -> list[int]:
    long = np.flatnonzero(kept & (lines.sizes >= _LEAST_PROSE_WORDS))
    return [int(i) for i in long[:_MOST_PROSE_LINES]]


def _may_be(lines: Lines, i: int) -> bool:
    line = lines.lines[i]
    short = 2 <= lines.sizes[i] <= _MOST_WORDS and len(words(line)) <= _MOST_WORDS
    own = not lines.kinds[i] and not lines.clear[i] and not _ADDRESS.search(line)
    return bool(short and own and not line.endswith(_NO_END) and len(_beginnings(lines, i)) >= 2)


def _score(
    lines: Lines, i: int, first: int, held: set[str], least: float, is_copied: Callable[[int], bool]
) -> float:
    """Return its likelihood. A copy is looked for in all lines, where it may lift the score over `least`."""
    score = (
        _share(lines, i, held) * min(1.0, len(_beginnings(lines, i)) / _ENOUGH_WORDS)
        + _FIRST * (i == 0)
        - _DISTANCE * min(_MOST_DISTANCE, first - i)
    )
    may_be = score + _TWICE > least
    return score + _TWICE * (may_be and is_copied(i))


def _copies(lines: Lines) -> Callable[[int], bool]:
    """Return a test of whether a line is `alike` any other, which looks for its words, not at each line."""
    short = lines.sizes <= MOST_COPY_WORDS
    counts = np.array([len(content) for content in lines.content])
    numbers: dict[str, list[int]] = {}
    for i in np.flatnonzero(short & (counts >= LEAST_COPY_WORDS)):
        for word in lines.content[i]:
            numbers.setdefault(word, []).append(int(i))
    arrays = {word: np.array(own) for word, own in numbers.items()}

    def is_copied(i: int) -> bool:
        found = [arrays[word] for word in lines.content[i] if word in arrays]
        if counts[i] < LEAST_COPY_WORDS or not found:
            return False
        shared = np.bincount(np.concatenate(found), minlength=lines.count)
        shared[i] = 0
        return bool(np.any((shared > 0) & (shared >= LEAST_SHARED * np.minimum(counts, counts[i]))))

    return is_copied


def _share(lines: Lines, i: int, held: set[str]) -> float:
    """Return the share of its content that is held."""
    own = _beginnings(lines, i)
    return len(own & held) / len(own) if own else 0.0


def _beginnings(lines: Lines, i: int) -> set[str]:
    return {word[:_BEGINNING] for word in lines.content[i]}
