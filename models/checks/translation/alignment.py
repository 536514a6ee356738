"""Aligns the sentences of a translation with those of its source.

Uses dynamic programming over lengths (Gale and Church, 1993, https://aclanthology.org/J93-1004), helped by
numbers, names and kindred words that both sides have. Aligns line by line if both have equally many lines.
Assumes that a translation keeps the order of sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf

from models.checks.language.reading import Reading
from models.checks.pauses import Pausing, read
from models.checks.translation.anchors import anchors, overlap
from models.checks.translation.length import deviations, size
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


@dataclass(frozen=True, slots=True)
class Bead:
    """Sentences that belong together; one side is empty for what was lost or added."""

    source: tuple[Span, ...]
    output: tuple[Span, ...]
    score: float
    """The agreement of lengths and anchors, 0 to 1; 0 if a side is empty."""


def align(source: Reading, output: Reading) -> Pausing[list[Bead]]:
    """Return the beads, in order. Every sentence of both texts is in one of them."""
    for each in (source, output):
        yield from read(each, "sentences")
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
        if lines and not _BREAKS.isdisjoint(reading.text[lines[-1][-1].end : span.start]):
            lines.append([span])
        elif lines:
            lines[-1].append(span)
        else:
            lines.append([span])
    return lines


_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")


class _Table:
    """The table of dynamic programming for two lists of sentences."""

    def __init__(self, source: Reading, theirs: Sequence[Span], output: Reading, ours: Sequence[Span]):
        self._languages = source.language, output.language
        self._theirs, self._ours = theirs, ours
        self._sizes = [size(source.text[a:b]) for a, b in theirs], [size(output.text[a:b]) for a, b in ours]
        self._texts = source.text, output.text
        self._anchors: tuple[list[frozenset[str]], list[frozenset[str]]] = [], []

    def beads(self) -> Pausing[list[Bead]]:
        """Return the cheapest alignment. Each row follows only paths little dearer than its best."""
        for found, text, spans in zip(self._anchors, self._texts, (self._theirs, self._ours), strict=True):
            for span in spans:
                found.append(anchors(text, span))
                yield
        rows, columns = len(self._theirs), len(self._ours)
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
            before = costs.get((i - m, j - n), inf) + dear
            if before - _ANCHOR_GAIN * min(m, n) < best:
                cost = before + self._cost(i, j, m, n)
                if cost < best:
                    best, shape = cost, (m, n)
        return best, shape

    def _path(self, steps: dict[tuple[int, int], tuple[int, int]]) -> list[Bead]:
        i, j = len(self._theirs), len(self._ours)
        beads = []
        while i or j:
            m, n = steps[i, j]
            score = self._score(i, j, m, n) if m and n else 0.0
            beads.append(Bead(tuple(self._theirs[i - m : i]), tuple(self._ours[j - n : j]), score))
            i, j = i - m, j - n
        return beads[::-1]

    def _cost(self, i: int, j: int, m: int, n: int) -> float:
        """Return the cost of the bead of `m` and `n` sentences that ends before sentences `i` and `j`."""
        if not m or not n:
            return 0.0
        deviation = self._deviation(i, j, m, n)
        gain = _ANCHOR_GAIN * self._overlap(i, j, m, n) * min(m, n)
        return min(_MAX_LENGTH_COST, deviation**2 / 2) - gain

    def _score(self, i: int, j: int, m: int, n: int) -> float:
        shared = self._overlap(i, j, m, n)
        return (exp(-(self._deviation(i, j, m, n) ** 2) / 8) + min(1.0, 2 * shared)) / 2

    def _deviation(self, i: int, j: int, m: int, n: int) -> float:
        theirs, ours = sum(self._sizes[0][i - m : i]), sum(self._sizes[1][j - n : j])
        return deviations(theirs, ours, *self._languages)

    def _overlap(self, i: int, j: int, m: int, n: int) -> float:
        one, other = self._anchors
        if m == n == 1:
            return overlap(one[i - 1], other[j - 1])
        return overlap(frozenset().union(*one[i - m : i]), frozenset().union(*other[j - n : j]))
