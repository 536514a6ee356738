"""Words that a name may be made of and that a translation translates: `Cold War`. English and German."""

import tomllib
from functools import cache
from importlib.resources import files

_LEAST_HEAD = 5
"""The least letters of the last part of a German compound."""


def is_ordinary(key: str, language: str) -> bool:
    """Return whether the word, as in `Reading.keys`, is no name; False for a language without a list."""
    words = _words().get(language)
    if words is None:
        return False
    if key in words:
        return True
    return language == "de" and any(key[i:] in words for i in range(3, len(key) - _LEAST_HEAD + 1))


@cache
def _words() -> dict[str, frozenset[str]]:
    table = tomllib.loads(files("models.checks.language").joinpath("ordinary_words.toml").read_text("utf-8"))
    return {language: frozenset(words.split()) for language, words in table.items()}
