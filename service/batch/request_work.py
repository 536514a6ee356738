"""Does the requests of a batch file as their routes do over HTTP, all texts of a request together."""

from collections.abc import Sequence
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

from models.errors import DeadlineExceeded, DragomanError, InvalidInput, ModelUnavailable
from models.tasks.steps import Steps
from models.tasks.translation import TranslationRequest
from service.batch import preflight
from service.batch.record import Content
from service.batch.requests import ROUTES, NoRequest, request_id, request_of
from service.batch.work import Parameters, Ran, Result, Tasks, touching
from service.problems import problem
from service.schemas.requests import Asked
from service.work import plan
from service.work.plan import Request

if TYPE_CHECKING:
    from models.entry import ModelEntry
    from service.runtime import Runtime

PARSED = 4096
"""Requests whose reading is kept: they are read for their keys first, and soon after to be done."""


class RequestWork:
    """The work of requests, of which each has its own options; see `Work`. Any thread may use it.

    A kept glossary is, for all of a run, what it was when it was first asked for; only those that were made
    without a key are found. The models that were needed are put into `models`, with the revisions in use; one
    that could not be had is not tried again.
    """

    def __init__(self, runtime: "Runtime", models: dict[str, str]):
        self._models = models
        self._runtime = runtime
        self._terms = cache(plan.terms_of(runtime, None))
        self._read = lru_cache(PARSED)(self._asked)
        self._unavailable: dict[str, str] = {}

    def tasks(self, content: Content) -> Tasks:
        """Return a task for each text."""
        asked = self._read(content)
        if isinstance(asked, DragomanError):
            return Tasks([self._steps(asked)])
        steps = [self._steps(item) for item in asked.items]
        return Tasks(steps, partial(self._results, content)) if asked.many else Tasks(steps)

    def parameters(self, content: Content) -> Parameters:
        """Return models and revisions, and the terms of a kept glossary; nothing for a refused request."""
        asked = self._read(content)
        if isinstance(asked, DragomanError):
            return {}
        needed = [entry for each in asked.good[:1] for entry in preflight.needed(self._runtime, each)]
        _, body = request_of(content)
        named = isinstance(body.get("glossary"), str)
        return {
            "models": {name: self._models[name] for name in sorted({entry.name for entry in needed})},
            "terms": [_terms(request) for request in asked.good] if named else [],
        }

    def describe(self, error: Exception, content: Content | None) -> dict[str, Any]:
        """Return a line's `response` and `error`, as OpenAI's error files have them."""
        if content is None:
            code = error.code if isinstance(error, NoRequest) else "invalid_json_line"
            field = error.field if isinstance(error, DragomanError) else None
            return {"response": None, "error": {"code": code, "message": str(error), "param": field}}
        own_id = request_id(content)
        document = problem(error, own_id)
        told = document.model_dump(mode="json")
        return {
            "response": {"status_code": document.status, "request_id": own_id, "body": told},
            "error": None,
        }

    # ------------------------------------------------------------------ inside

    def _asked(self, content: Content) -> Asked[Any] | DragomanError:
        """Read the body as its route does; return the error where all of it is refused."""
        url, body = request_of(content)
        try:
            asked = plan.asked(ROUTES[url], body, limits=self._runtime.settings, terms=self._terms)
            if asked.stream:
                raise InvalidInput("an answer in a batch cannot be streamed", field="stream", allowed="false")
            if any(getattr(request, "partial", False) for request in asked.good):
                raise InvalidInput("an answer in a batch is whole", field="partial", allowed="false")
            for request in asked.good[:1]:  # its models are all of theirs
                self._require(preflight.needed(self._runtime, request))
        except DragomanError as error:
            return error
        return asked

    def _require(self, needed: "Sequence[ModelEntry]") -> None:
        for entry in needed:
            if entry.name in self._models:
                continue
            if entry.name not in self._unavailable:
                try:
                    self._models[entry.name] = preflight.revision(self._runtime, entry)
                    continue
                except ModelUnavailable as error:
                    self._unavailable[entry.name] = error.message
            raise ModelUnavailable(self._unavailable[entry.name])

    def _steps(self, item: Request | DragomanError) -> Steps[Result]:
        if isinstance(item, DragomanError):
            raise item
        return plan.untimed((yield from plan.steps(self._runtime, item)))

    def _results(self, content: Content, ran: Sequence[Ran]) -> Ran:
        """Join the answer to `texts`: a failed one has a problem in its place. One out of time fails all."""
        seconds = sum(each.seconds for each in ran)
        late = next((each.error for each in ran if isinstance(each.error, DeadlineExceeded)), None)
        if late is not None:
            return Ran(None, late, seconds)
        own_id = request_id(content)
        results = [
            each.value
            if each.error is None
            else problem(each.error, own_id).of_item(number).model_dump(mode="json")
            for number, each in enumerate(ran)
        ]
        return Ran({"results": results}, None, seconds)


def _terms(request: TranslationRequest) -> dict[str, str]:
    """Return the glossary's terms that may stand in the text, or all if that cannot be told."""
    if request.format != "text":
        return dict(request.glossary)
    return touching([], request.glossary, request.text)[1]
