"""Writing systems: their letters, and the languages written in them."""

import re
from functools import cache

from models.languages import Languages

_BLOCKS = {
    "Latin": "A-Za-z\u00aa\u00ba\u00c0-\u024f\u0250-\u02af\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Cyrillic": "\u0400-\u052f\u1c80-\u1c8f\u2de0-\u2dff\ua640-\ua69f",
    "Armenian": "\u0531-\u0587",
    "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0620-\u065f\u066e-\u06d5\u06ee-\u06ef\u06fa-\u06ff\u0750-\u077f\u08a0-\u08ff"
    "\ufb50-\ufdff\ufe70-\ufefc",
    "Devanagari": "\u0900-\u0963\u0971-\u097f",
    "Bengali": "\u0980-\u09e5\u09f0-\u09ff",
    "Gurmukhi": "\u0a00-\u0a65\u0a70-\u0a7f",
    "Gujarati": "\u0a80-\u0ae5\u0af0-\u0aff",
    "Oriya": "\u0b00-\u0b65\u0b70-\u0b7f",
    "Tamil": "\u0b80-\u0be5",
    "Telugu": "\u0c00-\u0c65\u0c70-\u0c7f",
    "Kannada": "\u0c80-\u0ce5\u0cf0-\u0cff",
    "Malayalam": "\u0d00-\u0d65\u0d70-\u0d7f",
    "Sinhala": "\u0d80-\u0ddf",
    "Thai": "\u0e00-\u0e3e\u0e40-\u0e4f",
    "Lao": "\u0e80-\u0ecf\u0edc-\u0eff",
    "Tibetan": "\u0f00-\u0f1f\u0f40-\u0fff",
    "Burmese": "\u1000-\u103f\u1050-\u109f",
    "Georgian": "\u10a0-\u10ff\u1c90-\u1cbf",
    "Hangul": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "Ethiopic": "\u1200-\u139f",
    "Khmer": "\u1780-\u17df",
    "Kana": "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f",
    "Chinese": "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f",
}
_OF_CODE = {
    **{"Latn": "Latin", "Grek": "Greek", "Cyrl": "Cyrillic", "Armn": "Armenian", "Hebr": "Hebrew"},
    **{"Arab": "Arabic", "Deva": "Devanagari", "Beng": "Bengali", "Guru": "Gurmukhi", "Gujr": "Gujarati"},
    **{"Orya": "Oriya", "Taml": "Tamil", "Telu": "Telugu", "Knda": "Kannada", "Mlym": "Malayalam"},
    **{"Sinh": "Sinhala", "Thai": "Thai", "Laoo": "Lao", "Tibt": "Tibetan", "Mymr": "Burmese"},
    **{"Geor": "Georgian", "Hang": "Hangul", "Kore": "Hangul", "Ethi": "Ethiopic", "Khmr": "Khmer"},
    **{"Jpan": "Kana", "Hans": "Chinese", "Hant": "Chinese", "Hani": "Chinese"},
}
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
def letters_of(own: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern that finds each letter of these scripts."""
    return re.compile(f"[{''.join(_BLOCKS[script] for script in own)}]")


@cache
def foreign_to(own: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern that finds runs of letters of other scripts, except Latin, which any text may have."""
    others = [blocks for script, blocks in _BLOCKS.items() if script not in own and script != "Latin"]
    return re.compile(f"[{''.join(others)}]+")
