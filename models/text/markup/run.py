"""A run: text that is read in one go, such as a paragraph's, and the markup that stands within it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

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
