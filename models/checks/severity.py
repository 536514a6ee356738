"""How bad a set of flags is, as one number: which of two attempts at the same segment to keep."""

from collections.abc import Iterable

from models.checks.flag import Flag

_WEIGHTS = {
    "echo": 6.0,
    "script": 6.0,
    "repetition": 4.0,
    "omission": 4.0,
    "addition": 3.0,
}
"""What a reader loses most by; every other kind weighs 1."""
_OF_A_WARNING = 0.25


def penalty(flags: Iterable[Flag]) -> float:
    """0 for no flags; the lower, the better. A warning counts a quarter of an error of its kind."""
    return sum(
        _WEIGHTS.get(flag.kind, 1.0) * (1.0 if flag.severity == "error" else _OF_A_WARNING) for flag in flags
    )


def any_error(flags: Iterable[Flag]) -> bool:
    """Whether another attempt is worth its time: warnings alone are not."""
    return any(flag.severity == "error" for flag in flags)
