"""A translation as it is asked for and as it is answered. Plain data: no model, no text handling."""

from dataclasses import dataclass

from models.tasks.usage import Usage
from models.text.language import Detection
from models.text.span import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationRequest:
    """One text to translate."""

    text: str
    target: str
    source: str = "auto"
    model: str | None = None
    """A name from the catalog; None means the service's default."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence (or paragraph, for models that read whole paragraphs) and its translation."""

    source: Span
    text: str
    complete: bool
    """False if the model stopped at its length limit rather than at an end of its own."""


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
