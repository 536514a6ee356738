"""Checks a translation, whoever made it, sentence by sentence."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace

from models.checks.checked_sentence import CheckedSentence
from models.checks.evidence import Evidence
from models.checks.flag import Flag
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.pauses import Pausing
from models.checks.registry import TRANSLATION_CHECKS, run
from models.checks.translation.alignment import Bead, align
from models.checks.translation.length import ADDED, LOST
from models.text.span import Span


def check_translation(
    source: str, output: str, source_language: str, target_language: str
) -> Pausing[list[CheckedSentence]]:
    """Return every sentence of `output`, in order, with the source's sentences that it translates.

    A lost sentence of the source becomes a flag of the sentence before its place (of the first, if there is
    none), with an empty span at that place. An output without a sentence gets a single empty one, to carry
    the flags. Languages are ISO 639-1 or BCP 47 codes, `und` for an unknown one.
    """
    theirs, ours = Reading(source, source_language), Reading(output, target_language)
    beads = yield from align(theirs, ours)
    flags: list[Flag] = []
    for bead in beads:
        if bead.source and bead.output:
            flags += yield from _flags(theirs, ours, bead)
    flags += [_added(span) for bead in beads if not bead.source for span in bead.output]
    flags += _lost(beads)
    evidence = {
        span: tuple(Evidence(each, bead.score) for each in bead.source)
        for bead in beads
        for span in bead.output
    }
    if not evidence:
        return [CheckedSentence(Span(0, 0), (), tuple(flags))] if flags else []
    owned = _by_sentence(list(evidence), flags)
    return [CheckedSentence(span, evidence[span], tuple(owned[span])) for span in evidence]


def _flags(theirs: Reading, ours: Reading, bead: Bead) -> Pausing[list[Flag]]:
    """Return the flags that the checks raise in the sentences of a bead, with spans in the whole texts."""
    there, here = (
        Span(bead.source[0].start, bead.source[-1].end),
        Span(bead.output[0].start, bead.output[-1].end),
    )
    pair = Pair(
        Reading(theirs.text[there.start : there.end], theirs.language),
        Reading(ours.text[here.start : here.end], ours.language),
    )
    found = yield from run(TRANSLATION_CHECKS, pair)
    return [
        replace(
            flag,
            span=flag.span.moved(here.start),
            source=flag.source.moved(there.start) if flag.source else None,
        )
        for flag in found
    ]


def _added(span: Span) -> Flag:
    return Flag(ADDED, span, "Nothing in the source says this.")


def _lost(beads: list[Bead]) -> Iterable[Flag]:
    place = 0
    for bead in beads:
        for span in bead.source if not bead.output else ():
            yield Flag(LOST, Span(place, place), "A sentence of the source is missing here.", source=span)
        if bead.output:
            place = bead.output[-1].end


def _by_sentence(spans: list[Span], flags: list[Flag]) -> dict[Span, list[Flag]]:
    """Return the flags by sentence: each belongs to the last that begins before it, or where it does."""
    owned: dict[Span, list[Flag]] = {span: [] for span in spans}
    starts = [span.start for span in spans]
    for flag in sorted(flags, key=lambda flag: flag.span):
        owned[spans[max(0, bisect_right(starts, flag.span.start) - 1)]].append(flag)
    return owned
