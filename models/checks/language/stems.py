"""Stems words by Snowball's algorithms; words of other languages stay whole."""

from collections.abc import Sequence

import Stemmer

from models.text.sentences.boundary import is_unspaced as is_unspaced

_ALGORITHMS = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "da": "danish", "nl": "dutch",
    "en": "english", "et": "estonian", "fi": "finnish", "fr": "french", "de": "german", "el": "greek",
    "hi": "hindi", "hu": "hungarian", "id": "indonesian", "ga": "irish", "it": "italian", "lt": "lithuanian",
    "ne": "nepali", "no": "norwegian", "nb": "norwegian", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sr": "serbian", "es": "spanish", "sv": "swedish", "ta": "tamil", "tr": "turkish",
    "und": "english",
}  # fmt: skip


def stemmed(words: Sequence[str], language: str) -> list[str]:
    """Return the stem of each lower-case word. `language` has no region."""
    algorithm = _ALGORITHMS.get(language)
    if algorithm is None:
        return list(words)
    stems: list[str] = _stemmer(algorithm).stemWords(list(words))
    return stems


def _stemmer(algorithm: str) -> "Stemmer.Stemmer":
    # an instance must not be used by two threads at once, and costs 2 µs
    return Stemmer.Stemmer(algorithm)
