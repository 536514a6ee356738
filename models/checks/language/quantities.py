"""Words that go with numbers: multipliers, percent, currencies. Reads quantities.toml."""

import re
from dataclasses import dataclass
from functools import cache

from models.checks.language.sources import table


@dataclass(frozen=True, slots=True)
class Quantities:
    """A language's words, all in lower case."""

    multipliers: dict[str, float]
    units: dict[str, str]
    """`%` for percent, an ISO 4217 code for a currency; no other unit is read."""


@cache
def quantities(language: str) -> Quantities:
    """Return the words of `language`, an ISO 639-1 code; those that all share for an unknown one."""
    known = table("quantities")
    multipliers: dict[str, float] = {}
    own = known["multipliers_of"].get(language, {})
    for words in (known["multipliers"], known["counts"], own):
        multipliers |= {word: float(value) for value, listed in words.items() for word in listed}
    units = {word: code for code, listed in known["currency"].items() for word in listed}
    return Quantities(multipliers, units | dict.fromkeys(known["percent"]["words"], "%"))


@cache
def hedges() -> re.Pattern[str]:
    """Return a pattern for the hedge right before a number; its group is `near`, `more` or `less`."""
    sides = {side: "|".join(map(re.escape, words)) for side, words in table("quantities")["hedges"].items()}
    groups = "|".join(f"(?P<{side}>{words})" for side, words in sides.items())
    return re.compile(rf"(?<![a-zà-ÿа-я])(?:{groups})\s?(?:an? )?[$£€¥₹₽]?$", re.IGNORECASE)


@cache
def number_words() -> dict[float, frozenset[str]]:
    """Return by value the keys of words that support a number without being one."""
    return {float(value): frozenset(words) for value, words in table("quantities")["number_words"].items()}


@cache
def russian_numbers() -> dict[str, int]:
    """Return the value of each form of a Russian number word."""
    return {form: int(value) for value, forms in table("quantities")["russian"].items() for form in forms}
