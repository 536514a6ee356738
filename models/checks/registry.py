"""Lists and runs the checks. A new check is its module and a line here."""

from collections.abc import Iterable

from models.checks.flag import Flag
from models.checks.pair import Check, Pair
from models.checks.pauses import Pausing
from models.checks.summary import dates, names, numbers, placement, quotations, splices
from models.checks.translation import (
    echo,
    figures,
    length,
    marks,
    negation,
    proper_names,
    repetition,
    script,
    separators,
    things,
    times,
    verbatim,
)

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
    things.check,
    times.check,
    separators.check,
    negation.check,
    verbatim.check,
    echo.check,
    repetition.check,
    length.check,
    script.check,
    proper_names.check,
    marks.check,
)


def run(checks: Iterable[Check], pair: Pair) -> Pausing[list[Flag]]:
    """Return all flags in the output's order, with the checks' own pauses and one after each check."""
    found: list[Flag] = []
    for check in checks:
        for flag in check(pair):
            if flag is None:
                yield
            else:
                found.append(flag)
        yield
    return sorted(found, key=lambda flag: flag.span)
