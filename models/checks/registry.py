"""Lists the checks, and runs them over a summary or a translation, sentence by sentence.

A new check is a function in `summary/` or `translation/`, and a line here.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from models.checks.evidence import Evidence
from models.checks.flag import Flag
from models.checks.language.reading import Reading
from models.checks.pair import Check, Pair
from models.checks.summary.facts import check_dates, check_names, check_numbers, check_quotations
from models.checks.summary.placement import check_placement, check_splices
from models.checks.translation import facts, form, verbatim
from models.checks.translation.alignment import align
from models.cooperative import Cooperative, prepare
from models.text.span import Span

SUMMARY_CHECKS: tuple[Check, ...] = (
    check_numbers,
    check_dates,
    check_names,
    check_quotations,
    check_placement,
    check_splices,
)
TRANSLATION_CHECKS: tuple[Check, ...] = (
    facts.check_numbers,
    facts.check_bounds,
    facts.check_entities,
    facts.check_times,
    facts.check_separators,
    facts.check_negation,
    verbatim.check_tokens,
    form.check_echo,
    form.check_repetition,
    form.check_length,
    form.check_script,
    verbatim.check_names,
    form.check_marks,
)
NOTHING_FOUND = "no wrong number, date or name found; wording is not checked"
"""Said of an output without a flag."""
LEAST_ENTAILED = 0.5
"""A sentence with a lower probability of being entailed is flagged."""
_PAIRS_AT_ONCE = 16
"""Pairs between two checkpoints: a batch of `models.entailment`."""


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence of an output, with what supports it and what the checks found wrong in it."""

    span: Span
    """In the output."""
    evidence: tuple[Evidence, ...]
    flags: tuple[Flag, ...]
    """In the output, too."""


class EntailmentScorer(Protocol):
    """A model that tells whether one text follows from another, such as `models.entailment` has."""

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return for each (premise, hypothesis) the probability, 0 to 1, that the hypothesis follows."""


def run(checks: Iterable[Check], pair: Pair) -> Cooperative[list[Flag]]:
    """Return all flags in the output's order, with the checks' own checkpoints and one after each check."""
    found: list[Flag] = []
    for check in checks:
        for flag in check(pair):
            if flag is None:
                yield
            else:
                found.append(flag)
        yield
    return sorted(found, key=lambda flag: flag.span)


def check_summary(
    pair: Pair, entailment: EntailmentScorer | None = None
) -> Cooperative[list[CheckedSentence]]:
    """Return every sentence of a summary, the pair's output, in order.

    A language `und` is read as English. An entailment model compares each sentence that is not the source's
    own with its evidence.
    """
    for each in (pair.source, pair.output):
        yield from prepare(each, "sentences", "words", "keys", "numerals", "words_by_sentence")
    yield from prepare(pair, "weights", "evidence", "source_dates", "output_dates", "output_names")
    yield from pair.known_names.prepare()
    flags = yield from run(SUMMARY_CHECKS, pair)
    if entailment is not None:
        flags += yield from _not_entailed(pair, entailment)
    return _by_sentence(dict(zip(pair.output.sentences, pair.evidence, strict=True)), flags)


def _not_entailed(pair: Pair, entailment: EntailmentScorer) -> Cooperative[list[Flag]]:
    doubtful = [i for i, evidence in enumerate(pair.evidence) if not evidence or evidence[0].score < 1]
    spans = [pair.output.sentences[i] for i in doubtful]
    pairs = [(_premise(pair, i), pair.output.at(span)) for i, span in zip(doubtful, spans, strict=True)]
    scores: list[float] = []
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        scores += entailment.scores(pairs[start : start + _PAIRS_AT_ONCE])
        yield
    return [
        Flag("entailment", span, f"The entailment model does not find this in the source ({score:.2f}).")
        for span, score in zip(spans, scores, strict=True)
        if score < LEAST_ENTAILED
    ]


def _premise(pair: Pair, sentence: int) -> str:
    """Return the sentence's evidence and the sentences beside it, in order; the whole source without any."""
    evidence, sentences = pair.evidence[sentence], pair.source.sentences
    if not evidence:
        return pair.source.text
    places = {pair.source.sentence_at(e.span.start) + step for e in evidence for step in (-1, 0, 1)}
    return " ".join(pair.source.at(sentences[i]) for i in sorted(places) if 0 <= i < len(sentences))


def check_translation(
    source: str, output: str, source_language: str, target_language: str
) -> Cooperative[list[CheckedSentence]]:
    """Return every sentence of `output`, in order, with the source's sentences that it translates.

    A lost sentence of the source becomes a flag of the sentence before its place (of the first, if there is
    none), with an empty span at that place. An output without a sentence gets a single empty one, to carry
    the flags. Languages are ISO 639-1 or BCP 47 codes, `und` for an unknown one.
    """
    theirs, ours = Reading(source, source_language), Reading(output, target_language)
    flags: list[Flag] = []
    evidence: dict[Span, tuple[Evidence, ...]] = {}
    end = 0
    for bead in (yield from align(theirs, ours)):
        evidence |= {span: tuple(Evidence(each, bead.score) for each in bead.source) for span in bead.output}
        if bead.source and bead.output:
            flags += yield from _flags(theirs, _around(bead.source), ours, _around(bead.output))
        elif bead.source:
            reason = "A sentence of the source is missing here."
            flags += [Flag(form.LOST, Span(end, end), reason, source=span) for span in bead.source]
        else:
            flags += [Flag(form.ADDED, span, "Nothing in the source says this.") for span in bead.output]
        end = bead.output[-1].end if bead.output else end
    if flags and not evidence:
        evidence = {Span(0, 0): ()}
    return _by_sentence(evidence, flags)


def _around(spans: Sequence[Span]) -> Span:
    return Span(spans[0].start, spans[-1].end)


def _flags(theirs: Reading, there: Span, ours: Reading, here: Span) -> Cooperative[list[Flag]]:
    """Return the flags that the checks raise between two passages, with spans in the whole texts."""
    pair = Pair(Reading(theirs.at(there), theirs.language), Reading(ours.at(here), ours.language))
    found = yield from run(TRANSLATION_CHECKS, pair)
    return [
        replace(
            flag,
            span=flag.span.moved(here.start),
            source=flag.source.moved(there.start) if flag.source else None,
        )
        for flag in found
    ]


def _by_sentence(evidence: dict[Span, tuple[Evidence, ...]], flags: list[Flag]) -> list[CheckedSentence]:
    """Return the sentences, each with the flags that begin in it or after it, before the next."""
    spans = list(evidence)
    owned: list[list[Flag]] = [[] for _ in spans]
    starts = [span.start for span in spans]
    for flag in sorted(flags, key=lambda flag: flag.span):
        owned[max(0, bisect_right(starts, flag.span.start) - 1)].append(flag)
    return [CheckedSentence(span, evidence[span], tuple(own)) for span, own in zip(spans, owned, strict=True)]
