"""What languages are known by: CLDR's locales, through Babel, and the tables in this folder."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from babel import Locale, UnknownLocaleError


@cache
def locale_of(language: str) -> Locale | None:
    """Return what CLDR has of a language, ISO 639-1 or BCP 47; None if it has nothing."""
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        return None


@cache
def table(name: str) -> dict[str, Any]:
    """Return the lists of `NAME.toml`."""
    return tomllib.loads(files("models.checks.language").joinpath(f"{name}.toml").read_text("utf-8"))
