"""Flags an output far shorter or longer than a translation of its source can be.

Counts characters. `bench/fit_lengths.py` measured how languages compare, on licensed parallel texts.
"""

import math
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from models.checks.flag import Flag, Severity
from models.checks.language.writing import scripts
from models.checks.pair import Pair
from models.text.span import Span

LOST, ADDED = "omission", "addition"


class Length(NamedTuple):
    """The length of a language's texts, compared with English."""

    ratio: float
    """Characters for each one of English."""
    constant: float
    by_size: float
    """The variance of the ratio's logarithm is `constant + by_size / English characters`."""


_A_SIGN = 2.6
"""English characters for a Chinese one, so that Latin names and figures in Chinese count as they are."""
_SIGN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def size(text: str) -> int:
    """Count the characters without white space; a Chinese one, also in Japanese, counts as `_A_SIGN`."""
    return len("".join(text.split())) + round((_A_SIGN - 1) * len(_SIGN.findall(text)))


_BESIDE_ENGLISH = {
    "en": Length(1.0, 0.0, 0.0),
    "de": Length(1.17, 0.0128, 0.60),
    "es": Length(1.14, 0.0062, 0.72),
    "fr": Length(1.20, 0.0135, 0.63),
    "it": Length(1.15, 0.0104, 0.99),
    "pt": Length(1.10, 0.0060, 0.83),
    "ru": Length(1.11, 0.0185, 0.99),
    "zh": Length(0.86, 0.0268, 0.50),
}
_BY_SCRIPT = {
    "Chinese": Length(0.86, 0.08, 1.5),
    "Kana": Length(0.85, 0.08, 1.5),
    "Hangul": Length(0.50, 0.08, 1.5),
    "Arabic": Length(0.90, 0.08, 1.5),
    "Hebrew": Length(0.85, 0.08, 1.5),
}
"""Rough ratios, with a wide spread, for languages that were not measured."""
_UNMEASURED = Length(1.10, 0.08, 1.5)
ERROR, WARNING = 3.5, 3.0
"""In standard deviations from the expected length."""
_SHORT = 0.3
"""In standard deviations; a longer output without a full stop at its end is not taken to be broken off."""
_ELLIPSIS = re.compile(r"(?:\.\.\.|…|\[\.\.\.\]|\[…\])\W{0,20}$")

_WORD = re.compile(r"\w")
_FULL_STOP = re.compile(r"\w\w[.!?。！？]\W*$")
_MID_SENTENCE = re.compile(r"[\w,;、，]\s*$")
_WITHOUT_FULL_STOPS = frozenset(("Thai", "Lao", "Khmer", "Burmese", "Tibetan"))
"""Scripts whose sentences end in a space, or in signs of their own."""
_END_CHARACTERS = 40
"""How much of the end is searched for ellipses and full stops: a long row of dots would take minutes."""


def check(pair: Pair) -> Iterator[Flag]:
    """Yield at most one flag: empty, far too short, far too long, or broken off."""
    source, output = size(pair.source.text), size(pair.output.text)
    whole = Span(0, len(pair.output.text))
    if source and not output:
        yield Flag(LOST, whole, "The translation is empty.", source=Span(0, len(pair.source.text)))
        return
    if not source or not output:
        return
    if _has_words(pair.source.text) and not _has_words(pair.output.text):
        yield Flag(LOST, whole, "The translation has no words.", source=Span(0, len(pair.source.text)))
        return
    deviation = deviations(source, output, pair.source.language, pair.output.language)
    severity: Severity = "error" if abs(deviation) >= ERROR else "warning"
    source_end, end = (each.text[-_END_CHARACTERS:] for each in (pair.source, pair.output))
    if deviation <= -WARNING:
        yield Flag(
            LOST, whole, "The translation is much shorter than the source: some of it may be lost.", severity
        )
    elif deviation >= WARNING:
        yield Flag(
            ADDED,
            whole,
            "The translation is much longer than the source: some of it may be made up.",
            severity,
        )
    elif _ELLIPSIS.search(end) and not _ELLIPSIS.search(source_end):
        yield Flag(LOST, whole, "The translation breaks off with an ellipsis.", "warning")
    elif (
        deviation <= _SHORT
        and _FULL_STOP.search(source_end)
        and _MID_SENTENCE.search(end)
        and _has_full_stops(pair)
    ):
        yield Flag(LOST, whole, "The translation has no end: the source's last sentence does.", "warning")


def _has_words(text: str) -> bool:
    return _WORD.search(text) is not None


def _has_full_stops(pair: Pair) -> bool:
    return _WITHOUT_FULL_STOPS.isdisjoint(scripts(pair.output.language)[:1])


def deviations(source: int, output: int, source_language: str, output_language: str) -> float:
    """Return by how many standard deviations `output` is over (negative: under) the expected `size`."""
    one, other = beside_english(source_language), beside_english(output_language)
    variance = one.constant + other.constant + (one.by_size + other.by_size) * one.ratio / source
    expected = source * other.ratio / one.ratio
    # a sign more or less says nothing
    return math.log((output + 2) / (expected + 2)) / math.sqrt(variance or 0.01)


@cache
def beside_english(language: str) -> Length:
    """Return the language's own row, or its script's."""
    base = language.replace("_", "-").split("-")[0].lower()
    if base in _BESIDE_ENGLISH:
        return _BESIDE_ENGLISH[base]
    own = scripts(language)
    return _BY_SCRIPT.get(own[0], _UNMEASURED) if own else _UNMEASURED
