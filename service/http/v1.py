"""The service's own interface: /v1. Requests are parsed and answers rendered by `service.schemas`."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from flask import Blueprint, Response, g, request
from pydantic import BaseModel

from models.errors import DeadlineExceeded, InvalidInput, Overloaded
from models.tasks.steps import Outcome, Steps, Timings
from models.tasks.summary import Summary
from models.tasks.translation import Translation
from service.http.admission import Gate
from service.http.body import read_json
from service.http.errors import problem
from service.http.metrics import Metrics
from service.http.readiness import Readiness
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

    def __init__(self, runtime: "Runtime", gate: Gate, readiness: Readiness, metrics: Metrics):
        self._runtime = runtime
        self._settings = runtime.settings
        self._gate = gate
        self._readiness = readiness
        self._metrics = metrics

    def blueprint(self) -> Blueprint:
        routes = Blueprint("v1", __name__, url_prefix="/v1")
        routes.post("/summarize")(self.summarize)
        routes.post("/translate")(self.translate)
        routes.post("/detect")(self.detect)
        routes.get("/models")(self.models)
        routes.get("/languages")(self.languages)
        return routes

    def summarize(self) -> Response:
        with self._gate.enter():
            self._readiness.require()
            asked = parse_summarize(read_json(request), self._settings)
            return self._work("summarize", asked, self._runtime.summarizer.steps, render_summary)

    def translate(self) -> Response:
        with self._gate.enter():
            self._readiness.require()
            asked = parse_translate(read_json(request), self._settings)
            return self._work("translate", asked, self._runtime.translator.steps, render_translation)

    def detect(self) -> Response:
        with self._gate.enter():
            asked = parse_detect(read_json(request), self._settings)
            return _answer(asked, [self._detected(item) for item in asked.items])

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

    def _work(
        self,
        task: str,
        asked: Asked[R],
        steps: Callable[[R], Steps[T]],
        render: Callable[[T, Timings, float], BaseModel],
    ) -> Response:
        """Run what can be run of what was asked for, all of it together."""
        start = time.perf_counter()
        tasks = [steps(item) for item in asked.items if not isinstance(item, InvalidInput)]
        outcomes = self._runtime.run_all(tasks, timeout_s=self._settings.request_timeout_s)
        total_s = time.perf_counter() - start
        _raise_if_all(outcomes)
        results: Iterator[BaseModel | Exception] = (
            self._rendered(task, outcome, total_s, render) for outcome in outcomes
        )
        return _answer(
            asked, [item if isinstance(item, InvalidInput) else next(results) for item in asked.items]
        )

    def _rendered(
        self,
        task: str,
        outcome: Outcome[T],
        total_s: float,
        render: Callable[[T, Timings, float], BaseModel],
    ) -> BaseModel | Exception:
        if outcome.error is not None:
            return outcome.error
        value = outcome.unwrap()
        self._metrics.observe_usage(task, value.model, value.usage)
        return render(value, outcome.timings, total_s)

    def _detected(self, text: str | InvalidInput) -> BaseModel | Exception:
        if isinstance(text, InvalidInput):
            return text
        return render_detection(self._runtime.detector.candidates(text, limit=CANDIDATES))


def _raise_if_all(outcomes: Sequence[Outcome[T]]) -> None:
    """A queue that is full, or a time that is up, for every item is the whole request's affair."""
    errors = [outcome.error for outcome in outcomes]
    for kind in (Overloaded, DeadlineExceeded):
        if errors and errors[0] is not None and all(isinstance(error, kind) for error in errors):
            raise errors[0]


def _answer(asked: Asked[R], results: Sequence[BaseModel | Exception]) -> Response:
    """The one result itself (an error is raised), or `results`, each with its own errors."""
    if asked.many:
        items = [
            _item_problem(i, each) if isinstance(each, Exception) else each for i, each in enumerate(results)
        ]
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
