"""Finds the words that deny, by negation.toml; knows no grammar."""

import re
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise

from models.checks.language import table
from models.checks.language.reading import Reading, WordForm, key_of
from models.text.sentences import is_unspaced
from models.text.span import Span

_WORD = re.compile(r"[nN][’'ʼ][tT]\b|[^\W\d_]+?(?=n[’'ʼ]t\b)|[^\W\d_]+", re.IGNORECASE)
_CONTRACTED = frozenset(("n't", "nʼt"))
_CONTRACTION = re.compile(r"n[’'ʼ]t\b", re.IGNORECASE)
_CLAUSE = re.compile(r"[,;:.!?…—–()«»\"“”„]|\s-\s|\b(?:y|e|et|que|che|и|что)\b")
_NUMBER = re.compile(r"\.?\s?\d|\.\s?[º°]")
"""After `No`, which is none then."""
_NOT_ONLY_UNSPACED = re.compile("不能?(?:仅|只|单|光)|并非仅")
_LEAST_LETTERS = 5
"""The least letters of a word with a beginning such as `un`."""
_NONE = WordForm("", Span(0, 0))


class _Words:
    """Words and beginnings of words, as lists of negation.toml have them."""

    def __init__(self, *lists: Iterable[str]):
        listed = list(chain(*lists))
        self.whole = frozenset(word for word in listed if not word.endswith("="))
        self.beginnings = tuple(word[:-1] for word in listed if word.endswith("="))

    def have(self, key: str, seeming: tuple[str, ...] = ()) -> bool:
        if key in self.whole:
            return True
        return len(key) >= _LEAST_LETTERS and key.startswith(self.beginnings) and not key.startswith(seeming)


@dataclass(frozen=True)
class _Known:
    """A language's words."""

    sure: _Words
    also: _Words
    beside: frozenset[str]
    idle: frozenset[str]
    only: _Words
    other: dict[str, _Words]
    any: _Words
    """All of these."""
    seeming: tuple[str, ...]
    unspaced: re.Pattern[str] | None
    """Finds the sure ones where the language puts no blanks between words."""


@dataclass(frozen=True)
class Denials:
    """What denies in a text."""

    sure: tuple[Span, ...]
    """The words that deny for certain, in order."""
    possible: int
    """How often the text may deny, without the words of `other`."""
    not_only: tuple[Span, ...]
    only: int
    """How often it says `only` without `not`."""
    other: Counter[str]
    """Words that may stand for a denial, by what they mean."""

    @property
    def any(self) -> bool:
        """True if anything denies or limits."""
        return self.possible + len(self.not_only) + max(0, self.only) + self.other.total() > 0


def denials(reading: Reading, kept_in: str = "") -> Denials | None:
    """Return what denies; None in a language that is not known.

    What stands with the next word in the text `kept_in` denies nothing: a title, left as it is.
    """
    known = _known(reading.base_language)
    if known is None:
        return None
    if known.unspaced is not None:
        return _unspaced(reading.text, known.unspaced, known)
    text, words = reading.text, reading.letters
    if _CONTRACTION.search(text):
        words = [WordForm(key_of(match[0]), Span(*match.span())) for match in _WORD.finditer(text)]
    telling = [i for i, (key, _) in enumerate(words) if key in _CONTRACTED or known.any.have(key)]
    begins = [match.end() for match in _CLAUSE.finditer(text)] if telling else []
    kept = _pairs(kept_in.lower()) if telling else set()
    sure: dict[int, list[Span]] = defaultdict(list)
    also: dict[int, Span] = {}
    not_only: list[Span] = []
    other: Counter[str] = Counter()
    says_only, only = 0, known.only.whole
    for i in telling:
        (key, span), (after, next_span) = words[i], words[i + 1] if i + 1 < len(words) else _NONE
        if after in known.idle:
            continue
        says_only += key in only
        other.update(name for name, listed in known.other.items() if listed.have(key, known.seeming))
        surely = key in _CONTRACTED or known.sure.have(key)
        if not (surely or known.also.have(key)) or (key == "no" and _NUMBER.match(text, span.end)):
            continue
        if after and text[span.start : next_span.end].lower() in kept:
            continue
        clause = bisect(begins, span.start)
        if after in only:
            not_only.append(span)
        elif surely:
            sure[clause].append(span)
        elif i == 0 or clause > bisect(begins, words[i - 1].span.start):
            also[clause] = span
    alone = [span for at, span in also.items() if at not in sure]
    spans = tuple(span for found in sure.values() for span in found)
    possible = len(spans) + len(alone)
    if known.beside:
        possible = max(len(spans), sum(key in known.beside for key, _ in words)) or len(alone)
    return Denials(spans or tuple(alone[:1]), possible, tuple(not_only), says_only - len(not_only), other)


def _pairs(text: str) -> set[str]:
    """Return each word of the text with the next."""
    return {text[one.start() : other.end()] for one, other in pairwise(_WORD.finditer(text))}


def _unspaced(text: str, sure: re.Pattern[str], known: _Known) -> Denials:
    not_only = tuple(Span(*match.span()) for match in _NOT_ONLY_UNSPACED.finditer(text))
    other = Counter({name: sum(map(text.count, own.whole)) for name, own in known.other.items()})
    for idle in known.idle:
        text = text.replace(idle, "")
    possible = sum(map(text.count, known.also.whole))
    spans = tuple(Span(*match.span()) for match in sure.finditer(text))
    return Denials(spans, possible, not_only, sum(map(text.count, known.only.whole)) - len(not_only), other)


@cache
def _known(language: str) -> _Known | None:
    lists = table("negation")
    sure = lists["sure"].get(language)
    if sure is None:
        return None
    also, only = lists["also"].get(language, ()), lists["only"][language]
    other = {name: row[language] for name, row in lists["other"].items() if language in row}
    return _Known(
        _Words(sure),
        _Words(also),
        frozenset(lists["beside"].get(language, ())),
        frozenset(lists["idle"][language]),
        _Words(only),
        {name: _Words(row) for name, row in other.items()},
        _Words(sure, also, only, *other.values()),
        tuple(lists["seeming"].get(language, ())),
        re.compile("|".join(map(re.escape, sure))) if is_unspaced(sure[0][0]) else None,
    )
