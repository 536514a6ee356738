"""Warns of names of several words that a translation lost or misspelled. No errors: some are translated.

Works between alphabets only: in Chinese and its like a name's sound is too vague to look for. A name counts
as kept if any of its own words is found, in any spelling; titles, ordinary words (`Cold War`) and countries
are not its own. Skips single words: too many are exonyms, as `Londres` is, and German writes every noun like
a name.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import NamedTuple

from rapidfuzz import fuzz, process
from rapidfuzz.distance import Prefix

from models.checks.flag import Flag
from models.checks.language.common_words import common_words
from models.checks.language.known_names import titles
from models.checks.language.ordinary_words import is_ordinary
from models.checks.language.reading import key_of
from models.checks.language.spelling import latin, skeleton
from models.checks.language.words import WordForm
from models.checks.pair import Pair
from models.text.sentences import is_unspaced
from models.text.span import Span

KIND = "name"
_UPPER = "A-ZÀ-ÖØ-ÞĀ-ŽΑ-ΩЀ-Я"
# possessive and bounded: `O'O'O'...` is looked at once from each of its capitals, and not far
_NAME_WORD = rf"[{_UPPER}][^\W\d_]{{0,40}}+(?:['’-][^\W\d_]{{1,40}}+){{0,9}}+"
_PARTICLES = "de|da|di|del|della|van|von|den|al|bin|ben|la|le|dos|du|el"
_PARTICLE = re.compile(rf" (?:{_PARTICLES}) ")
_OF_INSTITUTIONS = frozenset(("de", "fr", "es", "it", "pt"))
"""Languages in which a name with a particle is more often an institution's than a person's."""
_NAME = re.compile(rf"{_NAME_WORD}(?: (?:(?:{_PARTICLES}) ){{0,4}}+{_NAME_WORD}){{1,29}}")
_WORD = re.compile(r"[^\W\d_]{2,}")
_MOST_NAMES = 300
"""No sentence has more; each is compared with all words of the output."""
_MOST_PLACES = 20
"""The most places of a name's word in the output beside which a misspelled one is looked for."""
_LEAST_LETTERS = 4
"""The least letters of a word that is looked for by its sound."""
_MOST_SOUNDS, _MOST_COMPARED = 1000, 50_000
"""The most sounds looked for and pairs of words compared; a sentence has a few dozen."""
_SAME_SOUND = 66
_LEAST_SOUNDS = 3
"""Shorter sounds have to be the same."""
_LEAST_SPELLED_LETTERS = 5
_ALMOST = 70
"""The least similarity in percent of two spellings of a word."""
_ENDING_LETTERS = 2
"""A difference in only this many last letters is inflection."""


class _FullName(NamedTuple):
    """A name of several words, as the source writes it."""

    words: list[WordForm]
    own: list[WordForm]
    """Those that are neither titles nor ordinary words nor parts of a country's name."""
    sure: bool
    """True if they are enough, with a title, to be somebody's."""

    @property
    def span(self) -> Span:
        return Span(self.words[0].span.start, self.words[-1].span.end)


def check(pair: Pair) -> Iterator[Flag]:
    """Yield a warning for each name that is gone, and for each word of a name that is spelled differently."""
    names = list(islice(_names(pair), _MOST_NAMES))
    if not names:
        return
    output = _words(pair.output.text, Span(0, len(pair.output.text)))
    if any(is_unspaced(character) for character in pair.output.text):
        return
    places: dict[str, list[int]] = defaultdict(list)
    for i, word in enumerate(output):
        places[word.form].append(i)
    heard = _Sounds({skeleton(text) for text in places})
    left = _MOST_COMPARED
    for name in names:
        if name.sure and not any(word.form in places for word in name.own) and not heard.holds(name):
            written = pair.source.text[name.span.start : name.span.end]
            whole = Span(0, len(pair.output.text))
            yield Flag(KIND, whole, f"The name {written} of the source is missing.", "warning", name.span)
        beside = _beside(name, output, places) if left > 0 else []
        left -= len(name.words) * len(beside)
        for word, other in _misspelled(name, beside, places, pair.output.base_language):
            reason = f"The source spells this name {word.form}."
            yield Flag(KIND, other.span, reason, "warning", word.span)


def _names(pair: Pair) -> Iterator[_FullName]:
    reading, base = pair.source, pair.source.base_language
    common, particles_tell = common_words(base), base in _OF_INSTITUTIONS
    known: list[Span] | None = None
    for match in _NAME.finditer(reading.text):
        words = _words(reading.text, Span(*match.span()))
        while words and words[0].form.lower() in common:
            words = words[1:]
        if match[0].isupper() or (particles_tell and _PARTICLE.search(match[0])):
            continue
        if known is None:
            known = [each.span for each in pair.source_mentions if each.thing.kind != "person"]
        own = [word for word in words if _is_own(word, base) and not word.span.is_within(known)]
        if len(words) > 1:
            titled = any(key_of(word.form) in titles() for word in words)
            yield _FullName(words, own, len(own) > 1 or (bool(own) and titled))


def _is_own(word: WordForm, language: str) -> bool:
    """Return whether the word may be somebody's, and is long enough to tell."""
    key = key_of(word.form)
    return (
        len(key) >= _LEAST_LETTERS
        and not word.form.isupper()
        and key not in titles()
        and not is_ordinary(key, language)
    )


def _words(text: str, within: Span) -> list[WordForm]:
    return [WordForm(m[0], Span(*m.span())) for m in _WORD.finditer(text, within.start, within.end)]


class _Sounds:
    """The sounds of an output's words, to look for names in; only for the first of very many names."""

    def __init__(self, sounds: Set[str]):
        self._sounds = sounds
        self._long = [sound for sound in sounds if len(sound) >= _LEAST_SOUNDS]
        self._known: dict[str, bool] = {}

    def holds(self, name: _FullName) -> bool:
        """Return whether one of the name's words sounds like one of these, or none is long enough to tell."""
        sounds = {skeleton(word.form) for word in name.own}
        return not sounds or not sounds.isdisjoint(self._sounds) or any(map(self._is_near, sounds))

    def _is_near(self, sound: str) -> bool:
        if len(sound) < _LEAST_SOUNDS:
            return False
        if sound not in self._known and len(self._known) < _MOST_SOUNDS:
            near = process.extractOne(sound, self._long, scorer=fuzz.ratio, score_cutoff=_SAME_SOUND)
            self._known[sound] = near is not None
        return self._known.get(sound, True)


def _beside(
    name: _FullName, output: Sequence[WordForm], places: Mapping[str, Sequence[int]]
) -> list[WordForm]:
    """Return the output's words beside those that it shares with the name."""
    here = {i for word in name.words for i in places.get(word.form, ())[:_MOST_PLACES]}
    return [
        output[i] for i in sorted({i + step for i in here for step in (-1, 0, 1)}) if 0 <= i < len(output)
    ]


def _misspelled(
    name: _FullName, beside: Sequence[WordForm], places: Mapping[str, Sequence[int]], language: str
) -> Iterator[tuple[WordForm, WordForm]]:
    """Yield words of the name with the output's near spellings, beside a word that it has to the letter."""
    own = {word.form for word in name.own}
    sought = [word for word in name.words if word.form not in places and _can_be_misspelled(word)]
    for word in sought:
        for other in beside:
            if not other.form[0].isupper() or not _is_almost(word.form, other.form):
                continue
            # an ordinary word may have a cousin in the other language: `League` for `Ligue`
            if is_ordinary(key_of(other.form), language):
                continue
            if word.form in own or _differ_by_one(word.form, other.form):
                yield word, other


def _can_be_misspelled(word: WordForm) -> bool:
    return len(word.form) >= _LEAST_SPELLED_LETTERS and key_of(word.form) not in titles()


def _differ_by_one(one: str, other: str) -> bool:
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) == 1


def _is_almost(one: str, other: str) -> bool:
    one, other = latin(one), latin(other)
    differs = Prefix.similarity(one, other) < min(len(one), len(other)) - _ENDING_LETTERS
    return one != other and differs and fuzz.ratio(one, other) >= _ALMOST
