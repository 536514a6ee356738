"""A text as words, for checks that look for repeated or copied stretches.

Where a script writes no spaces, a character counts as a word.
"""

import re
from typing import NamedTuple

from models.text.span import Span

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+(?:['’](?:(?![{_UNSPACED}])\w)+)*")


class Word(NamedTuple):
    """A word as it is compared, and where it stands."""

    form: str
    span: Span


def words(text: str) -> list[Word]:
    """The words of `text`, in order, in lower case and without punctuation."""
    return [Word(match[0].lower(), Span(*match.span())) for match in _WORD.finditer(text)]


def is_unspaced(form: str) -> bool:
    """Whether the word is one character of a script without spaces."""
    return len(form) == 1 and _UNSPACED_CHARACTER.match(form) is not None


_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")
