"""Finds the names of a text by their capitals; none where capitals tell nothing.

Scripts without capitals have no names here, nor do headlines in capitals. In German, which gives every noun
a capital, only pairs of capitalized words count.
"""

import re
from functools import cache
from typing import NamedTuple

from models.checks.language.common_words import common_words
from models.checks.language.reading import Reading, key_of
from models.checks.language.sources import locale_of
from models.text.span import Span


class Capital(NamedTuple):
    """A capitalized word."""

    span: Span
    written: str
    key: str
    """As in `Reading.keys`."""
    initial: bool
    """True where any word would have a capital, as at the start of a sentence."""


Name = tuple[Capital, ...]
"""Capitalized words with nothing but blanks, hyphens or small joining words between them."""

_WORD = re.compile(r"[^\W\d_]+(?:[’'ʼ][^\W\d_]+)*")
_JOINING = re.compile(
    r"[ \u00a0]|-|\. "
    r"|[ \u00a0](?:of|the|of the|de|del|de la|da|di|van|von|der|den|bin|al|el|la|le|du|dos|y|e)[ \u00a0]"
)
_BEFORE = " \t\u00a0“”\"'‘’«»„([{—–-*•·>¿¡"
_ENDERS = ".!?…:;\n\r。！？"
_ABBREVIATION = re.compile(
    r"(?:^|\W)(?:[^\W\d_]|Mr|Mrs|Ms|Dr|St|Sgt|Gen|Sen|Rep|Gov|Lt|Col|Prof|Rev|Jr|vs|No)\.$"
)
_MOST_NAME_WORDS = 30
"""A longer row of capitals is no name; comparing all of its words with each other would take minutes."""
_LEAST_SHOUTED_WORDS = 4
_SHOUTED_SHARE = 0.7
_NOUNS_CAPITALIZED = frozenset({"de", "lb", "gsw", "nds"})


def nouns_are_capitalized(reading: Reading) -> bool:
    """Return whether the text's language writes every noun with a capital."""
    if reading.base_language in _NOUNS_CAPITALIZED:
        return True
    return reading.base_language == "und" and len(_GERMAN & reading.keys) >= _GERMAN_WORDS


_GERMAN = frozenset(
    {"der", "das", "und", "ist", "nicht", "eine", "mit", "von", "auf", "sich", "auch", "wurde"}
)
_GERMAN_WORDS = 3


def names(reading: Reading) -> list[Name]:
    """Return every name of the text, in order, words at the start of a sentence included: see `initial`."""
    found: list[Name] = []
    for sentence in reading.sentences:
        words = list(_WORD.finditer(reading.text, *sentence))
        capitals = [match for match in words if match[0][0].isupper()]
        if not _is_shouted([match[0] for match in words], len(capitals), reading.base_language):
            found += _joined(reading, [_capital(reading, match) for match in capitals])
    return found


def _is_shouted(words: list[str], capitals: int, language: str) -> bool:
    """Return whether the words are a headline in capitals, which writes only common words without one."""
    if len(words) < _LEAST_SHOUTED_WORDS or capitals <= _SHOUTED_SHARE * len(words):
        return False
    small = (word for word in words if not word[0].isupper())
    return all(word.lower() in common_words(language) for word in small)


def _capital(reading: Reading, match: re.Match[str]) -> Capital:
    return Capital(Span(*match.span()), match[0], key_of(match[0]), _is_initial(reading.text, match.start()))


def _joined(reading: Reading, capitals: list[Capital]) -> list[Name]:
    found: list[list[Capital]] = []
    end = -1
    for capital in capitals:
        if capital.initial and capital.key in common_words(reading.base_language):
            continue
        joined = _JOINING.fullmatch(reading.text, max(0, end), capital.span.start)
        if end < 0 or capital.initial or not joined or len(found[-1]) == _MOST_NAME_WORDS:
            found.append([])
        found[-1].append(capital)
        end = capital.span.end
    return [tuple(name) for name in found]


def _is_initial(text: str, start: int) -> bool:
    before = text[max(0, start - 20) : start]
    bare = before.rstrip(_BEFORE)
    if not bare:
        return True
    if any(mark in before[len(bare) :] for mark in '“"«„*•') and not before.endswith("-"):
        return True
    return bare[-1] in _ENDERS and not _ABBREVIATION.search(bare)


@cache
def territories(language: str) -> frozenset[str]:
    """Return the keys of the one-word names of the world's countries in `language`."""
    locale = locale_of(language if language != "und" else "en")
    listed = locale.territories.values() if locale is not None else ()
    return frozenset(key_of(name) for name in listed if " " not in name and name.isalpha())
