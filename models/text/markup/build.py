"""Runs: stretches of text translated in one go, such as a paragraph. Builds them and puts them back.

A reader of a format passes each thing it meets to a `RunBuilder`. Plain text is read here: indents, list
marks, blank lines, rules and line ends stay, and wrapped paragraphs are wrapped again to their width.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from models.text.sentences import LINE, neighbours, strip, widths, wrap
from models.text.span import Span

Kind = Literal["pair", "point", "kept", "break"]


@dataclass(frozen=True, slots=True)
class Node:
    """Markup within a run.

    A `pair` stands around words, a `point` between them, a `break` in the place of the space it covers. What
    is `kept`, such as inline code, takes the place of the words it covers, and those stay as they are.
    """

    kind: Kind
    span: Span
    """Its place in the run's text; empty for a point."""
    before: str
    """The opening tag, or all that the document has of it."""
    after: str = ""
    """The closing tag of a pair."""
    children: tuple["Node", ...] = ()
    """The marks within a pair, in order."""


@dataclass(frozen=True, slots=True)
class Run:
    """Text to translate, freed of markup, and what is needed to put its translation in its place."""

    span: Span
    """The stretch of the document that the translation replaces, inner markup included."""
    text: str
    starts: Sequence[int]
    """The place in the document where each of the text's characters begins ..."""
    ends: Sequence[int]
    """... and where it ends."""
    nodes: tuple[Node, ...] = ()
    """The marks, in order; they don't overlap."""
    escape: Callable[[str], str] = str
    """From plain text to how the document's format writes it."""
    is_markup: bool = True
    """False for a run of plain text, which is written as it is read."""
    is_attribute: bool = False
    """True for the text of an element's `alt` or `title`, which may stand within another run."""
    finish: Callable[[str], str] = str
    """A change of the whole translation, such as wrapping it."""

    def origin(self, span: Span) -> Span:
        """Return where the document has this part of the text. The part must not be empty."""
        return Span(self.starts[span.start], self.ends[span.end - 1])


def plain(document: str, span: Span) -> Run:
    """A run of text without markup."""
    content = document[span.start : span.end]
    return Run(
        span, content, range(span.start, span.end), range(span.start + 1, span.end + 1), is_markup=False
    )


def restore(document: str, runs: Sequence[Run], translated: Sequence[str]) -> str:
    """The document with each run replaced; all else is kept to the character."""
    parts, end = [], 0
    for run, translation in zip(runs, translated, strict=True):
        parts += [document[end : run.span.start], run.finish(translation)]
        end = run.span.end
    return "".join([*parts, document[end:]])


_SPACE = " \t\n\r\f"

MOST_TAGS = 400
"""A run is to end when it has so many: putting them back costs their number's square."""

PAUSE_TAGS = 1_000
"""A reader pauses after so many pieces of a document, so that its caller can give up."""

_MOST_OPEN = 50
"""Pairs within pairs, beyond which tags are kept as points."""


@dataclass(slots=True)
class _Open:
    """A pair whose end has not come yet."""

    name: str
    raw: str
    start: int
    children: list[Node]


@dataclass(slots=True)
class RunBuilder:
    """Collects one run. Places are the document's; white space is read as browsers do, as one space."""

    document: str
    escape: Callable[[str], str]
    _text: list[str] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)
    _top: list[Node] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)
    _first: int | None = None
    _last: int = 0
    tags: int = 0
    """How many pieces of markup it has taken."""

    def text(self, content: str, start: int, end: int) -> None:
        """Words. If `content` is not what the document has there, each of its characters stands for all."""
        literal = end - start == len(content)
        for i, character in enumerate(content):
            first, last = (start + i, start + i + 1) if literal else (start, end)
            if character not in _SPACE:
                self._reach(first, last)
            elif self._first is None or (self._text and self._text[-1] == " "):
                continue  # at the run's start it stays outside
            self._text.append(" " if character in _SPACE else character)
            self._starts.append(first)
            self._ends.append(last)

    def open(self, name: str, start: int, end: int) -> None:
        """The first tag of a pair."""
        self.tags += 1
        if len(self._open) >= _MOST_OPEN:
            self.node("point", start, end)
            return
        self._reach(start, end)
        self._open.append(_Open(name, self.document[start:end], len(self._text), []))

    def close(self, name: str, start: int, end: int, raw: str | None = None) -> None:
        """The last tag of a pair; one that closes nothing of this run is kept as a point."""
        self.tags += 1
        depth = next((i for i in reversed(range(len(self._open))) if self._open[i].name == name), None)
        if depth is None:
            self.node("point", start, end)
            return
        while len(self._open) > depth + 1:
            self._give_up()
        self._reach(start, end)
        opened = self._open.pop()
        after = self.document[start:end] if raw is None else raw
        span = Span(opened.start, len(self._text))
        self._level().append(Node("pair", span, opened.raw, after, tuple(opened.children)))

    def node(self, kind: Kind, start: int, end: int, visible: str = "") -> None:
        """A point, a break, or what is kept and reads as `visible`."""
        self.tags += 1
        self._reach(start, end)
        at = len(self._text)
        content = " ".join(visible.split())
        if kind == "break" and self._text and self._text[-1] != " ":
            content = " "
        self._text += content
        self._starts += [start] * len(content)
        self._ends += [end] * len(content)
        self._level().append(Node(kind, Span(at, len(self._text)), self.document[start:end]))

    def run(self, *, is_attribute: bool = False) -> Run | None:
        """The run; None if it has not one letter outside of what is kept."""
        while self._open:
            self._give_up()
        if self._starts and self._starts[-1] >= self._last:
            self._text.pop()  # white space at the run's end stays outside
        text, nodes = "".join(self._text), tuple(self._top)
        if self._first is None or not _has_letters(text, nodes):
            return None
        span = Span(self._first, self._last)
        return Run(span, text, self._starts, self._ends, nodes, self.escape, is_attribute=is_attribute)

    def _reach(self, start: int, end: int) -> None:
        self._first = start if self._first is None else self._first
        self._last = max(self._last, end)

    def _level(self) -> list[Node]:
        return self._open[-1].children if self._open else self._top

    def _give_up(self) -> None:
        """An opening tag without its partner is a point."""
        lost = self._open.pop()
        self._level().extend([Node("point", Span(lost.start, lost.start), lost.raw), *lost.children])


def _has_letters(text: str, nodes: tuple[Node, ...]) -> bool:
    kept = [node.span for node in flat(nodes) if node.kind == "kept"]
    ends = [0, *(span.end for span in kept)]
    starts = [*(span.start for span in kept), len(text)]
    return any(c.isalpha() for end, start in zip(ends, starts, strict=True) for c in text[end:start])


def flat(nodes: tuple[Node, ...]) -> list[Node]:
    """All nodes, those within others included, in the order of their starts."""
    found = []
    for node in nodes:
        found += [node, *flat(node.children)]
    return found


_MARK = re.compile(r"(?:\s*(?:[-*+•·‣▪◦–—>#]+|\d{1,3}[.)]|\(\d{1,3}\)|[A-Za-z]\))(?=\s))*\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that has something to translate."""

    span: Span
    """The translatable content, without prefix and outer white space."""
    prefix: str
    """The part of its line before it: indent, bullet, number, quote mark."""


def plain_lines(text: str) -> list[Line]:
    """The lines of `text` that hold a letter, in order; all others pass through a translation as they are."""
    found = []
    for match in LINE.finditer(text):
        mark = _MARK.match(text, match.start(), match.end())
        start = mark.end() if mark else match.start()
        span = strip(text, Span(start, match.end()))
        if any(character.isalpha() for character in text[span.start : span.end]):
            found.append(Line(span, text[match.start() : span.start]))
    return found


def read_plain(text: str) -> list[Run]:
    """Each line's content as a run; the lines of a hard-wrapped paragraph are one, wrapped again after."""

    def adjoin(before: Line, line: Line) -> bool:
        """Return whether a line is right below another, with no mark but the other's mark of a quotation."""
        gap = text[before.span.end : line.span.start - len(line.prefix)]
        if len(gap.splitlines()) != 1 or gap.strip():
            return False
        return not line.prefix.strip() or (line.prefix == before.prefix and not line.prefix.strip(" >"))

    groups = neighbours(plain_lines(text), adjoin)
    contents = [[text[line.span.start : line.span.end] for line in group] for group in groups]
    runs: list[Run] = []
    for group, width in zip(groups, widths(contents), strict=True):
        runs += [plain(text, line.span) for line in group] if width is None else [_joined(text, group, width)]
    return runs


def _joined(text: str, group: Sequence[Line], width: int) -> Run:
    """The lines as one run, with a space for each line end."""
    content = ""
    starts: list[int] = []
    ends: list[int] = []
    for line in group:
        if content:
            content += " "
            starts.append(ends[-1])
            ends.append(line.span.start)
        content += text[line.span.start : line.span.end]
        starts += range(line.span.start, line.span.end)
        ends += range(line.span.start + 1, line.span.end + 1)
    line_end = text[group[0].span.end : group[1].span.start].lstrip(" \t")
    span = Span(group[0].span.start, group[-1].span.end)
    return Run(
        span, content, starts, ends, is_markup=False, finish=partial(wrap, width=width, line_end=line_end)
    )
