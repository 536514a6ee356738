"""Full stops that end no sentence though sentencex takes them for ends: ordinals and abbreviations.

German writes `im 19. Jahrhundert`, French `M. Dupont`; cut there, a summary holds a sentence that is `M.`,
and a translation two halves of one.
"""

import re

_REACH = 24
"""Characters before a place that are looked at."""
_ORDINALS = frozenset(
    ("bs", "cs", "da", "de", "et", "fi", "hr", "hu", "is", "lv", "nb", "nn", "no", "pl", "sk", "sl", "sr")
)
"""Languages that put a full stop after ordinal numbers."""
_ORDINAL = re.compile(r"(?<![\w.,:/-])\d{1,4}\.\s*$")
_GERMAN_ORDINAL = re.compile(
    r"\b(?:de[mnrs]|die|das|[ia]m|zu[mr]|vom|beim|ins|jede[mnrs]?|diese[mnrs]?|(?:k?ein|[mds]ein|ihr|unser|eur)(?:e[mnrs]?)?)"
    r"\s+\d{1,3}\.\s*$",
    re.IGNORECASE,
)
_BEFORE_NUMBER = re.compile(
    r"(?<!\w)(?:approx|arts?|cap|fig|pagg?|tab|vol|ziff|abs|kap)\.\s*$", re.IGNORECASE
)
_BEFORE_NAME = {
    "fr": re.compile(r"(?<![\w.])(?:MM?|Mmes?|Mlles?|Mgr|Me|Pr|Ste?)\.\s*$"),
    "it": re.compile(r"(?<![\w.])(?:[Oo]n|[Aa]vv|[Ii]ng|[Dd]ott(?:\.ssa)?|[Ss]ig(?:\.ra)?|[Mm]ons)\.\s*$"),
}


def goes_on(text: str, at: int, language: str) -> bool:
    """Return whether the sentence goes on here, where another seems to begin. `language` has no region."""
    before, after = text[max(0, at - _REACH) : at], text[at : at + _REACH].lstrip()[:1]
    if not after or not before.rstrip().endswith("."):
        return False
    if after.isdigit():
        return _BEFORE_NUMBER.search(before) is not None
    if after.islower():
        return language in _ORDINALS and _ORDINAL.search(before) is not None
    if language == "de":
        return after.isupper() and _GERMAN_ORDINAL.search(before) is not None
    names = _BEFORE_NAME.get(language)
    return names is not None and after.isupper() and names.search(before) is not None
