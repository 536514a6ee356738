"""Where in the source an output's sentence comes from."""

from dataclasses import dataclass

from models.text.span import Span


@dataclass(frozen=True, slots=True)
class Evidence:
    """A stretch of the source that supports a sentence of the output."""

    span: Span
    """In the source."""
    score: float
    """How much of the sentence it supports, 0 to 1."""
