"""The checks without a pause, for tests that look at what they find."""

from dataclasses import replace
from typing import Any

from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.registry import CheckedSentence
from models.checks.registry import check_summary as summary_steps
from models.checks.registry import check_translation as translation_steps
from models.cooperative import finish


def check_summary(
    source: str,
    output: str,
    *,
    language: str = "und",
    output_language: str | None = None,
    warnings: bool = False,
    **more: Any,
) -> list[CheckedSentence]:
    pair = Pair(Reading(source, language), Reading(output, output_language or language))
    return [
        replace(each, flags=tuple(flag for flag in each.flags if warnings or flag.severity == "error"))
        for each in finish(summary_steps(pair, **more))
    ]


def check_translation(source: str, output: str, one: str, other: str) -> list[CheckedSentence]:
    return finish(translation_steps(source, output, one, other))
