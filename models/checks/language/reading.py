"""A text as the checks read it: sentences, words, stems and numbers, each computed once, on first use."""

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import Stemmer
from stopwordsiso import has_lang, stopwords

from models.checks.language import cached_by_word
from models.checks.language.numbers import Numeral, magnitudes, numerals
from models.text.sentences import UNSPACED, is_unspaced, sentences
from models.text.span import Span

_ALGORITHMS = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "da": "danish", "nl": "dutch",
    "en": "english", "et": "estonian", "fi": "finnish", "fr": "french", "de": "german", "el": "greek",
    "hi": "hindi", "hu": "hungarian", "id": "indonesian", "ga": "irish", "it": "italian", "lt": "lithuanian",
    "ne": "nepali", "no": "norwegian", "nb": "norwegian", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sr": "serbian", "es": "spanish", "sv": "swedish", "ta": "tamil", "tr": "turkish",
    "und": "english",
}  # fmt: skip
"""Snowball's name for each language; words of others stay whole."""
_CONTRACTED = frozenset(
    "s t d m ll re ve don doesn didn isn wasn weren won couldn wouldn hasn haven hadn".split()  # noqa: SIM905
)
_NO_STOP_WORDS = frozenset(
    {"microsoft", "netscape", "herse", "downing", "novel", "computer", "nc", "uk", "us"}
)
_WORD = re.compile(r"[^\W\d_]+(?:[’'ʼ][^\W\d_]+)*")
_POSSESSIVE = re.compile(r"['’ʼ]s?$")
_WORD_FORM = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+(?:['’][^\W{UNSPACED}]+)*")
_LETTERS = re.compile(r"[^\W\d_]+")


class Word(NamedTuple):
    """A word of a text; in a script without blanks between words, a pair of neighbouring characters."""

    span: Span
    key: str
    """The form that words are compared by: lower case, no accents, no English `'s`, plain apostrophes."""
    stem: str

    @property
    def start(self) -> int:
        return self.span.start


class WordForm(NamedTuple):
    """A word, as written, in lower case or as its key, and its place; a number is one too."""

    form: str
    span: Span


@dataclass(frozen=True)
class Reading:
    """A text as checks read it."""

    text: str
    language: str
    """ISO 639-1 or BCP 47; `und` for an unknown one."""

    def at(self, span: Span) -> str:
        """Return what is written there."""
        return self.text[span.start : span.end]

    @cached_property
    def whole(self) -> Span:
        return Span(0, len(self.text))

    @cached_property
    def base_language(self) -> str:
        """The language code without region and script."""
        return self.language.split("-")[0].lower()

    @cached_property
    def sentences(self) -> list[Span]:
        return sentences(self.text, self.language)

    @cached_property
    def words(self) -> list[Word]:
        """Its words, in order, without numbers in digits."""
        places = [(match.start(), match[0]) for match in _WORD.finditer(self.text)]
        keys = {written: key_of(written) for _, written in places}
        stems = list(keys.values())
        if self.base_language in _ALGORITHMS:
            # a stemmer must not be used by two threads at once, and costs 2 µs
            stems = Stemmer.Stemmer(_ALGORITHMS[self.base_language]).stemWords(stems)
        stem_of = dict(zip(keys, stems, strict=True))
        unspaced = {written: _pairs(written) for written in keys if is_unspaced(written)}
        found: list[Word] = []
        for start, written in places:
            if written not in unspaced:
                found.append(Word(Span(start, start + len(written)), keys[written], stem_of[written]))
                continue
            for i, two in enumerate(unspaced[written], start):
                found.append(Word(Span(i, i + len(two)), two, two))
        return found

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of all words, and of the parts of words with an apostrophe."""
        whole: set[str] = set()
        for written in set(_WORD.findall(self.text)):  # no `words`: translations need no stems
            whole.update(_pairs(written) if is_unspaced(written) else (key_of(written),))
        return frozenset(whole | {part for key in whole if "'" in key for part in key.split("'")})

    @cached_property
    def letters(self) -> list[WordForm]:
        """The keys of all runs of letters, in order: `l` and `ete` for `l'été`."""
        return [WordForm(key_of(match[0]), Span(*match.span())) for match in _LETTERS.finditer(self.text)]

    @cached_property
    def word_forms(self) -> list[WordForm]:
        """The words in lower case, to look for repeated or copied stretches.

        In a script without spaces a character counts as a word.
        """
        found = _WORD_FORM.finditer(self.text)
        return [WordForm(match[0].lower(), Span(*match.span())) for match in found]

    @cached_property
    def numerals(self) -> list[Numeral]:
        """Its numbers, in order."""
        return numerals(self.text, self.language)

    @cached_property
    def magnitudes(self) -> list[tuple[Span, float]]:
        """Its thousands, millions and so on in words, without an exact number, in order."""
        return magnitudes(self.text, self.base_language, self.numerals)

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
        key = written.lower()
        return _POSSESSIVE.sub("", key) if "'" in key else key
    return _key_of_accented(written)


@cached_by_word
def _key_of_accented(written: str) -> str:
    plain = unicodedata.normalize("NFKD", written.replace("’", "'").replace("ʼ", "'").casefold())
    return _POSSESSIVE.sub("", "".join(c for c in plain if not unicodedata.combining(c)))


def _pairs(written: str) -> list[str]:
    """Return each two neighbouring characters."""
    return [written[i : i + 2] for i in range(max(1, len(written) - 1))]


@cache
def common_words(language: str) -> frozenset[str]:
    """Return the stop words of `language` (ISO 639-1 or `und`), by stopwords-iso; none if it has no list."""
    code = {"und": "en", "nb": "no", "nn": "no"}.get(language, language)
    if not has_lang(code):
        return frozenset()
    listed = frozenset(word.replace("’", "'").lower() for word in stopwords(code)) | _CONTRACTED
    return listed - _NO_STOP_WORDS if code == "en" else listed
