"""Words that a name may be made of and that a translation translates: `Cold War`. English and German."""

from functools import cache

from models.checks.language.sources import table

_LEAST_START, _LEAST_HEAD, _MOST_HEAD = 3, 5, 30
"""The letters of a German compound before its last part, and of that part."""


def is_ordinary(key: str, language: str) -> bool:
    """Return whether the word, as in `Reading.keys`, is no name; False for a language without a list."""
    words = _words().get(language)
    if words is None:
        return False
    if key in words:
        return True
    heads = range(max(_LEAST_START, len(key) - _MOST_HEAD), len(key) - _LEAST_HEAD + 1)
    return language == "de" and any(key[i:] in words for i in heads)


@cache
def _words() -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in table("ordinary_words").items()}
