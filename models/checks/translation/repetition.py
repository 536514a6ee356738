"""Flags loops: words or groups of words that come again and again, but not in the source."""

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from models.checks.flag import Flag
from models.checks.language.words import WordForm, words
from models.checks.pair import Pair
from models.text.sentences import is_unspaced
from models.text.span import Span

KIND = "repetition"
_LEAST_WORDS = 4
"""The least words of a whole loop."""
_LONG_GROUP_WORDS = 7
"""A group of this many words is a loop if it comes twice in a row; `very good, very good` is none."""
_FAR_WORDS, _FAR_CHARACTERS = 8, 15
"""The length of a group looked for anywhere: in words, or in characters of a script without spaces."""
_WITHIN_A_WORD = re.compile(r"([^\W\d_]{1,6}?)\1{4,}")


def check(pair: Pair) -> Iterator[Flag]:
    """Yield one flag for the worst loop, or a warning if a long group of words comes twice, far apart."""
    source, output = words(pair.source.text), words(pair.output.text)
    allowed = _longest_loop(source)[0]
    times, loop = _longest_loop(output)
    if loop is not None and (
        times > allowed + 1 or (times > allowed and loop.end - loop.start >= times * _LONG_GROUP_WORDS)
    ):
        yield Flag(KIND, _of(output, loop), f"The same words come {times} times in a row.")
        return
    stutter = _WITHIN_A_WORD.search(pair.output.text)
    if stutter and not _WITHIN_A_WORD.search(pair.source.text):
        yield Flag(KIND, Span(*stutter.span()), "The same letters come again and again.")
        return
    again = _again(output)
    if again is not None and _again(source) is None:
        yield Flag(KIND, _of(output, again), "These words stand in the output twice.", "warning")


def _of(output: list[WordForm], run: Span) -> Span:
    return Span(output[run.start].span.start, output[run.end - 1].span.end)


def _longest_loop(text: list[WordForm]) -> tuple[int, Span | None]:
    """Return how often the most repeated group comes in a row, 1 for no loop, and its place in words."""
    forms = [word.form for word in text]
    best, where = 1, None
    for period, places in _returns(forms):
        end = 0
        for place in places:
            if place < end:
                continue
            start, end = _run(forms, place, period)
            times = (end - start) // period + 1
            if times > best and times * period >= _LEAST_WORDS and not _all_digits(forms, end, period):
                best, where = times, Span(start - period, start + (times - 1) * period)
    return best, where


def _returns(forms: list[str]) -> list[tuple[int, list[int]]]:
    """Return the distances at which two words come again more than once, and where: periods of loops."""
    last: dict[tuple[str, str], int] = {}
    places: dict[int, list[int]] = defaultdict(list)
    for i, two in enumerate(pairwise(forms)):
        if two in last:
            places[i - last[two]].append(i)
        last[two] = i
    return sorted((period, found) for period, found in places.items() if len(found) > 1)


def _run(forms: list[str], place: int, period: int) -> tuple[int, int]:
    """Return the start and end of the words around a place that all come again after a period."""
    start, end = place, place
    while start > period and forms[start - 1] == forms[start - 1 - period]:
        start -= 1
    while end < len(forms) and forms[end] == forms[end - period]:
        end += 1
    return start, end


def _all_digits(forms: list[str], end: int, period: int) -> bool:
    return all(form.isdigit() for form in forms[end - period : end])


def _again(text: list[WordForm]) -> Span | None:
    """Return the second place of a long group of words that stands in the text twice."""
    forms = [word.form for word in text]
    unspaced = 2 * sum(map(is_unspaced, forms)) > len(forms)
    length = _FAR_CHARACTERS if unspaced else _FAR_WORDS
    seen: set[tuple[str, ...]] = set()
    for i in range(len(forms) - length + 1):
        group = tuple(forms[i : i + length])
        if group in seen:
            return Span(i, i + length)
        seen.add(group)
    return None
