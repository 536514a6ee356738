"""Looks up names in a text in any form: inflected, shortened, as initials, as a place's people."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, cached_property, lru_cache
from itertools import pairwise

from rapidfuzz import fuzz, process

from models.checks.language.capitals import Capital, Name, names, territories
from models.checks.language.name_forms import (
    INFLECTING,
    are_endings,
    long_stems,
    same_stem,
    stem_sizes,
)
from models.checks.language.reading import Reading, key_of
from models.checks.language.sources import table
from models.checks.pauses import Pausing, read

_DOTTED = re.compile(r"(?:[^\W\d_]\.){2,}")
_ACRONYM = re.compile(r"\b[A-Z]{2,6}\b")
_LEAST_STEM = 4
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
        if key in self._keys or key.replace("'", "") in self._keys:
            return True
        if "'" in key and any(part in self._keys for part in key.split("'") if len(part) > 3):
            return True
        if key in self._run_together:
            return True
        return self._is_inflected(key) or any(
            are_endings(key[:stem], key[stem:], other)
            for stem in stem_sizes(key)
            for other in self._endings_by_stem.get(key[:stem], ())
        )

    def _is_inflected(self, key: str) -> bool:
        """Return whether a word of the source begins in the same way, in a language with long endings."""
        if self.source.base_language not in INFLECTING:
            return False
        return not self._stems_of_inflected.isdisjoint(long_stems(key))

    @cached_property
    def _stems_of_inflected(self) -> frozenset[str]:
        return frozenset(stem for key in self._capitalized for stem in long_stems(key))

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

    def with_part(self, key: str) -> Name | None:
        """Return the source's first name of several words that contains this one, or None."""
        return self._by_part.get(key)

    def read(self) -> Pausing[None]:
        """Find the names and build their indexes, with a pause after each."""
        return read(self, "names", "untitled", "_keys", "_run_together", "_companions", "_endings_by_stem")

    @cached_property
    def names(self) -> list[Name]:
        """The names of the source."""
        return names(self.source)

    @cached_property
    def untitled(self) -> list[Name]:
        """The names without their titles; a title alone is left out."""
        return [bare for name in self.names if (bare := untitled(name))]

    @cached_property
    def _keys(self) -> frozenset[str]:
        keys = set(self.source.keys)
        keys |= self._acronyms
        for name in self.names:
            keys |= set(_initialisms(name))
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
    def _by_part(self) -> dict[str, Name]:
        """The first name of several words, by the key of each of its words."""
        found: dict[str, Name] = {}
        for name in self.untitled:
            for part in name if len(name) > 1 else ():
                found.setdefault(part.key, name)
        return found

    @cached_property
    def _companions(self) -> dict[str, set[str]]:
        """The words of all names that share a word, by that word."""
        found: dict[str, set[str]] = {}
        for name in self.names:
            keys = {part.key for part in name}
            for key in keys:
                found.setdefault(key, set()).update(keys)
        return found

    @cached_property
    def _endings_by_stem(self) -> dict[str, set[str]]:
        """The endings that follow each stem of a name's word."""
        found: dict[str, set[str]] = {}
        for key in self._capitalized:
            for stem in stem_sizes(key):
                found.setdefault(key[:stem], set()).add(key[stem:])
        return found

    @cached_property
    def _capitalized(self) -> frozenset[str]:
        """The words whose endings are compared: all words if the source has no capitals at all."""
        if self.source.text.islower():
            return self.source.keys
        return frozenset(part.key for name in self.names for part in name) | self._acronyms

    @cached_property
    def _by_initial(self) -> dict[str, dict[str, Capital]]:
        found: dict[str, dict[str, Capital]] = {}
        for name in self.names:
            for part in name:
                found.setdefault(part.key[:1], {}).setdefault(part.key, part)
        return found


def _initialisms(name: Name) -> Iterable[str]:
    letters = "".join(part.key[0] for part in name if part.key)
    return (letters[i:j] for i in range(len(letters)) for j in range(i + 2, min(len(letters), i + 6) + 1))


def are_forms_of_one(key: str, other: str) -> bool:
    """Return whether two words are forms of one name: `Wales` and `Welsh`, `Ghana` and `Ghanaian`."""
    if key == other or other in same_names(key):
        return True
    return key[:3] == other[:3] and same_stem(key, other)


def untitled(name: Name) -> Name:
    """Return the name without `Captain`, `Ms` and the like."""
    return tuple(part for part in name if part.key not in titles())


def same_names(key: str) -> frozenset[str]:
    """Return the other names for the same thing: `welsh` for `wales`."""
    return _same().get(key, frozenset())


@cache
def ordinary_endings() -> tuple[str, ...]:
    """Return the endings of English words that can begin a sentence without an article and are no names."""
    return tuple(table("names")["ordinary_endings"])


@cache
def titles() -> frozenset[str]:
    """Return the words that tell what a named person is: titles, offices, ranks."""
    return frozenset(map(key_of, table("names")["titles"]))


def is_place(key: str, language: str) -> bool:
    """Return whether the word is a country in that language, or the name of its people."""
    return len(key) <= _MOST_LETTERS and _is_place(key, language)


@lru_cache(maxsize=1 << 14)
def _is_place(key: str, language: str) -> bool:
    countries = territories(language)
    if key in countries or (language in ("en", "und") and key in _same()):
        return True
    return any(key[:4] == country[:4] and same_stem(key, country) for country in countries)


@cache
def _same() -> dict[str, frozenset[str]]:
    same: dict[str, frozenset[str]] = {}
    for group in table("names")["same"]:
        for word in group:
            same[word] = same.get(word, frozenset()) | frozenset(group)
    return same
