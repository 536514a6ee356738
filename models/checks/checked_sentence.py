"""A sentence of an output with its evidence and flags."""

from dataclasses import dataclass

from models.checks.evidence import Evidence
from models.checks.flag import Flag
from models.text.span import Span


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence of the output, with what supports it and what the checks found wrong in it."""

    span: Span
    """In the output."""
    evidence: tuple[Evidence, ...]
    flags: tuple[Flag, ...]
    """In the output, too."""
