"""What the facts of a source that a translation got wrong are to be in it: the name of a day, a number.

None for languages that inflect names by case: a name in its plain form would be wrong in most sentences.
"""

from collections.abc import Iterable, Iterator

from babel.numbers import format_decimal

from models.checks.flag import Flag
from models.checks.language.name_forms import INFLECTING
from models.checks.language.names_of_things import name_in
from models.checks.language.numerals import Numeral
from models.checks.language.sources import locale_of
from models.checks.pair import Pair
from models.checks.translation import figures, things
from models.text.span import Span

_OF_THINGS = frozenset((things.DATE, things.PLACE, things.NAME))
_LEAST_GROUPED = 10_000
_MOST_DIGITS = 15
"""Longer numbers are no quantities, and no float holds them."""


def right_forms(pair: Pair, flags: Iterable[Flag]) -> Iterator[tuple[Span, str]]:
    """Yield the place in the source, and the right form, of each fact that a flag names and that has one."""
    wrong = {flag.source: flag.kind for flag in flags if flag.source is not None}
    by_kind = _OF_THINGS.intersection(wrong.values()), figures.KIND in wrong.values()
    language = pair.output.base_language
    for mention in pair.source_mentions if by_kind[0] and language not in INFLECTING else ():
        name = name_in(mention.thing, language)
        if name and wrong.get(mention.span) in _OF_THINGS and not _is_part(pair.source.text, mention.span):
            yield mention.span, name
    for numeral in pair.source.numerals if by_kind[1] else ():
        number = _written(numeral, language)
        if number and wrong.get(numeral.span) == figures.KIND:
            yield numeral.span, number


def _is_part(text: str, span: Span) -> bool:
    """Return whether the name is a part of a word with a hyphen, such as `non-UK`."""
    return "-" in (text[span.start - 1 : span.start], text[span.end : span.end + 1])


def _written(numeral: Numeral, language: str) -> str | None:
    """Return a whole number in the language's digits and separators; None for any other."""
    value = numeral.value
    if numeral.kind != "cardinal" or numeral.multiplier != 1 or not value.is_integer():
        return None
    if value >= 10**_MOST_DIGITS:
        return None
    locale = locale_of(language)
    if value < _LEAST_GROUPED or locale is None:
        return str(int(value))
    return format_decimal(int(value), locale=locale)
