"""Plain text: what of each of its lines is to be translated.

Indents, list marks, blank lines, rules and line ends stay as they are. Knows nothing of sentences or of
markup beyond what stands at the head of a line.
"""

import re
from dataclasses import dataclass

from models.text.markup.run import Run, plain
from models.text.segment import LINE, strip
from models.text.span import Span

_MARK = re.compile(r"(?:\s*(?:[-*+•·‣▪◦–—>#]+|\d{1,3}[.)]|\(\d{1,3}\)|[A-Za-z]\))(?=\s))*\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that has something to translate."""

    span: Span
    """The translatable content, without prefix and outer white space."""
    prefix: str
    """What stands before it on its line: indent, bullet, number, quote mark."""


def lines(text: str) -> list[Line]:
    """The lines of `text` that hold a letter, in order; all others pass through a translation as they are."""
    found = []
    for match in LINE.finditer(text):
        mark = _MARK.match(text, match.start(), match.end())
        start = mark.end() if mark else match.start()
        span = strip(text, Span(start, match.end()))
        if any(character.isalpha() for character in text[span.start : span.end]):
            found.append(Line(span, text[match.start() : span.start]))
    return found


def read(text: str) -> list[Run]:
    """Each line's content as a run."""
    return [plain(text, line.span) for line in lines(text)]
