"""Flags: the faults that checks find in an output."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

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
    weakest: tuple[Span, ...] | None = None
    """The words of a doubtful output that the model was least sure of, in order, if its engine tells."""

    def moved(self, by: int) -> "Flag":
        """Return the flag of an output that begins `by` characters later."""
        weakest = self.weakest and tuple(each.moved(by) for each in self.weakest)
        return replace(self, span=self.span.moved(by), weakest=weakest)


_WEIGHTS = {"echo": 6.0, "script": 6.0, "repetition": 4.0, "omission": 4.0, "addition": 3.0}
"""The kinds of flags that cost a reader most; all others weigh 1."""
_OF_A_WARNING = 0.25


def penalty(flags: Iterable[Flag]) -> float:
    """Return how bad the flags are, 0 for none. A warning counts a quarter of an error of its kind."""
    return sum(
        _WEIGHTS.get(flag.kind, 1.0) * (1.0 if flag.severity == "error" else _OF_A_WARNING) for flag in flags
    )


class HasSeverity(Protocol):
    """A flag, or what an answer says of one."""

    @property
    def severity(self) -> Severity: ...


def any_error(flags: Iterable[HasSeverity]) -> bool:
    """Return whether any flag is an error: warnings alone are not worth another attempt."""
    return any(flag.severity == "error" for flag in flags)
