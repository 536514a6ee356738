"""Many terms, found in a text at once, by Aho and Corasick's automaton: it hardly matters how many they are.

A pattern with the terms as its alternatives tries each of them at each place; one of 5,000 terms took over
30 s to compile.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from ahocorasick_rs import AhoCorasick, MatchKind

from models.text.sentences.boundary import UNSPACED
from models.text.span import Span

_UNIT = re.compile(rf"[^\W{UNSPACED}]+|\s+|.", re.DOTALL)
"""A word, white space, or another character: terms begin and end between these."""
_BEGIN, _END = "\1", "\0"
"""Stand around each unit: what has a term's marks is that term, and no part of a word."""
_HEAD = 4
"""Characters of a term that a text must have for the term to be looked for."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Folded:
    """A text for looking terms up in: letters small, white space one space, and the ends of words marked."""

    def __init__(self, text: str):
        small = _small(text)
        spans = [match.span() for match in _UNIT.finditer(text)]
        self.own = [" " if text[start].isspace() else text[start:end] for start, end in spans]
        """Its units in their own letters."""
        units = [" " if text[start].isspace() else small[start:end] for start, end in spans]
        marked = [f"{_BEGIN}{unit}{_END}" for unit in units]
        self.begins = list(accumulate(map(len, marked), initial=0))
        """The places in `marked` where each begins, and where the last ends."""
        self._offsets = [0, *(end for _, end in spans)]
        self.marked = "".join(marked)

    def unit(self, begin: int) -> int:
        """The number of the unit that begins there in `marked`."""
        return bisect_left(self.begins, begin)

    def places(self, term: str, *, exact: bool) -> Iterator[Span]:
        """Return a term's places, no two overlapping; if not `exact`, in letters of any case."""
        form = folded(term)
        at = self.marked.find(form)
        while at >= 0:
            first, end = self.unit(at), self.unit(at + len(form))
            found = not exact or "".join(self.own[first:end]) == term
            if found:
                yield self.span(first, end)
            at = self.marked.find(form, at + (len(form) if found else 1))

    def span(self, first: int, end: int) -> Span:
        """The place in the text of the units from `first` up to `end`."""
        return Span(self._offsets[first], self._offsets[end])


def folded(term: str) -> str:
    """A term as it stands in `Folded.marked`."""
    return Folded(term).marked


def _small(text: str) -> str:
    small = text.replace("İ", "i").lower().replace("ς", "σ")  # as long; no other letter has two small forms
    return _SURROGATE.sub("\ufffd", small)  # which no automaton takes


class Lexicon:
    """Terms, their white space single spaces; they stand between ends of words, in letters of any case."""

    def __init__(self, terms: Iterable[str], text: Folded):
        """Take those terms that `text` may have; only it and parts of it are to be looked at."""
        heads = {text.marked[begin : begin + _HEAD] for begin in text.begins}
        forms = [form for form in map(folded, terms) if len(form) < _HEAD or form[:_HEAD] in heads]
        self._terms = AhoCorasick(list(filter(None, forms)), matchkind=MatchKind.LeftmostLongest)

    def find(self, text: Folded) -> list[tuple[int, int]]:
        """The units from which and up to which each term goes, none overlapping, the longest at a place."""
        found = self._terms.find_matches_as_indexes(text.marked)
        return [(text.unit(start), text.unit(end)) for _, start, end in found]
