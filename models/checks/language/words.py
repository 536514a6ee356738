"""Splits a text into words, for checks that look for repeated or copied stretches.

In a script without spaces a character counts as a word.
"""

import re
from typing import NamedTuple

from models.text.sentences import UNSPACED
from models.text.span import Span

_WORD = re.compile(rf"[{UNSPACED}]|(?:(?![{UNSPACED}])\w)+(?:['’](?:(?![{UNSPACED}])\w)+)*")


class WordForm(NamedTuple):
    """A word, as written or in lower case, and its place."""

    form: str
    span: Span


def words(text: str) -> list[WordForm]:
    """Return the words of `text`, in order, in lower case and without punctuation."""
    return [WordForm(match[0].lower(), Span(*match.span())) for match in _WORD.finditer(text)]
