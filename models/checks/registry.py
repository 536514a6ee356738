"""Which checks there are: a new one is its module and a line here."""

from collections.abc import Iterable

from models.checks import (
    dates,
    echo,
    figures,
    length,
    marks,
    names,
    numbers,
    placement,
    proper_names,
    quotations,
    repetition,
    script,
    splices,
    verbatim,
)
from models.checks.flag import Flag
from models.checks.pair import Check, Pair

SUMMARY_CHECKS: tuple[Check, ...] = (
    numbers.check,
    dates.check,
    names.check,
    quotations.check,
    placement.check,
    splices.check,
)
TRANSLATION_CHECKS: tuple[Check, ...] = (
    figures.check,
    verbatim.check,
    echo.check,
    repetition.check,
    length.check,
    script.check,
    proper_names.check,
    marks.check,
)


def run(checks: Iterable[Check], pair: Pair) -> list[Flag]:
    """All that the checks find, in the output's order."""
    return sorted((flag for check in checks for flag in check(pair)), key=lambda flag: flag.span)
