"""Finds the numbers of a text and their values: in digits of any script and locale, in words, as times.

Does not judge whether a number is right. A form with two readings, such as `1.234`, keeps both values, the
likelier first.
"""

import re
from dataclasses import dataclass
from typing import Literal

from models.checks.language.quantities import Quantities, quantities
from models.checks.language.spelled import Spelled, spelled
from models.text.span import Span

Kind = Literal["cardinal", "ordinal", "fraction", "time"]


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number as it is written in a text."""

    span: Span
    """With its multiplier (`3 million`), without its unit."""
    values: tuple[float, ...]
    """The values it may have, the likeliest first: at least one, none negative. A time is in minutes after
    midnight."""
    kind: Kind
    unit: str = ""
    """`%`, an ISO 4217 code, or nothing: other units are not read."""
    spelled: bool = False
    """True if it is written in words."""
    multiplier: float = 1.0
    """The factor of a word after the digits: 1e6 for `1.9 million`."""

    @property
    def value(self) -> float:
        return self.values[0]


_VULGAR = {"½": 0.5, "⅓": 1 / 3, "⅔": 2 / 3, "¼": 0.25, "¾": 0.75, "⅕": 0.2, "⅛": 0.125}
_START = re.compile(rf"\d|[{''.join(_VULGAR)}]")
_DIGITS = re.compile(
    r"""(?P<whole>\d{1,3}(?:(?P<group>[,.'’٬\u00a0\u202f\u2009 ])\d{3})(?:(?P=group)\d{3})*(?!\d)
        | \d{1,2}(?:,\d{2}(?!\d)){1,14}+,\d{3}(?!\d)
        | \d+)
    (?:(?P<point>[.,٫·])(?P<decimals>\d+))?""",
    re.VERBOSE,
)
_TIME = re.compile(
    r"""(?<![\d:.,])(?:
      (?P<hour>[01]?\d|2[0-4])(?::(?P<minute>[0-5]\d)(?![\d:])|[.h](?P<dotted>[0-5]\d)(?=\s?[ap]\.?m\b))
      (?:\s?(?P<half>[ap])\.?m\b\.?)?
    | (?P<only>1[0-2]|[1-9])\s?(?P<only_half>[ap])\.?m\b\.?)""",
    re.VERBOSE | re.IGNORECASE,
)
_FRACTION = re.compile(r"(?<![\d/])(\d{1,2})[/⁄](\d{1,2})(?![\d/])")
_VULGAR_PLACE = re.compile(rf"(\d*)\s?([{''.join(_VULGAR)}])")
_TOKENIZED_GROUP = re.compile(r", (\d{3})(?!\d)")
_TOKENIZED_POINT = re.compile(r"\. (\d+)(?!\d)")
_ORDINAL_ENDING = re.compile(r"(?:st|nd|rd|th|er|ère|e|ème|º|ª|°|-?(?:й|я|е|го|му|ого))(?!\w)", re.IGNORECASE)
_MULTIPLIER = re.compile(r"[\s\u00a0\u202f-]?([^\W\d_]+)\.?", re.UNICODE)
_HAN_MULTIPLIER = re.compile(r"[ \u00a0\u202f]?([十百千万萬亿億兆만억]{1,4})")
_HAN_AFTER = re.compile(r"[십백천만억조]|[十百千万萬亿億兆]")
_HAN_COMPOUND = re.compile(
    r"\d+[千万萬亿億兆만억천조](?:\d+[千万萬亿億兆만억천조])*\d+(?:[千万萬亿億兆만억천조])?"
)
_HAN_PART = re.compile(r"(\d+)([千万萬亿億兆만억천조]?)")
_UNIT_BEFORE = re.compile(r"(?:([^\W\d_]{2,3})\s?|([A-Z]{0,2}[$£€¥￥₹₽])\s?)$")
_UNIT_AFTER = re.compile(r"[\s\u00a0\u202f-]?(%|٪|％|﹪|[$£€¥￥₹₽]|[^\W\d_]+(?:\s[^\W\d_]+)?)")
_POINT_LANGUAGES = frozenset(
    {"en", "zh", "ja", "ko", "th", "he", "hi", "bn", "ur", "ms", "ta", "und", "cy", "ga", "sw", "yo"}
)
MAX_DIGITS = 30
"""A longer string of digits is no quantity: only its last digits are kept."""


def numerals(text: str, language: str = "und") -> list[Numeral]:
    """Return every number of `text`, in order, none overlapping. `language` is ISO 639-1, BCP 47 or `und`.

    Signs are not read: a hyphen before a number more often belongs to a range.
    """
    base = language.split("-")[0].lower()
    known = quantities(base)
    in_digits: list[Numeral] = []
    end = 0
    for place in _START.finditer(text):
        if place.start() >= end:
            in_digits.append(_at(text, place.start(), base, known))
            end = in_digits[-1].span.end
    taken = _Taken(in_digits)
    in_words = [
        _in_words(text, number, known)
        for number in spelled(text, base)
        if taken.free(number.span.start, number.span.end)
    ]
    return sorted([*in_digits, *in_words], key=lambda numeral: numeral.span)


class _Taken:
    """The characters of a text that already belong to a number."""

    def __init__(self, numerals: list[Numeral]):
        self._places = {place for numeral in numerals for place in range(*numeral.span)}

    def free(self, start: int, end: int) -> bool:
        return self._places.isdisjoint(range(start, end))


def _at(text: str, start: int, language: str, known: Quantities) -> Numeral:
    """Return the number whose first character, a digit or a fraction sign, is at `start`."""
    if time := _TIME.match(text, start):
        return _time(time)
    if (fraction := _FRACTION.match(text, start)) and int(fraction[2]):
        return Numeral(Span(*fraction.span()), (int(fraction[1]) / int(fraction[2]),), "fraction")
    if sign := _VULGAR_PLACE.match(text, start):
        value = _VULGAR[sign[2]] + (int(sign[1][-MAX_DIGITS:]) if sign[1] else 0)
        return Numeral(Span(*sign.span()), (value,), "fraction")
    if compound := _HAN_COMPOUND.match(text, start):
        return _compound(compound, known)
    match = _DIGITS.match(text, start)
    assert match is not None  # noqa: S101 - it takes any digit
    return _in_digits(text, match, language, known)


def _compound(match: re.Match[str], known: Quantities) -> Numeral:
    """Return the number of `3万5000` or `1億2300万`, whose parts have multipliers of their own."""
    total = 0.0
    for part in _HAN_PART.finditer(match[0]):
        digits = float(int(part[1][-MAX_DIGITS:]))
        total += digits * known.multipliers.get(part[2], 1.0)
    return Numeral(Span(*match.span()), (total,), "cardinal")


def _time(match: re.Match[str]) -> Numeral:
    at = int(match["hour"] or match["only"]) * 60 + int(match["minute"] or match["dotted"] or 0)
    if half := (match["half"] or match["only_half"] or "").lower():
        return Numeral(Span(*match.span()), (float(at % 720 + (720 if half == "p" else 0)),), "time")
    return Numeral(Span(*match.span()), (float(at), float((at + 720) % 1440)), "time")


def _in_digits(text: str, match: re.Match[str], language: str, known: Quantities) -> Numeral:
    values = _values(match, language)
    end = match.end()
    ending = _ORDINAL_ENDING.match(text, end)
    if ending is not None or text[match.start() - 1 : match.start()] == "第":
        return Numeral(Span(match.start(), ending.end() if ending else end), values, "ordinal")
    scaled_end, scale, sure = _multiplier(text, end, language, known)
    if scaled_end > end:
        scaled = tuple(value * scale for value in values)
        values = scaled if sure else scaled + values
    values += _tokenized(text, match, language, known)
    unit = _unit(text, Span(match.start(), scaled_end), known)
    return Numeral(Span(match.start(), scaled_end), values, "cardinal", unit, False, scale)


def _in_words(text: str, number: Spelled, known: Quantities) -> Numeral:
    kind: Kind = "ordinal" if number.ordinal else "cardinal"
    unit = "" if number.ordinal else _unit(text, number.span, known)
    return Numeral(number.span, (number.value,), kind, unit, True)


def _values(match: re.Match[str], language: str) -> tuple[float, ...]:
    whole, group, decimals = match["whole"], match["group"], match["decimals"]
    digits = "".join(c for c in whole if c.isdecimal())
    integer = float(int(digits[-MAX_DIGITS:]))
    if decimals is not None:
        value = float(f"{int(digits[-MAX_DIGITS:])}.{_ascii(decimals[:MAX_DIGITS])}")
        return (value,)
    if group is None or whole.count(group) > 1:
        return (integer,)
    head, tail = whole.split(group)
    if group in ",." and head.strip("0"):
        decimal = float(f"{int(head)}.{_ascii(tail)}")
        is_point = group == ("." if language in _POINT_LANGUAGES else ",")
        return (decimal, integer) if is_point else (integer, decimal)
    if group in ",.":
        return (float(f"{int(head)}.{_ascii(tail)}"), integer)
    return (integer, float(int(tail)), float(int(head))) if group == " " else (integer,)


def _ascii(digits: str) -> str:
    return "".join(str(int(digit)) for digit in digits)


def _tokenized(text: str, match: re.Match[str], language: str, known: Quantities) -> tuple[float, ...]:
    """Return the value if a tokenizer put blanks into the number, as in `$ 100, 000` and `26. 2 million`."""
    digits, at = match["whole"], match.end()
    if not digits.isdecimal() or match["decimals"] is not None or len(digits) > MAX_DIGITS:
        return ()
    while len(digits) <= MAX_DIGITS and (more := _TOKENIZED_GROUP.match(text, at)):
        digits, at = digits + more[1], more.end()
    value = float(int(digits))
    if more := _TOKENIZED_POINT.match(text, at):
        value, at = float(f"{int(digits)}.{_ascii(more[1][:MAX_DIGITS])}"), more.end()
    return (value * _multiplier(text, at, language, known)[1],) if at > match.end() else ()


def _multiplier(text: str, end: int, language: str, known: Quantities) -> tuple[int, float, bool]:
    """Return where the multiplier after a number ends, its value, and whether it can mean nothing else."""
    if (han := _HAN_MULTIPLIER.match(text, end)) and _HAN_AFTER.match(han[1]):
        scale = 1.0
        for character in han[1]:
            scale *= known.multipliers.get(character, 10.0 if character == "十" else 1.0)
        return han.end(), scale, True
    word = _MULTIPLIER.match(text, end)
    if word is None:
        return end, 1.0, True
    scale = known.multipliers.get(word[1].lower(), 1.0)
    if scale == 1e3 and (next_word := _MULTIPLIER.match(text, word.end(1))):
        thousands_of = known.multipliers.get(next_word[1].lower(), 1.0)
        if thousands_of >= 1e6:  # `mil millones`, `thousand million`
            return next_word.end(1), scale * thousands_of, True
    return (word.end(1), scale, len(word[1]) > 2) if scale > 1 else (end, 1.0, True)


def _unit(text: str, span: Span, known: Quantities) -> str:
    if after := _UNIT_AFTER.match(text, span.end):
        found = after[1].lower()
        unit = known.units.get(found) or known.units.get(found.split()[0])
        if unit:
            return unit
    if before := _UNIT_BEFORE.search(text, max(0, span.start - 5), span.start):
        written = (before[1] or before[2]).lower()
        return known.units.get(written) or known.units.get(written[-1:]) or ""
    return ""
