"""Looks sentences up among translated pairs: the same sentence, and those that are nearly the same."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz, process

from models.languages import Languages
from models.text.sentences import sentences
from models.translate.sentence import MemoryMatch
from service.tmx import TmxPair

NEAR = 85.0
"""The least likeness, of 100, of a sentence whose translation is offered for another."""
NEAR_LENGTHS = 0.75, 1.34
"""Lengths of sentences that may be so near, beside the sentence's own."""

_FACTS = re.compile(r"\d+|(?<=\s)[^\W\d_a-z][\w'’-]*+")


def normal(text: str) -> str:
    """Return the sentence as it is compared: composed, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def nearest(text: str, known: Mapping[str, str], most: int) -> tuple[str, ...]:
    """Return the translations of the nearest of `known` sentences with the same numbers and names."""
    if not most or not known:
        return ()
    wanted = _facts(text)
    found = process.extract(text, known.keys(), scorer=fuzz.ratio, score_cutoff=NEAR, limit=8 * most)
    same = [known[each] for each, _, _ in found if each != text and _facts(each) == wanted]
    return tuple(dict.fromkeys(same))[:most]


def _facts(text: str) -> list[str]:
    """Return the numbers, and the words after the first that begin with a capital letter."""
    return sorted(_FACTS.findall(text))


def paired(text: str, translation: str, source: str, target: str) -> list[TmxPair]:
    """Return a text and its translation sentence by sentence, or as one pair if they have not as many."""
    sides = [
        [written[span.start : span.end] for span in sentences(written, language)]
        for written, language in ((text, source), (translation, target))
    ]
    if len(sides[0]) != len(sides[1]):
        return [TmxPair(source, target, text, translation)]
    return [TmxPair(source, target, *pair) for pair in zip(*sides, strict=True)]


@dataclass(frozen=True, slots=True)
class FileMemory:
    """The pairs of a file, by source and target language."""

    pairs: Mapping[tuple[str, str], Mapping[str, str]]

    @classmethod
    def of(cls, pairs: Iterable[TmxPair], languages: Languages) -> "FileMemory":
        """Return the memory of these pairs, the later of two for one sentence. Raises UnsupportedLanguage."""
        known: dict[tuple[str, str], dict[str, str]] = {}
        for each in pairs:
            pair = languages.normalize(each.source, "source"), languages.normalize(each.target, "target")
            known.setdefault(pair, {})[normal(each.text)] = each.translation
        return cls(known)

    def recall(self, texts: Sequence[str], source: str, target: str, near: int) -> list[MemoryMatch]:
        """See `Recall`."""
        known = self.pairs.get((source, target), {})
        asked = [normal(text) for text in texts]
        return [MemoryMatch(known.get(text), nearest(text, known, near)) for text in asked]
