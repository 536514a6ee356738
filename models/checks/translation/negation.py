"""Warns of a negation that a translation lost: the source denies more often than the output's words can.

No error: a language may turn a sentence round, as `I can't wait` becomes `j'ai hâte`.
"""

from collections.abc import Iterator

from models.checks.flag import Flag
from models.checks.language.negation import negations, possible
from models.checks.pair import Pair
from models.text.span import Span

KIND = "negation"
_DENYING_TWICE = frozenset(("ru", "uk", "be", "pl", "cs", "sr", "bg"))
"""Languages in which one denial takes several words: `nobody ever` is `nobody never not`."""


def check(pair: Pair) -> Iterator[Flag]:
    """Yield at most one warning."""
    denied = list(negations(pair.source))
    if not denied or not pair.output.text.strip():
        return
    found = possible(pair.output)
    if found == 0 or (found < len(denied) and pair.source.base_language not in _DENYING_TWICE):
        first = denied[0]
        reason = f"The source says “{pair.source.text[first.start : first.end]}”"
        reason += ", and nothing here denies." if found == 0 else " and denies more often than this."
        yield Flag(KIND, Span(0, len(pair.output.text)), reason, "warning", first)
