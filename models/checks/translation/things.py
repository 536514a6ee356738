"""Flags days, months, countries, cities and known people that a translation lost, changed or made up.

Compares what one side surely names with all that the other may name: a country may be named by its people, a
month by its number, a government by its capital.
"""

from collections.abc import Iterator

from models.checks.flag import Flag, Severity
from models.checks.language.named_things import Mention, hints
from models.checks.language.names_of_things import Kind, country_of, name_in
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.text.span import Span

DATE, PLACE, NAME = "date", "place", "name"
_FLAGS: dict[Kind, str] = {"weekday": DATE, "month": DATE, "place": PLACE, "person": NAME}
_KINDS: tuple[Kind, ...] = ("weekday", "month", "place", "person")


def check(pair: Pair) -> Iterator[Flag]:
    """Yield an error for each thing that became another, and for a day or month that was made up.

    What was lost without another in its place, or is a country that only the output names, gets a warning:
    translators leave out what goes without saying, and add it.
    """
    lost = _unsupported(pair.source_mentions, pair.source, pair.output_mentions, pair.output)
    added = _unsupported(pair.output_mentions, pair.output, pair.source_mentions, pair.source)
    yield from _foreign_forms(pair)
    for kind in _KINDS if lost or added else ():
        yield from _flags(
            pair, [m for m in lost if m.thing.kind == kind], [m for m in added if m.thing.kind == kind]
        )


def _flags(pair: Pair, lost: list[Mention], added: list[Mention]) -> Iterator[Flag]:
    changed = min(len(lost), len(added))
    for one, other in zip(lost[:changed], added[:changed], strict=True):
        reason = f"The source has {_written(pair.source, one)} where this has {_written(pair.output, other)}."
        yield Flag(_FLAGS[one.thing.kind], other.span, reason, "error", one.span)
    for mention in lost[changed:]:
        yield _lost(pair, mention)
    for mention in added[changed:]:
        kind = _FLAGS[mention.thing.kind]
        severity: Severity = "error" if kind == DATE else "warning"
        reason = f"The source does not name {_written(pair.output, mention)}."
        yield Flag(kind, mention.span, reason, severity)


def _foreign_forms(pair: Pair) -> Iterator[Flag]:
    """Yield a warning for each person whose name stands as in the source: Putin is Poutine in French."""
    people = {m.thing: m for m in pair.source_mentions if m.thing.kind == "person"}
    for mention in people.values() if pair.across_languages else ():
        written, name = _written(pair.source, mention), name_in(mention.thing, pair.output.language)
        if name and written != name and name not in pair.output.text:
            at = pair.output.text.find(written)
            if at >= 0:
                place = Span(at, at + len(written))
                yield Flag(NAME, place, f"{written} is {name} in this language.", "warning", mention.span)


def _lost(pair: Pair, mention: Mention) -> Flag:
    written, name = _written(pair.source, mention), name_in(mention.thing, pair.output.language)
    hint = f", {name}," if name and name != written else ""
    whole = Span(0, len(pair.output.text))
    reason = f"{written}{hint} is named in the source and not here."
    return Flag(_FLAGS[mention.thing.kind], whole, reason, "warning", mention.span)


def _written(reading: Reading, mention: Mention) -> str:
    return reading.text[mention.span.start : mention.span.end]


def _unsupported(found: list[Mention], own: Reading, others: list[Mention], other: Reading) -> list[Mention]:
    """Return what the other text does not name, nor has word for word, as in a title."""
    if not found:
        return []
    known = hints(other, others)
    text = other.text.lower()
    kept = {each for each in {_written(own, mention) for mention in found} if each.lower() in text}
    return [
        mention
        for mention in found
        if mention.thing not in known
        and country_of(mention.thing) not in known
        and _written(own, mention) not in kept
    ]
