"""The months' names in every language, so that `3/4` and `4 March` can be the same day."""

import re
from functools import cache

from babel import Locale, UnknownLocaleError

_ENGLISH = "en"
_LEAST_LETTERS = 3


def months_in(text: str, language: str) -> set[int]:
    """The months, 1 to 12, that `text` names, in full or not; in English if the language is not known."""
    names = _names(language.replace("_", "-").split("-")[0].lower())
    return {names[word] for word in re.findall(r"[^\W\d_]{3,}", text.lower()) if word in names}


@cache
def _names(language: str) -> dict[str, int]:
    try:
        months = Locale.parse(language).months
    except (UnknownLocaleError, ValueError):
        months = Locale.parse(_ENGLISH).months
    return {
        name.lower().rstrip("."): number
        for context in ("format", "stand-alone")
        for width in ("wide", "abbreviated")
        for number, name in months[context][width].items()
        if len(name.rstrip(".")) >= _LEAST_LETTERS and name.rstrip(".").isalpha()
    }
