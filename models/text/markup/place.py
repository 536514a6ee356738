"""Puts a run's markup into its translation: every tag once, pairs balanced, never within a word.

What a pair stood around is looked for in the translation: its own translation, or else the words that stand
at about the same part of the sentence. Knows no model: what the pair's words alone translate to is given.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from models.text.markup.align import find, proportional, snap
from models.text.markup.builder import flat
from models.text.markup.run import Node, Run
from models.text.span import Span

SURE, LOST = 2.0, 0.0

_HELD = "\ufffc"
"""Holds the place of what is kept, so that wherever its node goes, its words stand there and nowhere else."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence of a run and its translation."""

    source: Span
    """In the run's text."""
    text: str
    """Its translation."""
    kept: Mapping[Span, Span] = field(default_factory=dict)
    """Where in `text` stand words that are known, by their places in the run's text: terms, what was kept."""
    alone: Mapping[Span, Sequence[str]] = field(default_factory=dict)
    """What stretches of the run's text might be called in the translation, the likeliest first."""


@dataclass(frozen=True, slots=True)
class _Placed:
    node: Node
    span: Span
    children: tuple["_Placed", ...] = ()


def place(run: Run, pieces: Sequence[Piece], separator: str) -> str:
    """The run as its document's format writes it, translated. `separator` goes between sentences."""
    placer = _Placer(run, pieces, separator)
    everything = Span(0, len(placer.target))
    return _write(placer.target, everything, placer.assign(run.nodes, everything), run)


def stretches(run: Run, piece: Span) -> list[Span]:
    """What of a sentence stands in pairs that don't hold all of it: the words to look for."""
    found: dict[Span, None] = {}
    nodes = list(run.nodes)
    while nodes:
        node = nodes.pop()
        nodes += node.children
        if node.kind == "pair":
            part = _overlap(run.text, node.span, piece)
            if part is not None and not _is_whole(run.text, part, piece):
                found[part] = None
    return sorted(found)


class _Placer:
    def __init__(self, run: Run, pieces: Sequence[Piece], separator: str):
        self._source = run.text
        nodes = {node.span for node in flat(run.nodes) if node.kind == "kept"}
        self._pieces = [(piece, Span(0, 0)) for piece in pieces]
        ends = (pieces[0].source.start, pieces[-1].source.end) if pieces else (0, 0)
        self.target = self._source[: ends[0]]  # white space, beside which markup stands
        for i, piece in enumerate(pieces):
            before = separator if piece.text and i else ""
            start = len(self.target) + len(before)
            self.target += before + _held(piece, nodes)
            self._pieces[i] = (piece, Span(start, len(self.target)))
        self.target += self._source[ends[1] :]

    # ------------------------------------------------------------------ where each would go

    def _wanted(self, node: Node) -> tuple[Span, float]:
        """A node's place in the target, and how sure it is."""
        if node.kind == "kept":
            for piece, at in self._pieces:
                if node.span in piece.kept:
                    own = piece.kept[node.span]
                    return Span(at.start + own.start, at.start + own.end), SURE
        parts = []
        for piece, at in self._pieces if node.kind == "pair" else ():
            part = _overlap(self._source, node.span, piece.source)
            if part is not None:
                parts.append(self._part(part, piece, at))
        if not parts:
            return self._point(node)
        return Span(parts[0][0].start, parts[-1][0].end), min(sure for _, sure in parts)

    def _part(self, part: Span, piece: Piece, at: Span) -> tuple[Span, float]:
        source = self._source[piece.source.start : piece.source.end]
        inner = Span(part.start - piece.source.start, part.end - piece.source.start)
        if source == piece.text:
            return Span(at.start + inner.start, at.start + inner.end), SURE
        if _is_whole(self._source, part, piece.source):
            return _whole(source, inner, piece.text, at), SURE
        if part in piece.kept:
            own = piece.kept[part]
            return Span(at.start + own.start, at.start + own.end), SURE
        own, sure = find(piece.alone.get(part, ()), source, inner, piece.text)
        return Span(at.start + own.start, at.start + own.end), sure

    def _point(self, node: Node) -> tuple[Span, float]:
        """The place of what stands between words: between the same sentences, or at about the same part."""
        if not self._pieces:
            return Span(0, 0), SURE
        before, last = 0, 0
        for piece, at in self._pieces:
            if node.span.end <= piece.source.start:
                return _in_gap(node, before, Span(last, at.start)), SURE
            if node.span.start < piece.source.end:
                return self._between(node, piece, at), LOST
            before, last = piece.source.end, at.end
        return _in_gap(node, before, Span(last, len(self.target))), SURE

    def _between(self, node: Node, piece: Piece, at: Span) -> Span:
        source = self._source[piece.source.start : piece.source.end]
        inside = node.span.start - piece.source.start
        if source == piece.text:
            return Span(at.start + inside, at.start + inside + (node.span.end - node.span.start))
        cut = at.start + proportional(source, Span(inside, inside), piece.text).start
        if node.kind == "break":
            spaces = [i for i in range(at.start, at.end) if self.target[i] == " "]
            if spaces:
                space = min(spaces, key=lambda i: abs(i - cut))
                return Span(space, space + 1)
        return Span(cut, cut)

    # ------------------------------------------------------------------ where each does go

    def assign(self, nodes: Sequence[Node], within: Span) -> tuple[_Placed, ...]:
        """Places for nodes that stand side by side, inside of `within`; the surest choose first."""
        wanted = [(node, *self._wanted(node)) for node in nodes]
        order = sorted(range(len(nodes)), key=lambda i: (-wanted[i][2], nodes[i].kind == "point", i))
        taken: list[Span] = []
        places: dict[int, Span] = {}
        for i in order:
            node, span, _ = wanted[i]
            places[i] = self._free(node, span, within, taken, sure=wanted[i][2] >= SURE)
            if places[i].start < places[i].end:
                taken.append(places[i])
        ordered = sorted(range(len(nodes)), key=lambda i: (places[i], i))
        return tuple(_Placed(nodes[i], places[i], self.assign(nodes[i].children, places[i])) for i in ordered)

    def _free(self, node: Node, span: Span, within: Span, taken: Sequence[Span], *, sure: bool) -> Span:
        """The part of `span` that nothing else stands in; the nearest free word if there is none."""
        span = _clamp(span, within)
        holes = _holes(within, taken)
        if (sure or node.kind == "break") and any(
            hole.start <= span.start and span.end <= hole.end for hole in holes
        ):
            return span
        if node.kind != "pair" or node.span.start == node.span.end:
            return _at(span.end if node.kind == "break" else span.start, taken)
        parts = [snap(self.target, _clamp(span, hole), hole) for hole in holes]
        parts = [part for part in parts if part.start < part.end]
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


def _whole(source: str, inner: Span, text: str, at: Span) -> Span:
    """All of a sentence's translation, but for outer punctuation that the pair left out too."""
    start, end = 0, len(text)
    if inner.start > 0:
        while start < end and not text[start].isalnum():
            start += 1
    if inner.end < len(source):
        while end > start and not text[end - 1].isalnum():
            end -= 1
    return Span(at.start + start, at.start + end) if start < end else at


def _overlap(text: str, a: Span, b: Span) -> Span | None:
    """What two spans share, without outer white space; None if that is nothing."""
    start, end = max(a.start, b.start), min(a.end, b.end)
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end) if start < end else None


def _is_whole(text: str, part: Span, piece: Span) -> bool:
    rest = text[piece.start : part.start] + text[part.end : piece.end]
    return not any(map(str.isalnum, rest))


def _clamp(span: Span, within: Span) -> Span:
    start = min(max(span.start, within.start), within.end)
    return Span(start, min(max(span.end, start), within.end))


def _common(a: Span, b: Span) -> int:
    return max(0, min(a.end, b.end) - max(a.start, b.start))


def _holes(within: Span, taken: Sequence[Span]) -> list[Span]:
    holes, at = [], within.start
    for span in sorted(taken):
        holes.append(Span(at, span.start))
        at = span.end
    return [hole for hole in [*holes, Span(at, within.end)] if hole.start < hole.end]


def _at(at: int, taken: Sequence[Span]) -> Span:
    """An empty place, moved out of what is taken."""
    for other in taken:
        if other.start < at < other.end:
            at = other.start if at - other.start <= other.end - at else other.end
    return Span(at, at)
