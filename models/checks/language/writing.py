"""Writing systems: their letters, and the languages written in them."""

from collections.abc import Iterable
from functools import cache

import regex

from models.languages import Languages

_OF_CODE = {
    **{"Latn": "Latin", "Grek": "Greek", "Cyrl": "Cyrillic", "Armn": "Armenian", "Hebr": "Hebrew"},
    **{"Arab": "Arabic", "Deva": "Devanagari", "Beng": "Bengali", "Guru": "Gurmukhi", "Gujr": "Gujarati"},
    **{"Orya": "Oriya", "Taml": "Tamil", "Telu": "Telugu", "Knda": "Kannada", "Mlym": "Malayalam"},
    **{"Sinh": "Sinhala", "Thai": "Thai", "Laoo": "Lao", "Tibt": "Tibetan", "Mymr": "Burmese"},
    **{"Geor": "Georgian", "Hang": "Hangul", "Kore": "Hangul", "Ethi": "Ethiopic", "Khmr": "Khmer"},
    **{"Jpan": "Kana", "Hans": "Chinese", "Hant": "Chinese", "Hani": "Chinese"},
}
_UNICODE = {
    "Arabic": r"\p{Arabic}\u0640\u064b-\u0655\u0670",
    "Burmese": r"\p{Myanmar}",
    "Chinese": r"\p{Han}",
    "Kana": r"\p{Hiragana}\p{Katakana}\u30fc\uff70",
}
"""The characters of scripts that Unicode calls otherwise, or that share some with others."""
_ALSO = {"Kana": ("Chinese",), "Hangul": ("Chinese",)}
_IN_TWO_SCRIPTS = {"sr": ("Cyrillic", "Latin"), "bs": ("Cyrillic", "Latin"), "mn": ("Cyrillic",)}
_OTHERS = {"br": "Latin", "fy": "Latin", "ns": "Latin", "sh": "Latin"}
"""Languages for which the table has no script."""


@cache
def scripts(language: str) -> tuple[str, ...]:
    """Return the language's scripts, the usual one first; none for an unknown language."""
    base, *subtags = language.replace("_", "-").split("-")
    for subtag in subtags:
        if (script := _OF_CODE.get(subtag.title())) is not None:
            return (script, *_ALSO.get(script, ()))
    if base.lower() in _IN_TWO_SCRIPTS:
        return _IN_TWO_SCRIPTS[base.lower()]
    code = _codes().get(base.lower(), "_").split("_")[1]
    script = _OF_CODE.get(code) or _OTHERS.get(base.lower())
    return (script, *_ALSO.get(script, ())) if script else ()


@cache
def _codes() -> dict[str, str]:
    return Languages.load().column("nllb")


@cache
def letters_of(own: tuple[str, ...]) -> regex.Pattern[str]:
    """Return a pattern that finds each letter of these scripts."""
    return regex.compile(_letters(own))


@cache
def foreign_to(own: tuple[str, ...]) -> regex.Pattern[str]:
    """Return a pattern that finds runs of letters of other scripts, except Latin, which any text may have."""
    return regex.compile(_letters(sorted({*_OF_CODE.values()} - {*own, "Latin"})) + "+")


def _letters(scripts: Iterable[str]) -> str:
    """Return a class of the scripts' letters, vowel signs and accents, without digits and punctuation."""
    characters = "".join(_UNICODE.get(script, rf"\p{{{script}}}") for script in scripts)
    return rf"(?V1)[[{characters}]&&[\p{{L}}\p{{M}}\p{{Nl}}]]"
