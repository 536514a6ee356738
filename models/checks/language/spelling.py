"""Writes a word, and roughly its sound, in Latin letters, to find a name again in another script."""

import re
from functools import lru_cache

from anyascii import anyascii

_GROUPS = {"tch": "k", "sch": "s", "ch": "k", "sh": "s", "ph": "f", "th": "t", "zh": "", "x": "ks"}
_GROUP = re.compile("|".join(_GROUPS))
_ALIKE = str.maketrans("cqzw", "kksv")
_OTHERS = re.compile(r"[^a-z]")
_UNSURE = re.compile(r"[aeiouyhj]")
_DOUBLED = re.compile(r"(.)\1+")


_MOST_LETTERS = 100
"""Longer words are not cached: a stranger's may have 200,000 letters."""


def latin(word: str) -> str:
    """Return the word in the letters a to z."""
    return _latin(word) if len(word) <= _MOST_LETTERS else _latin.__wrapped__(word)


@lru_cache(maxsize=1 << 14)
def _latin(word: str) -> str:
    return _OTHERS.sub("", (word if word.isascii() else anyascii(word)).lower())


def skeleton(word: str) -> str:
    """Return the word's consonants, those alike in sound as one: `kvn` for `Kavanaugh` and `Кавано`."""
    return _skeleton(word) if len(word) <= _MOST_LETTERS else _skeleton.__wrapped__(word)


@lru_cache(maxsize=1 << 14)
def _skeleton(word: str) -> str:
    plain = latin(word)
    sounds = _GROUP.sub(lambda group: _GROUPS[group[0]], plain).translate(_ALIKE)
    return _DOUBLED.sub(r"\1", _UNSURE.sub("", sounds)) or plain[:1]
