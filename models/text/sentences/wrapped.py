"""Hard-wrapped text: lines that were broken to a width, and not because something ended there.

The sign is that no line had room for the next one's first word. Knows nothing of languages.
"""

import textwrap
from collections.abc import Sequence
from itertools import pairwise

NARROWEST, WIDEST = 36, 130
"""Widths in characters that text is wrapped to; lists are narrower, and what is wider was not wrapped."""


def widths(groups: Sequence[Sequence[str]]) -> list[int | None]:
    """For each group of neighbouring lines the width that it is wrapped to, or None if it is not.

    A group of two lines says too little by itself: it counts if a longer one is wrapped to that width.
    """
    longer = [width for group in groups if len(group) > 2 and (width := _width(group, 0)) is not None]
    widest = max(longer, default=0)
    return [
        _width(group, widest if len(group) == 2 else 0) if widest or len(group) > 2 else None
        for group in groups
    ]


def wrap(text: str, width: int, line_end: str) -> str:
    """The text in lines of at most `width` characters, if its words allow it; `line_end` goes between."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return line_end.join(lines)


def _width(lines: Sequence[str], known: int) -> int | None:
    """The lines' width, or the one that is known, if they are wrapped to it."""
    widest = max(map(len, lines))
    width = known or widest
    breaks = list(pairwise(lines))
    if not breaks or widest > width or not NARROWEST <= width <= WIDEST:
        return None
    if any(len(line) + 1 + len(after.split(maxsplit=1)[0]) <= width for line, after in breaks):
        return None
    cased = any(character.isupper() for line in lines for character in line)
    goes_on = any(after[0].islower() for _, after in breaks)
    return width if goes_on or not cased else None
