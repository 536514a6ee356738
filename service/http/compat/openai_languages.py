"""Languages as prompts write them: `French`, `français`, `Simplified Chinese`, `zh-CN`."""

import re

from babel import Locale
from babel.core import UnknownLocaleError

from models.errors import UnsupportedLanguage
from models.languages import Languages

MORE_NAMES = {
    "brazilian": "pt",
    "chinese (simplified)": "zh",
    "chinese (traditional)": "zh-Hant",
    "chinese simplified": "zh",
    "chinese traditional": "zh-Hant",
    "farsi": "fa",
    "mandarin": "zh",
    "mandarin chinese": "zh",
    "tagalog": "tl",
    "简体中文": "zh",
    "繁体中文": "zh-Hant",
}
"""Names that CLDR has not."""

_CODE = r"[a-z]{2,3}(?:[-_](?:[a-z]{4}|[a-z]{2}))?(?=\s*(?:[:,(\n]|$))"
"""A code ends what it stands in, or `be`, `it` and `is` would be languages."""


class LanguageNames:
    """Finds languages by name or code. Making it reads CLDR's names, which takes a moment."""

    def __init__(self, languages: Languages):
        self._languages = languages
        self._names = _names(languages)
        longest_first = sorted(self._names, key=len, reverse=True)
        names = "|".join(map(re.escape, longest_first))
        self.pattern = rf"""["'“‘`*<\[{{(]{{0,3}}(?:(?:{names})(?!\w)|{_CODE})"""
        """One language in lower case, to stand in an expression."""

    def code(self, found: str) -> str | None:
        """Return the code of what `pattern` matched; None if it is no language after all."""
        name = found.strip("\"'“‘`*<[{( ").lower()
        if name in self._names:
            return self._names[name]
        try:
            return self._languages.normalize(name, "target")
        except UnsupportedLanguage:
            return None


def _names(languages: Languages) -> dict[str, str]:
    """English names, those of variants among them, and each language's name in itself, in lower case."""
    found = {name.lower(): code for code, name in languages.names().items()}
    for code, name in Locale("en").languages.items():
        try:
            found.setdefault(name.lower(), languages.normalize(code.replace("_", "-"), "target"))
        except UnsupportedLanguage:
            continue
    for code in languages.names():
        try:
            locale = Locale.parse(code, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
        own = [locale.languages.get(str(locale)), locale.languages.get(locale.language)]
        found |= {name.lower(): code for name in own if name and name.lower() not in found}
    return {**found, **MORE_NAMES}
