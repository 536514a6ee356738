"""OpenAI's interface, as the `openai` package and much other software speaks it: chat completions and models.

A completion is a translation or a summary, or the answer of an instruct model. Nothing is kept of it.
"""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from models.chat import ChatRequest, chat
from models.errors import UnknownModel
from models.steps import Steps
from service.http.body import read_json
from service.http.compat import openai_models
from service.http.compat.family import Family, answer, message, open_to_browsers, without_nulls
from service.http.compat.openai_answer import Chunks, Completion, Value, error, status_of
from service.http.compat.openai_request import ChatBody, ChatReader, Request
from service.http.streaming import stream
from service.http.work import RequestRunner
from service.schemas.problem import Problem
from service.schemas.requests import validated

if TYPE_CHECKING:
    from service.runtime import Runtime

COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/models"

FUTILE = frozenset({500, 504})
"""Statuses that clients would ask again for, at the same cost and with the same end."""


class OpenAI(Family):
    """The views of an OpenAI server over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._runtime = runtime
        self._work = work
        self._reader = ChatReader(runtime)

    def blueprint(self) -> Blueprint:
        routes = Blueprint("openai", __name__)
        routes.post(COMPLETIONS)(self.complete)
        routes.get(f"{MODELS}/<path:name>")(self.model)
        open_to_browsers(routes, "Authorization, *")  # feed readers call from their pages
        return routes

    def owns(self, path: str) -> bool:
        return path == MODELS or path.startswith(("/v1/chat/", f"{MODELS}/"))

    def error(self, problem: Problem) -> Response:
        """An error in OpenAI's form, with our fields where our own clients ask too."""
        told = {"error": error(problem, message(problem))}
        if request.path.rstrip("/") == MODELS:
            response = answer(problem.model_dump(mode="json", exclude_none=True) | told, problem.status)
            response.mimetype = "application/problem+json"
            return response
        response = answer(told, status_of(problem))
        if problem.status in FUTILE:
            response.headers["x-should-retry"] = "false"
        return response

    def complete(self) -> Response:
        with ExitStack() as held:
            held.enter_context(self._work.place())
            body = validated(ChatBody, without_nulls(read_json(request)))
            asked = self._reader.read(body)
            self._work.charge(_texts(asked))
            if body.stream:
                script = Chunks(body, asked, message)
                return stream(
                    self._work, held, self._steps(asked), script, self._runtime.settings.heartbeat_s
                )
            (outcome,) = self._work.run([self._steps(asked)]).outcomes
            value: Value = outcome.unwrap()
            return answer(Completion(body).whole(value))

    def model(self, name: str) -> Response:
        found = next((each for each in openai_models.listed(self._runtime) if each.id == name), None)
        if found is None:
            raise UnknownModel(f"there is no model {name[:200]!r}", field="model")
        return answer(found.model_dump())

    def _steps(self, asked: Request) -> Steps[Value]:
        if isinstance(asked, ChatRequest):
            return chat(self._runtime.pool, asked)
        return self._work.steps(asked)


def _texts(asked: Request) -> list[str]:
    if isinstance(asked, ChatRequest):
        return [each.content for each in asked.messages]
    return [asked.text or ""]
