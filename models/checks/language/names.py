"""Finds names in a text by their capitals, and variants of a name: inflected, shortened, misspelled.

Finds none in scripts without capitals or in headlines set in capitals. In German, where every noun has a
capital, only pairs of capitalized words count.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, cached_property
from itertools import pairwise
from typing import NamedTuple

from anyascii import anyascii
from rapidfuzz import fuzz, process
from rapidfuzz.distance import Prefix

from models.checks.language import cached_by_word, locale_of, table
from models.checks.language.reading import Reading, common_words, key_of
from models.cooperative import Cooperative, prepare
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
_GERMAN = frozenset(
    {"der", "das", "und", "ist", "nicht", "eine", "mit", "von", "auf", "sich", "auch", "wurde"}
)
_GERMAN_WORDS = 3


def nouns_are_capitalized(reading: Reading) -> bool:
    """Return whether the text's language writes every noun with a capital."""
    if reading.base_language in _NOUNS_CAPITALIZED:
        return True
    return reading.base_language == "und" and len(_GERMAN & reading.keys) >= _GERMAN_WORDS


def names(reading: Reading) -> list[Name]:
    """Return every name of the text, in order, words at the start of a sentence included: see `initial`."""
    text, found = reading.text, []
    for sentence in reading.sentences:
        words = list(_WORD.finditer(text, *sentence))
        capitals = [match for match in words if match[0][0].isupper()]
        if not _is_shouted([match[0] for match in words], len(capitals), reading.base_language):
            found += _joined(
                reading,
                [
                    Capital(Span(*match.span()), match[0], key_of(match[0]), _is_initial(text, match.start()))
                    for match in capitals
                ],
            )
    return found


def _is_shouted(words: list[str], capitals: int, language: str) -> bool:
    """Return whether the words are a headline in capitals, which writes only common words without one."""
    if len(words) < _LEAST_SHOUTED_WORDS or capitals <= _SHOUTED_SHARE * len(words):
        return False
    small = (word for word in words if not word[0].isupper())
    return all(word.lower() in common_words(language) for word in small)


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


def untitled(name: Name) -> Name:
    """Return the name without `Captain`, `Ms` and the like."""
    return tuple(part for part in name if part.key not in titles())


@cache
def titles() -> frozenset[str]:
    """Return the words that tell what a named person is: titles, offices, ranks."""
    return frozenset(map(key_of, table("names")["titles"]))


@cache
def ordinary_endings() -> tuple[str, ...]:
    """Return the endings of English words that can begin a sentence without an article and are no names."""
    return tuple(table("names")["ordinary_endings"])


@cache
def territories(language: str) -> frozenset[str]:
    """Return the keys of the one-word names of the world's countries in `language`."""
    locale = locale_of(language if language != "und" else "en")
    listed = locale.territories.values() if locale is not None else ()
    return frozenset(key_of(name) for name in listed if " " not in name and name.isalpha())


@cached_by_word
def is_place(key: str, language: str) -> bool:
    """Return whether the word is a country in that language, or the name of its people."""
    countries = territories(language)
    if key in countries or (language in ("en", "und") and key in _same()):
        return True
    return any(key[:4] == country[:4] and same_stem(key, country) for country in countries)


def same_names(key: str) -> frozenset[str]:
    """Return the other names for the same thing: `welsh` for `wales`."""
    return _same().get(key, frozenset())


@cache
def _same() -> dict[str, frozenset[str]]:
    same: dict[str, frozenset[str]] = defaultdict(frozenset)
    for group in table("names")["same"]:
        for word in group:
            same[word] |= frozenset(group)
    return dict(same)


_LEAST_STEM = 4
_LEAST_COMMON = 3
INFLECTING = frozenset(
    "az be bg bs cs el et eu fi hr hu hy ka kk ky lt lv mk mn pl ro ru sk sl sr tr uk uz".split()  # noqa: SIM905
)
"""Languages that put endings of several letters behind names."""
_MOST_ENDING_LETTERS = 5
_LEAST_STEM_SHARE = 0.6
_VOWELS = frozenset({"", "a", "e", "o"})


def are_forms_of_one(key: str, other: str) -> bool:
    """Return whether two words are forms of one name: `Wales` and `Welsh`, `Ghana` and `Ghanaian`."""
    if key == other or other in same_names(key):
        return True
    return key[:3] == other[:3] and same_stem(key, other)


def same_stem(one: str, other: str) -> bool:
    """Return whether two words differ only in _endings that names take: `Ghana` and `Ghanaian`."""
    shared = Prefix.similarity(one, other)
    ends = one[shared:], other[shared:]
    return _endings().issuperset(ends) and _are_endings(one[:shared], *ends)


def _are_endings(stem: str, one: str, other: str) -> bool:
    """Return whether two such _endings make forms of one name. `stem` is all that both words share."""
    if one == other:
        return True
    if one[:1] == other[:1] or {one, other} <= _VOWELS:  # Maria is not Marie, and Paul is not Paula
        return False
    return len(stem) >= min(_LEAST_STEM, len(stem + one), len(stem + other))


def _long_stems(key: str) -> Iterable[str]:
    """Return the word's possible stems in a language with long _endings; each is most of the word."""
    least = max(_LEAST_COMMON, len(key) - _MOST_ENDING_LETTERS, math.ceil(_LEAST_STEM_SHARE * len(key)))
    return (key[:size] for size in range(least, len(key) + 1))


def stem_sizes(key: str) -> Iterable[int]:
    """Return the lengths of the word's possible stems: an ending, or nothing, follows each."""
    longest = max(map(len, _endings()))
    shortest = max(_LEAST_COMMON, len(key) - longest)
    return (at for at in range(shortest, len(key) + 1) if key[at:] in _endings())


@cache
def _endings() -> frozenset[str]:
    """Return the _endings that can follow a name's stem, the empty one among them."""
    return frozenset(table("names")["endings"])


_DOTTED = re.compile(r"(?:[^\W\d_]\.){2,}")
_ACRONYM = re.compile(r"\b[A-Z]{2,6}\b")
_LEAST_RUN_TOGETHER = 6
_LEAST_MISSPELT = 5
_ALIKE = 0.8
_ALIKE_IF_LONG = 0.84
_LONG = 7
_MOST_LETTERS_APART = 2
_MOST_LETTERS = 60
"""No word of a name is longer; a stranger's word of 200,000 letters would have as many beginnings."""
_MOST_NEAR = 50
"""The most names, likeliest first, that are compared in detail."""


@dataclass(frozen=True)
class KnownNames:
    """The names of a source, indexed to look up others in them."""

    source: Reading

    def holds(self, name: Capital) -> bool:
        """Return whether the source has the word or another form of it."""
        key = name.key
        if key in self._keys or key.replace("'", "") in self._keys or key in self._run_together:
            return True
        if "'" in key and any(part in self._keys for part in key.split("'") if len(part) > 3):
            return True
        if self.source.base_language in INFLECTING and not self._long_stems.isdisjoint(_long_stems(key)):
            return True
        return any(
            _are_endings(key[:stem], key[stem:], other)
            for stem in stem_sizes(key)
            for other in self._endings_by_stem.get(key[:stem], ())
        )

    def holds_as_initials(self, name: Name) -> bool:
        """Return whether the source has the name's initials: `WHO` for `World Health Organization`."""
        return len(name) > 1 and "".join(part.key[0] for part in name) in self._acronyms

    def holds_shortened(self, part: Capital, name: Name) -> bool:
        """Return whether the source shortens this word of the name: `West Brom` for `West Bromwich`."""
        rest = {other.key for other in name} - {part.key}
        longest = min(len(part.key), _MOST_LETTERS)
        beginnings = {part.key[:size] for size in range(_LEAST_STEM, longest + 1)}
        return any(not beginnings.isdisjoint(self._companions.get(key, ())) for key in rest)

    def resembling(self, name: Capital) -> Capital | None:
        """Return the source's name that this one most likely misspells, or None."""
        if not _LEAST_MISSPELT <= len(name.key) <= _MOST_LETTERS:
            return None
        least = _ALIKE if len(name.key) < _LONG else _ALIKE_IF_LONG
        best = None
        others = self._by_initial.get(name.key[0], {})
        # its ratio is never under SequenceMatcher's, and it goes through thousands in a millisecond
        near = process.extract(
            name.key, others.keys(), scorer=fuzz.ratio, score_cutoff=100 * least - 0.01, limit=_MOST_NEAR
        )
        for key, *_ in sorted(near, key=lambda found: found[2]):
            if abs(len(key) - len(name.key)) > _MOST_LETTERS_APART:
                continue
            if (alike := SequenceMatcher(None, name.key, key).ratio()) >= least:
                best, least = others[key], alike
        return best

    def prepare(self) -> Cooperative[None]:
        """Find the names and build their indexes, with a checkpoint after each."""
        return prepare(self, "names", "untitled", "_keys", "_run_together", "_companions", "_endings_by_stem")

    @cached_property
    def names(self) -> list[Name]:
        return names(self.source)

    @cached_property
    def untitled(self) -> list[Name]:
        """The names without their titles; a title alone is left out."""
        return [bare for name in self.names if (bare := untitled(name))]

    @cached_property
    def _keys(self) -> frozenset[str]:
        """All words, short forms of names, and other names for the same: `welsh` for `wales`."""
        keys = set(self.source.keys | self._acronyms)
        for name in self.names:
            letters = "".join(part.key[0] for part in name if part.key)
            for i in range(len(letters)):
                keys |= {letters[i:j] for j in range(i + 2, min(len(letters), i + 6) + 1)}
        for word in keys & _same().keys():
            keys |= _same()[word]
        for within in table("names")["within"]:
            if not keys.isdisjoint(within["named"]):
                keys |= set(within["place"])
        return frozenset(keys)

    @cached_property
    def _acronyms(self) -> frozenset[str]:
        dotted = {match[0].replace(".", "").lower() for match in _DOTTED.finditer(self.source.text)}
        return frozenset(dotted | {match[0].lower() for match in _ACRONYM.finditer(self.source.text)})

    @cached_property
    def _run_together(self) -> frozenset[str]:
        """Neighbouring words written as one: `YouTube` for `You Tube`."""
        pairs = (one.key + other.key for one, other in pairwise(self.source.words))
        return frozenset(pair for pair in pairs if len(pair) >= _LEAST_RUN_TOGETHER)

    @cached_property
    def by_part(self) -> dict[str, Name]:
        """The first name of several words with each word, by its key."""
        found: dict[str, Name] = {}
        for name in self.untitled:
            for part in name if len(name) > 1 else ():
                found.setdefault(part.key, name)
        return found

    @cached_property
    def _companions(self) -> dict[str, set[str]]:
        """The words of all names that share a word, by that word."""
        found: dict[str, set[str]] = defaultdict(set)
        for name in self.names:
            keys = {part.key for part in name}
            for key in keys:
                found[key] |= keys
        return found

    @cached_property
    def _capitalized(self) -> frozenset[str]:
        """The words whose endings are compared: all words if the source has no capitals at all."""
        if self.source.text.islower():
            return self.source.keys
        return frozenset(part.key for name in self.names for part in name) | self._acronyms

    @cached_property
    def _long_stems(self) -> frozenset[str]:
        return frozenset(stem for key in self._capitalized for stem in _long_stems(key))

    @cached_property
    def _endings_by_stem(self) -> dict[str, set[str]]:
        """The endings that follow each stem of a name's word."""
        found: dict[str, set[str]] = defaultdict(set)
        for key in self._capitalized:
            for stem in stem_sizes(key):
                found[key[:stem]].add(key[stem:])
        return found

    @cached_property
    def _by_initial(self) -> dict[str, dict[str, Capital]]:
        found: dict[str, dict[str, Capital]] = defaultdict(dict)
        for name in self.names:
            for part in name:
                found[part.key[:1]].setdefault(part.key, part)
        return found


_SOUNDS = {"tch": "k", "sch": "s", "ch": "k", "sh": "s", "ph": "f", "th": "t", "zh": "", "x": "ks"}
_SOUND = re.compile("|".join(_SOUNDS))
_SAME_SOUND = str.maketrans("cqzw", "kksv")
_OTHERS = re.compile(r"[^a-z]")
_UNSURE = re.compile(r"[aeiouyhj]")
_DOUBLED = re.compile(r"(.)\1+")


@cached_by_word
def latin(word: str) -> str:
    """Return the word in the letters a to z."""
    return _OTHERS.sub("", (word if word.isascii() else anyascii(word)).lower())


@cached_by_word
def skeleton(word: str) -> str:
    """Return the word's consonants, those alike in sound as one: `kvn` for `Kavanaugh` and `Кавано`."""
    plain = latin(word)
    sounds = _SOUND.sub(lambda group: _SOUNDS[group[0]], plain).translate(_SAME_SOUND)
    return _DOUBLED.sub(r"\1", _UNSURE.sub("", sounds)) or plain[:1]


# How languages spell the same foreign sounds: Chekhov is Tchekhov, Tschechow, Chéjov and Čechov; Zelensky is
# Selenskyj. `H` stands for all hissing and throaty sounds, `s` for all of z, ts and s.
_OF_LANGUAGE = {"de": ("j", "i"), "it": ("j", "i"), "fr": ("(?<=[iya]n)e$", "")}
_SPELLINGS = tuple(
    (re.compile(spelling), sound)
    for spelling, sound in (
        ("shch|chtch|schtsch|dsch|tsch|tch|sch|sh|ch|kh|zh", "H"),
        ("dh", "d"),
        ("th", "t"),
        ("ph", "f"),
        ("gh|gu(?=[ei])", "g"),
        ("j|h", "H"),
        ("ou", "u"),
        ("w|ff$", "v"),
        ("x", "ks"),
        ("t?z|ts|c(?=[eiy])", "s"),
        ("[cqg]", "k"),
        ("(?<![iy])[iy]++(?=e)", ""),
        ("[iy]+", "i"),
        ("i?[eo]v(?=a?$)", "ov"),
        (r"(.)\1+", r"\1"),
    )
)
_HACEKS = str.maketrans({"č": "ch", "š": "sh", "ž": "zh"})


def are_transliterations(one: str, other: str, languages: tuple[str, str]) -> bool:
    """Return whether both may write one foreign name, each as its language or as English does."""
    ours = {_heard(other, language) for language in (languages[1], "en")}
    return any(_heard(one, language) in ours for language in (languages[0], "en"))


@cached_by_word
def _heard(word: str, language: str) -> str:
    plain = latin(word.lower().translate(_HACEKS))
    if language in _OF_LANGUAGE:
        plain = re.sub(*_OF_LANGUAGE[language], plain)
    for pattern, sound in _SPELLINGS:
        plain = pattern.sub(sound, plain)
    return plain


_LEAST_START, _LEAST_HEAD, _MOST_HEAD = 3, 5, 30
"""The letters of a German compound before its last part, and of that part."""


def is_ordinary(key: str, language: str) -> bool:
    """Return whether the word is one that a translation translates, as in `Cold War`: English and German."""
    words = _ordinary_words().get(language, frozenset())
    if key in words:
        return True
    heads = range(max(_LEAST_START, len(key) - _MOST_HEAD), len(key) - _LEAST_HEAD + 1)
    return language == "de" and any(key[i:] in words for i in heads)


@cache
def _ordinary_words() -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in table("ordinary_words").items()}
