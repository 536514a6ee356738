"""Checks a summary sentence by sentence, by all checks and, if there is one, an entailment model."""

from collections.abc import Sequence
from typing import Protocol

from models.checks.checked_sentence import CheckedSentence
from models.checks.flag import Flag
from models.checks.pair import Pair
from models.checks.pauses import Pausing, read
from models.checks.registry import SUMMARY_CHECKS, run

LEAST_ENTAILED = 0.5
"""A sentence with a lower probability of being entailed is flagged."""
_PAIRS_AT_ONCE = 16
"""Pairs between two pauses: a batch of `models.entailment`."""


class EntailmentScorer(Protocol):
    """A model that tells whether one text follows from another, such as `models.entailment` has."""

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return for each (premise, hypothesis) the probability, 0 to 1, that the hypothesis follows."""


def check_summary(pair: Pair, entailment: EntailmentScorer | None = None) -> Pausing[list[CheckedSentence]]:
    """Return every sentence of a summary, the pair's output, in order.

    A language `und` is read as English. An entailment model compares each sentence that is not the source's
    own with its evidence.
    """
    for each in (pair.source, pair.output):
        yield from read(each, "sentences", "words", "keys", "numerals", "words_by_sentence")
    yield from pair.read()
    flags = yield from run(SUMMARY_CHECKS, pair)
    if entailment is not None:
        flags += yield from _not_entailed(pair, entailment)
    by_sentence: list[list[Flag]] = [[] for _ in pair.output.sentences]
    for flag in sorted(flags, key=lambda flag: flag.span):
        by_sentence[pair.output.sentence_at(flag.span.start)].append(flag)
    return [
        CheckedSentence(span, evidence, tuple(found))
        for span, evidence, found in zip(pair.output.sentences, pair.evidence, by_sentence, strict=True)
    ]


def _not_entailed(pair: Pair, entailment: EntailmentScorer) -> Pausing[list[Flag]]:
    doubtful = [i for i, evidence in enumerate(pair.evidence) if not evidence or evidence[0].score < 1]
    spans = [pair.output.sentences[i] for i in doubtful]
    premises = [_premise(pair, i) for i in doubtful]
    hypotheses = [pair.output.text[span.start : span.end] for span in spans]
    pairs = list(zip(premises, hypotheses, strict=True))
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
    evidence = pair.evidence[sentence]
    if not evidence:
        return pair.source.text
    places = {pair.source.sentence_at(e.span.start) + step for e in evidence for step in (-1, 0, 1)}
    spans = [pair.source.sentences[i] for i in sorted(places) if 0 <= i < len(pair.source.sentences)]
    return " ".join(pair.source.text[span.start : span.end] for span in spans)
