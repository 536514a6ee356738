"""Plain text: what of each of its lines is to be translated.

Indents, list marks, blank lines, rules and line ends stay as they are, and paragraphs that were wrapped to a
width are wrapped to it again. Knows nothing of sentences or of
markup beyond what stands at the head of a line.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from models.text.markup.run import Run, plain
from models.text.sentences.segment import LINE, strip
from models.text.sentences.wrapped import widths, wrap
from models.text.span import Span

_MARK = re.compile(r"(?:\s*(?:[-*+•·‣▪◦–—>#]+|\d{1,3}[.)]|\(\d{1,3}\)|[A-Za-z]\))(?=\s))*\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that has something to translate."""

    span: Span
    """The translatable content, without prefix and outer white space."""
    prefix: str
    """The part of its line before it: indent, bullet, number, quote mark."""


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
    """Each line's content as a run; the lines of a hard-wrapped paragraph are one, wrapped again after."""
    found = lines(text)
    groups = _groups(text, found)
    contents = [[text[line.span.start : line.span.end] for line in group] for group in groups]
    runs: list[Run] = []
    for group, width in zip(groups, widths(contents), strict=True):
        runs += [plain(text, line.span) for line in group] if width is None else [_joined(text, group, width)]
    return runs


def _groups(text: str, found: Sequence[Line]) -> list[list[Line]]:
    """Lines that follow one another and could be one paragraph's."""
    groups: list[list[Line]] = []
    for line in found:
        if groups and _goes_on(text, groups[-1][-1], line):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _goes_on(text: str, before: Line, line: Line) -> bool:
    """Return whether a line stands right below another, with no mark but the other's mark of a quotation."""
    gap = text[before.span.end : line.span.start - len(line.prefix)]
    if len(gap.splitlines()) != 1 or gap.strip():
        return False
    return not line.prefix.strip() or (line.prefix == before.prefix and not line.prefix.strip(" >"))


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
