"""Flags numbers that stand as in the source and so mean another in this language: German 1.184 is 1,184."""

from collections.abc import Iterator

from models.checks.flag import Flag
from models.checks.pair import Pair

KIND = "number"


def check(pair: Pair) -> Iterator[Flag]:
    """Yield an error for each such number."""
    theirs = {pair.source.text[slice(*numeral.span)]: numeral for numeral in pair.source.numerals}
    for numeral in pair.output.numerals if theirs else ():
        written = pair.output.text[slice(*numeral.span)]
        same = theirs.get(written)
        if same is not None and same.value != numeral.value and same.value in numeral.values:
            means = f"{numeral.value:g} in this language and {same.value:g} in the source's"
            yield Flag(KIND, numeral.span, f"{written} is {means}.", source=same.span)
