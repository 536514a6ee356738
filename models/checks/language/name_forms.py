"""Endings that names take: `Ghana` and `Ghanaian`, `Budapesten` and `Budapestről` are forms of one name."""

import math
from collections.abc import Iterable
from functools import cache

from rapidfuzz.distance import Prefix

from models.checks.language.sources import table

_LEAST_STEM = 4
_LEAST_COMMON = 3
INFLECTING = frozenset(
    "az be bg bs cs el et eu fi hr hu hy ka kk ky lt lv mk mn pl ro ru sk sl sr tr uk uz".split()  # noqa: SIM905
)
"""Languages that put endings of several letters behind names."""
_MOST_ENDING_LETTERS = 5
_LEAST_STEM_SHARE = 0.6
_VOWELS = frozenset({"", "a", "e", "o"})


def same_stem(one: str, other: str) -> bool:
    """Return whether two words differ only in endings that names take: `Ghana` and `Ghanaian`."""
    shared = Prefix.similarity(one, other)
    ends = one[shared:], other[shared:]
    return endings().issuperset(ends) and are_endings(one[:shared], *ends)


def are_endings(stem: str, one: str, other: str) -> bool:
    """Return whether two such endings make forms of one name. `stem` is all that both words share."""
    if one == other:
        return True
    if one[:1] == other[:1] or {one, other} <= _VOWELS:  # Maria is not Marie, and Paul is not Paula
        return False
    return len(stem) >= min(_LEAST_STEM, len(stem + one), len(stem + other))


def long_stems(key: str) -> Iterable[str]:
    """Return the word's possible stems in a language with long endings; each is most of the word."""
    least = max(_LEAST_COMMON, len(key) - _MOST_ENDING_LETTERS, math.ceil(_LEAST_STEM_SHARE * len(key)))
    return (key[:size] for size in range(least, len(key) + 1))


def stem_sizes(key: str) -> Iterable[int]:
    """Return the lengths of the word's possible stems: an ending, or nothing, follows each."""
    longest = max(map(len, endings()))
    shortest = max(_LEAST_COMMON, len(key) - longest)
    return (at for at in range(shortest, len(key) + 1) if key[at:] in endings())


@cache
def endings() -> frozenset[str]:
    """Return the endings that can follow a name's stem, the empty one among them."""
    return frozenset(table("names")["endings"])
