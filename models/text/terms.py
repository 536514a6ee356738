"""Words that a translation must keep, or must have a certain word for: found, masked, and put back.

A mask is a name that means nothing and that models copy. Of 100 words in English sentences for the bundled
model and five target languages, 61 came out as they were, 99 as masks like `QX7`, 96 as `X1X` or `__1__`, 94
as `XQ1`, `[1]` or `<1>`, 92 as `{1}` or `%1`, 87 as `#1` (bench/terms.py). Knows no model.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from models.text.boundary import UNSPACED, is_unspaced
from models.text.span import Span

MASKS = ("QX7", "QX8", "QX9", "QX4", "QX5", "QX6", "QX3", "QX2", "QX71", "QX82", "QX93")
"""In this order; a sentence that needs more has the rest of its words unmasked."""

_ANY_MASK = re.compile(r"QX\s?\d+", re.IGNORECASE)

_UNTRANSLATED = re.compile(
    r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]}»”’']|www\.[\w-]+\.[^\s<>\"]*[^\s<>\".,;:!?)\]}»”’']"  # addresses
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<!\w)@\w{2,}"  # e-mail, handles
    r"|\{\{[^{}]+\}\}|\$\{[^{}]+\}|\{\w*\}|%\(\w+\)[sd]|%[sd](?!\w)"  # placeholders of templates
)


@dataclass(frozen=True, slots=True)
class Held:
    """A stretch of a source that has its own translation."""

    span: Span
    text: str
    """What the translation is to have for it."""
    term: str | None = None
    """The protected or glossary term that it is, as the user wrote it; None for addresses and the like."""
    exact: bool = True
    """False if the letters' case may change, as in a glossary's words."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A source with masks in place of what is held."""

    text: str
    masks: tuple[str, ...]
    """One for each that is held, in order; empty for one that could have none."""


@dataclass(frozen=True, slots=True)
class Unmasked:
    """A translation with the held words in it."""

    text: str
    places: tuple[Span | None, ...]
    """Where each stands; None for one that is lost."""


class Terms:
    """The terms of one request, as far as its text has them."""

    def __init__(self, protect: Iterable[str], glossary: Mapping[str, str], text: str):
        kept = {" ".join(term.split()): None for term in protect}
        own = {" ".join(term.split()): " ".join(to.split()) for term, to in glossary.items()}
        there = " ".join(text.split()).lower()
        self._targets: dict[str, str | None] = {
            term: to for term, to in (own | kept).items() if term and term.lower() in there
        }
        self._by_lower = {term.lower(): term for term in self._targets}
        self._pattern = _pattern(self._targets)

    def target(self, term: str) -> str:
        """What the translation is to have for a term."""
        return self._targets[term] or term

    def find(self, text: str) -> list[Held]:
        """What is held in a text, in order, the longest first where they overlap.

        A term in small letters is found in any; one with capitals only as it is, or all in capitals. It
        stands between ends of words, but for scripts that don't part them.
        """
        found = [self._term(match) for match in self._pattern.finditer(text)] if self._pattern else []
        held = [each for each in found if each is not None]
        taken = [each.span for each in held]
        held += [
            Held(Span(*match.span()), match[0])
            for match in _UNTRANSLATED.finditer(text)
            if not any(span.start < match.end() and match.start() < span.end for span in taken)
        ]
        return sorted(held, key=lambda each: each.span)

    def _term(self, match: re.Match[str]) -> Held | None:
        written = " ".join(match[0].split())
        term = written if written in self._targets else self._by_lower.get(written.lower())
        if term is None or (term != written and not (term.islower() or written.isupper())):
            return None
        own = self._targets[term]
        text = match[0] if own is None else _cased(own, written, term)
        return Held(Span(*match.span()), text, term, exact=own is None)


def mask(text: str, held: Sequence[Held]) -> Masked:
    """The text with a mask for each that is held, as far as there are masks that it does not have itself."""
    free = [each for each in MASKS if each not in text.upper()]
    parts, masks, end = [], [], 0
    for i, each in enumerate(held):
        name = free[i] if i < len(free) else ""
        masks.append(name)
        parts += [text[end : each.span.start], name or each.text]
        end = each.span.end
    return Masked("".join([*parts, text[end:]]), tuple(masks))


def unmask(output: str, masked: Masked, held: Sequence[Held]) -> Unmasked:
    """The output with the held words in place of their masks, wherever those came out."""
    own = {name: i for i, name in enumerate(masked.masks) if name}
    places: list[Span | None] = [None] * len(held)
    pattern = re.compile(
        "|".join(_copied(name) for name in sorted(own, key=len, reverse=True)) or "(?!)", re.I
    )
    text, end = "", 0
    for found in pattern.finditer(output):
        i = own["".join(character for character in found[0].upper() if character.isalnum())]
        text += output[end : found.start()]
        word = held[i].text
        if not held[i].exact and not text.strip() and word[:1].islower():
            word = word[0].upper() + word[1:]
        places[i] = places[i] or Span(len(text), len(text) + len(word))
        text, end = text + word, found.end()
    text += output[end:]
    rest = [i for i, name in enumerate(masked.masks) if not name]
    found_rest = look_up(text, [held[i] for i in rest])
    for i, place in zip(rest, found_rest, strict=True):
        places[i] = place
    return Unmasked(text, tuple(places))


def look_up(text: str, held: Sequence[Held]) -> list[Span | None]:
    """Where each of the held stands in a text, no two in one place; None for one that does not."""
    taken: list[Span] = []
    places: list[Span | None] = []
    for each in held:
        flags = re.NOFLAG if each.exact else re.IGNORECASE
        spans = [Span(*found.span()) for found in re.finditer(_between_words(each.text), text, flags)]
        free = [s for s in spans if not any(t.start < s.end and s.start < t.end for t in taken)]
        places.append(free[0] if free else None)
        taken += free[:1]
    return places


def masks_in(text: str) -> int:
    """How many words in a text look like masks."""
    return len(_ANY_MASK.findall(text))


def without_masks(text: str) -> str:
    """What is left of a masked text for a model to translate."""
    return _ANY_MASK.sub("", text)


def _copied(name: str) -> str:
    """A mask as models write it: `QX 7`, `qx7`, `Q-X7`."""
    return r"[\s-]?".join(name) + r"(?!\d)"


def _cased(target: str, written: str, term: str) -> str:
    """A glossary's word in the case of the word it is for."""
    if written == term:
        return target
    if written.isupper() and len(written) > 1:
        return target.upper()
    return target[:1].upper() + target[1:] if written[:1].isupper() else target


def _pattern(terms: Iterable[str]) -> re.Pattern[str] | None:
    """All terms at once, the longest first."""
    ordered = sorted(terms, key=len, reverse=True)
    alternatives = "|".join(_between_words(term) for term in ordered)
    return re.compile(alternatives, re.IGNORECASE) if ordered else None


def _between_words(term: str) -> str:
    """A term between ends of words; white space in it may be any."""
    before = f"(?<![^\\W{UNSPACED}])" if _joins(term[:1]) else ""
    after = f"(?![^\\W{UNSPACED}])" if _joins(term[-1:]) else ""
    return before + r"\s+".join(map(re.escape, term.split())) + after


def _joins(character: str) -> bool:
    return (character.isalnum() or character == "_") and not is_unspaced(character)
