"""The service's own interface: /v1. Requests are parsed and answers rendered by `service.schemas`."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from flask import Blueprint, Response, g, request
from pydantic import BaseModel

from models.errors import InvalidInput
from models.tasks.steps import Timings
from models.tasks.summary import Summary
from models.tasks.translation import Translation
from service.http.body import read_json
from service.http.errors import problem
from service.http.work import Done, Work
from service.schemas import (
    Asked,
    LanguageList,
    ModelList,
    Problem,
    parse_detect,
    parse_summarize,
    parse_translate,
    render_detection,
    render_summary,
    render_translation,
)
from service.schemas.answers import LanguagePart, ModelPart

if TYPE_CHECKING:
    from service.runtime import Runtime

R = TypeVar("R")
T = TypeVar("T", Summary, Translation)

CANDIDATES = 3
"""How many languages a detection names."""


class V1:
    """The views of /v1 over a runtime."""

    def __init__(self, runtime: "Runtime", work: Work):
        self._runtime = runtime
        self._settings = runtime.settings
        self._work = work

    def blueprint(self) -> Blueprint:
        routes = Blueprint("v1", __name__, url_prefix="/v1")
        routes.post("/summarize")(self.summarize)
        routes.post("/translate")(self.translate)
        routes.post("/detect")(self.detect)
        routes.get("/models")(self.models)
        routes.get("/languages")(self.languages)
        return routes

    def summarize(self) -> Response:
        with self._work.place():
            asked = parse_summarize(read_json(request), self._settings)
            return _answer(asked, _rendered(self._work.summarize(asked.good), render_summary))

    def translate(self) -> Response:
        with self._work.place():
            asked = parse_translate(read_json(request), self._settings)
            return _answer(asked, _rendered(self._work.translate(asked.good), render_translation))

    def detect(self) -> Response:
        with self._work.place():
            asked = parse_detect(read_json(request), self._settings)
            candidates = self._runtime.detector.candidates
            return _answer(
                asked, (render_detection(candidates(text, limit=CANDIDATES)) for text in asked.good)
            )

    def models(self) -> Response:
        settings, loaded = self._settings, set(self._runtime.pool.loaded())
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
                loaded=entry.name in loaded,
            )
            for entry in self._runtime.catalog.entries
        ]
        return _json(ModelList(models=parts))

    def languages(self) -> Response:
        translators = [entry for entry in self._runtime.catalog.entries if "translate" in entry.tasks]
        parts = [
            LanguagePart(
                code=code, name=name, models=[entry.name for entry in translators if code in entry.languages]
            )
            for code, name in self._runtime.languages.names().items()
        ]
        return _json(LanguageList(languages=parts))


def _rendered(
    done: Done[T], render: Callable[[T, Timings, float], BaseModel]
) -> Iterator[BaseModel | Exception]:
    for outcome in done.outcomes:
        yield outcome.error or render(outcome.unwrap(), outcome.timings, done.total_s)


def _answer(asked: Asked[R], good: Iterator[BaseModel | Exception]) -> Response:
    """The one result itself (an error is raised), or `results`, each with its own errors.

    `good` are the results of `asked.good`; they are put between the items that were wrong from the start.
    """
    results = [item if isinstance(item, InvalidInput) else next(good) for item in asked.items]
    if asked.many:
        items = [_item_problem(i, r) if isinstance(r, Exception) else r for i, r in enumerate(results)]
        body = ",".join(item.model_dump_json() for item in items)
        return Response(f'{{"results":[{body}]}}', mimetype="application/json")
    if isinstance(results[0], Exception):
        raise results[0]
    return _json(results[0])


def _item_problem(index: int, error: Exception) -> Problem:
    document = problem(error, g.request_id)
    if document.field == "text":  # as the task, which sees one text only, calls it
        document.field = f"texts[{index}]"
    return document


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), mimetype="application/json")
