"""The service's own interface: /v1. Requests are parsed and answers rendered by `service.schemas`."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from flask import Blueprint, Response, g, request
from pydantic import BaseModel

from models.errors import InvalidInput, Overloaded
from models.load_progress import READY
from models.sets import load_sets
from service.errors import TooLong, TooManyTexts
from service.http.body import read_json
from service.http.compat import openai
from service.http.openapi import WORK_ERRORS, Example, Operation, add
from service.http.streaming import OwnScript, stream
from service.http.work import RequestRunner
from service.problems import problem
from service.schemas import examples
from service.schemas.answers import DetectionAnswer, SummaryAnswer, TranslationAnswer, render_detection
from service.schemas.events import SUMMARY_EVENTS, TRANSLATION_EVENTS
from service.schemas.languages import LanguageList, LanguagePart
from service.schemas.models import ModelList, ModelPart
from service.schemas.requests import Asked, DetectBody, SummarizeBody, TranslateBody, parse_detect
from service.schemas.results import DetectionResults, SummaryResults, TranslationResults
from service.work import plan
from service.work.plan import TaskName

if TYPE_CHECKING:
    from service.runtime import Runtime

R = TypeVar("R")

CANDIDATES = 3
"""Languages that a detection names."""

SUMMARIZE = Operation(
    method="POST",
    path="/summarize",
    tag="summaries",
    summary="Summarize an article, a web page or many texts",
    body=SummarizeBody,
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
    body=TranslateBody,
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
    body=DetectBody,
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
        return routes

    def summarize(self) -> Response:
        return self._done("summarize")

    def translate(self) -> Response:
        return self._done("translate")

    def _done(self, task: TaskName) -> Response:
        with ExitStack() as held:
            held.enter_context(self._work.place())
            body = read_json(request)
            terms = plan.terms_of(self._runtime, g.key_id)
            asked = plan.asked(task, body, limits=self._settings, terms=terms)
            self._work.charge(each.text or each.html for each in asked.good)
            if asked.stream:
                steps = self._work.steps(asked.good[0])
                return stream(self._work, held, steps, OwnScript(plan.answer))
            done = self._work.do(asked.good)
            return _answer(asked, (each.error or plan.answer(each, done.total_s) for each in done.outcomes))

    def detect(self) -> Response:
        with self._work.place():
            asked = parse_detect(read_json(request), self._settings)
            self._work.charge(asked.good)
            candidates = self._runtime.detector.candidates
            return _answer(
                asked, (render_detection(candidates(text, limit=CANDIDATES)) for text in asked.good)
            )

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
        return _json(ModelList(models=parts, data=openai.listed(self._runtime)))

    def languages(self) -> Response:
        translators = [entry for entry in self._runtime.catalog.entries if "translate" in entry.tasks]
        reach = self._runtime.translator.reach()
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
        return _json(LanguageList(languages=parts, quality=self._quality()))

    def _quality(self) -> str | None:
        """What the chosen set of models is good at, where its models are those that are taken by default."""
        settings = self._settings
        chosen = load_sets()[settings.models].here(settings.device)
        is_whole = (chosen.summarize, chosen.translate) == (
            settings.summarize_model,
            settings.translate_model,
        )
        return chosen.good_at if is_whole else None


def _answer(asked: Asked[R], good: Iterator[BaseModel | Exception]) -> Response:
    """The one result itself (an error is raised), or `results`, each with its own errors.

    `good` are the results of `asked.good`; they are put between the items that were wrong from the start.
    """
    results = [item if isinstance(item, InvalidInput) else next(good) for item in asked.items]
    if asked.many:
        items = [
            problem(each, g.request_id).of_item(i) if isinstance(each, Exception) else each
            for i, each in enumerate(results)
        ]
        body = ",".join(item.model_dump_json() for item in items)
        return Response(f'{{"results":[{body}]}}', mimetype="application/json")
    if isinstance(results[0], Exception):
        raise results[0]
    return _json(results[0])


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), mimetype="application/json")
