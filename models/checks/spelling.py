"""How a name is spelled, and roughly how it sounds, in Latin letters: to find it again in another script."""

import re
from functools import lru_cache

from anyascii import anyascii

_GROUPS = {"tch": "k", "sch": "s", "ch": "k", "sh": "s", "ph": "f", "th": "t", "zh": "", "x": "ks"}
_GROUP = re.compile("|".join(_GROUPS))
_ALIKE = str.maketrans("cqzw", "kksv")
_OTHERS = re.compile(r"[^a-z]")
_UNSURE = re.compile(r"[aeiouyhj]")
_DOUBLED = re.compile(r"(.)\1+")


@lru_cache(maxsize=1 << 14)
def latin(word: str) -> str:
    """The word in the letters a to z."""
    return _OTHERS.sub("", (word if word.isascii() else anyascii(word)).lower())


@lru_cache(maxsize=1 << 14)
def skeleton(word: str) -> str:
    """Its consonants, those alike in sound as one: `Kavanaugh` and `Кавано` share `kvn`."""
    plain = latin(word)
    sounds = _GROUP.sub(lambda group: _GROUPS[group[0]], plain).translate(_ALIKE)
    return _DOUBLED.sub(r"\1", _UNSURE.sub("", sounds)) or plain[:1]
