"""Whether a text holds a name in any of its forms: inflected, shortened, as initials, as a place's people."""

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
    table,
)
from models.checks.language.reading import Reading, key_of
from models.checks.pauses import Pausing

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
"""No name's word is longer; a stranger's word of 200,000 letters has as many beginnings."""
_MOST_NEAR = 50
"""As many of the likeliest names are compared in detail."""


@dataclass(frozen=True)
class KnownNames:
    """The names of a source, in a form that others can be looked up in."""

    source: Reading

    def holds(self, name: Capital) -> bool:
        """Whether the source has the word, or another form of it."""
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
        """Whether it begins as a word of the source does, in a language with long endings."""
        if self.source.base_language not in INFLECTING:
            return False
        return not self._stems_of_inflected.isdisjoint(long_stems(key))

    @cached_property
    def _stems_of_inflected(self) -> frozenset[str]:
        return frozenset(stem for key in self._capitalized for stem in long_stems(key))

    def holds_as_initials(self, name: Name) -> bool:
        """Whether the source has the name's initials as a word: `WHO` for `World Health Organization`."""
        return len(name) > 1 and "".join(part.key[0] for part in name) in self._acronyms

    def holds_shortened(self, part: Capital, name: Name) -> bool:
        """Whether the source has the name with the beginning of the word: `West Brom` for `West Bromwich`."""
        rest = {other.key for other in name} - {part.key}
        longest = min(len(part.key), _MOST_LETTERS)
        beginnings = {part.key[:size] for size in range(_LEAST_STEM, longest + 1)}
        return any(not beginnings.isdisjoint(self._companions.get(key, ())) for key in rest)

    def resembling(self, name: Capital) -> Capital | None:
        """The source's name that this one is most likely a misspelling of."""
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
        """The first name of several words that has this one in it."""
        return self._by_part.get(key)

    def read(self) -> Pausing[None]:
        """Find the names and the tables of them, with a pause after each."""
        for part in ("names", "untitled", "_keys", "_run_together", "_companions", "_endings_by_stem"):
            getattr(self, part)
            yield

    @cached_property
    def names(self) -> list[Name]:
        """The names of the source."""
        return names(self.source)

    @cached_property
    def untitled(self) -> list[Name]:
        """The names without titles; none that is a title alone."""
        return [bare for name in self.names if (bare := untitled(name))]

    @cached_property
    def _keys(self) -> frozenset[str]:
        keys = set(self.source.keys)
        keys |= self._acronyms
        for name in self.names:
            keys |= set(_initialisms(name))
        for word in keys & _same().keys():
            keys |= _same()[word]
        for within in table()["within"]:
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
        """By each of its words' keys, the first name of several words."""
        found: dict[str, Name] = {}
        for name in self.untitled:
            for part in name if len(name) > 1 else ():
                found.setdefault(part.key, name)
        return found

    @cached_property
    def _companions(self) -> dict[str, set[str]]:
        """By each word of a name, the words of the names that have it."""
        found: dict[str, set[str]] = {}
        for name in self.names:
            keys = {part.key for part in name}
            for key in keys:
                found.setdefault(key, set()).update(keys)
        return found

    @cached_property
    def _endings_by_stem(self) -> dict[str, set[str]]:
        """What follows each beginning of a name's word, where that is an ending that names take."""
        found: dict[str, set[str]] = {}
        for key in self._capitalized:
            for stem in stem_sizes(key):
                found.setdefault(key[:stem], set()).add(key[stem:])
        return found

    @cached_property
    def _capitalized(self) -> frozenset[str]:
        """The words to compare endings with: all of them where the source has no capitals at all."""
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
    """Whether two words are forms of one name: `Wales` and `Welsh`, `Ghana` and `Ghanaian`."""
    if key == other or other in same_names(key):
        return True
    return key[:3] == other[:3] and same_stem(key, other)


def untitled(name: Name) -> Name:
    """The name without `Captain`, `Ms` and the like."""
    return tuple(part for part in name if part.key not in titles())


def same_names(key: str) -> frozenset[str]:
    """The other names that stand for the same: `welsh` for `wales`."""
    return _same().get(key, frozenset())


@cache
def ordinary_endings() -> tuple[str, ...]:
    """How English words end that may begin a sentence with no article and are no names."""
    return tuple(table()["ordinary_endings"])


@cache
def titles() -> frozenset[str]:
    """What says of a name what its bearer is."""
    return frozenset(map(key_of, table()["titles"]))


def is_place(key: str, language: str) -> bool:
    """Whether the word is a country in that language, or what its people are called."""
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
    for group in table()["same"]:
        for word in group:
            same[word] = same.get(word, frozenset()) | frozenset(group)
    return same
