"""The work on texts and pages: one task with the same options for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from models.errors import DragomanError
from models.tasks.steps import Steps
from models.tasks.summary import SummaryRequest
from models.text.article.page import read_html
from service.batch.record import Content
from service.batch.work import Parameters, Result, Tasks, touching
from service.problems import kind_of
from service.recollection import FileMemory
from service.work import plan
from service.work.plan import Request

if TYPE_CHECKING:
    from service.runtime import Runtime


@dataclass(frozen=True, slots=True)
class TextWork:
    """Summaries or translations by `options`, whose own text doesn't count; `given` is the same as JSON.

    HTML is translated as HTML, or if `article` is given as the text of the article found in it.
    """

    runtime: "Runtime"
    options: Request
    given: Mapping[str, Any]
    memory: FileMemory | None = None

    def tasks(self, content: Content) -> Tasks:
        """See `Work`."""
        return Tasks([self._steps(content)])

    def parameters(self, content: Content) -> Parameters:
        """See `Work`."""
        if isinstance(self.options, SummaryRequest):
            return self.given
        own = {**self.given, "format": self._format(content), "article": self._is_article(content)}
        if own["format"] == "text" and content.form == "text":
            protect, glossary = self.given.get("protect") or [], self.given.get("glossary") or {}
            own["protect"], own["glossary"] = touching(protect, glossary, content.value)
        return own

    def describe(self, error: Exception, _content: Content | None) -> dict[str, Any]:
        """Return the kind of the error, as problem documents have it, and its words."""
        told: dict[str, Any] = {"type": kind_of(error).slug}
        if not isinstance(error, DragomanError):
            return told | {"message": f"{type(error).__name__}: {error}"}
        told["message"] = error.message
        if error.field is not None:
            told["field"] = error.field
        if error.allowed is not None:
            told["allowed"] = error.allowed
        return told

    def _steps(self, content: Content) -> Steps[Result]:
        text = read_html(content.value).content() if self._is_article(content) else content.value
        recall = None if self.memory is None else self.memory.recall
        done = yield from plan.steps(self.runtime, self._request(content, text), recall)
        result = plan.untimed(replace(done, cautions=()))  # those are said once for the whole run
        if self._is_article(content):  # as in a summary: the spans refer to it
            result["source"]["text"] = text
        return result

    def _request(self, content: Content, text: str) -> Request:
        if not isinstance(self.options, SummaryRequest):
            return replace(self.options, text=text, format=self._format(content))
        is_html = content.form == "html"
        return replace(self.options, text=None if is_html else text, html=text if is_html else None)

    def _is_article(self, content: Content) -> bool:
        return content.form == "html" and bool(self.given.get("article"))

    def _format(self, content: Content) -> Any:
        if content.form == "html":
            return "text" if self._is_article(content) else "html"
        return self.given.get("format") or content.form
