"""The names of months and weekdays in every language, by CLDR through Babel."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from babel import Locale

from models.checks.language.reading import key_of
from models.checks.language.sources import locale_of

_LEAST_LETTERS = 3
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class CalendarWords:
    """A language's months and weekdays, by their keys as in `Reading.keys`."""

    months: dict[str, int]
    """1 to 12."""
    weekdays: dict[str, int]
    """0 to 6, Monday first."""


@cache
def calendar_words(language: str) -> CalendarWords:
    """Return the language's full and shortened names; English ones for an unknown language."""
    locale = locale_of(language) or Locale("en")
    months = _by_key(locale.months)
    # newspapers' own abbreviation, which CLDR has as Sep
    return CalendarWords({**months, **({"sept": 9} if "sep" in months else {})}, _by_key(locale.days))


def _by_key(names: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for context in ("stand-alone", "format"):
        for width in ("abbreviated", "wide"):
            for number, name in names.get(context, {}).get(width, {}).items():
                key = key_of(name).strip(". ")
                if len(key) >= _LEAST_LETTERS and key.isalpha():
                    found[key] = number
    return found


def months_in(text: str, language: str) -> set[int]:
    """Return the months, 1 to 12, that `text` names, in full or shortened."""
    months = calendar_words(language).months
    return {months[key] for key in map(key_of, _WORD.findall(text)) if key in months}


def is_calendar_word(key: str, language: str) -> bool:
    """Return whether the word is a month or a weekday in the language."""
    words = calendar_words(language)
    return key in words.months or key in words.weekdays
