"""All that is found out about an output, sentence by sentence."""

from dataclasses import dataclass

from models.checks.evidence import Evidence
from models.checks.flag import Flag
from models.checks.pair import Pair, Reading
from models.checks.registry import SUMMARY_CHECKS, run
from models.text.span import Span


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence of the output, with what supports it and what does not stand up."""

    span: Span
    """In the output."""
    evidence: tuple[Evidence, ...]
    flags: tuple[Flag, ...]
    """Their spans are in the output, too."""


def check_summary(source: str, output: str, *, language: str = "und") -> list[CheckedSentence]:
    """Every sentence of a summary of `source`, in order."""
    pair = Pair(Reading(source, language), Reading(output, language))
    flags = run(SUMMARY_CHECKS, pair)
    return [
        CheckedSentence(s, (), tuple(f for f in flags if s.start <= f.span.start < s.end))
        for s in pair.output.sentences
    ]
