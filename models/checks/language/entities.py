"""Finds the days, months, seasons, countries, cities and known people that a text mentions.

Names come from CLDR and places.toml. A mention is certain; a hint is a word that may refer to the entity,
such as the name of a country's people or a short name of a day.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any, Literal, NamedTuple

from babel import Locale
from babel.core import get_global

from models.checks.language import locale_of, table
from models.checks.language.dates import dates, is_surely_a_date
from models.checks.language.reading import Reading, WordForm, key_of
from models.text.sentences import is_unspaced
from models.text.span import Span

EntityKind = Literal["weekday", "month", "season", "place", "person"]


class Entity(NamedTuple):
    """A day of the week (0 to 6 from Monday), a month (1 to 12), a season, a country or city, a person."""

    kind: EntityKind
    value: str
    """A number, an ISO 3166-1 code, the name of a time zone, or an English name."""


class Mention(NamedTuple):
    """A place in a text that names an entity."""

    entity: Entity
    span: Span


_ALSO_SURNAMES = frozenset(("jordan", "chad", "mali", "niger", "colombo"))
_AMERICA = ("ameri", "амери")
_OTHER_AMERICAS = (
    "north", "south", "central", "latin", "del", "du", "do", "meridional", "южн", "север", "латин", "центр",
)  # fmt: skip
"""Beginnings of words beside America that make it another than the United States."""
_PART_OF_COUNTRY = re.compile(
    r"^(?:nord|sud|ost(?!erreich)|west|mittel|zentral|nieder|ober|neu|nachkriegs|sur|norte)+-?"
)
"""What is written in one word with a country: German `Nordalgerien`."""
_SHORT = 3
"""A name of so few letters has only capitals."""
_MOST_REST = 4
"""The most letters that may follow a short beginning, such as `dan` in `danish`."""
_ENVIRONMENT = frozenset(("среды", "среда", "среду", "среде", "средой", "среди"))
"""Russian for the environment, or for among, as well as for Wednesday: only `в среду` is surely the day."""
_BEFORE_WEDNESDAY = frozenset(("в", "на", "прошлую", "минувшую", "следующую", "каждую"))
_NEEDS_ACCENT = frozenset(("marco",))
"""Words that are a month's name with their accent only: Portuguese `março`."""
_WORD = re.compile(r"[^\W\d_]+")
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
_LEAST_BEGINNING, _BEGINNING_SHARE = 4, 0.6
_LEAST_LETTERS = 3
"""A shorter name hints at nothing: `using` is not of the US."""
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
_LATIN = frozenset(("en", "fr", "de", "es", "it", "pt"))


@dataclass(frozen=True)
class _EntityNames:
    """What a language has names for. All keys are as in `Reading.keys`."""

    names: dict[str, list[tuple[tuple[str, ...], Entity]]]
    """By their first word, the longest first; none if the language puts no blanks between words."""
    pattern: re.Pattern[str] | None
    """Finds the names of a language without blanks."""
    unspaced: dict[str, Entity]
    beginnings: dict[str, list[tuple[str, Entity]]]
    """What words that hint at an entity begin with, by the first three letters (one without blanks)."""
    people: dict[str, list[tuple[str, Entity]]]
    """By first letter, beginnings of words for the people of countries that a direction tells apart."""
    days_capitalized: bool


def mentions(reading: Reading) -> list[Mention]:
    """Return what the text surely names, in order."""
    text, known = reading.text, _entity_names(reading.base_language)
    if known.pattern is not None:
        found = [Mention(known.unspaced[m[0]], Span(*m.span())) for m in known.pattern.finditer(text)]
        return [mention for mention in found if mention.entity.value]
    words = reading.letters
    keys = [word.form for word in words]
    found, after = [], 0
    for i, key in enumerate(keys):
        for name, entity in known.names.get(key, ()) if i >= after else ():
            count = len(name)
            if tuple(keys[i : i + count]) == name and _is_sure(text, words, i, count, entity, known):
                after = i + count
                found.append(Mention(entity, Span(words[i].span.start, words[after - 1].span.end)))
                break
        begun = known.people.get(key[:1])
        if begun and i >= after and (people := _people(words, i, begun)):
            after = i + 1 + (people.span.end > words[i].span.end)
            found.append(people)
    return found


def _people(words: list[WordForm], i: int, known: list[tuple[str, Entity]]) -> Mention | None:
    """Return the people of one of two Koreas and the like that are named here, in one word or two."""
    (key, span), last = words[i], i
    if not (found := _begins(key, known)) and i + 1 < len(words):
        last += words[i + 1].span.start - span.end == 1
        found = _begins(key + words[i + 1].form, known) if last > i else None
    return Mention(found, Span(span.start, words[last].span.end)) if found else None


def _begins(key: str, known: list[tuple[str, Entity]]) -> Entity | None:
    return next((entity for beginning, entity in known if key.startswith(beginning)), None)


def hints(reading: Reading, sure: Iterable[Mention]) -> Counter[Entity]:
    """Return how often the text may name each entity, with what it surely names, as `mentions` found it."""
    known = _entity_names(reading.base_language)
    found = Counter(mention.entity for mention in sure)
    found.update(Entity("month", str(each.value)) for each in dates(reading) if each.part == "month")
    found.update([country for entity in found.elements() if (country := country_of(entity)) is not None])
    # a currency's code begins with its country's: 5 dollars may be those of the United States
    found.update(Entity("place", numeral.unit[:2]) for numeral in reading.numerals if numeral.unit)
    # what names one thing hints at no other: `South Korea` is not the other Korea
    named = [mention.span for mention in sure]
    if known.pattern is not None:
        starts, ends = zip(*named, strict=True) if named else ((), ())
        rest = " ".join(reading.text[a:b] for a, b in zip((0, *ends), (*starts, None), strict=True))
        for first in set(rest):
            for beginning, entity in known.beginnings.get(first, ()):
                found[entity] += rest.count(beginning)
        return +found
    for key, span in reading.letters:
        if named and span.is_within(named):
            continue
        compound = _PART_OF_COUNTRY.match(key)
        found.update(
            {
                entity
                for part in ((key, key[compound.end() :]) if compound else (key,))
                for start in {part[:3], part[:2]}
                for beginning, entity in known.beginnings.get(start, ())
                if part.startswith(beginning)
                and (len(beginning) >= _LEAST_BEGINNING or len(part) <= len(beginning) + _MOST_REST)
            }
        )
    return found


def _is_sure(
    text: str, words: list[WordForm], i: int, count: int, entity: Entity, known: _EntityNames
) -> bool:
    key, (start, end) = words[i]
    if any(words[j + 1].span.start - words[j].span.end > 2 for j in range(i, i + count - 1)):
        return False
    if entity.kind == "season":  # with a capital it may be somebody's name
        return known.days_capitalized or text[start].islower()
    if entity.kind in ("weekday", "month"):
        if (known.days_capitalized and not text[start].isupper()) or (
            key in _NEEDS_ACCENT and text[start:end].isascii()
        ):
            return False
        if key in _ENVIRONMENT:
            return key == "среду" and i > 0 and words[i - 1].form in _BEFORE_WEDNESDAY
        return count > 1 or is_surely_a_date(text, start, key)
    if text[start].islower() or (end - start <= _SHORT and text[start:end] != text[start:end].upper()):
        return False
    beside = [words[j] for j in (i - 1, i + 1) if 0 <= j < len(words)]
    if key.startswith(_AMERICA) and any(word.form.startswith(_OTHER_AMERICAS) for word in beside):
        return False
    return key not in _ALSO_SURNAMES or not any(text[word.span.start].isupper() for word in beside)


def country_of(city: Entity) -> Entity | None:
    """Return the country of a city, whose government newspapers call by it; None for any other entity."""
    code = get_global("zone_territories").get(city.value) or _countries_of_cities().get(city.value)
    return Entity("place", code) if code is not None else None


@cache
def _countries_of_cities() -> dict[str, str]:
    return {row["en"]: row["country"] for row in table("places")["cities"]}


def name_in(entity: Entity, language: str) -> str | None:
    """Return what the language calls the entity, if it is known."""
    return _own_names(language.split("-")[0].lower()).get(entity)


@cache
def _entity_names(language: str) -> _EntityNames:
    """Return what a language, an ISO 639-1 code, has names for; English for an unknown one."""
    locale = locale_of(language)
    if locale is None:
        return _entity_names("en")
    names: dict[str, list[tuple[tuple[str, ...], Entity]]] = {}
    unspaced: dict[str, Entity] = {}
    beginnings: dict[str, list[tuple[str, Entity]]] = {}
    whole: set[tuple[str, Entity]] = set()
    for name, entity in sorted(set(_all_names(language, locale))):
        if is_unspaced(name[0]):
            unspaced.setdefault(name, entity)
            continue
        keys = tuple(key_of(word) for word in _WORD.findall(name))
        if not keys or any(character.isdecimal() for character in name):  # Korean months are `1월`
            continue
        for form in _forms(keys, language):
            names.setdefault(form[0], []).append((form, entity))
        if len(longest := max(keys, key=len)) >= _LEAST_LETTERS:
            whole.add((longest[: max(_LEAST_BEGINNING, ceil(_BEGINNING_SHARE * len(longest)))], entity))
    whole |= set(_other_hints(language, locale))
    for beginning, entity in whole:
        beginnings.setdefault(beginning[: 1 if unspaced else 3], []).append((beginning, entity))
    for listed in names.values():
        listed.sort(key=lambda entry: -len(entry[0]))
    pattern = "|".join(_signs(name) for name in sorted(unspaced, key=len, reverse=True))
    people: dict[str, list[tuple[str, Entity]]] = {}
    for code, directed in table("places")["people_by_direction"].get(language, {}).items():
        for beginning in directed:
            people.setdefault(beginning[0], []).append((beginning, Entity("place", code)))
    return _EntityNames(
        names,
        re.compile(rf"(?<!\d)(?:{pattern})") if unspaced else None,
        unspaced,
        beginnings,
        people,
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
        if last[-1] in _DECLENSION and not last.endswith(("оа", "уа")):
            forms |= {last[:-1] + ending for ending in _DECLENSION[last[-1]]}
        elif last[-1] not in "оуиыэю":
            forms |= {last + ending for ending in _AFTER_CONSONANT}
    return [(*keys[:-1], form) for form in forms]


def _all_names(language: str, locale: Locale) -> Iterator[tuple[str, Entity]]:
    """Yield every name, in full, of what the language has names for."""
    for entity, name in _own_names(language).items():
        yield name, entity
        if "(" in name:
            yield name.partition("(")[2].strip(" )"), entity
    for code, listed in table("places")["names"].get(language, {}).items():
        for name in listed:
            yield name, Entity("place", code)
    for season, words in table("places")["seasons"].get(language, {}).items():
        yield from ((word, Entity("season", season)) for word in words if not word.endswith("="))
    for kind, names in _calendar(locale):
        for width in ("wide", "abbreviated") if is_unspaced(_first(names)) else ("wide",):
            for number, name in _calendar_names(names, width):
                yield name, Entity(kind, str(number))
    if language == "zh":
        for i, sign in enumerate("一二三四五六日"):
            yield from ((prefix + sign, Entity("weekday", str(i))) for prefix in ("周", "礼拜", "週"))
        yield from ((prefix + "天", Entity("weekday", "6")) for prefix in ("星期", "礼拜"))


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


def _calendar(locale: Locale) -> tuple[tuple[EntityKind, Any], ...]:
    return ("weekday", locale.days), ("month", locale.months)


@cache
def _own_names(language: str) -> dict[Entity, str]:
    """Return the language's own name of each entity."""
    locale = locale_of(language)
    if locale is None:
        return {}
    found: dict[Entity, str] = {}
    for kind, names in _calendar(locale):
        for number, name in names["format"]["wide"].items():
            found[Entity(kind, str(number))] = name
    countries = {
        code: name
        for code, name in locale.territories.items()
        if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRIES
    }
    found |= {Entity("place", code): name for code, name in countries.items()}
    for zone in get_global("zone_territories"):
        if zone.startswith(_CITY_REGIONS) or zone.removeprefix("America/") in _AMERICAN_CITIES:
            city = locale.time_zones.get(zone, {}).get("city") or zone.rpartition("/")[2].replace("_", " ")
            if city not in countries.values() and not (city.isascii() and is_unspaced(_first(locale.days))):
                found[Entity("place", zone)] = city
    listed: tuple[tuple[EntityKind, str], ...] = ("place", "cities"), ("person", "people_known")
    for kind, key in listed:
        for row in table("places")[key]:
            if name := row.get(language) or (row["en"] if language in _LATIN else None):
                found[Entity(kind, row["en"])] = name
    return found


def _other_hints(language: str, locale: Locale) -> Iterator[tuple[str, Entity]]:
    """Yield beginnings of words for peoples and languages, and short names of days and months."""
    for code, listed in table("places")["people"].get(language, {}).items():
        yield from ((beginning, Entity("place", code)) for beginning in listed)
    for season, words in table("places")["seasons"].get(language, {}).items():
        yield from ((word[:-1], Entity("season", season)) for word in words if word.endswith("="))
    likely = get_global("likely_subtags")
    for code, name in locale.languages.items():
        territory = likely.get(code, "").rpartition("_")[2] if code not in _NO_LIKELY else _NO_LIKELY[code]
        key = key_of(name)
        if len(code) == 2 and territory and " " not in key and not is_unspaced(name[0]):
            size = max(_LEAST_BEGINNING, ceil(_BEGINNING_SHARE * len(key)))
            yield key[:size], Entity("place", territory)
    for kind, names in _calendar(locale):
        for number, name in _calendar_names(names, "abbreviated"):
            key = key_of(name).strip(". ")
            if len(key) > 1 and not is_unspaced(key[0]):
                yield key, Entity(kind, str(number))
        for number, name in names["format"]["wide"].items():
            first = _WORD.search(name)
            if first and not is_unspaced(name[0]):
                yield key_of(first[0])[: max(4, len(first[0]) - 2)], Entity(kind, str(number))
    if language == "de":
        yield "sonnabend", Entity("weekday", "5")
