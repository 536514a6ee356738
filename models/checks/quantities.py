"""The words that belong to a number: multipliers, percent, currencies. Read from quantities.toml."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Quantities:
    """One language's words; all lower-case."""

    multipliers: dict[str, float]
    units: dict[str, str]
    """`%` for percent, an ISO 4217 code for a currency; no other unit is read."""


@cache
def quantities(language: str) -> Quantities:
    """The words of `language`, an ISO 639-1 code without region; of an unknown one, those all share."""
    table = _table()
    multipliers: dict[str, float] = {}
    own = table["multipliers_of"].get(language, {})
    for words in (table["multipliers"], table["counts"], own):
        multipliers |= {word: float(value) for value, listed in words.items() for word in listed}
    units = {word: code for code, listed in table["currency"].items() for word in listed}
    return Quantities(multipliers, units | dict.fromkeys(table["percent"]["words"], "%"))


@cache
def russian_numbers() -> dict[str, int]:
    """The value of each form of a Russian word for a number."""
    return {form: int(value) for value, forms in _table()["russian"].items() for form in forms}


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("models.checks").joinpath("quantities.toml").read_text("utf-8"))
