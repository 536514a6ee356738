"""Many terms, found in a text at once: it hardly matters how many they are, or how much alike.

What stands at a place is looked up by binary search on its length, over prefixes of the terms (Waldvogel and
others, "Scalable High Speed IP Routing Lookups", 1997). A pattern with the terms as its alternatives tries
each of them at each place; one of 5,000 terms took over 30 s to compile.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from models.text.sentences.boundary import UNSPACED
from models.text.span import Span

_UNIT = re.compile(rf"[^\W{UNSPACED}]+|\s+|.", re.DOTALL)
"""A word, white space, or another character: terms begin and end between these."""
_END = "\0"
"""Ends each unit: what begins with a term, this included, has a word's end there."""
_HEAD = 4
"""Characters of a term that a text must have for the term to be looked for."""


class Folded:
    """A text for looking terms up in: letters small, white space one space, and ends of words marked."""

    def __init__(self, text: str):
        small = _small(text)
        self.own: list[str] = []
        """Its units in their own letters."""
        units: list[str] = []
        self.begins = [len(_END)]
        """The places in `marked` where each begins, and where the last ends."""
        self._offsets = [0]
        for match in _UNIT.finditer(text):
            start, end = match.span()
            space = text[start].isspace()
            self.own.append(" " if space else text[start:end])
            units.append(" " if space else small[start:end])
            self.begins.append(self.begins[-1] + len(units[-1]) + len(_END))
            self._offsets.append(end)
        self.marked = _END + "".join(f"{unit}{_END}" for unit in units)

    def unit(self, begin: int) -> int:
        """The number of the unit that begins there in `marked`."""
        return bisect_left(self.begins, begin)

    def places(self, term: str, *, exact: bool) -> Iterator[Span]:
        """Return a term's places, no two overlapping; if not `exact`, in letters of any case."""
        form = _END + folded(term)
        at = self.marked.find(form)
        while at >= 0:
            first, end = self.unit(at + len(_END)), self.unit(at + len(form))
            found = not exact or "".join(self.own[first:end]) == term
            if found:
                yield self.span(first, end)
            at = self.marked.find(form, at + (len(form) - len(_END) if found else 1))

    def span(self, first: int, end: int) -> Span:
        """The place in the text of the units from `first` up to `end`."""
        return Span(self._offsets[first], self._offsets[end])


def folded(term: str) -> str:
    """A term as it stands in `Folded.marked`."""
    return Folded(term).marked[len(_END) :]


def _small(text: str) -> str:
    return text.replace("İ", "i").lower().replace("ς", "σ")  # as long; no other letter has two small forms


class Lexicon:
    """Terms, their white space single spaces; they stand between ends of words, in letters of any case."""

    def __init__(self, terms: Iterable[str], text: Folded):
        """Take those terms that `text` may have; only it and parts of it are to be looked at."""
        heads = {text.marked[begin : begin + _HEAD] for begin in text.begins}
        forms = {
            form for term in terms if (form := folded(term)) and (len(form) < _HEAD or form[:_HEAD] in heads)
        }
        ordered = sorted(forms, key=len)
        self._first_step = 1 << len(ordered[-1]).bit_length() - 1 if ordered else 0
        # for each prefix that the search comes by: how much of it is a term, the longest there is
        self._longest: dict[str, int] = {}
        for form in ordered:
            for step in range(len(form).bit_length()):
                prefix = form[: len(form) >> step << step]
                if prefix not in self._longest:
                    self._longest[prefix] = self._length(prefix, 0, len(prefix))
            self._longest[form] = len(form)

    def find(self, text: Folded) -> list[tuple[int, int]]:
        """The units from which and up to which each term goes, none overlapping, the longest at a place."""
        found, at = [], 0
        while at < len(text.own):
            length = self._length(text.marked, text.begins[at], len(text.marked))
            if length:
                found.append((at, text.unit(text.begins[at] + length)))
            at = found[-1][1] if length else at + 1
        return found

    def _length(self, marked: str, begin: int, end: int) -> int:
        """The length of the longest term that begins at `begin` and ends by `end`; 0 if none does."""
        at, length, step = begin, 0, self._first_step
        while step:
            if at + step <= end:
                found = self._longest.get(marked[begin : at + step])
                if found is not None:
                    at, length = at + step, found
            step >>= 1
        return length
