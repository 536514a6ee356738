"""Aligns the sentences of a translation with those of its source.

Uses dynamic programming over lengths (Gale and Church, 1993, https://aclanthology.org/J93-1004), helped by
anchors: numbers, names and kindred words that both sides have. Aligns line by line if both have equally many
lines. Assumes that a translation keeps the order of sentences.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf

from models.checks.language.names import latin, skeleton
from models.checks.language.reading import Reading
from models.checks.translation.form import deviations, size
from models.checks.translation.verbatim import tokens
from models.cooperative import Cooperative, prepare
from models.text.span import Span

_COST_OF_SHAPE = {
    **{(1, 1): 0.1, (1, 0): 5.0, (0, 1): 5.0},
    **{(2, 1): 3.5, (1, 2): 3.5, (3, 1): 5.0, (1, 3): 5.0, (2, 2): 5.0},
}
"""The cost of a bead by its number of sentences on each side: the rarer, the dearer."""
_MAX_LENGTH_COST = 20.0
_ANCHOR_GAIN = 10.0
_MAX_JOINED = 3
"""The most sentences of a side in a bead."""
_BEAM = 60.0
"""How much more than the best a path may cost: enough for a dozen lost sentences in one place."""
_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
_TOKEN = re.compile(r"\d+|[^\W\d_]+")
_LEAST_LETTERS = 4
_KINDRED_LETTERS = 4
_QUESTION = re.compile(r"[?？؟]")


@dataclass(frozen=True, slots=True)
class Bead:
    """Sentences that belong together; one side is empty for what was lost or added."""

    source: tuple[Span, ...]
    output: tuple[Span, ...]
    score: float
    """The agreement of lengths and anchors, 0 to 1; 0 if a side is empty."""


def align(source: Reading, output: Reading) -> Cooperative[list[Bead]]:
    """Return the beads, in order. Every sentence of both texts is in one of them."""
    for each in (source, output):
        yield from prepare(each, "sentences")
    theirs, ours = _by_line(source), _by_line(output)
    if len(theirs) != len(ours):
        theirs, ours = [list(source.sentences)], [list(output.sentences)]
    beads: list[Bead] = []
    for one, other in zip(theirs, ours, strict=True):
        beads += yield from _Table(source, one, output, other).beads()
        yield
    return beads


def _by_line(reading: Reading) -> list[list[Span]]:
    """Return the sentences of each line that has any."""
    lines: list[list[Span]] = []
    for span in reading.sentences:
        if lines and _BREAKS.isdisjoint(reading.text[lines[-1][-1].end : span.start]):
            lines[-1].append(span)
        else:
            lines.append([span])
    return lines


class _Side:
    """The sentences of one text, with their sizes and anchors."""

    def __init__(self, reading: Reading, spans: Sequence[Span]):
        self.reading = reading
        self.spans = spans
        self.sizes = [size(reading.at(span)) for span in spans]
        self.anchors: list[frozenset[str]] = []

    def find_anchors(self) -> Cooperative[None]:
        for span in self.spans:
            self.anchors.append(_anchors(self.reading.at(span)))
            yield


class _Table:
    """The table of dynamic programming for two lists of sentences."""

    def __init__(self, source: Reading, theirs: Sequence[Span], output: Reading, ours: Sequence[Span]):
        self._theirs, self._ours = _Side(source, theirs), _Side(output, ours)

    def beads(self) -> Cooperative[list[Bead]]:
        """Return the cheapest alignment. Each row follows only paths little dearer than its best."""
        yield from self._theirs.find_anchors()
        yield from self._ours.find_anchors()
        rows, columns = len(self._theirs.spans), len(self._ours.spans)
        costs = {(0, 0): 0.0}
        steps: dict[tuple[int, int], tuple[int, int]] = {}
        first, last = 0, 0
        for i in range(rows + 1):
            row: dict[int, float] = {0: 0.0} if i == 0 else {}
            j, least = first, min(row.values(), default=inf)
            while j <= columns and (
                j <= last + _MAX_JOINED or i == rows or row.get(j - 1, inf) < least + _BEAM
            ):
                if i or j:
                    row[j], shape = self._best(costs, i, j)
                    costs[i, j], steps[i, j] = row[j], shape
                    least = min(least, row[j])
                j += 1
            yield
            kept = [j for j, cost in row.items() if cost < least + _BEAM]
            first, last = kept[0], kept[-1]
        return self._path(steps)

    def _best(self, costs: dict[tuple[int, int], float], i: int, j: int) -> tuple[float, tuple[int, int]]:
        """Return the least cost of aligning the first `i` and the first `j` sentences, and the last shape."""
        best, shape = inf, (0, 0)
        for (m, n), dear in _COST_OF_SHAPE.items():
            cost = costs.get((i - m, j - n), inf) + dear
            if cost - _ANCHOR_GAIN * min(m, n) < best:
                if m and n:
                    deviation, overlap = self._deviation(i, j, m, n), self._overlap(i, j, m, n)
                    cost += min(_MAX_LENGTH_COST, deviation**2 / 2) - _ANCHOR_GAIN * overlap * min(m, n)
                if cost < best:
                    best, shape = cost, (m, n)
        return best, shape

    def _path(self, steps: dict[tuple[int, int], tuple[int, int]]) -> list[Bead]:
        theirs, ours = self._theirs.spans, self._ours.spans
        i, j = len(theirs), len(ours)
        beads = []
        while i or j:
            m, n = steps[i, j]
            score = 0.0
            if m and n:
                shared = min(1.0, 2 * self._overlap(i, j, m, n))
                score = (exp(-(self._deviation(i, j, m, n) ** 2) / 8) + shared) / 2
            beads.append(Bead(tuple(theirs[i - m : i]), tuple(ours[j - n : j]), score))
            i, j = i - m, j - n
        return beads[::-1]

    def _deviation(self, i: int, j: int, m: int, n: int) -> float:
        """Return that of the bead of `m` and `n` sentences that ends before sentences `i` and `j`."""
        theirs, ours = self._theirs, self._ours
        sizes = sum(theirs.sizes[i - m : i]), sum(ours.sizes[j - n : j])
        return deviations(*sizes, theirs.reading.language, ours.reading.language)

    def _overlap(self, i: int, j: int, m: int, n: int) -> float:
        """Return how many anchors the bead's sides have in common, 0 to 1 (Dice's coefficient)."""
        one, other = self._theirs.anchors[i - 1], self._ours.anchors[j - 1]
        if m > 1 or n > 1:
            one = frozenset().union(*self._theirs.anchors[i - m : i])
            other = frozenset().union(*self._ours.anchors[j - n : j])
        return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0


def _anchors(sentence: str) -> frozenset[str]:
    """Return digits, sounds of capitalized words, beginnings of long ones, addresses, and a question mark."""
    found = {"?"} if _QUESTION.search(sentence) else set()
    for word in _TOKEN.findall(sentence):
        if word[0].isdigit():
            found |= _weighty(word) if len(word) > 1 else {word}
        elif len(word) >= _LEAST_LETTERS and word[0].isupper() and len(sound := skeleton(word)) > 1:
            found.add(sound)
        if len(word) > _KINDRED_LETTERS and len(plain := latin(word)) > _KINDRED_LETTERS:
            found.add(plain[:_KINDRED_LETTERS] + "-")
    return frozenset(found.union(*(_weighty(token.written) for token in tokens(sentence))))


def _weighty(token: str) -> set[str]:
    """Return the token as several anchors: it is rare, so it counts more than one."""
    return {token, f"{token} again", f"{token} once more"}
