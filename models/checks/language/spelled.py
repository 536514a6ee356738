"""Finds numbers in words: with text2num in the languages it knows, with tables in Russian and Chinese."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from text_to_num import find_numbers

from models.checks.language.quantities import russian_numbers
from models.text.span import Span


class Spelled(NamedTuple):
    """A number in words."""

    span: Span
    value: float
    ordinal: bool


_BY_TEXT2NUM = frozenset({"en", "fr", "es", "pt", "de", "it", "nl", "da"})
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_TOKEN = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")
_MAX_JOINING_TOKENS = 2
"""The most tokens, such as `and` or a hyphen, between two words of one number."""
_MOST_LETTERS = 100
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


def spelled(text: str, language: str) -> Iterator[Spelled]:
    """Yield the numbers in words, in order. `language` has no region; `und` is read as English."""
    if language == "ru":
        yield from _russian(text)
    elif language in ("zh", "ja", "yue", "wuu"):
        yield from _han(text)
    elif language in _BY_TEXT2NUM or language == "und":
        # text2num takes UTF-8, which lone surrogates have no form in
        yield from _by_text2num(_SURROGATE.sub("\ufffd", text), "en" if language == "und" else language)


def _by_text2num(text: str, language: str) -> Iterator[Spelled]:
    for places in _passages(text, language):
        ends = [places[0][0], *(end for _, end in places)]
        tokens = [_Token(text[a:b], "\n" in text[ends[i] : a]) for i, (a, b) in enumerate(places)]
        for found in find_numbers(tokens, language, 0):
            span = Span(places[found.start][0], places[found.end - 1][1])
            yield Spelled(span, float(found.value), bool(found.is_ordinal))


def _passages(text: str, language: str) -> Iterator[list[tuple[int, int]]]:
    """Yield the tokens of each passage that may hold numbers: a whole article takes text2num too long."""
    words = set(_TOKEN.findall(text.lower()))
    numbers = {word for word in words if len(word) <= _MOST_LETTERS and _is_number(word, language)}
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


def _russian(text: str) -> Iterator[Spelled]:
    values = russian_numbers()
    run: list[tuple[Span, int]] = []
    for match in _TOKEN.finditer(text):
        value = values.get(match[0].lower())
        near = not run or text[run[-1][0].end : match.start()].strip(" \u00a0") == ""
        if run and (value is None or not near):
            yield _total(run)
            run = []
        if value is not None:
            run.append((Span(*match.span()), value))
    if run:
        yield _total(run)


def _total(run: list[tuple[Span, int]]) -> Spelled:
    total = part = 0
    for _, value in run:
        if value >= 1000:
            total, part = total + max(part, 1) * value, 0
        else:
            part += value
    return Spelled(Span(run[0][0].start, run[-1][0].end), float(total + part), False)


def _han(text: str) -> Iterator[Spelled]:
    for match in _HAN.finditer(text):
        # one character alone is more often a part of another word than a number
        whole = len(match[0]) > 1 or text.startswith(_PERCENT, match.start() - len(_PERCENT))
        if whole and not text[match.start() - 1 : match.start()].isdecimal():
            ordinal = text[match.start() - 1 : match.start()] == "第"
            yield Spelled(Span(*match.span()), float(han_value(match[0])), ordinal)


def han_value(characters: str) -> int:
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
