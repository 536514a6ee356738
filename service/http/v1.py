"""The service's own interface, /v1: summaries, translations, checks, languages and models."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Literal

from flask import Blueprint, Response, g, request
from pydantic import BaseModel, ConfigDict, Field

from models.catalog import load_sets
from models.checker import CheckRequest
from models.errors import (
    DeadlineExceeded,
    InvalidInput,
    ModelUnavailable,
    Overloaded,
    UnknownModel,
    UnsupportedLanguage,
)
from models.load_progress import READY
from models.text.article.html_article import read_html
from models.text.article.paste import read_pasted
from service import tasks
from service.answers import (
    SUMMARY_EVENTS,
    TRANSLATION_EVENTS,
    CheckAnswer,
    CleanAnswer,
    DetectionAnswer,
    DetectionResults,
    SummaryAnswer,
    SummaryResults,
    TranslationAnswer,
    TranslationResults,
    render_check,
    render_clean,
    render_detection,
)
from service.errors import AdminRequired, TooLong, TooManyTexts
from service.http import examples
from service.http.body import read_json
from service.http.compat import openai
from service.http.openapi import WORK_ERRORS, Example, Operation, add
from service.http.responses import json_response
from service.http.run_request import RequestRunner
from service.http.streaming import OwnScript, stream
from service.options import BODIES, CheckBody, CleanBody, DetectBody, Inputs, inputs
from service.problems import problem
from service.store.results import TaskName
from service.validation import absent, validated

if TYPE_CHECKING:
    from service.runtime import Runtime

CANDIDATES = 3
"""Languages that a detection names."""


class LanguagePart(BaseModel):
    """A language, with the ways from it that are taken where a request names no model."""

    code: str
    name: str
    models: list[str] = Field(description="The models that translate it; a `*` stands for a pair.")
    targets: list[str] | None = absent("The languages that it is translated into if no model is named.")
    via: dict[str, str] | None = absent("Of these, those that go through another language, and which one.")


class LanguageList(BaseModel):
    """All languages."""

    languages: list[LanguagePart]
    quality: str | None = absent("What the models that are taken by default are good at.")


class ModelPart(BaseModel):
    name: str
    family: str
    tasks: list[str]
    languages: list[str] = Field(description="Empty where the model has no fixed list.")
    licence: str
    max_source_tokens: int | None
    description: str
    bundled: bool = Field(description="Comes with the service, so that no model hub is needed.")
    default_for: list[str] = Field(description="The tasks that take it when no model is named.")
    loaded: bool
    state: str = Field(
        description="`not here`, `on disk`, `bundled`, `at a server`, `downloading 41%`, `loading`, or "
        "`ready`."
    )


class ModelList(BaseModel):
    models: list[ModelPart]
    object: Annotated[Literal["list"], Field(description="As OpenAI's clients read it, with `data`.")] = (
        "list"
    )
    data: list[openai.OpenAIModel] = Field([], description="The names for chat completions.")


class PullBody(BaseModel):
    """The model to fetch."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, description="A model of the whole catalog.")


class PullAnswer(BaseModel):
    """How far it is; `GET /v1/models` says it from then on."""

    name: str
    state: str


SUMMARIZE = Operation(
    method="POST",
    path="/summarize",
    tag="summaries",
    summary="Summarize an article, a web page or many texts",
    bodies=(BODIES["summarize"],),
    answers=(SummaryAnswer, SummaryResults),
    streams=SUMMARY_EVENTS,
    errors=WORK_ERRORS,
    examples={
        "one article": Example(examples.SUMMARIZE, examples.SUMMARY),
        "many texts, one of them empty": Example(examples.SUMMARIZE_MANY, examples.SUMMARIES),
    },
)
TRANSLATE = Operation(
    method="POST",
    path="/translate",
    tag="translations",
    summary="Translate a text or many texts",
    bodies=(BODIES["translate"],),
    answers=(TranslationAnswer, TranslationResults),
    streams=TRANSLATION_EVENTS,
    errors=WORK_ERRORS,
    examples={
        "one text": Example(examples.TRANSLATE, examples.TRANSLATION),
        "many texts, one of them empty": Example(examples.TRANSLATE_MANY, examples.TRANSLATIONS),
        "one text as a stream": Example(examples.TRANSLATE_STREAM),
    },
)
DETECT = Operation(
    method="POST",
    path="/detect",
    tag="languages",
    summary="Say which language a text is in",
    bodies=(DetectBody,),
    answers=(DetectionAnswer, DetectionResults),
    errors=(TooLong, TooManyTexts, Overloaded),
    examples={"one text": Example(examples.DETECT, examples.DETECTION)},
)
LANGUAGES = Operation(
    method="GET",
    path="/languages",
    tag="languages",
    summary="The languages, and which models translate them",
    answers=(LanguageList,),
    examples={"one of them": Example(answer=examples.LANGUAGES)},
)
MODELS = Operation(
    method="GET",
    path="/models",
    tag="models",
    summary="The models that can be asked for",
    answers=(ModelList,),
    examples={"one of them": Example(answer=examples.MODELS)},
)

PULL = Operation(
    method="POST",
    path="/models",
    tag="models",
    summary="Fetch and load a model in the background",
    description="With a key made by `dragoman keys create --admin` only.",
    bodies=(PullBody,),
    status=202,
    answers=(PullAnswer,),
    errors=(AdminRequired, UnknownModel, ModelUnavailable),
    examples={
        "one": Example(
            {"name": "facebook/m2m100_418M"}, {"name": "facebook/m2m100_418M", "state": "downloading 41%"}
        )
    },
)
CHECK = Operation(
    method="POST",
    path="/check",
    tag="trust",
    summary="Say what in a summary or translation its source does not support",
    description="Whoever wrote it. Offsets count characters of `output`, those of evidence of `source`.",
    bodies=(CheckBody,),
    answers=(CheckAnswer,),
    errors=(TooLong, UnsupportedLanguage, Overloaded, DeadlineExceeded),
    examples={"a wrong number": Example(examples.CHECK, examples.CHECKED)},
)
CLEAN = Operation(
    method="POST",
    path="/clean",
    tag="trust",
    summary="Give the article alone, without what the web page put around it",
    bodies=(CleanBody,),
    answers=(CleanAnswer,),
    errors=(TooLong, Overloaded),
    examples={"a pasted article": Example(examples.CLEAN, examples.CLEANED)},
)


class V1:
    """The views of /v1 over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._runtime = runtime
        self._settings = runtime.settings
        self._work = work

    def blueprint(self) -> Blueprint:
        routes = Blueprint("v1", __name__, url_prefix="/v1")
        add(routes, SUMMARIZE, self.summarize)
        add(routes, TRANSLATE, self.translate)
        add(routes, DETECT, self.detect)
        add(routes, MODELS, self.models)
        add(routes, LANGUAGES, self.languages)
        add(routes, PULL, self.pull)
        add(routes, CHECK, self.check)
        add(routes, CLEAN, self.clean)
        return routes

    def summarize(self) -> Response:
        return self._done("summarize")

    def translate(self) -> Response:
        return self._done("translate")

    def _done(self, task: TaskName) -> Response:
        with ExitStack() as held:
            held.enter_context(self._work.place())
            body = validated(BODIES[task], read_json(request))
            sent = inputs(body, self._settings)
            make = tasks.request_maker(body, self._runtime, self._work.glossaries())
            self._work.charge(sent.good)
            requests = [make(**{sent.kind: each}) for each in sent.good]
            if body.stream:
                (steps,) = self._work.steps(requests)
                return stream(self._work, held, steps, OwnScript())
            done = self._work.do(requests)
            return _answer(sent, (each.error or tasks.answer(each, done.total_s) for each in done.outcomes))

    def detect(self) -> Response:
        with self._work.place():
            sent = inputs(validated(DetectBody, read_json(request)), self._settings)
            self._work.charge(sent.good)
            candidates = self._runtime.detector.candidates
            return _answer(sent, (render_detection(candidates(each, limit=CANDIDATES)) for each in sent.good))

    def check(self) -> Response:
        with self._work.place():
            body = validated(CheckBody, read_json(request))
            body.require_short(self._settings)
            self._work.charge([body.source, body.output])
            (outcome,) = self._work.check([CheckRequest(**dict(body))]).outcomes
            return json_response(render_check(outcome.unwrap(), body.output))

    def clean(self) -> Response:
        with self._work.place():
            sent = inputs(validated(CleanBody, read_json(request)), self._settings)
            self._work.charge(sent.good)
            read = read_html if sent.kind == "html" else read_pasted
            return json_response(render_clean(self._work.in_child(read, *sent.good, field=sent.kind)))

    def models(self) -> Response:
        settings = self._settings
        defaults = {"summarize": settings.summarize_model, "translate": settings.translate_model}
        parts = [
            ModelPart(
                name=entry.name,
                family=entry.family,
                tasks=list(entry.tasks),
                languages=list(entry.languages),
                licence=entry.licence,
                max_source_tokens=entry.max_source_tokens,
                description=entry.description,
                bundled=entry.bundled,
                default_for=[task for task, name in defaults.items() if name == entry.name],
                loaded=state == READY,
                state=state,
            )
            for entry, state in self._runtime.models()
        ]
        return json_response(ModelList(models=parts, data=openai.listed(self._runtime)))

    def pull(self) -> Response:
        if not g.is_admin:
            raise AdminRequired("only keys created with --admin may fetch models")
        with self._work.place():
            entry = self._runtime.pull(validated(PullBody, read_json(request)).name)
        answer = PullAnswer(name=entry.name, state=self._runtime.pool.state(entry))
        return json_response(answer, 202)

    def languages(self) -> Response:
        translators = [entry for entry in self._runtime.catalog.entries if "translate" in entry.tasks]
        reach = self._runtime.translator.router.reach()
        parts = [
            LanguagePart(
                code=code,
                name=name,
                models=[entry.name for entry in translators if code in entry.languages],
                targets=list(ways) or None,
                via={target: over for target, over in ways.items() if over is not None} or None,
            )
            for code, name in self._runtime.languages.names().items()
            for ways in (reach.get(code, {}),)
        ]
        return json_response(LanguageList(languages=parts, quality=self._quality()))

    def _quality(self) -> str | None:
        """What the chosen set of models is good at, where its models are those that are taken by default."""
        settings = self._settings
        chosen = load_sets()[settings.models].here(settings.device)
        is_whole = (chosen.summarize, chosen.translate) == (
            settings.summarize_model,
            settings.translate_model,
        )
        return chosen.good_at if is_whole else None


def _answer(sent: Inputs, good: Iterator[BaseModel | Exception]) -> Response:
    """The one result itself (an error is raised), or `results`, each with its own errors.

    `good` are the results of `sent.good`; they are put between the items that were wrong from the start.
    """
    results = [item if isinstance(item, InvalidInput) else next(good) for item in sent.items]
    if sent.field == "texts":
        items = [
            problem(each, g.request_id).of_item(i) if isinstance(each, Exception) else each
            for i, each in enumerate(results)
        ]
        body = ",".join(item.model_dump_json() for item in items)
        return Response(f'{{"results":[{body}]}}', mimetype="application/json")
    if isinstance(results[0], Exception):
        raise results[0]
    return json_response(results[0])
