"""A text as words, for checks that look for repeated or copied stretches.

Where a script writes no spaces, a character counts as a word.
"""

import re
from typing import NamedTuple

from models.text.boundary import UNSPACED
from models.text.boundary import is_unspaced as is_unspaced_character
from models.text.span import Span

_WORD = re.compile(rf"[{UNSPACED}]|(?:(?![{UNSPACED}])\w)+(?:['’](?:(?![{UNSPACED}])\w)+)*")


class WordForm(NamedTuple):
    """A word as it is written, or in lower case to be compared, and where it stands."""

    form: str
    span: Span


def words(text: str) -> list[WordForm]:
    """The words of `text`, in order, in lower case and without punctuation."""
    return [WordForm(match[0].lower(), Span(*match.span())) for match in _WORD.finditer(text)]


def is_unspaced(form: str) -> bool:
    """Whether the word is one character of a script without spaces."""
    return len(form) == 1 and is_unspaced_character(form)
