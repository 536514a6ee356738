"""A text as checks read it: its sentences, words, stems and numbers, each found once, on first use."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from models.checks.language.common_words import common_words
from models.checks.language.numerals import Numeral, numerals
from models.checks.language.stems import stemmed
from models.text.sentences import is_unspaced, sentences
from models.text.span import Span


class Word(NamedTuple):
    """A word of a text; in a script without blanks between words, a pair of neighbouring characters."""

    span: Span
    key: str
    """The form that words are compared by: lower case, no accents, no English `'s`, plain apostrophes."""
    stem: str

    @property
    def start(self) -> int:
        return self.span.start


_WORD = re.compile(r"[^\W\d_]+(?:[’'ʼ][^\W\d_]+)*")
_MOST_KEPT_LETTERS = 100
"""Longer words are not cached with their keys: a stranger's may have 200,000 letters."""
_POSSESSIVE = re.compile(r"['’ʼ]s?$")


@dataclass(frozen=True)
class Reading:
    """A text as checks read it."""

    text: str
    language: str
    """ISO 639-1 or BCP 47; `und` for an unknown one."""

    @cached_property
    def base_language(self) -> str:
        """The language code without region and script."""
        return self.language.split("-")[0].lower()

    @cached_property
    def sentences(self) -> list[Span]:
        """Its sentences, in order."""
        return sentences(self.text, self.language)

    @cached_property
    def words(self) -> list[Word]:
        """Its words, in order, without numbers in digits."""
        places = [(match.start(), match[0]) for match in _WORD.finditer(self.text)]
        keys = {written: key_of(written) for _, written in places}
        stems = dict(zip(keys, stemmed(list(keys.values()), self.base_language), strict=True))
        unspaced = {written for written in keys if is_unspaced(written)}
        found: list[Word] = []
        for start, written in places:
            if written in unspaced:
                found += _pairs(start, written)
            else:
                found.append(Word(Span(start, start + len(written)), keys[written], stems[written]))
        return found

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of all words, and of the parts of words with an apostrophe."""
        whole = {word.key for word in self.words}
        return frozenset(whole | {part for key in whole if "'" in key for part in key.split("'")})

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of all words."""
        return frozenset(word.stem for word in self.words)

    @cached_property
    def numerals(self) -> list[Numeral]:
        """Its numbers, in order."""
        return numerals(self.text, self.language)

    @cached_property
    def values(self) -> frozenset[float]:
        """All values that its numbers may have."""
        return frozenset(value for numeral in self.numerals for value in numeral.values)

    @cached_property
    def _sentence_starts(self) -> list[int]:
        return [sentence.start for sentence in self.sentences]

    def sentence_at(self, offset: int) -> int:
        """Return the index of the sentence that the character belongs to; 0 before the first sentence."""
        return max(0, bisect_right(self._sentence_starts, offset) - 1)

    @cached_property
    def words_by_sentence(self) -> list[list[Word]]:
        """The words of each sentence."""
        groups: list[list[Word]] = [[] for _ in self.sentences]
        ends = [*self._sentence_starts[1:], len(self.text) + 1]
        sentence = 0
        for word in self.words:
            while word.span.start >= ends[sentence]:
                sentence += 1
            groups[sentence].append(word)
        return groups

    @cached_property
    def _common(self) -> frozenset[str]:
        return common_words(self.base_language)

    def is_common(self, word: Word) -> bool:
        """Return whether the word is too frequent in its language to tell one sentence from another."""
        return word.key in self._common


def key_of(written: str) -> str:
    """Return the key that words are compared by: lower case, no accents, no possessive ending."""
    if written.isascii():
        return _key_of_ascii(written)
    return _key(written) if len(written) <= _MOST_KEPT_LETTERS else _key.__wrapped__(written)


@lru_cache(maxsize=1 << 16)
def _key(written: str) -> str:
    plain = unicodedata.normalize("NFKD", written.replace("’", "'").replace("ʼ", "'").casefold())
    return _POSSESSIVE.sub("", "".join(c for c in plain if not unicodedata.combining(c)))


def _key_of_ascii(written: str) -> str:
    key = written.lower()
    return _POSSESSIVE.sub("", key) if "'" in key else key


def _pairs(start: int, written: str) -> Iterable[Word]:
    for i in range(max(1, len(written) - 1)):
        pair = written[i : i + 2]
        yield Word(Span(start + i, start + i + len(pair)), pair, pair)
