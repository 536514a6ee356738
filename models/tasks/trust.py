"""Trust in summaries: evidence in the article for each sentence, and flags where there is none.

A sentence that is the article's own is its own evidence and needs no checks.
"""

from collections.abc import Sequence
from dataclasses import replace

from models.checks.evidence import Evidence
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.registry import CheckedSentence, check_summary
from models.cooperative import Cooperative
from models.loaded import EntailmentModel
from models.pool import ModelPool
from models.tasks.awaiting import until_loaded
from models.tasks.summary import SummarySentence
from models.text.article.article import Article
from models.text.span import Span


class Trust:
    """Holds summaries against their sources; `entailment_model`, from the catalog, is one more check."""

    def __init__(self, pool: ModelPool, entailment_model: str | None = None):
        self._pool = pool
        self._entailment_model = entailment_model

    def check(
        self, source: str, output: str, language: str, output_language: str
    ) -> Cooperative[list[CheckedSentence]]:
        """All checks on a summary of `source`, with pauses. Raises ModelUnavailable."""
        pair = Pair(Reading(source, language), Reading(output, output_language))
        if self._entailment_model is None:
            return (yield from check_summary(pair))
        entry = self._pool.catalog.get(self._entailment_model, "entail")
        yield from until_loaded(self._pool, [entry])
        with self._pool.use(entry) as model:
            assert isinstance(model, EntailmentModel)  # noqa: S101 - the task of an entry decides its kind
            return (yield from check_summary(pair, model.entailment))

    def examine(
        self, article: Article, sentences: Sequence[SummarySentence], language: str
    ) -> Cooperative[list[SummarySentence]]:
        """The sentences with their evidence and flags: evidence in the article's text, flags in their own."""
        written = [s for s in sentences if s.source is None]
        lines = "\n".join(" ".join(s.text.split()) for s in written)
        found = (yield from self.check(_masked(article), lines, language, language)) if written else []
        checked, start = [], 0
        for sentence in sentences:
            if sentence.source is not None:
                checked.append(replace(sentence, evidence=(Evidence(sentence.source, 1.0),)))
                continue
            text = " ".join(sentence.text.split())
            line = Span(start, start + len(text))
            checked.append(_with_findings(replace(sentence, text=text), line, found))
            start = line.end + 1
        return checked


def errors(sentences: Sequence[SummarySentence]) -> int:
    """Count the sentences that say something that the article does not support."""
    return sum(map(is_unsupported, sentences))


def is_unsupported(sentence: SummarySentence) -> bool:
    """Return True if a check found an error, not a mere warning, in it."""
    return any(flag.severity == "error" for flag in sentence.flags)


def _masked(article: Article) -> str:
    """The article's text with all that is not read turned to spaces, so that spans stay true.

    The title is left in: what only the headline says is said.
    """
    kept = list(article.paragraphs)
    if article.title and (at := article.text.find(article.title)) >= 0:
        kept.append(Span(at, at + len(article.title)))
    masked = [character if character.isspace() else " " for character in article.text]
    for span in kept:
        masked[span.start : span.end] = article.text[span.start : span.end]
    return "".join(masked)


def _with_findings(
    sentence: SummarySentence, line: Span, found: Sequence[CheckedSentence]
) -> SummarySentence:
    """One sentence may have been checked as several."""
    own = [each for each in found if line.start <= each.span.start < line.end]
    evidence = {each.span: each for part in own for each in part.evidence}
    flags = [replace(flag, span=flag.span.moved(-line.start)) for part in own for flag in part.flags]
    best = sorted(evidence.values(), key=lambda each: -each.score)
    return replace(sentence, evidence=tuple(best), flags=tuple(flags))
