"""Does the requests of a batch file as their routes do over HTTP, all texts of a request together."""

from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from models.errors import DeadlineExceeded, DragomanError, InvalidInput, ModelUnavailable
from models.tasks.steps import Steps
from models.tasks.summary import SummaryRequest
from models.tasks.translation import TranslationRequest
from service.batch import preflight
from service.batch.record import Content
from service.batch.requests import SUMMARIZE, NoRequest, request_id, request_of
from service.batch.work import Parameters, Ran, Result, Tasks, summary_result, touching, translation_result
from service.named_terms import named_terms
from service.problems import problem
from service.schemas import Asked, parse_summarize, parse_translate

if TYPE_CHECKING:
    from models.entry import ModelEntry
    from service.runtime import Runtime

Request = SummaryRequest | TranslationRequest


class RequestWork:
    """The work of requests, of which each has its own options; see `Work`. Any thread may use it.

    A kept glossary is, for all of a run, what it was when it was first asked for; only those that were made
    without a key are found. The models that were needed are put into `models`, with the revisions in use; one
    that could not be had is not tried again.
    """

    def __init__(self, runtime: "Runtime", models: dict[str, str]):
        self._models = models
        self._runtime = runtime
        self._named = cache(partial(named_terms, runtime, owner=None))
        self._unavailable: dict[str, str] = {}

    def tasks(self, content: Content) -> Tasks:
        """Return a task for each text."""
        try:
            asked = self._asked(content)
        except DragomanError as error:
            return Tasks([self._steps(error)])
        steps = [self._steps(item) for item in asked.items]
        return Tasks(steps, partial(self._results, content)) if asked.many else Tasks(steps)

    def parameters(self, content: Content) -> Parameters:
        """Return models and revisions, and the terms of a kept glossary; nothing for a refused request."""
        try:
            asked = self._asked(content)
            names = {entry.name for request in asked.good[:1] for entry in self._needed(request)}
        except DragomanError:
            return {}
        _, body = request_of(content)
        named = isinstance(body.get("glossary"), str)
        return {
            "models": {name: self._models[name] for name in sorted(names)},
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

    def _asked(self, content: Content) -> Asked[Any]:
        """Parse the body as its route does. Raises InvalidInput where all of it is refused."""
        url, body = request_of(content)
        settings = self._runtime.settings
        asked: Asked[Any]
        if url == SUMMARIZE:
            asked = parse_summarize(body, settings)
        else:
            asked = parse_translate(body, settings, self._named)
        if asked.stream:
            raise InvalidInput("an answer in a batch cannot be streamed", field="stream", allowed="false")
        for request in asked.good[:1]:  # its models are all of theirs
            self._require(self._needed(request))
        return asked

    def _needed(self, request: Request) -> "list[ModelEntry]":
        if isinstance(request, SummaryRequest):
            return preflight.summary_models(self._runtime, request)
        return [preflight.translation_model(self._runtime, request)]

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
        if isinstance(item, SummaryRequest):
            return summary_result((yield from self._runtime.summarizer.steps(item)))
        return translation_result((yield from self._runtime.translator.steps(item)))

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
