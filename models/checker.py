"""Runs the checks on any output and its source, whoever wrote them. Generates no text."""

from dataclasses import dataclass

from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.registry import CheckedSentence, check_summary, check_translation
from models.choices import CheckedKind
from models.errors import InvalidInput
from models.languages import Languages
from models.loaded import EntailmentModel
from models.pool import ModelPool
from models.steps import Steps, until_loaded
from models.text.detect import LanguageDetector


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """An output to hold against its source."""

    source: str
    output: str
    kind: CheckedKind
    source_language: str = "auto"
    target: str | None = None
    """The output's language; None finds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The findings of a check."""

    sentences: tuple[CheckedSentence, ...]
    """The output's, in order; spans are in the output, evidence in the source."""
    kind: CheckedKind
    source_language: str
    target: str


class Checker:
    """Runs all checks of a kind over a pair of texts.

    `entailment_model`, from the catalog, is one more check of summaries.
    """

    def __init__(
        self,
        pool: ModelPool,
        languages: Languages,
        detector: LanguageDetector,
        entailment_model: str | None = None,
    ):
        self._pool = pool
        self._languages = languages
        self._detector = detector
        self._entailment_model = entailment_model

    def steps(self, request: CheckRequest) -> Steps[Checked]:
        """Check an output, with checkpoints.

        Raises InvalidInput for an empty text, UnsupportedLanguage for an unknown language, and
        ModelUnavailable if there is to be an entailment model and it cannot be had.
        """
        for field in ("source", "output"):
            if not getattr(request, field).strip():
                raise InvalidInput(f"the {field} is empty", field=field, allowed="at least one word")
        source = self._language(request.source_language, request.source, "source_language")
        target = self._language(request.target or "auto", request.output, "target")
        if request.kind == "summary":
            found = yield from self.check_summary(request.source, request.output, source, target)
        else:
            found = yield from check_translation(request.source, request.output, source, target)
        return Checked(sentences=tuple(found), kind=request.kind, source_language=source, target=target)

    def check_summary(
        self, source: str, output: str, language: str, output_language: str
    ) -> Steps[list[CheckedSentence]]:
        """Run all checks on a summary of `source`. Raises ModelUnavailable."""
        pair = Pair(Reading(source, language), Reading(output, output_language))
        if self._entailment_model is None:
            return (yield from check_summary(pair))
        entry = self._pool.catalog.get(self._entailment_model, "entail")
        yield from until_loaded(self._pool, [entry])
        with self._pool.use(entry) as model:
            assert isinstance(model, EntailmentModel)  # noqa: S101 - the task of an entry decides its kind
            return (yield from check_summary(pair, model.entailment))

    def _language(self, given: str, text: str, field: str) -> str:
        if given != "auto":
            return self._languages.normalize(given, field)
        return self._detector.detect(text).language
