"""One line of a pasted page by itself: its size, its capitals, its form, its wording. Knows no other line."""

import re
from collections.abc import Callable, Mapping

from models.text.article.wording import BESIDE_DATE, DATE, KINDS, OF_PAGES

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_ADDRESS = re.compile(r"https?://|www\.|\w[.-]*\.(?:com|org|net|co\.uk)\b|[\w.]@[\w.]|(?<!\w)@\w", re.I)
_LIST_MARK = re.compile(r"(?:[-*•·‣▪◦–—]|\d{1,3}[.)])\s")
_BAR = re.compile(r"\s[|»›>•·/]\s")
_STOP_INSIDE = re.compile(r"[.!?。！？][\"'”’»)]*\s+\S")
_ABOUT = re.compile(
    r"\W*(?i:about|sobre|über|à propos d[e']|об?|par|por|von|di|by|autor[ea]?|author)\W+[A-ZÀ-ÞА-Я][\w.'’-]*"
    r"(?: (?:[A-ZÀ-ÞА-Я][\w.'’-]*|de|da|van|von|di|del|la))*(?: \d+ \w+)?\W*"
)

_LOOKED_AT_CHARACTERS = 600

FORM: Mapping[str, Callable[[str], bool]] = {
    "colon": lambda line: line.endswith((":", "：")),
    "ellipsis": lambda line: line.endswith(("...", "…", "..")),
    "address": lambda line: _ADDRESS.search(line) is not None,
    "list mark": lambda line: _LIST_MARK.match(line) is not None,
    "quote": lambda line: any(c in line for c in '"“”«»„「」'),
    "comma": lambda line: any(c in line for c in ",،、，"),
    "bar": lambda line: _BAR.search(line) is not None,
    "stop inside": lambda line: _STOP_INSIDE.search(line) is not None,
}
"""Tests of a line's form."""


def size(line: str) -> float:
    """Return the number of words; two characters of a script without spaces count as one."""
    unspaced = len(_CJK.findall(line))
    return len(_CJK.sub(" ", line).split()) + unspaced / 2


def content(key: str) -> frozenset[str]:
    """Return the words that carry meaning: those of four letters, or of a script without spaces."""
    return frozenset(word for word in key.split() if len(word) >= 4 or _CJK.match(word))


def capitals(line: str) -> float:
    """Return the share of words after the first that have a capital; one half if there are too few to say."""
    found = [word for word in line.split() if any(map(str.isalpha, word[:2]))]
    if len(found) < 3:
        return 0.5
    return sum(word.lstrip("\"“‘'([")[:1].isupper() for word in found[1:]) / (len(found) - 1)


def kinds(line: str) -> tuple[str, ...]:
    """Return the kinds of furniture whose wording the line's beginning has."""
    head = line[:_LOOKED_AT_CHARACTERS]
    return tuple(kind for kind, pattern in KINDS.items() if pattern.search(head))


def page_words(line: str) -> int:
    """Return how many words of the line's beginning belong to pages rather than to articles."""
    return len(OF_PAGES.findall(line[:_LOOKED_AT_CHARACTERS]))


def is_about(line: str) -> bool:
    """Return whether the line names a writer and says nothing else, as `About Jane Doe` does."""
    return _ABOUT.fullmatch(line) is not None


def is_stamp(line: str) -> bool:
    """Return whether the line says when and hardly anything else."""
    if DATE.search(line) is None or line.startswith(("—", "–")) or not any(map(str.isdigit, line)):
        return False
    return size(BESIDE_DATE.sub(" ", DATE.sub(" ", line[:_LOOKED_AT_CHARACTERS]))) <= 2
