"""The plan of work: from a task, its options and a content to steps, and from their value to an answer.

Whatever is done for a body of JSON, a form, a record of a file or an item of a job is planned here: nobody
else reads bodies as requests or renders answers.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

from models.steps import Outcome, Steps, Timings
from models.summarize.summarizer import Summary, SummaryRequest
from models.translate.translator import MemoryLookup, Translation, TranslationRequest
from service.documents import sandbox
from service.problems import problem
from service.schemas.answers import SummaryAnswer, TranslationAnswer, render_summary, render_translation
from service.schemas.requests import Asked, NamedTerms, parse_summarize, parse_translate
from service.settings import Settings
from service.work.flagged import comments_on, counts, with_report
from service.work.named_terms import named_terms

if TYPE_CHECKING:
    from service.runtime import Runtime

TaskName = Literal["summarize", "translate"]
Request = SummaryRequest | TranslationRequest
Answer = SummaryAnswer | TranslationAnswer

COMMENTS, REPORT, BILLED = "comments", "report", "billed_characters"
"""Options of a document, beside those of its text."""
PROBLEM = "application/problem+json"
"""The media type of a result that says why there is none."""


@dataclass(frozen=True, slots=True)
class Result:
    """An item's answer as it is given back: JSON, or a file."""

    data: bytes
    media_type: str = "application/json"
    filename: str | None = None
    notes: str = ""
    """Of a translated document: a line with the counts of its flags, then what its reader should know."""

    @property
    def failed(self) -> bool:
        """True for a problem document."""
        return self.media_type == PROBLEM

    @classmethod
    def of_error(cls, error: Exception, request_id: str, number: int | None = None) -> "Result":
        """Return the problem document of an error; `number` is the item's among many."""
        document = problem(error, request_id)
        document = document if number is None else document.of_item(number)
        return cls(document.model_dump_json().encode(), PROBLEM)


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task, and what becomes of its outcome."""

    text: str
    """The text that is read, for whoever counts characters."""
    steps: Steps[Any]
    result: Callable[[Outcome[Any], float], Result]
    """From the outcome and the seconds of the whole request. Raises the outcome's error."""


def terms_of(runtime: "Runtime", owner: str | None) -> NamedTerms:
    """Return the function that looks the owner's kept glossaries up."""
    return partial(named_terms, runtime, owner=owner)


def asked(task: TaskName, body: object, *, limits: Settings, terms: NamedTerms) -> Asked[Any]:
    """Return the requests of a body, read before or not. Raises InvalidInput where all of it is refused."""
    if task == "summarize":
        return parse_summarize(body, limits)
    return parse_translate(body, limits, terms)


def with_options(
    runtime: "Runtime", task: TaskName, options: Mapping[str, Any], owner: str | None
) -> Callable[..., Any]:
    """Return the function that makes requests of these options, which were checked before, and other fields.

    Raises UnknownGlossary if the glossary that they name is gone.
    """
    if task == "summarize":
        return partial(SummaryRequest, **options)
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    if not isinstance(given.get("glossary"), str):
        return partial(TranslationRequest, **given)
    source = given.get("source", "auto")
    terms = terms_of(runtime, owner)(given.pop("glossary"), source, given["target"])
    return lambda text, **fields: TranslationRequest(**given, **fields, text=text, glossary=terms(text))


def steps(runtime: "Runtime", request: Request, recall: MemoryLookup | None = None) -> Steps[Any]:
    """Return the request's task; `recall` looks sentences up in a translation memory."""
    if isinstance(request, SummaryRequest):
        return runtime.summarizer.steps(request)
    return runtime.translator.steps(request, recall)


@overload
def answer(outcome: Outcome[Summary], total_s: float) -> SummaryAnswer: ...


@overload
def answer(outcome: Outcome[Translation], total_s: float) -> TranslationAnswer: ...


def answer(outcome: Outcome[Any], total_s: float) -> Answer:
    """Return the answer of a task that has ended; raise its error. `total_s` is the whole request's time."""
    value: Summary | Translation = outcome.unwrap()
    if isinstance(value, Summary):
        return render_summary(value, outcome.timings, total_s)
    return render_translation(value, outcome.timings, total_s)


def result(outcome: Outcome[Any], total_s: float) -> Result:
    """Return the answer as JSON; see `answer`."""
    return Result(answer(outcome, total_s).model_dump_json().encode())


def untimed(value: Summary | Translation) -> dict[str, Any]:
    """Return the answer as JSON without its timings, so that the same input gives the same output."""
    outcome: Outcome[Any] = Outcome(value, None, Timings(0.0, 0.0))
    told: Answer = answer(outcome, 0.0)
    return told.model_dump(mode="json", exclude={"timings_ms"})


def of_document(
    runtime: "Runtime",
    task: TaskName,
    options: Mapping[str, Any],
    file: tuple[str, bytes],
    *,
    limits: Settings,
    apart: Callable[..., Any],
    recall: MemoryLookup | None = None,
) -> PlannedTask:
    """Plan a document, given by its name and its bytes. Raises InvalidInput with field `file`, and TooLong.

    `apart` runs a function of the bytes elsewhere; see `Children.run`.
    """
    wanted = frozenset(name for name in (COMMENTS, REPORT) if options.get(name))
    fields = {name: value for name, value in options.items() if name not in (COMMENTS, REPORT, BILLED)}
    make = with_options(runtime, task, fields, owner=None)
    if task == "summarize":
        article = apart(sandbox.article, *file, limits, field="file")
        request = make(**{article.field: article.text}, clean=article.clean)
        return PlannedTask(article.text, steps(runtime, request), partial(_with_text, request))
    part = apart(sandbox.to_translate, *file, limits, field="file")
    request = make(text=part.text, format=part.format)
    return PlannedTask(part.text, steps(runtime, request, recall), partial(_file, file, apart, wanted))


def _with_text(request: SummaryRequest, outcome: Outcome[Summary], total_s: float) -> Result:
    """Return the answer with the text that its spans refer to: the caller has only the file."""
    told = render_summary(outcome.unwrap(), outcome.timings, total_s)
    told.source.text = told.source.text or request.text
    return Result(told.model_dump_json().encode())


def _file(
    file: tuple[str, bytes],
    apart: Callable[..., Any],
    wanted: Collection[str],
    outcome: Outcome[Translation],
    total_s: float,
) -> Result:
    done = outcome.unwrap()
    comments = comments_on(done.segments) if COMMENTS in wanted else ()
    made = apart(sandbox.translated, *file, done.translation, done.target, comments, field="file")
    name = made.name(file[0], done.target)
    notes = f"{counts(done.segments)}\n{'; '.join((*done.notes, *done.cautions))}"
    if REPORT in wanted:
        made = with_report(made, name, answer(outcome, total_s).model_dump_json(indent=2).encode())
        name = made.name(file[0], done.target)
    return Result(made.data, made.media_type, name, notes)
