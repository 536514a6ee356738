"""Checks as a task of their own: on any output and its source, whoever made them. Nothing is written here.

A check calls no engine: its steps are pauses alone, at which its driver looks at the deadline.
"""

from dataclasses import dataclass
from typing import Literal

from models.checks.registry import CheckedSentence, check_translation
from models.errors import InvalidInput
from models.languages import Languages
from models.tasks.steps import Steps
from models.tasks.trust import Trust
from models.text.language import LanguageDetector

Kind = Literal["summary", "translation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """An output to hold against its source."""

    source: str
    output: str
    kind: Kind
    source_language: str = "auto"
    target: str | None = None
    """The output's language; None finds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The findings of a check."""

    sentences: tuple[CheckedSentence, ...]
    """The output's, in order; spans are in the output, evidence in the source."""
    kind: Kind
    source_language: str
    target: str


class Checker:
    """Runs all checks of a kind over a pair of texts."""

    def __init__(self, languages: Languages, detector: LanguageDetector, trust: Trust):
        self._languages = languages
        self._detector = detector
        self._trust = trust

    def steps(self, request: CheckRequest) -> Steps[Checked]:
        """Check an output, with pauses.

        Raises InvalidInput for an empty text, UnsupportedLanguage for an unknown language, and
        ModelUnavailable if there is to be an entailment model and it cannot be had.
        """
        for field in ("source", "output"):
            if not getattr(request, field).strip():
                raise InvalidInput(f"the {field} is empty", field=field, allowed="at least one word")
        source = self._language(request.source_language, request.source, "source_language")
        target = self._language(request.target or "auto", request.output, "target")
        if request.kind == "summary":
            found = yield from self._trust.check(request.source, request.output, source, target)
        else:
            found = yield from check_translation(request.source, request.output, source, target)
        return Checked(sentences=tuple(found), kind=request.kind, source_language=source, target=target)

    def _language(self, given: str, text: str, field: str) -> str:
        if given != "auto":
            return self._languages.normalize(given, field)
        return self._detector.detect(text).language
