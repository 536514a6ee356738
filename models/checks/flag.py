"""Flags: the faults that checks find in an output."""

from dataclasses import dataclass
from typing import Literal

from models.text.span import Span

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Flag:
    """A place in the output that the source does not bear out."""

    kind: str
    """The check's name for it, such as `number` or `name`."""
    span: Span
    """In the output; the whole of it if something is missing."""
    reason: str
    """A plain sentence for a reader, with a capital and a full stop."""
    severity: Severity = "error"
    source: Span | None = None
    """The words of the source that were lost or changed, if that is known."""
