"""A sentence of an output with all that was found out about it."""

from dataclasses import dataclass

from models.checks.evidence import Evidence
from models.checks.flag import Flag
from models.text.span import Span


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence of the output, with what supports it and what does not stand up."""

    span: Span
    """In the output."""
    evidence: tuple[Evidence, ...]
    flags: tuple[Flag, ...]
    """Their spans are in the output, too."""
