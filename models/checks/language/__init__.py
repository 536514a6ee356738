"""How a language writes numbers, dates, names, entities and negations.

Reads one text; knows no pair and no flag.
"""

import tomllib
from collections.abc import Callable
from functools import cache, lru_cache, wraps
from importlib.resources import files
from typing import Any, TypeVar, cast

from babel import Locale, UnknownLocaleError

_F = TypeVar("_F", bound=Callable[..., Any])
_LONGEST_CACHED = 100


@cache
def locale_of(language: str) -> Locale | None:
    """Return what CLDR has of a language, ISO 639-1 or BCP 47; None if it has nothing."""
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        return None


@cache
def table(name: str) -> dict[str, Any]:
    """Return the lists of `NAME.toml` in this folder."""
    return tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text("utf-8"))


def cached_by_word(function: _F) -> _F:
    """Cache a function of a word, except for long ones: a stranger's may have 200,000 letters."""
    cached = lru_cache(maxsize=1 << 15)(function)

    @wraps(function)
    def by_word(word: str, *more: str) -> Any:
        return (cached if len(word) <= _LONGEST_CACHED else function)(word, *more)

    return cast(_F, by_word)
