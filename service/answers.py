"""The bodies of responses and streamed events, built from the tasks' results.

Spans count Unicode code points and are half-open, like Python's slices.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AliasPath, BaseModel, ConfigDict, Field

from models.checker import Checked
from models.checks.flag import Severity
from models.choices import CheckedKind
from models.steps import Event, Words
from models.summarize.summarizer import SentenceReady, Summary
from models.text.article import Article
from models.text.detect import Detection
from models.translate.translator import SegmentReady, Translation
from service.problems import Problem
from service.validation import absent

P = TypeVar("P", bound=BaseModel)

Confidence = Annotated[
    float,
    Field(ge=0, description="From 0 to 1."),
    # fastText's sums are off in the fifth digit, so that it is sometimes a little surer than sure
    AfterValidator(lambda value: min(1.0, round(value, 4))),
]
Start = Annotated[int, Field(validation_alias=AliasPath("span", "start"))]
End = Annotated[int, Field(validation_alias=AliasPath("span", "end"))]
"""The ends of what has a span."""


class _AnswerPart(BaseModel):
    """Built from the dataclass with the same fields."""

    model_config = ConfigDict(from_attributes=True, validate_by_name=True)


def answer_part(part: type[P], of: object, **more: Any) -> P:
    """Build a part of an answer from a dataclass's fields of the same names, and `more`."""
    own = {name: getattr(of, name) for name in part.model_fields if name not in more and hasattr(of, name)}
    return part.model_validate({**own, **more})


class SpanPart(_AnswerPart):
    """`text[start:end]`, in Unicode code points."""

    start: int
    end: int


class UsagePart(_AnswerPart):
    """Tokens over all models that the answer took."""

    source_tokens: int
    output_tokens: int


class TimingsPart(_AnswerPart):
    """Milliseconds. The items of one request run together, so `total` is the same for all of them."""

    text: float = Field(
        description="Reading, splitting and restoring this text; and loading a model at its first use."
    )
    model: float = Field(description="Waiting for the models, their queue included.")
    total: float = Field(description="From the parsed request to its last result.")


class DroppedPart(_AnswerPart):
    text: str
    reason: str


class FlagPart(_AnswerPart):
    """Something in the output that the source does not support."""

    kind: str = Field(description="Which check: number, date, name, quotation, ...")
    start: Start = Field(description="In the output, as `end`.")
    end: End
    reason: str
    severity: Severity
    source: SpanPart | None = absent("In the source: what was lost or changed.")
    weakest: list[SpanPart] | None = absent(
        "In the output: the words that the model was least sure of, if a translated sentence is doubtful."
    )


class EvidencePart(_AnswerPart):
    """A stretch of the source that supports a sentence."""

    start: Start = Field(description="In the source, as `end`.")
    end: End
    score: Confidence = Field(description="How much of the sentence it supports, 0 to 1.")


class SentencePart(_AnswerPart):
    text: str
    start: int = Field(description="In the summary, as `end`.")
    end: int
    source: SpanPart | None = Field(description="Where the article says it, if the sentence is its own.")
    original: str | None = absent("The sentence before it was translated.")
    evidence: list[EvidencePart] = Field(description="The article's sentences that support it best.")
    flags: list[FlagPart] = Field(description="What the article does not support.")
    confidence: Confidence | None = absent("The chance that its translation has no serious error.")
    from_memory: bool | None = absent("True if it is as the caller's translation memory has it.")


class SourcePart(_AnswerPart):
    """The article as it was read."""

    characters: int
    sentences: int
    title: str | None
    dropped: list[DroppedPart] = Field(description="What was left out as clutter, and why.")
    windows: int = Field(description="In how many pieces it was read; nothing is cut off.")
    coverage: float = Field(description="The share of these characters that a model was given, 0 to 1.")
    text: str | None = absent("The article found in the HTML; spans refer to it.")


class SummaryAnswer(_AnswerPart):
    """A summary."""

    summary: str
    sentences: list[SentencePart]
    language: str = Field(description="The summary's language.")
    model: str
    translation_model: str | None = absent("What translated the summary, if it was.")
    detected: "DetectedPart" = Field(description="The article's language.")
    source: SourcePart
    usage: UsagePart
    timings_ms: TimingsPart
    notes: list[str] = Field(description="What the reader should know.")


class DetectedPart(_AnswerPart):
    language: str
    confidence: Confidence


class TranslationFlag(_AnswerPart):
    """Something in a segment that its source does not bear out; offsets count in the segment's texts."""

    kind: str
    start: Start
    end: End
    reason: str
    severity: Severity
    source: SpanPart | None = absent("Where in the source sentence, if that can be said.")
    weakest: list[SpanPart] | None = absent("The words that the model was least sure of, if it is doubtful.")


class SegmentPart(_AnswerPart):
    source: SpanPart
    text: str
    complete: bool = Field(description="False if the model ran into its length limit.")
    confidence: Confidence | None = Field(
        description="The chance that it has no serious error; null for models that were not calibrated."
    )
    abstained: bool = Field(description="True if it was left in the source language for want of confidence.")
    flags: list[TranslationFlag] = Field(description="What the checks found.")
    original: str | None = absent("The source's plain text, where it has markup.")
    missing: bool | None = absent("True if time ran out before it was translated: the text is the source's.")
    from_memory: bool | None = absent("True if it is as the caller's translation memory has it.")
    alternatives: list[str] | None = absent("Other translations of it, best first, plain; if asked for.")


class TermPart(_AnswerPart):
    """A protected or glossary term that the text holds."""

    source: str
    target: str
    count: int = Field(description="How often it stands in the source.")
    honoured: bool = Field(description="True if the translation has it as often as the source.")


class SourceLanguagePart(BaseModel):
    language: str
    confidence: Confidence | None = Field(description="Null where the request named the language.")
    detected: bool


class TranslationAnswer(_AnswerPart):
    """A translation, with paragraphs and blank lines as in the source."""

    translation: str
    segments: list[SegmentPart]
    terms: list[TermPart] | None = absent(
        "The request's terms that stand in the text, and what became of them."
    )
    source: SourceLanguagePart
    target: str
    model: str
    via: str | None = absent("The language in the middle, where the pair took two steps.")
    usage: UsagePart
    timings_ms: TimingsPart
    notes: list[str] = Field(description="What the reader should know.")
    partial: bool | None = absent("True if time ran out, so that some segments are `missing`.")


class DetectionAnswer(DetectedPart):
    """The language of a text: the likeliest, and a few candidates, best first."""

    candidates: list[DetectedPart]


class CheckedPart(BaseModel):
    """A sentence of the output."""

    text: str
    start: int = Field(description="In the output, as `end`.")
    end: int
    evidence: list[EvidencePart] = Field(description="What supports it, the best first.")
    flags: list[FlagPart] = Field(description="What the source does not support.")


class CheckAnswer(BaseModel):
    """The findings of all checks of the kind, sentence by sentence."""

    sentences: list[CheckedPart]
    kind: CheckedKind
    source_language: str
    target: str


class CleanAnswer(BaseModel):
    """The article alone."""

    title: str | None
    text: str = Field(description="Its paragraphs, set off by blank lines.")
    dropped: list[DroppedPart] = Field(description="What was left out, and why.")


class SummaryResults(BaseModel):
    """Summaries of `texts`, in the same order."""

    results: list[SummaryAnswer | Problem]


class TranslationResults(BaseModel):
    """Translations of `texts`, in the same order."""

    results: list[TranslationAnswer | Problem]


class DetectionResults(BaseModel):
    """The languages of `texts`, in the same order."""

    results: list[DetectionAnswer | Problem]


class TokenEvent(BaseModel):
    """A piece of the summary that a model is writing, to be put after the pieces before it."""

    text: str


class SentenceEvent(BaseModel):
    """A sentence of the summary, as in the answer but for its place; its flags count in its own text."""

    index: int
    text: str
    source: SpanPart | None = Field(description="Where the article says it, if the sentence is its own.")
    original: str | None = absent("The sentence before it was translated.")
    evidence: list[EvidencePart]
    flags: list[FlagPart]
    confidence: Confidence | None = absent("The chance that its translation has no serious error.")
    from_memory: bool | None = absent("True if it is as the caller's translation memory has it.")


class SegmentEvent(SegmentPart):
    """A segment of the translation, as in the answer; one that comes again replaces what was told before."""

    index: int
    total: int = Field(description="How many segments there will be.")


SUMMARY_EVENTS: Mapping[str, type[BaseModel]] = {"token": TokenEvent, "sentence": SentenceEvent}
TRANSLATION_EVENTS: Mapping[str, type[BaseModel]] = {"segment": SegmentEvent}
"""By name, as they come before the whole answer."""


# ---------------------------------------------------------------------- from results to answers


def render(
    value: Summary | Translation, *, text_s: float = 0.0, model_s: float = 0.0, total_s: float = 0.0
) -> SummaryAnswer | TranslationAnswer:
    """The answer for one article or text, with the times of its outcome, and of the whole request."""
    more = {
        "timings_ms": TimingsPart(
            text=round(text_s * 1e3, 1),
            model=round(model_s * 1e3, 1),
            total=round(total_s * 1e3, 1),
        ),
        "notes": [*value.notes, *value.cautions],
    }
    if isinstance(value, Summary):
        return answer_part(SummaryAnswer, value, sentences=_sentences(value), **more)
    source = SourceLanguagePart(
        language=value.source,
        confidence=value.detected.confidence if value.detected else None,
        detected=value.detected is not None,
    )
    return answer_part(TranslationAnswer, value, terms=value.terms or None, source=source, **more)


def _sentences(summary: Summary) -> list[SentencePart]:
    parts, end = [], 0
    for sentence in summary.sentences:
        start = summary.summary.index(sentence.text, end)
        end = start + len(sentence.text)
        flags = [flag.moved(start) for flag in sentence.flags]
        parts.append(answer_part(SentencePart, sentence, start=start, end=end, flags=flags))
    return parts


def render_detection(candidates: Sequence[Detection]) -> DetectionAnswer:
    """The answer for one text's candidates, best first; there is at least one."""
    return answer_part(DetectionAnswer, candidates[0], candidates=candidates)


def render_check(checked: Checked, output: str) -> CheckAnswer:
    parts = [
        answer_part(
            CheckedPart, each, text=output[slice(*each.span)], start=each.span.start, end=each.span.end
        )
        for each in checked.sentences
    ]
    return answer_part(CheckAnswer, checked, sentences=parts)


def render_clean(article: Article) -> CleanAnswer:
    return answer_part(CleanAnswer, article, text=article.content())


def render_event(event: Event) -> tuple[str, BaseModel]:
    """The event's name and data."""
    if isinstance(event, Words):
        return "token", TokenEvent(text=event.text)
    if isinstance(event, SentenceReady):
        return "sentence", answer_part(SentenceEvent, event.sentence, index=event.index)
    assert isinstance(event, SegmentReady)  # noqa: S101 - there are no others
    return "segment", answer_part(SegmentEvent, event.segment, index=event.index, total=event.total)
