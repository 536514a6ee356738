"""What a language calls days, months, countries, cities and some people: by CLDR, and by places.toml.

Also the words that hint at them: for a country's people and language, short names of days.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any, Literal, NamedTuple

from babel.core import get_global

from models.checks.language.reading import key_of
from models.checks.language.sources import locale_of, table
from models.text.sentences import is_unspaced

Kind = Literal["weekday", "month", "place", "person"]


class Thing(NamedTuple):
    """A day of the week (0 to 6 from Monday), a month (1 to 12), a country or city, a person."""

    kind: Kind
    value: str
    """A number, an ISO 3166-1 code, the name of a time zone, or an English name."""


WORD = re.compile(r"[^\W\d_]+")
_DAYS_CAPITALIZED = frozenset(("en", "de"))
"""Languages that write days and months with a capital."""
_NO_COUNTRIES = frozenset(
    "AC AQ BV CD CG CP CQ DG EA EU EZ GE GG GS HK HM IC IM IO JE MO NF QO TA UM UN VI XA XB XK ZZ".split()  # noqa: SIM905
)
"""What CLDR lists beside countries, and the names of two countries or of something else."""
_CITY_REGIONS = ("Europe/", "Asia/", "Africa/")
_AMERICAN_CITIES = frozenset(
    "New_York Los_Angeles Mexico_City Sao_Paulo Havana Caracas Bogota Lima".split()  # noqa: SIM905
)
LEAST_BEGINNING, _BEGINNING_SHARE = 4, 0.6
_SAME_LETTERS = 2
_NO_LIKELY = {"en": "GB", "pt": "PT", "es": "ES", "fr": "FR", "ar": "", "zh": "CN"}
_DECLENSION = {
    "а": ("ы", "и", "у", "е", "ой"),
    "я": ("и", "ю", "ей", "е"),
    "ь": ("я", "ю", "ем", "е", "и"),
    "й": ("я", "ю", "ем", "е"),
    "е": ("я", "ю", "ем", "и"),
}
_AFTER_CONSONANT = ("а", "у", "ом", "е")


@dataclass(frozen=True)
class NamedThings:
    """What a language has names for. All keys are as in `Reading.keys`."""

    names: dict[str, list[tuple[tuple[str, ...], Thing]]]
    """By their first word, the longest first; none if the language puts no blanks between words."""
    pattern: re.Pattern[str] | None
    """Finds the names of a language without blanks."""
    unspaced: dict[str, Thing]
    beginnings: dict[str, list[tuple[str, Thing]]]
    """What words that hint at a thing begin with, by the first two letters (one without blanks)."""
    days_capitalized: bool


def country_of(city: Thing) -> Thing | None:
    """Return the country of a city, whose government newspapers call by it; None for any other thing."""
    code = get_global("zone_territories").get(city.value) or _countries_of_cities().get(city.value)
    return Thing("place", code) if code is not None else None


@cache
def _countries_of_cities() -> dict[str, str]:
    return {row["en"]: row["country"] for row in table("places")["cities"]}


def name_in(thing: Thing, language: str) -> str | None:
    """Return what the language calls the thing, if it is known."""
    return _own_names(language.split("-")[0].lower()).get(thing)


def named_things(language: str) -> NamedThings:
    """Return what a language, an ISO 639-1 code, has names for; English for an unknown one."""
    return _named_things(language if locale_of(language) is not None else "en")


@cache
def _named_things(language: str) -> NamedThings:
    names: dict[str, list[tuple[tuple[str, ...], Thing]]] = {}
    unspaced: dict[str, Thing] = {}
    beginnings: dict[str, list[tuple[str, Thing]]] = {}
    whole: set[tuple[str, Thing]] = set()
    for name, thing in sorted(set(_all_names(language))):
        if is_unspaced(name[0]):
            unspaced.setdefault(name, thing)
            continue
        keys = tuple(key_of(word) for word in WORD.findall(name))
        if not keys or any(character.isdecimal() for character in name):  # Korean months are `1월`
            continue
        for form in _forms(keys, language):
            names.setdefault(form[0], []).append((form, thing))
        longest = max(keys, key=len)
        whole.add((longest[: max(LEAST_BEGINNING, ceil(_BEGINNING_SHARE * len(longest)))], thing))
    whole |= set(_other_hints(language))
    for beginning, thing in whole:
        beginnings.setdefault(beginning[: 1 if unspaced else 2], []).append((beginning, thing))
    for listed in names.values():
        listed.sort(key=lambda entry: -len(entry[0]))
    pattern = "|".join(_signs(name) for name in sorted(unspaced, key=len, reverse=True))
    return NamedThings(
        names,
        re.compile(rf"(?<!\d)(?:{pattern})") if unspaced else None,
        unspaced,
        beginnings,
        language in _DAYS_CAPITALIZED,
    )


def _signs(name: str) -> str:
    """Return a pattern for a name without blanks; `周四` in `一周四天` is no Thursday but a week."""
    return rf"(?<![一每两几])(?!{name}[天次]){re.escape(name)}" if name[0] in "周週" else re.escape(name)


def _forms(keys: tuple[str, ...], language: str) -> Iterable[tuple[str, ...]]:
    """Return the name and its inflected forms, as far as they are regular."""
    last = keys[-1]
    forms = {last}
    if language in ("de", "en", "fr", "es", "pt", "nl", "sv", "da", "nb", "no") and len(last) > 3:
        forms.add(last + "s")
    if language == "ru":
        if last[-1] in _DECLENSION:
            forms |= {last[:-1] + ending for ending in _DECLENSION[last[-1]]}
        elif last[-1] not in "оуиыэю":
            forms |= {last + ending for ending in _AFTER_CONSONANT}
    return [(*keys[:-1], form) for form in forms]


def _all_names(language: str) -> Iterator[tuple[str, Thing]]:
    """Yield every name, in full, of what the language has names for."""
    for thing, name in _own_names(language).items():
        yield name, thing
        if "(" in name:
            yield name.partition("(")[2].strip(" )"), thing
    for code, listed in table("places")["names"].get(language, {}).items():
        for name in listed:
            yield name, Thing("place", code)
    locale = locale_of(language)
    assert locale is not None  # noqa: S101 - the caller looked
    for kind, names in (("weekday", locale.days), ("month", locale.months)):
        for width in ("wide", "abbreviated") if is_unspaced(_first(names)) else ("wide",):
            for number, name in _calendar_names(names, width):
                yield name, _calendar(kind, number)
    if language == "zh":
        for i, sign in enumerate("一二三四五六日"):
            yield from ((prefix + sign, Thing("weekday", str(i))) for prefix in ("周", "礼拜", "週"))
        yield from ((prefix + "天", Thing("weekday", "6")) for prefix in ("星期", "礼拜"))


def _calendar_names(names: Any, width: str) -> Iterator[tuple[int, str]]:
    """Yield names of days or months with their numbers, as they stand in dates and alone.

    Babel 2.18 gives a language that shares the names that stand alone with its root those of a language that
    was loaded before: such a name begins otherwise than the one in dates, and is left out.
    """
    for number, name in names["format"][width].items():
        yield number, name
        alone = names["stand-alone"][width].get(number, "")
        if alone != name and key_of(alone)[:_SAME_LETTERS] == key_of(name)[:_SAME_LETTERS]:
            yield number, alone


def _first(names: Any) -> str:
    return str(next(iter(names["format"]["wide"].values())))


def _calendar(kind: str, number: int) -> Thing:
    return Thing("weekday" if kind == "weekday" else "month", str(number))


@cache
def _own_names(language: str) -> dict[Thing, str]:
    """Return the language's own name of each thing."""
    locale = locale_of(language)
    if locale is None:
        return {}
    found: dict[Thing, str] = {}
    for kind, names in (("weekday", locale.days), ("month", locale.months)):
        for number, name in names["format"]["wide"].items():
            found[_calendar(kind, number)] = name
    countries = {
        code: name
        for code, name in locale.territories.items()
        if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRIES
    }
    found |= {Thing("place", code): name for code, name in countries.items()}
    for zone in get_global("zone_territories"):
        if zone.startswith(_CITY_REGIONS) or zone.removeprefix("America/") in _AMERICAN_CITIES:
            city = locale.time_zones.get(zone, {}).get("city") or zone.rpartition("/")[2].replace("_", " ")
            if city not in countries.values() and not (city.isascii() and is_unspaced(_first(locale.days))):
                found[Thing("place", zone)] = city
    for kind, key in (("place", "cities"), ("person", "people_known")):
        for row in table("places")[key]:
            name = row.get(language) or (row["en"] if language in _LATIN else None)
            if name:
                found[Thing("person" if kind == "person" else "place", row["en"])] = name
    return found


_LATIN = frozenset(("en", "fr", "de", "es", "it", "pt"))


def _other_hints(language: str) -> Iterator[tuple[str, Thing]]:
    """Yield beginnings of words for peoples and languages, and short names of days and months."""
    locale = locale_of(language)
    assert locale is not None  # noqa: S101 - the caller looked
    for code, listed in table("places")["people"].get(language, {}).items():
        yield from ((beginning, Thing("place", code)) for beginning in listed)
    likely = get_global("likely_subtags")
    for code, name in locale.languages.items():
        territory = likely.get(code, "").rpartition("_")[2] if code not in _NO_LIKELY else _NO_LIKELY[code]
        key = key_of(name)
        if len(code) == 2 and territory and " " not in key and not is_unspaced(name[0]):
            size = max(LEAST_BEGINNING, ceil(_BEGINNING_SHARE * len(key)))
            yield key[:size], Thing("place", territory)
    for kind, names in (("weekday", locale.days), ("month", locale.months)):
        for number, name in _calendar_names(names, "abbreviated"):
            key = key_of(name).strip(". ")
            if len(key) > 1 and not is_unspaced(key[0]):
                yield key, _calendar(kind, number)
        for number, name in names["format"]["wide"].items():
            first = WORD.search(name)
            if first and not is_unspaced(name[0]):
                yield key_of(first[0])[: max(4, len(first[0]) - 2)], _calendar(kind, number)
    if language == "de":
        yield "sonnabend", Thing("weekday", "5")
