"""Tasks: from options and content to steps, and from the task's value to an answer.

JSON bodies, forms, batch records and job items all become requests here, and nowhere else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from io import BytesIO
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile

from models.checker import CheckRequest
from models.checks.flag import any_error
from models.errors import InvalidInput, UnsupportedLanguage
from models.steps import Outcome, Steps
from models.summarize.summarizer import Summary, SummaryRequest
from models.translate.translator import MemoryLookup, Segment, Translation, TranslationRequest, confidences
from service.answers import SegmentPart, SentencePart, render
from service.documents import sandbox
from service.documents.formats import Comment, File
from service.options import (
    INPUTS,
    DocumentForm,
    Options,
    SummarizeForm,
    SummaryOptions,
    TranslateForm,
)
from service.problems import problem
from service.settings import Settings
from service.store.results import PROBLEM, StoredResult

if TYPE_CHECKING:
    from service.runtime import Runtime
    from service.store.glossaries import Glossaries

Request = SummaryRequest | TranslationRequest

DOUBTFUL = "doubtful"

FEW_CHARACTERS = 500
"""A request of no more, over all its texts, is a few sentences: beams make it little slower there."""


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task, and what becomes of its outcome."""

    text: str
    """The text that is read, for whoever counts characters."""
    steps: Steps[Any]
    result: Callable[[Outcome[Any], float], StoredResult]
    """From the outcome and the seconds of the whole request. Raises the outcome's error."""


def request_maker(
    options: Options, runtime: "Runtime | None" = None, glossaries: "Glossaries | None" = None
) -> Callable[..., Any]:
    """Return the function that makes a request of these options and a `text` or `html`.

    What else it is given takes the place of an option. A glossary that is named is one of `glossaries`, or of
    the runtime's. Raises UnknownGlossary where it could help no text, and UnsupportedLanguage.
    """
    is_summary = isinstance(options, SummaryOptions)
    request = SummaryRequest if is_summary else TranslationRequest
    names = {field.name for field in fields(request)} - {*INPUTS}
    given = {name: getattr(options, name) for name in type(options).model_fields if name in names}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    if isinstance(options, SummaryOptions) or not isinstance(options.glossary, str):
        return partial(request, **given)
    if runtime is None:
        raise InvalidInput("this server stores no glossaries", field="glossary", allowed="an object")
    own = glossaries or runtime.glossaries
    terms = named_terms(runtime, own, options.glossary, options.source, options.target)
    return lambda text, **more: TranslationRequest(**{**given, **more, "text": text, "glossary": terms(text)})


def named_terms(
    runtime: "Runtime", glossaries: "Glossaries", named: str, source: str, target: str
) -> Callable[[str], Mapping[str, str]]:
    """Return a function from a text to its terms, by the glossary with this id or name.

    With source `auto` each text takes the terms of the language that it is in, and none where the glossary
    has none for it. Raises UnknownGlossary where it could help no text, and UnsupportedLanguage.
    """
    if source != "auto":
        terms = glossaries.entries(named, source, target)
        return lambda _: terms
    by_source = glossaries.targets(named, target)

    def of(text: str) -> Mapping[str, str]:
        (detected,) = runtime.detector.candidates(text, limit=1)
        try:
            return by_source.get(runtime.languages.normalize(detected.language), {})
        except UnsupportedLanguage:  # `und`, or a language that no model here has
            return {}

    return of


def steps(
    runtime: "Runtime", request: Request | CheckRequest, recall: MemoryLookup | None = None
) -> Steps[Any]:
    """Return the request's task; `recall` looks sentences up in a translation memory."""
    if isinstance(request, CheckRequest):
        return runtime.checker.steps(request)
    if isinstance(request, SummaryRequest):
        return runtime.summarizer.steps(request, recall)
    return runtime.translator.steps(request, recall)


def best_of_few(requests: Sequence[Request]) -> Sequence[Request]:
    """Return the requests of one caller, `auto` as `best` if they are a few sentences in all."""
    if sum(len(each.text or "") for each in requests) > FEW_CHARACTERS:
        return requests
    return [
        replace(each, quality="best")
        if isinstance(each, TranslationRequest) and each.quality == "auto"
        else each
        for each in requests
    ]


def answer(outcome: Outcome[Any], total_s: float) -> Any:
    """Return the answer of a task that has ended; raise its error. `total_s` is the whole request's time."""
    return render(outcome.unwrap(), text_s=outcome.text_s, model_s=outcome.model_s, total_s=total_s)


def result(outcome: Outcome[Any], total_s: float) -> StoredResult:
    """Return the answer as JSON; see `answer`."""
    return StoredResult(answer(outcome, total_s).model_dump_json().encode())


def failure(error: Exception, request_id: str, number: int | None = None) -> StoredResult:
    """Return an error as the problem document that is its result; `number` is the item's among many."""
    document = problem(error, request_id)
    document = document if number is None else document.of_item(number)
    return StoredResult(document.model_dump_json().encode(), PROBLEM)


def untimed(value: Summary | Translation) -> dict[str, Any]:
    """Return the answer as JSON without its timings, so that the same input gives the same output."""
    return render(value).model_dump(mode="json", exclude={"timings_ms"})


def of_document(
    runtime: "Runtime",
    form: DocumentForm,
    data: bytes,
    glossaries: "Glossaries",
    *,
    limits: Settings,
    in_child: Callable[..., Any],
    recall: MemoryLookup | None = None,
) -> PlannedTask:
    """Plan a document, given by its form and its bytes. Raises InvalidInput with field `file`, and TooLong.

    `in_child` runs a function of the bytes elsewhere; see `Children.run`.
    """
    file = form.file, data
    if isinstance(form, TranslateForm):
        part = in_child(sandbox.to_translate, *file, limits, field="file")
        request = request_maker(form, runtime, glossaries)(text=part.text, format=part.format)
        return PlannedTask(part.text, steps(runtime, request, recall), partial(_file, form, data, in_child))
    assert isinstance(form, SummarizeForm)  # noqa: S101 - there are no others
    article = in_child(sandbox.article, *file, limits, field="file")
    clean = form.clean and article.clean
    request = request_maker(form, runtime, glossaries)(**{article.field: article.text}, clean=clean)
    return PlannedTask(article.text, steps(runtime, request, recall), partial(_with_text, request))


def _with_text(request: Request, outcome: Outcome[Summary], total_s: float) -> StoredResult:
    """Return the answer with the text that its spans refer to: the caller has only the file."""
    told = answer(outcome, total_s)
    told.source.text = told.source.text or request.text
    return StoredResult(told.model_dump_json().encode())


def _file(
    form: TranslateForm,
    data: bytes,
    in_child: Callable[..., Any],
    outcome: Outcome[Translation],
    total_s: float,
) -> StoredResult:
    done = outcome.unwrap()
    comments = comments_on(done.segments) if form.comments else ()
    made = in_child(
        sandbox.translated, form.file, data, done.translation, done.target, comments, field="file"
    )
    name = made.name(form.file, done.target)
    flagged, errors, doubtful = flag_counts(done.segments)
    # a dictionary of HTTP's structured fields (RFC 9651)
    counts = f"segments={len(done.segments)}, flagged={flagged}, errors={errors}, doubtful={doubtful}"
    if known := confidences(done.segments):
        counts += f", likely_right={round(sum(known))}"
    notes = f"{counts}\n{'; '.join((*done.notes, *done.cautions))}"
    if form.report:
        made = _with_report(made, name, answer(outcome, total_s).model_dump_json(indent=2).encode())
        name = made.name(form.file, done.target)
    return StoredResult(made.data, made.media_type, name, notes)


def comments_on(segments: Sequence[Segment] | Sequence[SegmentPart]) -> tuple[Comment, ...]:
    """Return a comment for each sentence that the checks found something in."""
    return tuple(
        Comment(
            each.source.start,
            each.text,
            "\n".join(f"{flag.severity}: {flag.kind}: {flag.reason}" for flag in each.flags),
        )
        for each in segments
        if each.flags
    )


def flag_counts(sentences: Sequence[Segment | SegmentPart | SentencePart]) -> tuple[int, int, int]:
    """Return how many sentences are flagged, how many of these with an error, and how many as doubtful."""
    flags = [each.flags for each in sentences if each.flags]
    doubtful = sum(any(flag.kind == DOUBTFUL for flag in own) for own in flags)
    return len(flags), sum(map(any_error, flags)), doubtful


def _with_report(file: File, name: str, report: bytes) -> File:
    """Return a ZIP file of the translated document, under its name, and its report."""
    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as both:
        both.writestr(name, file.data)
        both.writestr(f"{PurePath(name).stem}.json", report)
    return File(".zip", "application/zip", out.getvalue())
