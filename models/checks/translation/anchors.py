"""Anchors: what a sentence shares with its translation, such as numbers, names and kindred words."""

import re

from models.checks.language.spelling import latin, skeleton
from models.checks.translation.verbatim import tokens
from models.text.span import Span

_TOKEN = re.compile(r"\d+|[^\W\d_]+")
_LEAST_LETTERS = 4
_KINDRED_LETTERS = 4
_QUESTION = re.compile(r"[?？؟]")


def anchors(text: str, span: Span) -> frozenset[str]:
    """Return digits, sounds of capitalized words, beginnings of long ones, addresses, and a question mark."""
    found = {"?"} if _QUESTION.search(text, span.start, span.end) else set()
    for match in _TOKEN.finditer(text, span.start, span.end):
        word = match[0]
        if word[0].isdigit():
            found |= _weighty(word) if len(word) > 1 else {word}
        elif len(word) >= _LEAST_LETTERS and word[0].isupper() and len(sound := skeleton(word)) > 1:
            found.add(sound)
        if len(word) > _KINDRED_LETTERS and len(plain := latin(word)) > _KINDRED_LETTERS:
            found.add(plain[:_KINDRED_LETTERS] + "-")
    return frozenset(found.union(*(_weighty(token) for _, token, _ in tokens(text[span.start : span.end]))))


def _weighty(token: str) -> set[str]:
    """Return the token as several anchors: it is rare, so it counts more than one."""
    return {token, f"{token} again", f"{token} once more"}


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Return how much two sets have in common, 0 to 1 (Dice's coefficient); 0 if one is empty."""
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0
