"""Puts a run's markup into its translation: every tag once, pairs balanced, never within a word.

The words inside a pair are located in the translation by their own translation, or else by their relative
position in the sentence. Knows no model: translations of the words inside pairs are passed in.
"""

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rapidfuzz import fuzz, process

from models.cooperative import Cooperative
from models.text.markup.build import Node, Run, flat
from models.text.sentences import inside_word, is_unspaced, strip
from models.text.span import Span

LEAST_LIKENESS = 70.0
"""The least of rapidfuzz' ratio, 0 to 100, at which words are taken for each other."""

_OF_PLACE = 10.0
"""The cost of a place at the wrong end of the sentence, in the same unit."""


_REACH_CHARACTERS = 2_000
"""Words farther than this from the place where they are expected are not looked at."""

_MOST_WORDS = 100
"""A longer stretch is not looked for but taken from the same part of the sentence."""


class Target:
    """A translation with its words and the places where it can be cut, each found once and only if needed."""

    def __init__(self, text: str):
        self.text = text
        self._windows: dict[tuple[int, int], tuple[list[Span], list[str]]] = {}

    @cached_property
    def words(self) -> list[Span]:
        """Return the words: stretches between white space, or single characters in scripts without it."""
        return _words(self.text)

    @cached_property
    def _centres(self) -> list[int]:
        return [word.start + word.end for word in self.words]

    @cached_property
    def _cuts(self) -> list[int]:
        """The offsets that are inside no word, the text's ends among them."""
        return [at for at in range(len(self.text) + 1) if not inside_word(self.text, at)]

    @cached_property
    def bare(self) -> Span:
        """The text without outer punctuation; all of it if it has nothing else."""
        return _trim(self.text, Span(0, len(self.text)))

    def has_words(self, within: Span) -> bool:
        """Return whether anything but white space is there."""
        first, end = self._indices(within)
        return within.start < within.end and first < end

    def nearest_cut(self, at: int, within: Span) -> int:
        """The offset nearest to `at` that is inside no word, or an end of `within`."""
        at = min(max(at, within.start), within.end)
        i = bisect_left(self._cuts, at)
        right = min(self._cuts[i], within.end)
        left = at if self._cuts[i] == at else max(self._cuts[i - 1], within.start)
        return left if at - left <= right - at else right

    def nearest_word(self, span: Span, within: Span) -> Span:
        """The word in `within` whose middle is nearest to the middle of `span`; empty if there is none."""
        if not self.has_words(within):
            return Span(span.start, span.start)
        first, end = self._indices(within)
        middle = bisect_left(self._centres, span.start + span.end, first, end)
        near = sorted({first, *range(max(first, middle - 2), min(end, middle + 2)), end - 1})
        words = [
            Span(max(self.words[i].start, within.start), min(self.words[i].end, within.end)) for i in near
        ]
        return min(words, key=lambda word: abs(word.start + word.end - span.start - span.end))

    def windows(self, count: int, middle: float) -> tuple[list[Span], list[str]]:
        """Stretches of about so many words, or characters in unspaced scripts, and what they say."""
        block = int(middle) // _REACH_CHARACTERS
        if (count, block) not in self._windows:
            reach = Span((block - 1) * _REACH_CHARACTERS, (block + 2) * _REACH_CHARACTERS)
            first, end = self._indices(reach)
            words = self.words[first:end]
            spans = [
                _trim(self.text, Span(words[i].start, words[i + size - 1].end))
                for size in range(max(1, count - 1), min(len(words), count + 2) + 1)
                for i in range(len(words) - size + 1)
            ]
            self._windows[count, block] = spans, [_bare(self.text[span.start : span.end]) for span in spans]
        return self._windows[count, block]

    def _indices(self, within: Span) -> tuple[int, int]:
        """The first word that is at least partly there, and the one after the last."""
        first = bisect_right(self.words, within.start, key=lambda word: word.end)
        return first, max(first, bisect_left(self.words, within.end, key=lambda word: word.start))


def find(candidates: Sequence[str], source: str, stretch: Span, target: Target) -> tuple[Span, float]:
    """The span of `target` that says what `source[stretch]` does, and how sure that is, 0 to 1.

    `candidates` are what the stretch may be called in the target language, the likeliest first.
    """
    expected = proportional(source, stretch, target)
    middle = (expected.start + expected.end) / 2
    best, best_score = expected, 0.0
    for candidate in (*candidates, source[stretch.start : stretch.end]):
        wanted = _bare(candidate)
        count = len(_words(wanted))
        if not 0 < count <= _MOST_WORDS:
            continue
        spans, texts = target.windows(count, middle)
        alike = process.extract_iter(wanted, texts, scorer=fuzz.ratio, score_cutoff=LEAST_LIKENESS)
        for _, likeness, i in alike:
            span = spans[i]
            away = abs((span.start + span.end) / 2 - middle) / max(1, len(target.text))
            if likeness - away * _OF_PLACE > best_score:
                best, best_score = span, likeness - away * _OF_PLACE
    return best, best_score / 100


def proportional(source: str, stretch: Span, target: Target) -> Span:
    """The words at the same part of the target as the stretch is of the source."""
    scale, all_of_it = len(target.text) / max(1, len(source)), Span(0, len(target.text))
    start, end = round(stretch.start * scale), round(stretch.end * scale)
    if stretch.start == stretch.end:
        cut = target.nearest_cut(start, all_of_it)
        return Span(cut, cut)
    return snap(target, Span(start, end), all_of_it)


def snap(target: Target, span: Span, within: Span) -> Span:
    """`span` moved to ends of words, without outer white space: a word at least, if `within` has one."""
    if not target.has_words(within):
        return Span(span.start, span.start)
    found = Span(target.nearest_cut(span.start, within), target.nearest_cut(span.end, within))
    found = strip(target.text, found)
    if found.start < found.end:
        return found
    return target.nearest_word(Span(span.start, max(span.end, span.start + 1)), within)


def _words(text: str) -> list[Span]:
    words, start = [], 0
    for at in range(len(text) + 1):
        at_end = at == len(text)
        if at_end or text[at].isspace() or (is_unspaced(text[at]) and not inside_word(text, at)):
            if start < at:
                words.append(Span(start, at))
            start = at + (not at_end and text[at].isspace())
    return words


def _trim(text: str, span: Span) -> Span:
    """Without outer punctuation."""
    start, end = span
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return Span(start, end) if start < end else span


def _bare(text: str) -> str:
    span = _trim(text, Span(0, len(text)))
    return text[span.start : span.end].casefold()


SURE, LOST = 2.0, 0.0

_LETTER = re.compile(r"[^\W_]")

_HELD = "\ufffc"
"""Holds the place of what is kept, so that wherever its node goes, its words stand there and nowhere else."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence of a run and its translation."""

    source: Span
    """Its place in the run's text."""
    text: str
    """Its translation."""
    kept: Mapping[Span, Span] = field(default_factory=dict)
    """Places in `text` of words that are known, by their places in the run's text: terms, what was kept."""
    alone: Mapping[Span, Sequence[str]] = field(default_factory=dict)
    """Words that may stand for stretches of the run's text in the translation, the likeliest first."""


@dataclass(frozen=True, slots=True)
class _Placed:
    node: Node
    span: Span
    children: tuple["_Placed", ...] = ()


def place(run: Run, pieces: Sequence[Piece], separator: str) -> Cooperative[str]:
    """Return the run as its document's format writes it, translated; pause after each piece of markup.

    `separator` goes between sentences.
    """
    placer = _Placer(run, pieces, separator)
    everything = Span(0, len(placer.target))
    placed = yield from placer.assign(run.nodes, everything)
    return _write(placer.target, everything, placed, run)


def stretches(run: Run, piece: Span) -> list[Span]:
    """Return the words to look for: those of a sentence in pairs that don't hold all of it."""
    found: dict[Span, None] = {}
    levels = [run.nodes]
    while levels:
        nodes = levels.pop()
        first = bisect_right(nodes, piece.start, key=lambda node: node.span.end)
        for node in nodes[first : bisect_left(nodes, piece.end, key=lambda node: node.span.start)]:
            levels.append(node.children)
            part = _overlap(run.text, node.span, piece) if node.kind == "pair" else None
            if part is not None and not _is_whole(run.text, part, piece):
                found[part] = None
    return sorted(found)


class _Placer:
    def __init__(self, run: Run, pieces: Sequence[Piece], separator: str):
        self._source = run.text
        nodes = {node.span for node in flat(run.nodes) if node.kind == "kept"}
        self._pieces: list[tuple[Piece, Span, Target]] = []
        self._kept: dict[Span, Span] = {}
        ends = (pieces[0].source.start, pieces[-1].source.end) if pieces else (0, 0)
        parts, size = [self._source[: ends[0]]], ends[0]  # white space, beside which markup stands
        for i, piece in enumerate(pieces):
            before = separator if piece.text and i else ""
            at = Span(size + len(before), size + len(before) + len(piece.text))
            parts += [before, _held(piece, nodes)]
            size = at.end
            self._pieces.append((piece, at, Target(piece.text)))
            for of, own in piece.kept.items():
                self._kept.setdefault(of, own.moved(at.start))
        self.target = "".join([*parts, self._source[ends[1] :]])
        self._words = Target(self.target)

    # ------------------------------------------------------------------ where each would go

    def _wanted(self, node: Node) -> tuple[Span, float]:
        """A node's place in the target, and how sure it is."""
        if node.kind == "kept" and node.span in self._kept:
            return self._kept[node.span], SURE
        parts = []
        for i in self._touched(node.span) if node.kind == "pair" else ():
            part = _overlap(self._source, node.span, self._pieces[i][0].source)
            if part is not None:
                parts.append(self._part(part, *self._pieces[i]))
        if not parts:
            return self._point(node)
        return Span(parts[0][0].start, parts[-1][0].end), min(sure for _, sure in parts)

    def _touched(self, span: Span) -> list[int]:
        """The numbers of the pieces that a span shares something with; of many, some from each end."""
        first = bisect_right(self._pieces, span.start, key=lambda each: each[0].source.end)
        end = bisect_left(self._pieces, span.end, key=lambda each: each[0].source.start)
        return [i for i in range(first, end) if i < first + 2 or i >= end - 2]

    def _part(self, part: Span, piece: Piece, at: Span, target: Target) -> tuple[Span, float]:
        source = self._source[piece.source.start : piece.source.end]
        inner = part.moved(-piece.source.start)
        if source == piece.text:
            return inner.moved(at.start), SURE
        if _is_whole(self._source, part, piece.source):
            return _whole(source, inner, target, at), SURE
        if part in piece.kept:
            return piece.kept[part].moved(at.start), SURE
        own, sure = find(piece.alone.get(part, ()), source, inner, target)
        return own.moved(at.start), sure

    def _point(self, node: Node) -> tuple[Span, float]:
        """The place of what stands between words: between the same sentences, or at about the same part."""
        if not self._pieces:
            return Span(0, 0), SURE
        i = bisect_right(self._pieces, node.span.start, key=lambda each: each[0].source.end)
        # what ends where a sentence begins stands before it, though it begin where another ends
        while i > 0 and node.span.end <= self._pieces[i - 1][0].source.start:
            i -= 1
        before, last = 0, 0
        if i > 0:
            before, last = self._pieces[i - 1][0].source.end, self._pieces[i - 1][1].end
        if i == len(self._pieces):
            return _in_gap(node, before, Span(last, len(self.target))), SURE
        piece, at, target = self._pieces[i]
        if node.span.end <= piece.source.start:
            return _in_gap(node, before, Span(last, at.start)), SURE
        return self._between(node, piece, at, target), LOST

    def _between(self, node: Node, piece: Piece, at: Span, target: Target) -> Span:
        source = self._source[piece.source.start : piece.source.end]
        inside = node.span.start - piece.source.start
        if source == piece.text:
            return Span(at.start + inside, at.start + inside + (node.span.end - node.span.start))
        cut = at.start + proportional(source, Span(inside, inside), target).start
        if node.kind == "break":
            left, right = self.target.rfind(" ", at.start, cut), self.target.find(" ", cut, at.end)
            space = left if right < 0 or (left >= 0 and cut - left <= right - cut) else right
            if space >= 0:
                return Span(space, space + 1)
        return Span(cut, cut)

    # ------------------------------------------------------------------ where each does go

    def assign(self, nodes: Sequence[Node], within: Span) -> Cooperative[tuple[_Placed, ...]]:
        """Places for nodes that stand side by side, inside of `within`; the surest choose first."""
        wanted: list[tuple[Node, Span, float]] = []
        for node in nodes:
            wanted.append((node, *self._wanted(node)))
            yield None
        order = sorted(range(len(nodes)), key=lambda i: (-wanted[i][2], nodes[i].kind == "point", i))
        taken: list[Span] = []
        holes = [within] if nodes and self._words.has_words(within) else []
        places: dict[int, Span] = {}
        for i in order:
            node, span, sure = wanted[i]
            places[i] = self._free(node, _clamp(span, within), within, taken, holes, sure=sure >= SURE)
            if places[i].start < places[i].end:
                insort(taken, places[i])
                self._take(holes, places[i])
            yield None
        placed: list[_Placed] = []
        for i in sorted(range(len(nodes)), key=lambda i: (places[i], i)):
            children = (yield from self.assign(nodes[i].children, places[i])) if nodes[i].children else ()
            placed.append(_Placed(nodes[i], places[i], children))
        return tuple(placed)

    def _take(self, holes: list[Span], span: Span) -> None:
        """Leave of the hole that `span` lies in what has words."""
        i = bisect_right(holes, span.start, key=lambda hole: hole.start) - 1
        if i >= 0 and span.end <= holes[i].end:
            rest = (Span(holes[i].start, span.start), Span(span.end, holes[i].end))
            holes[i : i + 1] = [hole for hole in rest if self._words.has_words(hole)]

    def _free(
        self, node: Node, span: Span, within: Span, taken: list[Span], holes: list[Span], *, sure: bool
    ) -> Span:
        """The part of `span` that nothing else stands in; the nearest free word if there is none.

        `taken` and `holes`, those with words between what is taken, are in order.
        """
        if (sure or node.kind == "break") and _is_between(span, within, taken):
            return span
        if node.kind != "pair" or node.span.start == node.span.end:
            return _at(span.end if node.kind == "break" else span.start, taken)
        left = bisect_right(holes, span.start, key=lambda hole: hole.end)
        right = bisect_left(holes, span.end, key=lambda hole: hole.start)
        parts = [snap(self._words, _clamp(span, hole), hole) for hole in holes[left:right]]
        if not any(_common(part, span) for part in parts):
            # the nearest on either side: all of those farther off are farther from it
            after = max(left, right)
            beside = (*holes[max(0, left - 1) : left], *holes[after : after + 1])
            parts += [snap(self._words, _clamp(span, hole), hole) for hole in beside]
        parts = sorted(part for part in parts if part.start < part.end)
        if not parts:
            return _at(span.start, taken)
        return max(parts, key=lambda part: (_common(part, span), -abs(part.start - span.start)))


def _write(target: str, span: Span, placed: Sequence[_Placed], run: Run) -> str:
    parts, at = [], span.start
    for each in placed:
        start, end = each.span
        parts.append(run.escape(target[at:start].replace(_HELD, "")))
        inner = _write(target, each.span, each.children, run) if each.node.kind == "pair" else ""
        parts.append(each.node.before + inner + each.node.after)
        at = end
    return "".join([*parts, run.escape(target[at : span.end].replace(_HELD, ""))])


def _held(piece: Piece, nodes: Collection[Span]) -> str:
    text = piece.text
    for span in (own for of, own in piece.kept.items() if of in nodes):
        text = text[: span.start] + _HELD * (span.end - span.start) + text[span.end :]
    return text


def _in_gap(node: Node, before: int, gap: Span) -> Span:
    """The place of what stands between two sentences, of which the first ends `before` it."""
    if node.kind == "break":
        return gap
    return Span(gap.start, gap.start) if node.span.start == before else Span(gap.end, gap.end)


def _whole(source: str, inner: Span, target: Target, at: Span) -> Span:
    """All of a sentence's translation, but for outer punctuation that the pair left out too."""
    start = target.bare.start if inner.start > 0 else 0
    end = target.bare.end if inner.end < len(source) else len(target.text)
    return Span(at.start + start, at.start + end)


def _overlap(text: str, a: Span, b: Span) -> Span | None:
    """Return the part that two spans share, without outer white space; None if there is none."""
    shared = strip(text, Span(max(a.start, b.start), min(a.end, b.end)))
    return shared if shared.start < shared.end else None


def _is_whole(text: str, part: Span, piece: Span) -> bool:
    outside = ((piece.start, part.start), (part.end, piece.end))
    return not any(_LETTER.search(text, start, end) for start, end in outside)


def _clamp(span: Span, within: Span) -> Span:
    start = min(max(span.start, within.start), within.end)
    return Span(start, min(max(span.end, start), within.end))


def _common(a: Span, b: Span) -> int:
    return max(0, min(a.end, b.end) - max(a.start, b.start))


def _is_between(span: Span, within: Span, taken: Sequence[Span]) -> bool:
    """Return whether a span lies in a gap that what is taken leaves, at its edge perhaps."""
    i = bisect_right(taken, span.start, key=lambda other: other.start)
    for k in (i - 1, i):
        start = taken[k - 1].end if k > 0 else within.start
        end = taken[k].start if 0 <= k < len(taken) else within.end
        if k >= 0 and start < end and start <= span.start and span.end <= end:
            return True
    return False


def _at(at: int, taken: Sequence[Span]) -> Span:
    """An empty place, moved out of what is taken."""
    i = bisect_left(taken, at, key=lambda other: other.start) - 1
    if i >= 0 and at < taken[i].end:
        at = taken[i].start if at - taken[i].start <= taken[i].end - at else taken[i].end
    return Span(at, at)
