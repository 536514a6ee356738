"""A text's lines: what of each is to be translated, and how the translations go back into their places.

Indents, list marks, blank lines, rules and line ends stay as they are. Knows nothing of sentences or of
markup beyond what stands at the head of a line.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

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


def restore(text: str, translated: Sequence[str]) -> str:
    """`text` with the content of each of its `lines` replaced by the translation in the same place.

    All else is kept to the character. Raises ValueError unless there is one translation for each line.
    """
    parts, end = [], 0
    for line, translation in zip(lines(text), translated, strict=True):
        parts += [text[end : line.span.start], translation]
        end = line.span.end
    return "".join([*parts, text[end:]])
