"""A translation as it is asked for and as it is answered. Plain data: no model, no text handling."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from models.checks.flag import Flag
from models.choices import TextFormat
from models.tasks.steps import Event
from models.tasks.usage import Usage
from models.text.detect import Detection
from models.text.span import Span


@dataclass(frozen=True, slots=True)
class Recollection:
    """What a translation memory has of a sentence."""

    text: str | None = None
    """Its translation, where just this sentence is there."""
    near: tuple[str, ...] = ()
    """Translations of sentences that are nearly this one, the nearest first."""


Recall = Callable[[Sequence[str], str, str, int], Sequence[Recollection]]
"""Looks up sentences in a memory, given their language, the target's, and how many near ones are wanted of
each. There is an answer for each, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationRequest:
    """One text to translate."""

    text: str
    target: str
    source: str = "auto"
    model: str | None = None
    """A name from the catalog; None means the service's default."""
    format: TextFormat = "text"
    """The kind of text: its markup is kept, and only what a reader reads is translated."""
    ignore_tags: tuple[str, ...] = ()
    """Names of elements, in HTML or XML, that stay as they are with all they hold."""
    protect: tuple[str, ...] = ()
    """Terms that stay as they are."""
    glossary: Mapping[str, str] = field(default_factory=dict)
    """Terms and what each is to be in the translation."""
    min_confidence: float | None = None
    """Segments that the model is less sure of than this, from 0 to 1, come back untranslated."""
    alternatives: int = 0
    """So many other translations of each segment are wanted, beside its own."""
    memory: bool = True
    """Sentences that the caller's memory has are taken from it."""
    partial: bool = False
    """If time runs out midway, what is done is the result, and the rest of the text stays as it is."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence (or paragraph, for models that read whole paragraphs) and its translation."""

    source: Span
    """In the request's text, markup included."""
    text: str
    complete: bool
    """False if the model stopped at its length limit rather than at an end of its own."""
    confidence: float | None = None
    """The chance that it is good, 0 to 1; for a model that was not fitted, the geometric mean of the
    probabilities of its tokens; None where an engine gives none."""
    flags: tuple[Flag, ...] = ()
    """The checks' findings; their spans are in `text`, and in the source's plain text."""
    abstained: bool = False
    """True if `text` is still the source's, for want of confidence."""
    original: str | None = None
    """The source's plain text where it has markup, else None."""
    missing: bool | None = None
    """True if time ran out before it was translated: `text` is the source's. Otherwise None."""
    from_memory: bool | None = None
    """True if a person's translation of just this sentence was taken, unchecked. Otherwise None."""
    alternatives: tuple[str, ...] | None = None
    """Other translations of it, best first, as plain text; None where none were asked for."""


@dataclass(frozen=True, slots=True)
class SegmentReady(Event):
    """A segment, by its place, is there. If it is tried again later, the better one is told again."""

    index: int
    total: int
    """The number of all segments."""
    segment: Segment
    again: bool = False
    """True if it is being tried once more: the better one will be told."""


@dataclass(frozen=True, slots=True)
class Term:
    """A protected or glossary term that stands in the source."""

    source: str
    target: str
    """As it was to stand in the translation; the same as `source` for a protected one."""
    count: int
    """The number of times that it stands in the source."""
    honoured: bool
    """True if the translation has it as often as the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A finished translation."""

    translation: str
    segments: tuple[Segment, ...]
    source: str
    target: str
    detected: Detection | None
    """Set if the source language was `auto`."""
    model: str
    via: str | None
    """The language in the middle where the pair was translated in two steps."""
    usage: Usage
    notes: tuple[str, ...]
    cautions: tuple[str, ...] = ()
    """What holds of all that its models write: worth saying once to a reader, not with each of many texts."""
    terms: tuple[Term, ...] = ()
    """Those of the request's terms that the text holds."""
    partial: bool | None = None
    """True if time ran out before all segments were translated. Otherwise None."""
    alternatives: tuple[str, ...] = ()
    """The whole text with each segment's first alternative, with its second and so on, where it has one."""
