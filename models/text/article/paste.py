"""Extracts an article from pasted plain text: its paragraphs and its title, without the page around it.

A logistic regression weighs the traits of each line, alone and among its neighbours, into log odds, and
Viterbi finds the likeliest sequence of before, article, between, after. A stretch is dropped only if a line
in it speaks against it by itself. What was dropped is listed, with the reason. Knows no HTML or models; what
was tried is in docs/decisions.md.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.text.article import Article, Dropped, line_spans, read_verbatim
from models.text.article.boilerplate import (
    BESIDE_DATE,
    DATE,
    KINDS,
    LINK_MARK,
    OF_PAGES,
    find_boilerplate,
    plain_words,
)
from models.text.sentences import neighbours, widths
from models.text.span import Span

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_SENTENCE_END = re.compile(r"[.!?…。！？؟।][\"'”’»)\]」』]*$")
_FORM = {
    "colon": re.compile(r"[:：]\Z"),
    "ellipsis": re.compile(r"(?:\.\.|…)\Z"),
    "address": re.compile(r"https?://|www\.|\w[.-]*\.(?:com|org|net|co\.uk)\b|[\w.]@[\w.]|(?<!\w)@\w", re.I),
    "list mark": re.compile(r"^(?:[-*•·‣▪◦–—]|\d{1,3}[.)])\s"),
    "quote": re.compile(r'["“”«»„「」]'),
    "comma": re.compile(r"[,،、，]"),
    "bar": re.compile(r"\s[|»›>•·/]\s"),
    "several sentences": re.compile(r"[.!?。！？][\"'”’»)]*\s+\S"),
}
_ABOUT = re.compile(
    r"\W*(?i:about|sobre|über|à propos d[e']|об?|par|por|von|di|by|autor[ea]?|author)\W+[A-ZÀ-ÞА-Я][\w.'’-]*"
    r"(?: (?:[A-ZÀ-ÞА-Я][\w.'’-]*|de|da|van|von|di|del|la))*(?: \d+ \w+)?\W*"
)
"""A line that names a writer and says nothing else."""
_LOOKED_AT_CHARACTERS = 600

Column = NDArray[Any]
"""A number, or whether, for each line."""

_WORDED = ("page navigation", "tags", "reply form", "share buttons", "source link", "byline")
_ENDING = ("comments", "reply form", "related links", "share buttons", "tags", "author box")
_SHORT = 14
_NEAR_LINES = 40
_LEAST_COPY_WORDS, _MOST_COPY_WORDS, _LEAST_SHARED = 2, 32, 0.75
"""Bounds of a copy, a line that says what another does: content, all words, and shared content."""


def _ends_like_a_sentence(line: str) -> bool:
    return _SENTENCE_END.search(line) is not None


def _has_digit(line: str) -> bool:
    return any(map(str.isdigit, line))


def _size(line: str) -> float:
    """The number of words; two characters of a script without spaces count as one."""
    return len(_CJK.sub(" ", line).split()) + len(_CJK.findall(line)) / 2


def _capitals(line: str) -> float:
    """The share of words after the first that have a capital; one half if there are too few to say."""
    found = [word for word in line.split() if any(map(str.isalpha, word[:2]))]
    if len(found) < 3:
        return 0.5
    return sum(word.lstrip("\"“‘'([")[:1].isupper() for word in found[1:]) / (len(found) - 1)


def _is_stamp(line: str) -> bool:
    """Return whether the line says when and hardly anything else."""
    if DATE.search(line) is None or line.startswith(("—", "–")) or not _has_digit(line):
        return False
    return _size(BESIDE_DATE.sub(" ", DATE.sub(" ", line[:_LOOKED_AT_CHARACTERS]))) <= 2


class Lines:
    """A text's lines, without the blank ones, and what each of them shows.

    `after_blank` says for each line whether a blank one stands before it.
    """

    def __init__(self, lines: Sequence[str], after_blank: Sequence[bool]):
        self.lines = lines
        self.count = len(lines)
        self._heads = [line[:_LOOKED_AT_CHARACTERS] for line in lines]
        self.sizes = np.array([_size(line) for line in lines])
        self.kinds = [
            tuple(kind for kind, each in KINDS.items() if each.search(head)) for head in self._heads
        ]
        """The kinds of boilerplate whose wording the line's beginning has."""
        self._hints = np.array([len(kinds) for kinds in self.kinds])
        self.keys = [" ".join(plain_words(line)) for line in lines]
        counts = Counter(self.keys)
        self._repeated = np.array([bool(key) and counts[key] > 1 for key in self.keys], dtype=bool)
        self.content = [
            frozenset(word for word in key.split() if len(word) >= 4 or _CJK.match(word)) for key in self.keys
        ]
        """The words that carry meaning: those of four letters, or of a script without spaces."""
        self.ends = self._flags(_ends_like_a_sentence)
        self._capitals = np.array([_capitals(line) for line in lines])
        self.prose = np.minimum(self.sizes, 40) / 40 * np.where(self.ends, 1.0, 0.35)
        self.prose *= np.where(self._capitals < 0.45, 1.0, 0.4)
        self._headline = self._taken_up()

        dates = self._flags(DATE.search)
        dates_around = _window(dates * 1.0, -4, 5) * 9  # several near each other are a timetable
        self._stamps = self._flags(_is_stamp) & (dates_around < 4) & (self.sizes < _SHORT)
        self._links = self._flags(LINK_MARK.match)
        worded = self._of_kinds(*_WORDED) & (self.sizes < _SHORT) & ~(dates & (dates_around >= 4))
        self.clear = worded | self._stamps | self._links
        """Whether the line by itself is clearly none of the article's."""
        blank = np.array(after_blank, dtype=bool)
        blank[:1] = False
        are_rare = blank.sum() < max(1, 0.15 * (self.count - 1))
        self._blocks = np.arange(self.count) if are_rare else np.cumsum(blank)
        """The block that each line belongs to, set off by blank lines; its own if these are rare."""

    def evidence(self) -> NDArray[np.bool_]:
        """The lines that by themselves speak for being the page's own."""
        about = self._flags(_ABOUT.fullmatch) & (self.sizes <= 8)
        # not in a form or a plan that repeats its own headings
        repeated = self._repeated & (self._repeated.mean() < 0.2)
        hinted = (self._hints > 0) & (self.sizes < _SHORT)
        return np.asarray(self.clear | hinted | (self._hints > 1) | about | repeated)

    def log_odds(self) -> Column:
        """Each line's log odds of being the article's: its traits, most of them from 0 to 1, weighed."""
        sizes, prose, clear, at = self.sizes, self.prose, self.clear * 1.0, np.arange(self.count)
        form: dict[str, Column] = {name: self._flags(each.search) for name, each in _FORM.items()}
        page_words = np.array([len(OF_PAGES.findall(head)) for head in self._heads])
        first = self._core_start()
        title = self._last_title(first)
        block_sizes = np.bincount(self._blocks)[self._blocks]
        known = self._blocks[-1] < self.count - 1 if self.count else False
        in_block = known & (block_sizes > 1)
        ending = self._of_kinds(*_ENDING) & (sizes <= 8) & (at >= first) & ~self._shared_again()
        hints = np.minimum(self._hints, 2) * 1.0
        stamps = (self._stamps | self._of_kinds("byline") & (sizes < _SHORT)) * 1.0
        same_shape = self._same_shape() * (sizes >= 4)
        before = [max(self._headline[max(0, i - 6) : i], default=0) for i in range(self.count)]
        traits: dict[str, tuple[float, Any]] = {
            "size": (0.743, np.log1p(sizes) / 4),
            "scrap": (-0.293, sizes <= 3),
            "long": (0.733, sizes > 30),
            "ends": (0.952, self.ends),
            "long and ends": (0.463, self.ends & (sizes >= 8)),
            "colon": (1.816, form["colon"]),
            "ellipsis": (-3.822, form["ellipsis"]),
            "capitals": (-0.802, self._capitals),
            "address": (1.274, form["address"]),
            "list mark": (2.495, form["list mark"]),
            "quote": (1.003, form["quote"]),
            "comma": (0.449, form["comma"]),
            "bar": (-1.735, form["bar"]),
            "several sentences": (-0.319, self.ends & form["several sentences"]),
            "call to action": (-1.410, self._of_kinds("call to action")),
            "related links": (-1.757, self._of_kinds("related links")),
            "cookie banner": (-1.753, self._of_kinds("cookie banner")),
            "caption": (-1.820, self._of_kinds("caption")),
            "author box": (-4.920, self._of_kinds("author box")),
            "page words": (-1.150, np.minimum(1, 3 * page_words / np.maximum(4, sizes))),
            "many page words": (-0.791, np.minimum(page_words, 6) / 6),
            "clear": (-0.916, clear),
            "link mark": (-3.515, self._links),
            "before core": (-0.666, at < first),
            "far before core": (-0.565, np.clip((first - at) / 20, 0, 1)),
            "after an ending": (-2.357, np.concatenate([[0], np.cumsum(ending)[:-1]]) > 0),
            "alone and ends": (0.683, known & (block_sizes == 1) & self.ends & (sizes >= 8)),
            "in a small block": (-0.859, in_block & (block_sizes <= 4)),
            "in a large block": (-0.486, in_block & (block_sizes > 4)),
            "block prose": (-1.505, in_block * _block_mean(prose, self._blocks)),
            "block clear": (-0.927, in_block * _block_mean(clear, self._blocks)),
            "just after title": (0.383, (title >= 0) & (at > title) & (at <= title + 8)),
            "prose -1": (0.955, _shift(prose, 1)),
            "prose +1": (1.241, _shift(prose, -1)),
            "prose before": (0.591, _window(prose, -6, 0)),
            "prose long before": (0.776, _window(prose, -15, 0)),
            "prose long after": (-1.352, _window(prose, 1, 16)),
            "hints +1": (-0.427, _shift(hints, -1)),
            "hints before": (-1.352, _window(hints, -6, 0)),
            "density of hints": (-1.303, np.full(self.count, min(1.0, hints.mean() if self.count else 0.0))),
            "clear after": (-0.532, _window(clear, 1, 4) > 0),
            "stamp after": (-1.210, _window(stamps, 1, 5) > 0),
            "headline before": (1.273, before),
            "headline twice": (-1.733, self._headline * self._repeated),
            "shared words": (1.213, self._shared_words()),
            "same shape": (1.009, same_shape),
            "same shape with digits": (2.405, same_shape * self._flags(_has_digit)),
        }
        weights = np.array([weight for weight, _ in traits.values()])
        columns = np.array([column for _, column in traits.values()], dtype=np.float64)
        return np.asarray(_INTERCEPT + weights @ columns)

    def _flags(self, test: Callable[[str], object]) -> NDArray[np.bool_]:
        return np.array([bool(test(line)) for line in self.lines], dtype=bool)

    def _of_kinds(self, *of: str) -> NDArray[np.bool_]:
        return np.array([not set(of).isdisjoint(kinds) for kinds in self.kinds], dtype=bool)

    def _core_start(self) -> int:
        """The first line of the stretch with the most prose for its lines."""
        weights = np.where(self._hints > 1, 0.5, 1.0)
        gains = self.prose * np.minimum(self.sizes, 60) / 10 * weights - 0.45
        best, core, total, start = 0.0, 0, 0.0, 0
        for i, gain in enumerate(gains):
            if total <= 0:
                total, start = 0.0, i
            total += float(gain)
            if total > best:
                best, core = total, start
        return core

    def _shared_again(self) -> NDArray[np.bool_]:
        """Share buttons of a live blog, under each of its posts: the last of them alone is an ending."""
        again = self._of_kinds("share buttons") & self._repeated
        last = {self.keys[i]: i for i in np.flatnonzero(again)}
        return np.array([bool(again[i]) and last[key] != i for i, key in enumerate(self.keys)], dtype=bool)

    def _taken_up(self) -> Column:
        """How much of a short line's content the prose after it takes up, as it does a headline's."""
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
        enough = fewer >= _LEAST_COPY_WORDS and len(own & other) >= _LEAST_SHARED * fewer
        return i != j and self.sizes[j] <= _MOST_COPY_WORDS and enough

    def _last_title(self, first: int) -> int:
        """The last copy, up to the core's first line, of what looks most like the headline; -1: none."""
        best, title = 0.45, -1
        up_to = range(min(self.count, first + 4))
        for i in up_to:
            if self._headline[i] == 0 or self.lines[i].endswith((".", "。")):
                continue
            near = range(max(0, i - _NEAR_LINES), min(self.count, i + _NEAR_LINES))
            twice = any(self.alike(i, j) for j in near)
            distance = 0 if twice else min(abs(first - i), 30) / 100
            score = self._headline[i] * (1.5 if twice else 0.5) + (0.2 if i == 0 else 0) - distance
            if score > best:
                best, title = score, i
        return max([title, *(i for i in up_to if title >= 0 and self.alike(title, i))])

    def _shared_words(self) -> Column:
        """How much of a line's content other lines near it have too."""
        shares = np.full(self.count, 0.2)
        for i, own in enumerate(self.content):
            near = range(max(0, i - 6), min(self.count, i + 7))
            others = [self.content[j] for j in near if self.keys[j] != self.keys[i]]
            if len(own) >= 2:
                shares[i] = len(own & frozenset().union(*others)) / len(own)
        return shares

    def _same_shape(self) -> Column:
        """The share of the eight lines around that have this one's size, end, digits and commas."""
        sizes = np.searchsorted((2.5, 6.5, 14), self.sizes)
        digits = self._flags(_has_digit)
        shapes = [
            (size, end, digit, "," in line, line[-1] in ":：")
            for line, size, end, digit in zip(self.lines, sizes, self.ends, digits, strict=True)
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


_INTERCEPT = 0.094
_FAVOUR = 0.5
"""Added to the log odds: a lost line is worse than a leftover one."""
_TURN = 1.0
"""The cost of leaving the article and of coming back to it."""

_MOST_LABELS = 2
"""Titles of other articles under a heading such as `Read also`."""
_SENTENCE_WORDS = 8
_LEAST_ODDS = -1.5
"""The log odds of a sentence behind a link to another article."""

_BEFORE, _ARTICLE, _BETWEEN, _AFTER = range(4)
_TURNS = np.full((4, 4), -np.inf)
np.fill_diagonal(_TURNS, 0)
_TURNS[_BEFORE, _ARTICLE] = 0
_TURNS[_ARTICLE, _AFTER] = 0
_TURNS[_ARTICLE, _BETWEEN] = _TURNS[_BETWEEN, _ARTICLE] = -_TURN


def find_article(lines: Lines) -> NDArray[np.bool_]:
    """Return which lines are the article's; all of them where nothing speaks against it."""
    odds = lines.log_odds()
    kept = _spare(likeliest(odds + _FAVOUR), lines.evidence())
    kept &= ~(lines.clear & (odds < 0))
    _resume(kept, lines, odds + _FAVOUR)
    return kept if kept.any() else np.ones(lines.count, dtype=bool)


def likeliest(odds: Column) -> NDArray[np.bool_]:
    """Return which lines are the article's on the likeliest path through the four states."""
    scores = np.array([0.0, odds[0], -np.inf, -np.inf])
    came_from = []
    for odd in odds[1:]:
        reached = scores[:, None] + _TURNS
        came_from.append(reached.argmax(0))
        scores = reached.max(0)
        scores[_ARTICLE] += odd
    state = _ARTICLE if scores[_ARTICLE] >= scores[_AFTER] else _AFTER
    path = [state]
    for origins in reversed(came_from):
        state = int(origins[state])
        path.append(state)
    return np.asarray(np.array(path[::-1]) == _ARTICLE)


def _resume(kept: NDArray[np.bool_], lines: Lines, odds: Column) -> None:
    """Keeps the sentences that follow links to other articles: these stand inside articles, too."""
    links = ["related links" in kinds for kinds in lines.kinds]
    labels = [not end and not kinds for end, kinds in zip(lines.ends, lines.kinds, strict=True)]
    asks = np.array([line.endswith(("?", "？", "؟")) for line in lines.lines], dtype=bool)  # titles do
    plain = np.array([not kinds for kinds in lines.kinds], dtype=bool)
    long = lines.sizes >= _SENTENCE_WORDS
    resumes = lines.ends & ~asks & plain & ~lines.clear & long & (odds > _LEAST_ODDS)
    at = lines.count - int(kept[::-1].argmax())
    while at < lines.count and links[at]:
        while at < lines.count and links[at]:
            at += 1
        heading = at
        while at < min(lines.count, heading + _MOST_LABELS) and labels[at]:
            at += 1
        begin = at
        while at < lines.count and resumes[at]:
            kept[at] = True
            at += 1
        if at == begin:
            return


def _spare(kept: NDArray[np.bool_], evidence: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keeps what is dropped without evidence near: all of a stretch, or what lies next to the article."""
    spared = kept.copy()
    for is_kept, run in groupby(range(len(kept)), key=lambda i: bool(kept[i])):
        stretch = list(run)
        if is_kept:
            continue
        against = [i for i in stretch if evidence[i]]
        if not against:
            spared[stretch] = True
        elif stretch[0] == 0:
            spared[against[-1] + 2 : stretch[-1] + 1] = True
        elif stretch[-1] == len(kept) - 1:
            spared[stretch[0] : max(stretch[0], against[0] - 3)] = True
        else:
            reach = 1 if len(stretch) <= 12 else 4
            for i in stretch:
                spared[i] = all(abs(i - j) > reach for j in against)
    return spared


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
_WEB_ADDRESS = re.compile(r"\w@\w|https?://|www\.")


def find_headline(lines: Lines, kept: NDArray[np.bool_]) -> int | None:
    """The number of the line that is most likely the headline of what is kept."""
    first = int(kept.argmax())
    long = np.flatnonzero(kept & (lines.sizes >= _LEAST_PROSE_WORDS))[:_MOST_PROSE_LINES]
    prose = {int(i): _beginnings(lines, i) for i in long}
    every: set[str] = set().union(*prose.values())
    is_copied = _copies(lines)
    best, found = _LEAST_SCORE, None
    for i in range(min(lines.count, first + 1)):
        least = max(best, _LEAST_IF_KEPT) if kept[i] else best
        held = set().union(*(prose[j] for j in prose if j != i)) if i in prose else every
        if not _may_be(lines, i):
            continue
        own = _beginnings(lines, i)
        score = (
            len(own & held) / len(own) * min(1.0, len(own) / _ENOUGH_WORDS)
            + _FIRST * (i == 0)
            - _DISTANCE * min(_MOST_DISTANCE, first - i)
        )
        if score + _TWICE > least and is_copied(i):  # looks at all lines, only where that can help
            score += _TWICE
        if score > least:
            best, found = score, i
    return found


def _may_be(lines: Lines, i: int) -> bool:
    line = lines.lines[i]
    short = 2 <= lines.sizes[i] <= _MOST_WORDS and len(lines.keys[i].split()) <= _MOST_WORDS
    own = not lines.kinds[i] and not lines.clear[i] and not _WEB_ADDRESS.search(line)
    return bool(short and own and not line.endswith(_NO_END) and len(_beginnings(lines, i)) >= 2)


def _copies(lines: Lines) -> Callable[[int], bool]:
    """Return a test of whether a line is `alike` any other, which looks for its words, not at each line."""
    short = lines.sizes <= _MOST_COPY_WORDS
    counts = np.array([len(content) for content in lines.content])
    numbers: dict[str, list[int]] = {}
    for i in np.flatnonzero(short & (counts >= _LEAST_COPY_WORDS)):
        for word in lines.content[i]:
            numbers.setdefault(word, []).append(int(i))
    arrays = {word: np.array(own) for word, own in numbers.items()}

    def is_copied(i: int) -> bool:
        found = [arrays[word] for word in lines.content[i] if word in arrays]
        if counts[i] < _LEAST_COPY_WORDS or not found:
            return False
        shared = np.bincount(np.concatenate(found), minlength=lines.count)
        shared[i] = 0
        return bool(np.any((shared > 0) & (shared >= _LEAST_SHARED * np.minimum(counts, counts[i]))))

    return is_copied


def _beginnings(lines: Lines, i: int) -> set[str]:
    return {word[:_BEGINNING] for word in lines.content[i]}


_MOST_TITLE_WORDS = 20
_MOST_LINES = 5000
_MENU_WORDS = 7
_ITEM_MARK = re.compile(r"[-*+•·‣▪◦–—>|#]|\d{1,3}[.)]\s")
_HEADED = ("comments", "reply form", "related links", "share buttons", "author box")


def read_pasted(text: str) -> Article:
    """Plain text as it is pasted from a web page, in the paragraphs that `paragraphs` finds.

    Text that no page was put around is left as it is: without an article's sentences (a poem, a list, code)
    only lines go that are boilerplate by their wording. Nothing goes if nothing would be left, or from more
    lines than any page has.
    """
    spans = paragraphs(text)
    if not 0 < len(spans) <= _MOST_LINES:
        return read_verbatim(text)
    gaps = (text[a.end : b.start].replace("\r\n", "\n") for a, b in pairwise(spans))
    after_blank = [False, *(gap.count("\n") > 1 for gap in gaps)]
    lines = Lines([" ".join(text[s.start : s.end].split()) for s in spans], after_blank)
    worded = find_boilerplate(lines.lines)
    sentences = lines.sizes[lines.ends]
    has_prose = (
        max(sentences, default=0) >= 2 * _LEAST_PROSE_WORDS or sum(sentences >= _LEAST_PROSE_WORDS) >= 2
    )
    kept = find_article(lines) if has_prose else np.ones(lines.count, dtype=bool)
    kept[list(worded)] = False
    if not kept.any():
        return read_verbatim(text)
    title_at = _find_title(lines, kept)
    title, repeats = None, dict[int, str]()
    if title_at is not None:
        title, key = text[spans[title_at].start : spans[title_at].end], lines.keys[title_at]
        same = (i for i, other in enumerate(lines.keys) if key and other == key and i != title_at)
        repeats = dict.fromkeys(same, "repeated headline")
        kept[[title_at, *repeats]] = False
    if not kept.any():
        return read_verbatim(text)
    reasons = _reasons(lines, kept, worded | repeats)
    left_out = (i for i in range(lines.count) if not kept[i] and i != title_at)
    return Article(
        text,
        title,
        tuple(span for i, span in enumerate(spans) if kept[i]),
        tuple(Dropped(text[spans[i].start : spans[i].end], reasons[i]) for i in left_out),
    )


def paragraphs(text: str) -> list[Span]:
    """The paragraphs of `text`: its lines, or, where they were wrapped, the lines that belong together.

    A paragraph of several lines is a span with line ends in it; `sentences` can take them as spaces.
    """

    def adjoin(line: Span, following: Span) -> bool:
        """Return whether the two stand on neighbouring lines, the second with no indent or list's mark."""
        between = text[line.end : following.start].replace("\r\n", "\n")
        at_margin = between.count("\n") == 1 and between.endswith("\n")
        return at_margin and _ITEM_MARK.match(text, following.start, following.end) is None

    groups = neighbours(line_spans(text), adjoin)
    found: list[Span] = []
    wrapped = widths([[text[line.start : line.end] for line in group] for group in groups])
    for group, width in zip(groups, wrapped, strict=True):
        found += group if width is None else [Span(group[0].start, group[-1].end)]
    return found


def _find_title(lines: Lines, kept: NDArray[np.bool_]) -> int | None:
    """The headline: one that is found before the article, or a first line that looks like one."""
    found = find_headline(lines, kept)
    if found is not None:
        return lines.keys.index(lines.keys[found])
    first = int(kept.argmax())
    if lines.kinds[first] or lines.clear[first]:
        return None
    line = lines.lines[first]
    comes_twice = lines.keys.count(lines.keys[first]) > 1
    size = len(lines.keys[first].split())
    short = 0 < size <= _MOST_TITLE_WORDS and not line.endswith((",", ";", ":", "：", "，", "、"))
    # a headline has prose under it
    heads = first + 1 < lines.count and bool(lines.prose[first + 1 : first + 3].max() > 0.2)
    if short and first + 1 < lines.count and (comes_twice or (heads and not _ends_like_a_sentence(line))):
        return first
    return None


def _reasons(lines: Lines, kept: NDArray[np.bool_], known: dict[int, str]) -> list[str]:
    """Why each line is dropped, if it is: by its own wording, what heads the lines around, or its size."""
    reasons, heading = [], None
    for i in range(lines.count):
        # `boilerplate.KINDS` has the more telling kinds first
        own = known[i] if i in known else next(iter(lines.kinds[i]), None)
        heading = None if kept[i] else own if own in _HEADED else heading
        short = lines.sizes[i] <= _MENU_WORDS
        reasons.append(own or heading or ("page navigation" if short else "not part of the article"))
    return reasons
