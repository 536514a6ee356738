"""Finds the words that negate, by negation.toml; knows no grammar."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import inf

from models.checks.language import table
from models.checks.language.reading import Reading, key_of
from models.text.sentences import is_unspaced
from models.text.span import Span

_WORD = re.compile(r"[^\W\d_]+")
_CONTRACTED = re.compile(r"n[’'ʼ]t\b", re.IGNORECASE)
_LEAST_LETTERS = 5
"""The least letters of a word with a beginning such as `un`."""


@dataclass(frozen=True)
class _Negation:
    """A language's words."""

    sure: frozenset[str]
    whole: frozenset[str]
    """All words that may negate, the sure ones among them."""
    beginnings: tuple[str, ...]
    other: tuple[str, ...]
    """Beginnings of words that only look so."""
    halves: tuple[frozenset[str], ...]
    """Words of which it takes one of each set to negate once, as in `ne ... pas`."""
    only: frozenset[str]
    """Words after which a negation is none."""
    unspaced: re.Pattern[str] | None
    """Finds the sure ones where the language puts no blanks between words."""


def negations(reading: Reading) -> Iterator[Span]:
    """Yield the words that surely negate, in order; none in a language that is not known."""
    known = _known(reading.base_language)
    if known is None:
        return
    if known.unspaced is not None:
        yield from (Span(*match.span()) for match in known.unspaced.finditer(reading.text))
        return
    if reading.base_language == "en":
        yield from (Span(*match.span()) for match in _CONTRACTED.finditer(reading.text))
    words = [(key_of(match[0]), Span(*match.span())) for match in _WORD.finditer(reading.text)]
    for (key, span), (following, _) in pairwise([*words, ("", Span(0, 0))]):
        if key in known.sure and following not in known.only:
            yield span


def possible(reading: Reading) -> float:
    """Return how many negations the words of the text could make; infinitely many in a language not known."""
    known = _known(reading.base_language)
    if known is None:
        return inf
    if known.unspaced is not None:
        return sum(reading.text.count(sign) for sign in known.whole if len(sign) == 1)
    keys = [key_of(match[0]) for match in _WORD.finditer(reading.text)]
    halves = [sum(key in half for key in keys) for half in known.halves]
    both = frozenset().union(*known.halves)
    whole = sum(
        key in known.whole
        or (
            len(key) >= _LEAST_LETTERS
            and key.startswith(known.beginnings)
            and not key.startswith(known.other)
        )
        for key in keys
        if key not in both
    )
    return whole + max(halves, default=0) + len(_CONTRACTED.findall(reading.text))


@cache
def _known(language: str) -> _Negation | None:
    words = table("negation")
    sure = words["sure"].get(language)
    if sure is None:
        return None
    other = words["any"][language]
    unspaced = re.compile("|".join(map(re.escape, sure))) if is_unspaced(sure[0][0]) else None
    return _Negation(
        frozenset(sure),
        frozenset(word for word in (*sure, *other) if not word.endswith("=")),
        tuple(word[:-1] for word in other if word.endswith("=")),
        tuple(words["other"].get(language, ())),
        tuple(frozenset(half) for half in words["halves"].get(language, ())),
        frozenset(words["only"]["words"]),
        unspaced,
    )
