"""Warns of quotation marks and brackets that a translation lost or left open. No errors: usage differs."""

import re
from collections.abc import Iterator
from itertools import pairwise

from models.checks.flag import Flag
from models.checks.pair import Pair
from models.checks.translation.length import size
from models.text.span import Span

KIND = "marks"
_BRACKETS = {")": "(", "]": "[", "}": "{", "】": "【", "」": "「", "』": "『"}
_OPENING = frozenset(_BRACKETS.values())
_AS_ONE = str.maketrans("（）", "()")
_LIST_MARK = re.compile(r"^\s*\w{1,3}\)|[:;]['-]?[()]|(?<!\()\b\w\)")
_QUOTATION = re.compile("[«»“”„\"「」『』‹›《》]|(?<!\\w)['‘‚]\\w|\\w[.,!?…]?['’](?!\\w)")
_SURE = re.compile('[«»“”„"「」『』]')
"""Leaves out apostrophes, which may mean anything."""
_LEAST_QUOTED = 24
"""Characters, by `length.size`: fewer are a word set off, or a name that Russian puts between marks."""


def check(pair: Pair) -> Iterator[Flag]:
    """Yield a warning for a bracket without its partner, and one if no quotation mark is left."""
    source, output = pair.source.text, pair.output.text
    lone = _lone_bracket(output)
    if lone is not None and _lone_bracket(source) is None:
        yield Flag(KIND, lone, f"The bracket {output[lone.start]} has no partner.", "warning")
    if (quoted := _quotation(source)) is not None and not _QUOTATION.search(output):
        reason = "The source quotes somebody, or marks words, and the translation does not."
        yield Flag(KIND, Span(0, len(output)), reason, "warning", quoted)


def _lone_bracket(text: str) -> Span | None:
    if _LIST_MARK.search(text):
        return None
    opened: list[int] = []
    plain = text.translate(_AS_ONE)
    for i, character in enumerate(plain):
        if character in _OPENING:
            opened.append(i)
        elif character in _BRACKETS and (not opened or plain[opened.pop()] != _BRACKETS[character]):
            return Span(i, i + 1)
    return Span(opened[-1], opened[-1] + 1) if opened else None


def _quotation(text: str) -> Span | None:
    """Return the span from the first to the last quotation mark, if it may quote somebody."""
    marks = [match.start() for match in _SURE.finditer(text)]
    if len(marks) < 2 or max(size(text[a:b]) for a, b in pairwise(marks)) < _LEAST_QUOTED:
        return None
    return Span(marks[0], marks[-1] + 1)
