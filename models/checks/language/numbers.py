"""Finds the numbers of a text and their values: in digits of any script and locale, in words, as times.

Numbers in words are found by text2num in the languages it knows, and by tables in Russian and Chinese. Does
not judge whether a number is right. A form with two readings, such as `1.234`, keeps both values, the
likelier first.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Literal

from text_to_num import find_numbers

from models.checks.language import table
from models.text.span import Span

MAGNITUDES = (1e3, 1e6, 1e9, 1e12)


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number as it is written in a text."""

    span: Span
    """With its multiplier (`3 million`), without its unit."""
    values: tuple[float, ...]
    """The values it may have, the likeliest first: at least one, none negative. A time is in minutes after
    midnight."""
    kind: Literal["cardinal", "ordinal", "fraction", "time"]
    unit: str = ""
    """`%`, an ISO 4217 code, or nothing: other units are not read."""
    spelled: bool = False
    """True if it is written in words."""
    multiplier: float = 1.0
    """The factor of a word after the digits: 1e6 for `1.9 million`."""

    @property
    def value(self) -> float:
        return self.values[0]


@cache
def _multipliers(language: str) -> dict[str, float]:
    """Return the words for hundred, thousand and so on, those that all languages share among them."""
    known = table("quantities")
    own = known["multipliers_of"].get(language, {})
    found: dict[str, float] = {}
    for words in (known["multipliers"], known["counts"], own):
        found |= {word: float(value) for value, listed in words.items() for word in listed}
    return found


@cache
def _units() -> dict[str, str]:
    """Return `%` for words that mean percent, and ISO 4217 codes for those of currencies."""
    known = table("quantities")
    found = {word: code for code, listed in known["currency"].items() for word in listed}
    return found | dict.fromkeys(known["percent"]["words"], "%")


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
def _magnitude_words(language: str) -> tuple[dict[str, float], re.Pattern[str] | None]:
    """Return what each word for a thousand, a million and so on begins with, and a pattern for them all."""
    listed = table("quantities")["magnitudes"].get(language, {})
    words = {word.rstrip("="): float(value) for value, own in listed.items() for word in own}
    ends = {word.rstrip("="): r"\w*" if word.endswith("=") else "" for own in listed.values() for word in own}
    pattern = "|".join(f"{re.escape(word)}{ends[word]}" for word in sorted(words, key=len, reverse=True))
    edges = ("", "") if language == "zh" else (r"(?<!\w)", r"(?!\w)")
    return words, re.compile(f"{edges[0]}(?:{pattern}){edges[1]}", re.IGNORECASE) if words else None


def magnitudes(text: str, language: str, found: Iterable[Numeral]) -> list[tuple[Span, float]]:
    """Return the thousands, millions and so on in words, with no exact number: `millions of them`.

    `found` are the numbers of `text`, as `numerals` returns them.
    """
    words, pattern = _magnitude_words(language)
    exact, named = [], []
    for numeral in found:
        if numeral.spelled and numeral.value in MAGNITUDES:
            named.append((numeral.span, numeral.value))
        exact.append(numeral.span)
    for match in pattern.finditer(text) if pattern else ():
        if not Span(*match.span()).is_within(exact):
            longest = max((word for word in words if match[0].lower().startswith(word)), key=len)
            named.append((Span(*match.span()), words[longest]))
    return sorted(named)


_VULGAR = {"½": 0.5, "⅓": 1 / 3, "⅔": 2 / 3, "¼": 0.25, "¾": 0.75, "⅕": 0.2, "⅛": 0.125}
_START = re.compile(rf"\d|[{''.join(_VULGAR)}]")
_AND_A_HALF = re.compile(r"(?: et demie?| y medi[oa]| e mezz[oa]| e mei[oa]| and a half| с половиной)(?!\w)")
_HALF_A = re.compile(r"(?:half an? |half |demi-|medio |mezzo |meio |halbe |halben |пол|半)$", re.IGNORECASE)
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
_MOST_DIGITS = 30
"""A longer string of digits is no quantity: only its last digits are kept."""


def numerals(text: str, language: str) -> list[Numeral]:
    """Return every number of `text`, in order, none overlapping. `language` is ISO 639-1, BCP 47 or `und`.

    Signs are not read: a hyphen before a number more often belongs to a range.
    """
    base = language.split("-")[0].lower()
    found: list[Numeral] = []
    end = 0
    for place in _START.finditer(text):
        if place.start() >= end:
            found.append(_at(text, place.start(), base))
            end = found[-1].span.end
    taken = {place for numeral in found for place in range(*numeral.span)}
    for span, value, is_ordinal in _spelled(text, base):
        if taken.isdisjoint(range(*span)):
            unit = "" if is_ordinal else _unit(text, span)
            found.append(Numeral(span, (value,), "ordinal" if is_ordinal else "cardinal", unit, True))
    return sorted((_halved(text, numeral) for numeral in found), key=lambda numeral: numeral.span)


def _halved(text: str, numeral: Numeral) -> Numeral:
    """Return the number with the half before or after it: `half a million`, `1 million et demi`."""
    scale = max((each for each in MAGNITUDES if each <= numeral.value), default=1.0)
    if _AND_A_HALF.match(text, numeral.span.end):
        return replace(numeral, values=(numeral.value + scale / 2, *numeral.values))
    if scale > 1 and _HALF_A.search(text, max(0, numeral.span.start - 12), numeral.span.start):
        return replace(numeral, values=(numeral.value / 2, *numeral.values))
    return numeral


def _at(text: str, start: int, language: str) -> Numeral:
    """Return the number whose first character, a digit or a fraction sign, is at `start`."""
    if time := _TIME.match(text, start):
        return _time(time)
    if (fraction := _FRACTION.match(text, start)) and int(fraction[2]):
        return Numeral(Span(*fraction.span()), (int(fraction[1]) / int(fraction[2]),), "fraction")
    if sign := _VULGAR_PLACE.match(text, start):
        value = _VULGAR[sign[2]] + (int(sign[1][-_MOST_DIGITS:]) if sign[1] else 0)
        return Numeral(Span(*sign.span()), (value,), "fraction")
    if compound := _HAN_COMPOUND.match(text, start):
        return _compound(compound, language)
    match = _DIGITS.match(text, start)
    assert match is not None  # noqa: S101 - it takes any digit
    return _in_digits(text, match, language)


def _compound(match: re.Match[str], language: str) -> Numeral:
    """Return the number of `3万5000` or `1億2300万`, whose parts have multipliers of their own."""
    total = 0.0
    for part in _HAN_PART.finditer(match[0]):
        digits = float(int(part[1][-_MOST_DIGITS:]))
        total += digits * _multipliers(language).get(part[2], 1.0)
    return Numeral(Span(*match.span()), (total,), "cardinal")


def _time(match: re.Match[str]) -> Numeral:
    at = int(match["hour"] or match["only"]) * 60 + int(match["minute"] or match["dotted"] or 0)
    if half := (match["half"] or match["only_half"] or "").lower():
        return Numeral(Span(*match.span()), (float(at % 720 + (720 if half == "p" else 0)),), "time")
    return Numeral(Span(*match.span()), (float(at), float((at + 720) % 1440)), "time")


def _in_digits(text: str, match: re.Match[str], language: str) -> Numeral:
    values = _values(match, language)
    end = match.end()
    ending = _ORDINAL_ENDING.match(text, end)
    if ending is not None or text[match.start() - 1 : match.start()] == "第":
        return Numeral(Span(match.start(), ending.end() if ending else end), values, "ordinal")
    scaled_end, scale, sure = _multiplier(text, end, language)
    if scaled_end > end:
        scaled = tuple(value * scale for value in values)
        values = scaled if sure else scaled + values
    values += _tokenized(text, match, language)
    span = Span(match.start(), scaled_end)
    return Numeral(span, values, "cardinal", _unit(text, span), multiplier=scale)


def _values(match: re.Match[str], language: str) -> tuple[float, ...]:
    whole, group, decimals = match["whole"], match["group"], match["decimals"]
    digits = "".join(c for c in whole if c.isdecimal())
    integer = float(int(digits[-_MOST_DIGITS:]))
    if decimals is not None:
        value = float(f"{int(digits[-_MOST_DIGITS:])}.{_ascii(decimals[:_MOST_DIGITS])}")
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


def _tokenized(text: str, match: re.Match[str], language: str) -> tuple[float, ...]:
    """Return the value if a tokenizer put blanks into the number, as in `$ 100, 000` and `26. 2 million`."""
    digits, at = match["whole"], match.end()
    if not digits.isdecimal() or match["decimals"] is not None or len(digits) > _MOST_DIGITS:
        return ()
    while len(digits) <= _MOST_DIGITS and (more := _TOKENIZED_GROUP.match(text, at)):
        digits, at = digits + more[1], more.end()
    value = float(int(digits))
    if more := _TOKENIZED_POINT.match(text, at):
        value, at = float(f"{int(digits)}.{_ascii(more[1][:_MOST_DIGITS])}"), more.end()
    return (value * _multiplier(text, at, language)[1],) if at > match.end() else ()


def _multiplier(text: str, end: int, language: str) -> tuple[int, float, bool]:
    """Return where the multiplier after a number ends, its value, and whether it can mean nothing else."""
    if (han := _HAN_MULTIPLIER.match(text, end)) and _HAN_AFTER.match(han[1]):
        scale = 1.0
        for character in han[1]:
            scale *= _multipliers(language).get(character, 10.0 if character == "十" else 1.0)
        return han.end(), scale, True
    word = _MULTIPLIER.match(text, end)
    if word is None:
        return end, 1.0, True
    scale = _multipliers(language).get(word[1].lower(), 1.0)
    if scale == 1e3 and (next_word := _MULTIPLIER.match(text, word.end(1))):
        thousands_of = _multipliers(language).get(next_word[1].lower(), 1.0)
        if thousands_of >= 1e6:  # `mil millones`, `thousand million`
            return next_word.end(1), scale * thousands_of, True
    return (word.end(1), scale, len(word[1]) > 2) if scale > 1 else (end, 1.0, True)


def _unit(text: str, span: Span) -> str:
    if after := _UNIT_AFTER.match(text, span.end):
        found = after[1].lower()
        unit = _units().get(found) or _units().get(found.split()[0])
        if unit:
            return unit
    if before := _UNIT_BEFORE.search(text, max(0, span.start - 5), span.start):
        written = (before[1] or before[2]).lower()
        return _units().get(written) or _units().get(written[-1:]) or ""
    return ""


_BY_TEXT2NUM = frozenset({"en", "fr", "es", "pt", "de", "it", "nl", "da"})
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_TOKEN = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")
_MAX_JOINING_TOKENS = 2
"""The most tokens, such as `and` or a hyphen, between two words of one number."""
_LONGEST_SPELLED = 100
"""The longest number in one word, as German writes them."""
_NEVER = frozenset({"o", "oh"})
"""Words that text2num would read as a nought, as people say it on the telephone."""
_HAN = re.compile(r"[〇零一二两兩三四五六七八九十百千万萬亿億]+")
_MOST_HAN_CHARACTERS = 30
"""A longer run is no number; only its end is read."""
_PERCENT = "百分之"
_HAN_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_HAN_TENS = {"十": 10, "百": 100, "千": 1000}
_HAN_SCALES = {"万": 10_000, "萬": 10_000, "亿": 100_000_000, "億": 100_000_000}

_Spelled = tuple[Span, float, bool]
"""The place of a number in words, its value, and whether it is an ordinal."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A word with the methods that text2num expects."""

    word: str
    apart: bool

    def text(self) -> str:
        return self.word

    def nt_separated(self, previous: "_Token") -> bool:
        return self.apart

    def not_a_number_part(self) -> bool:
        return self.word.isdecimal() or self.word.lower() in _NEVER


def _spelled(text: str, language: str) -> Iterator[_Spelled]:
    """Yield the numbers in words, in order. `language` has no region; `und` is read as English."""
    if language == "ru":
        yield from _russian(text)
    elif language in ("zh", "ja", "yue", "wuu"):
        yield from _han(text)
    elif language in _BY_TEXT2NUM or language == "und":
        # text2num takes UTF-8, which lone surrogates have no form in
        yield from _by_text2num(_SURROGATE.sub("\ufffd", text), "en" if language == "und" else language)


def _by_text2num(text: str, language: str) -> Iterator[_Spelled]:
    for places in _passages(text, language):
        ends = [places[0][0], *(end for _, end in places)]
        tokens = [_Token(text[a:b], "\n" in text[ends[i] : a]) for i, (a, b) in enumerate(places)]
        for found in find_numbers(tokens, language, 0):
            span = Span(places[found.start][0], places[found.end - 1][1])
            yield span, float(found.value), bool(found.is_ordinal)


def _passages(text: str, language: str) -> Iterator[list[tuple[int, int]]]:
    """Yield the tokens of each passage that may hold numbers: a whole article takes text2num too long."""
    words = set(_TOKEN.findall(text.lower()))
    numbers = {word for word in words if len(word) <= _LONGEST_SPELLED and _is_number(word, language)}
    passage: list[tuple[int, int]] = []
    others = 0
    for match in _TOKEN.finditer(text) if numbers else ():
        if match[0].lower() in numbers:
            others = 0
        elif passage:
            others += 1
        else:
            continue
        passage.append(match.span())
        if others > _MAX_JOINING_TOKENS:
            yield passage[:-others]
            passage, others = [], 0
    if passage:
        yield passage


@lru_cache(maxsize=1 << 16)
def _is_number(word: str, language: str) -> bool:
    return not word.isdecimal() and any(True for _ in find_numbers([_Token(word, False)], language, 0))


def _russian(text: str) -> Iterator[_Spelled]:
    values = _russian_values()
    run: list[int] = []
    start = end = 0
    for match in _TOKEN.finditer(text):
        value = values.get(match[0].lower())
        if run and (value is None or text[end : match.start()].strip(" \u00a0")):
            yield Span(start, end), _total(run), False
            run = []
        if value is not None:
            start, end = (start if run else match.start()), match.end()
            run.append(value)
    if run:
        yield Span(start, end), _total(run), False


@cache
def _russian_values() -> dict[str, int]:
    return {form: int(value) for value, forms in table("quantities")["russian"].items() for form in forms}


def _total(run: list[int]) -> float:
    total = part = 0
    for value in run:
        if value >= 1000:
            total, part = total + max(part, 1) * value, 0
        else:
            part += value
    return float(total + part)


def _han(text: str) -> Iterator[_Spelled]:
    for match in _HAN.finditer(text):
        # one character alone is more often a part of another word than a number
        whole = len(match[0]) > 1 or text.startswith(_PERCENT, match.start() - len(_PERCENT))
        if whole and not text[match.start() - 1 : match.start()].isdecimal():
            ordinal = text[match.start() - 1 : match.start()] == "第"
            yield Span(*match.span()), float(_han_value(match[0])), ordinal


def _han_value(characters: str) -> int:
    """Return the value of a number in Chinese characters: `三万五千` as well as `二〇二四`."""
    if all(c in _HAN_DIGITS for c in characters):
        return int("".join(str(_HAN_DIGITS[c]) for c in characters[-_MOST_HAN_CHARACTERS:]))
    total = section = digit = 0
    for c in characters[-_MOST_HAN_CHARACTERS:]:
        if c in _HAN_DIGITS:
            digit = _HAN_DIGITS[c]
        elif c in _HAN_TENS:
            section, digit = section + max(digit, 1) * _HAN_TENS[c], 0
        else:
            total, section, digit = (total + max(section + digit, 1)) * _HAN_SCALES[c], 0, 0
    return total + section + digit
