"""A text as words, for checks that look for repeated or copied stretches.

Where a script writes no spaces, a character counts as a word.
"""

import re
from typing import NamedTuple

from models.text.boundary import UNSPACED
from models.text.boundary import is_unspaced as is_unspaced_character
from models.text.span import Span

_WORD = re.compile(rf"[{UNSPACED}]|(?:(?![{UNSPACED}])\w)+(?:['’](?:(?![{UNSPACED}])\w)+)*")


class Word(NamedTuple):
    """A word as it is compared, and where it stands."""

    form: str
    span: Span


def words(text: str) -> list[Word]:
    """The words of `text`, in order, in lower case and without punctuation."""
    return [Word(match[0].lower(), Span(*match.span())) for match in _WORD.finditer(text)]


def is_unspaced(form: str) -> bool:
    """Whether the word is one character of a script without spaces."""
    return len(form) == 1 and is_unspaced_character(form)
