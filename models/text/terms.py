"""Terms that a translation must keep, or must translate in a given way: finds, masks and restores them.

Aho-Corasick finds all terms at once, so their number hardly matters: a regular expression of 5,000
alternatives took over 30 s to compile. A mask is a meaningless name that models copy (docs/decisions.md says
which do). Knows no model.
"""

import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ahocorasick_rs import AhoCorasick, MatchKind

from models.text.sentences import UNSPACED
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
        # as long as the text; no other letter has two small forms, and no automaton takes surrogates
        small = _SURROGATE.sub("\ufffd", text.replace("İ", "i").lower().replace("ς", "σ"))
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
        form = Folded(term).marked
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


MASKS = ("QX7", "QX8", "QX9", "QX4", "QX5", "QX6", "QX3", "QX2", "QX71", "QX82", "QX93")
"""Masks, in the order of their use; a sentence that needs more has the rest of its words unmasked."""

_ANY_MASK = re.compile(r"QX\s?\d+", re.IGNORECASE)

_UNTRANSLATED = re.compile(
    r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]}»”’']|www\.[\w-]++\.[^\s<>\"]*[^\s<>\".,;:!?)\]}»”’']"  # addresses
    # e-mail, looked for from its beginning alone; handles
    r"|(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)++|(?<!\w)@\w{2,}"
    r"|\{\{[^{}]+\}\}|\$\{[^{}]+\}|\{\w*\}|%\(\w+\)[sd]|%[sd](?!\w)"  # placeholders of templates
)


@dataclass(frozen=True, slots=True)
class Held:
    """A stretch of a source that has its own translation."""

    span: Span
    text: str
    """The word that the translation is to have for it."""
    term: str | None = None
    """The protected or glossary term that it is, as the user wrote it; None for addresses and the like."""
    exact: bool = True
    """False if the letters' case may change, as in a glossary's words."""


class Terms:
    """The terms of one request, as far as its text has them: only it and parts of it are looked at."""

    def __init__(self, protect: Iterable[str], glossary: Mapping[str, str], text: str):
        kept = {" ".join(term.split()): None for term in protect}
        own = {" ".join(term.split()): " ".join(to.split()) for term, to in glossary.items()}
        self._targets: dict[str, str | None] = {term: to for term, to in (own | kept).items() if term}
        self._by_lower = {term.lower(): term for term in self._targets}
        folded = Folded(text if self._targets else "")
        heads = {folded.marked[begin : begin + _HEAD] for begin in folded.begins}
        forms = [Folded(term).marked for term in self._targets]
        likely = [form for form in forms if form and (len(form) < _HEAD or form[:_HEAD] in heads)]
        self._automaton = AhoCorasick(likely, matchkind=MatchKind.LeftmostLongest)

    def target(self, term: str) -> str:
        """Return the word that the translation is to have for a term."""
        return self._targets[term] or term

    def find(self, text: str) -> list[Held]:
        """Return the terms held in a text, in order, the longest first where they overlap.

        A term in small letters is found in any; one with capitals only as it is, or all in capitals. It
        stands between ends of words, but for scripts that don't part them.
        """
        own = Folded(text if self._targets else "")
        found = self._automaton.find_matches_as_indexes(own.marked)
        terms = (self._term(text, own, own.unit(start), own.unit(end)) for _, start, end in found)
        held = [each for each in terms if each is not None]
        others = [Held(Span(*match.span()), match[0]) for match in _UNTRANSLATED.finditer(text)]
        return sorted([*held, *outside(others, [each.span for each in held])], key=lambda each: each.span)

    def _term(self, text: str, units: Folded, first: int, end: int) -> Held | None:
        written = "".join(units.own[first:end])
        term = written if written in self._targets else self._by_lower.get(written.lower())
        if term is None or (term != written and not (term.islower() or written.isupper())):
            return None
        span, own = units.span(first, end), self._targets[term]
        to = text[span.start : span.end] if own is None else _cased(own, written, term)
        return Held(span, to, term, exact=own is None)


def outside(held: Iterable[Held], taken: Sequence[Span]) -> list[Held]:
    """Return those of `held` outside all `taken` spans, which are in order and don't overlap."""
    return [each for each in held if is_free(each.span, taken)]


def is_free(span: Span, taken: Sequence[Span]) -> bool:
    """Return whether a stretch touches no place that is taken; these come in order and don't overlap."""
    before = bisect_left(taken, (span.end,))  # as many begin before it ends
    return not before or taken[before - 1].end <= span.start


def mask(text: str, held: Sequence[Held]) -> tuple[str, tuple[str, ...]]:
    """The text with masks in place of what is held, and these masks, in order.

    Once there is none left that the text does not have itself, what is held stays, and its mask is empty.
    """
    free = [each for each in MASKS if each not in text.upper()]
    parts, masks, end = [], [], 0
    for i, each in enumerate(held):
        name = free[i] if i < len(free) else ""
        masks.append(name)
        parts += [text[end : each.span.start], name or each.text]
        end = each.span.end
    return "".join([*parts, text[end:]]), tuple(masks)


def unmask(output: str, masks: Sequence[str], held: Sequence[Held]) -> tuple[str, tuple[Span | None, ...]]:
    """The output with the held words in place of their masks, wherever those came out.

    Also the place of each word; None for one that is lost.
    """
    own = {name: i for i, name in enumerate(masks) if name}
    places: list[Span | None] = [None] * len(held)
    # as models write them, too: `QX 7`, `qx7`, `Q-X7`
    copied = (r"[\s-]?".join(name) + r"(?!\d)" for name in sorted(own, key=len, reverse=True))
    pattern = re.compile("|".join(copied) or "(?!)", re.IGNORECASE)
    parts: list[str] = []
    size, end, begun = 0, 0, False
    for found in pattern.finditer(output):
        i = own["".join(character for character in found[0].upper() if character.isalnum())]
        between, word = output[end : found.start()], held[i].text
        begun = begun or bool(between.strip())
        if not held[i].exact and not begun and word[:1].islower():
            word = word[0].upper() + word[1:]
        size += len(between)
        places[i] = places[i] or Span(size, size + len(word))
        size += len(word)
        parts += [between, word]
        end, begun = found.end(), begun or bool(word.strip())
    text = "".join([*parts, output[end:]])
    unmasked = [i for i, name in enumerate(masks) if not name]
    for i, place in zip(unmasked, look_up(text, [held[i] for i in unmasked]), strict=True):
        places[i] = place
    return text, tuple(places)


def look_up(text: str, held: Sequence[Held]) -> list[Span | None]:
    """Return the place of each of the held in a text, no two in one place; None for one that has none."""
    own = Folded(text if held else "")
    taken: list[Span] = []
    places: list[Span | None] = []
    coming: dict[tuple[str, bool], Iterator[Span]] = {}
    for each in held:
        word = " ".join(each.text.split())
        key = (word, each.exact)
        if key not in coming:  # those that say the same go on along one way: what is taken stays taken
            coming[key] = own.places(word, exact=each.exact)
        place = next((span for span in coming[key] if is_free(span, taken)), None) if word else Span(0, 0)
        places.append(place)
        if place is not None and word:
            insort(taken, place)
    return places


def masks_in(text: str) -> int:
    """Return the number of words in a text that look like masks."""
    return len(_ANY_MASK.findall(text))


def without_masks(text: str) -> str:
    """Return the part of a masked text that is left for a model to translate."""
    return _ANY_MASK.sub("", text)


def _cased(target: str, written: str, term: str) -> str:
    """A glossary's word in the case of the word it is for."""
    if written == term:
        return target
    if written.isupper() and len(written) > 1:
        return target.upper()
    return target[:1].upper() + target[1:] if written[:1].isupper() else target
