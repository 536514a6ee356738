"""Puts a run together from what a reader of some format meets, one thing after another."""

from collections.abc import Callable
from dataclasses import dataclass, field

from models.text.markup.run import Kind, Node, Run
from models.text.span import Span

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
            where = (start + i, start + i + 1) if literal else (start, end)
            self._character(" " if character in _SPACE else character, *where)

    def _character(self, character: str, start: int, end: int) -> None:
        if character == " " and (self._first is None or (self._text and self._text[-1] == " ")):
            return  # at the run's start it stays outside
        if character != " ":
            self._reach(start, end)
        self._text.append(character)
        self._starts.append(start)
        self._ends.append(end)

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
