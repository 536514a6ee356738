"""Rates a set of flags with one number, to choose between two attempts at the same segment."""

from collections.abc import Iterable

from models.checks.flag import Flag

_WEIGHTS = {
    "echo": 6.0,
    "script": 6.0,
    "repetition": 4.0,
    "omission": 4.0,
    "addition": 3.0,
}
"""The kinds of flags that cost a reader most; all others weigh 1."""
_OF_A_WARNING = 0.25


def penalty(flags: Iterable[Flag]) -> float:
    """Return how bad the flags are, 0 for none. A warning counts a quarter of an error of its kind."""
    return sum(
        _WEIGHTS.get(flag.kind, 1.0) * (1.0 if flag.severity == "error" else _OF_A_WARNING) for flag in flags
    )


def any_error(flags: Iterable[Flag]) -> bool:
    """Return whether any flag is an error: warnings alone are not worth another attempt."""
    return any(flag.severity == "error" for flag in flags)
