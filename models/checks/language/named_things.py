"""Finds the days, months, countries, cities and known people that a text names.

A mention is sure; a hint is any word that may refer to the thing, such as one for a country's people. Judges
nothing.
"""

from collections.abc import Iterable, Iterator
from re import Match
from typing import NamedTuple

from models.checks.language.mentioned_dates import dates, is_surely_a_date
from models.checks.language.names_of_things import (
    LEAST_BEGINNING,
    WORD,
    NamedThings,
    Thing,
    country_of,
    named_things,
)
from models.checks.language.reading import Reading, key_of
from models.text.span import Span


class Mention(NamedTuple):
    """A place in a text that names a thing."""

    thing: Thing
    span: Span


_ALSO_SURNAMES = frozenset(("jordan", "chad", "mali", "niger"))
_SHORT = 3
"""A name of so few letters has only capitals."""
_MOST_REST = 4
"""The most letters that may follow a short beginning, such as `dan` in `danish`."""
_ENVIRONMENT = frozenset(("среды", "среда", "среду", "среде", "средой", "среди"))
"""Russian for the environment, or for among, as well as for Wednesday: only `в среду` is surely the day."""
_BEFORE_WEDNESDAY = frozenset(("в", "на", "прошлую", "минувшую", "следующую", "каждую"))
_NEEDS_ACCENT = frozenset(("marco",))
"""Words that are a month's name with their accent only: Portuguese `março`."""


def mentions(reading: Reading) -> list[Mention]:
    """Return what the text surely names, in order."""
    known = named_things(reading.base_language)
    if known.pattern is not None:
        found = (Mention(known.unspaced[m[0]], Span(*m.span())) for m in known.pattern.finditer(reading.text))
        return [mention for mention in found if mention.thing.value]
    return list(_spelled(reading.text, known))


def hints(reading: Reading, sure: Iterable[Mention]) -> frozenset[Thing]:
    """Return all that the text may name, and what it surely names, as `mentions` found it."""
    known = named_things(reading.base_language)
    found = {mention.thing for mention in sure}
    found |= {Thing("month", str(each.value)) for each in dates(reading) if each.part == "month"}
    found |= {country for thing in found if (country := country_of(thing)) is not None}
    if known.pattern is not None:
        found |= {
            thing
            for first in set(reading.text)
            for beginning, thing in known.beginnings.get(first, ())
            if beginning in reading.text
        }
        return frozenset(found)
    for key in {key_of(match[0]) for match in WORD.finditer(reading.text)}:
        for beginning, thing in known.beginnings.get(key[:2], ()):
            if key.startswith(beginning) and (
                len(beginning) >= LEAST_BEGINNING or len(key) <= len(beginning) + _MOST_REST
            ):
                found.add(thing)
    return frozenset(found)


def _spelled(text: str, known: NamedThings) -> Iterator[Mention]:
    words = list(WORD.finditer(text))
    keys = [key_of(word[0]) for word in words]
    i = 0
    while i < len(words):
        found = _at(text, words, keys, i, known) if keys[i] in known.names else None
        if found is None:
            i += 1
            continue
        count, thing = found
        yield Mention(thing, Span(words[i].start(), words[i + count - 1].end()))
        i += count


def _at(
    text: str, words: list[Match[str]], keys: list[str], i: int, known: NamedThings
) -> tuple[int, Thing] | None:
    for name, thing in known.names[keys[i]]:
        if tuple(keys[i : i + len(name)]) == name and _is_sure(text, words, i, len(name), thing, known):
            return len(name), thing
    return None


def _is_sure(
    text: str, words: list[Match[str]], i: int, count: int, thing: Thing, known: NamedThings
) -> bool:
    start, end = words[i].start(), words[i].end()
    if any(words[j + 1].start() - words[j].end() > 2 for j in range(i, i + count - 1)):
        return False
    if thing.kind in ("weekday", "month"):
        key = key_of(words[i][0])
        if (known.days_capitalized and not text[start].isupper()) or (
            key in _NEEDS_ACCENT and words[i][0].isascii()
        ):
            return False
        if key in _ENVIRONMENT:
            return key == "среду" and i > 0 and key_of(words[i - 1][0]) in _BEFORE_WEDNESDAY
        return count > 1 or is_surely_a_date(text, start, key)
    if text[start].islower() or (end - start <= _SHORT and words[i][0] != words[i][0].upper()):
        return False
    return key_of(words[i][0]) not in _ALSO_SURNAMES or not any(
        words[j][0][0].isupper() for j in (i - 1, i + 1) if 0 <= j < len(words)
    )
