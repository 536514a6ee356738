"""Traits of a pasted page's lines, alone and among the others: numbers for `outline` to weigh.

Looks at form, at wording (`wording`) and at repetition; knows no language but by these, and decides nothing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.text.article.clutter import ends_like_a_sentence, words
from models.text.article.line import FORM, capitals, content, is_about, is_stamp, kinds, page_words, size
from models.text.article.wording import DATE, LINK_MARK

Column = NDArray[Any]
"""A number, or whether, for each line."""

_WEIGHED = ("call to action", "related links", "cookie banner", "caption", "author box")
_WORDED = ("page navigation", "tags", "reply form", "share buttons", "source link", "byline")
_ENDING = ("comments", "reply form", "related links", "share buttons", "tags", "author box")
_SHORT = 14
_NEAR_LINES = 40
LEAST_COPY_WORDS, MOST_COPY_WORDS, LEAST_SHARED = 2, 32, 0.75
"""Bounds of a copy, a line that says what another does: content, all words, and shared content."""


class Lines:
    """A text's lines, without the blank ones, and what each of them shows.

    `after_blank` says for each line whether a blank one stands before it.
    """

    def __init__(self, lines: Sequence[str], after_blank: Sequence[bool]):
        self.lines = lines
        self.count = len(lines)
        self.sizes = np.array([size(line) for line in lines])
        self.kinds = [kinds(line) for line in lines]

        self.keys = [" ".join(words(line)) for line in lines]
        self.content = [content(key) for key in self.keys]
        self.ends = self._flags(ends_like_a_sentence)
        self.capitals = np.array([capitals(line) for line in lines])
        self.dates = self._flags(lambda line: DATE.search(line) is not None)
        self.prose = np.minimum(self.sizes, 40) / 40 * np.where(self.ends, 1.0, 0.35)
        self.prose *= np.where(self.capitals < 0.45, 1.0, 0.4)
        self.blocks = self._blocks(after_blank)
        self.clear = self._clear()
        self.core = self._core()
        self.title = self._title()
        """The headline's line, or -1."""

    def evidence(self) -> NDArray[np.bool_]:
        """The lines that by themselves speak for being the page's own."""
        counts = np.array([len(kinds) for kinds in self.kinds])
        about = self._flags(is_about) & (self.sizes <= 8)
        repeated = self._repeated()
        if repeated.mean() >= 0.2:  # a form or a plan that repeats its own headings
            repeated = np.zeros_like(repeated)
        return self.clear | ((counts > 0) & (self.sizes < _SHORT)) | (counts > 1) | about | repeated

    def columns(self) -> dict[str, Column]:
        """One number a line for each trait, most of them from 0 to 1."""
        found = {**self._of_form(), **self._of_wording(), **self._of_place(), **self._of_neighbours()}
        return {name: np.asarray(column, dtype=np.float64) for name, column in found.items()}

    def _of_form(self) -> dict[str, Column]:
        sizes = self.sizes
        shown: dict[str, Column] = {name: self._flags(test) for name, test in FORM.items()}
        several = self.ends & shown.pop("stop inside")
        return {
            **shown,
            "size": np.log1p(sizes) / 4,
            "scrap": sizes <= 3,
            "long": sizes > 30,
            "ends": self.ends,
            "long and ends": self.ends & (sizes >= 8),
            "capitals": self.capitals,
            "several sentences": several,
        }

    def _of_wording(self) -> dict[str, Column]:
        counts = np.array([page_words(line) for line in self.lines])
        of_kind = {kind: self._of_kind(kind) for kind in _WEIGHED}
        return {
            **of_kind,
            "page words": np.minimum(1, 3 * counts / np.maximum(4, self.sizes)),
            "many page words": np.minimum(counts, 6) / 6,
            "clear": self.clear,
            "link mark": self._flags(lambda line: LINK_MARK.match(line) is not None),
        }

    def _of_place(self) -> dict[str, Column]:
        first = self.core[0]
        at = np.arange(self.count)
        block_sizes = np.bincount(self.blocks)[self.blocks]
        known = self.blocks[-1] < self.count - 1 if self.count else False
        in_block = known & (block_sizes > 1)
        ending = (
            np.array([bool(set(k).intersection(_ENDING)) for k in self.kinds])
            & (self.sizes <= 8)
            & (at >= first)
            & ~self._shared_again()
        )
        title = self._last_title()
        return {
            "before core": at < first,
            "far before core": np.clip((first - at) / 20, 0, 1),
            "after an ending": np.concatenate([[0], np.cumsum(ending)[:-1]]) > 0,
            "alone and ends": known & (block_sizes == 1) & self.ends & (self.sizes >= 8),
            "in a small block": in_block & (block_sizes <= 4),
            "in a large block": in_block & (block_sizes > 4),
            "block prose": in_block * _block_mean(self.prose, self.blocks),
            "block clear": in_block * _block_mean(self.clear * 1.0, self.blocks),
            "just after title": (title >= 0) & (at > title) & (at <= title + 8),
        }

    def _of_neighbours(self) -> dict[str, Column]:
        hints = np.array([min(len(kinds), 2) for kinds in self.kinds], dtype=np.float64)
        stamps = self._stamps() | self._of_kind("byline") & (self.sizes < _SHORT)
        headline = self._headline()
        same = self._same_shape()
        return {
            "prose -1": _shift(self.prose, 1),
            "prose +1": _shift(self.prose, -1),
            "prose before": _window(self.prose, -6, 0),
            "prose long before": _window(self.prose, -15, 0),
            "prose long after": _window(self.prose, 1, 16),
            "hints +1": _shift(hints, -1),
            "hints before": _window(hints, -6, 0),
            "density of hints": np.full(self.count, min(1.0, hints.mean() if self.count else 0.0)),
            "clear after": _window(self.clear * 1.0, 1, 4) > 0,
            "stamp after": _window(stamps * 1.0, 1, 5) > 0,
            "headline before": np.array(
                [max(headline[max(0, i - 6) : i], default=0) for i in range(self.count)]
            ),
            "headline twice": headline * self._repeated(),
            "shared words": self._shared_words(),
            "same shape": same * (self.sizes >= 4),
            "same shape with digits": same
            * (self.sizes >= 4)
            * self._flags(lambda s: any(map(str.isdigit, s))),
        }

    def _flags(self, test: Callable[[str], bool]) -> NDArray[np.bool_]:
        return np.array([bool(test(line)) for line in self.lines], dtype=bool)

    def _of_kind(self, kind: str) -> NDArray[np.bool_]:
        return np.array([kind in kinds for kinds in self.kinds], dtype=bool)

    def _blocks(self, after_blank: Sequence[bool]) -> NDArray[np.int64]:
        """Return which block, set off by blank lines, each belongs to; each is its own if blanks are rare."""
        blank = np.array(after_blank, dtype=bool)
        blank[:1] = False
        return np.cumsum(blank) if blank.sum() >= max(1, 0.15 * (self.count - 1)) else np.arange(self.count)

    def _stamps(self) -> NDArray[np.bool_]:
        """Lines that say when and nothing else; several near each other are a timetable."""
        around = _window(self.dates * 1.0, -4, 5) * 9
        return self._flags(is_stamp) & (around < 4) & (self.sizes < _SHORT)

    def _clear(self) -> NDArray[np.bool_]:
        worded = np.array([bool(set(kinds).intersection(_WORDED)) for kinds in self.kinds], dtype=bool)
        timetable = self.dates & (_window(self.dates * 1.0, -4, 5) * 9 >= 4)
        marks = self._flags(lambda line: LINK_MARK.match(line) is not None)
        return (worded & (self.sizes < _SHORT) & ~timetable) | self._stamps() | marks

    def _core(self) -> tuple[int, int]:
        """The first and the last line of the stretch with the most prose for its lines."""
        counts = np.array([len(kinds) for kinds in self.kinds])
        gains = self.prose * np.minimum(self.sizes, 60) / 10 * np.where(counts > 1, 0.5, 1.0) - 0.45
        best, core, total, start = 0.0, (0, max(0, self.count - 1)), 0.0, 0
        for i, gain in enumerate(gains):
            if total <= 0:
                total, start = 0.0, i
            total += float(gain)
            if total > best:
                best, core = total, (start, i)
        return core

    def _repeated(self) -> NDArray[np.bool_]:
        counts = Counter(self.keys)
        return np.array([bool(key) and counts[key] > 1 for key in self.keys], dtype=bool)

    def _shared_again(self) -> NDArray[np.bool_]:
        """Share buttons of a live blog, under each of its posts: the last of them alone is an ending."""
        again = self._of_kind("share buttons") & self._repeated()
        last = {self.keys[i]: i for i in np.flatnonzero(again)}
        return np.array([bool(again[i]) and last[key] != i for i, key in enumerate(self.keys)], dtype=bool)

    def _headline(self) -> Column:
        """Return how much of a short line's content the prose after it takes up."""
        shares = np.zeros(self.count)
        for i, own in enumerate(self.content):
            if len(own) < 2 or not 3 <= self.sizes[i] <= 28:
                continue
            rest = range(i + 1, min(self.count, i + 16))
            later = frozenset().union(*(self.content[j] for j in rest if self.sizes[j] >= 10))
            shares[i] = len(own & later) / len(own) * min(1.0, len(own) / 4)
        return shares

    def alike(self, i: int, j: int) -> bool:
        """Return whether two lines say nearly the same in few words, as a headline and its copies do."""
        own, other = self.content[i], self.content[j]
        fewer = min(len(own), len(other))
        enough = fewer >= LEAST_COPY_WORDS and len(own & other) >= LEAST_SHARED * fewer
        return i != j and self.sizes[j] <= MOST_COPY_WORDS and enough

    def _title(self) -> int:
        """The line, up to the core's beginning, that looks most like the headline; -1: none."""
        headline, first = self._headline(), self.core[0]
        best, title = 0.45, -1
        for i in range(min(self.count, first + 4)):
            if headline[i] == 0 or self.lines[i].endswith((".", "。")):
                continue
            near = range(max(0, i - _NEAR_LINES), min(self.count, i + _NEAR_LINES))
            twice = any(self.alike(i, j) for j in near)
            distance = 0 if twice else min(abs(first - i), 30) / 100
            score = headline[i] * (1.5 if twice else 0.5) + (0.2 if i == 0 else 0) - distance
            if score > best:
                best, title = score, i
        return title

    def _last_title(self) -> int:
        """The headline's last copy up to the core's beginning; -1: none."""
        near = range(min(self.count, self.core[0] + 4))
        return max([self.title, *(i for i in near if self.title >= 0 and self.alike(self.title, i))])

    def _shared_words(self) -> Column:
        """Return how much of a line's content other lines near it have too."""
        shares = np.full(self.count, 0.2)
        for i, own in enumerate(self.content):
            near = range(max(0, i - 6), min(self.count, i + 7))
            others = [self.content[j] for j in near if self.keys[j] != self.keys[i]]
            if len(own) >= 2:
                shares[i] = len(own & frozenset().union(*others)) / len(own)
        return shares

    def _same_shape(self) -> Column:
        """The share of the eight lines around that have this one's size, end, digits and commas."""
        shapes = [
            (
                int(np.searchsorted((2.5, 6.5, 14), size)),
                bool(end),
                any(map(str.isdigit, s)),
                "," in s,
                s[-1] in ":：",
            )
            for s, size, end in zip(self.lines, self.sizes, self.ends, strict=True)
        ]
        around = (shapes[max(0, i - 4) : i] + shapes[i + 1 : i + 5] for i in range(self.count))
        return np.array([near.count(shape) / 8 for near, shape in zip(around, shapes, strict=True)])


def _shift(column: Column, by: int) -> Column:
    """Each line's neighbour's number, zero where there is none."""
    padded = np.zeros_like(column)
    if by > 0:
        padded[by:] = column[:-by]
    else:
        padded[:by] = column[-by:]
    return padded


def _window(column: Column, begin: int, end: int) -> Column:
    """The mean over the lines from `begin` to `end`, counted from each; those beyond the text are zero."""
    sums = np.concatenate([[0.0], np.cumsum(column)])
    at = np.arange(len(column))
    low, high = (np.clip(at + edge, 0, len(column)) for edge in (begin, end))
    return np.asarray((sums[high] - sums[low]) / (end - begin))


def _block_mean(column: Column, blocks: NDArray[np.int64]) -> Column:
    return np.asarray(np.bincount(blocks, column)[blocks] / np.bincount(blocks)[blocks])
