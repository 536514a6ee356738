"""The work on each record's content: one task with the same options for all, and the keys of its results."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from models.errors import DragomanError
from models.steps import Steps
from models.summarize.summarizer import SummaryRequest
from models.text.article.html_article import read_html
from service.batch.record import Content
from service.problems import kind_of
from service.recollection import FileMemory
from service.work import plan
from service.work.plan import Request

if TYPE_CHECKING:
    from service.runtime import Runtime

KEY_BYTES = 16

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """Summaries or translations by `options`, whose own text doesn't count; `given` is the same as JSON.

    HTML is translated as HTML, or if `article` is given as the text of the article found in it.
    """

    runtime: "Runtime"
    options: Request
    given: Mapping[str, Any]
    memory: FileMemory | None = None

    def steps(self, content: Content) -> Steps[Result]:
        """Return the task for a content. It raises, as it runs, what is wrong with it."""
        text = read_html(content.value).content() if self._is_article(content) else content.value
        recall = None if self.memory is None else self.memory.recall
        done = yield from plan.steps(self.runtime, self._request(content, text), recall)
        result = plan.untimed(replace(done, cautions=()))  # those are said once for the whole run
        if self._is_article(content):  # as in a summary: the spans refer to it
            result["source"]["text"] = text
        return result

    def parameters(self, content: Content) -> Mapping[str, Any]:
        """Return all that decides this content's result beside itself, and is not the same for all; JSON."""
        if isinstance(self.options, SummaryRequest):
            return self.given
        own = {**self.given, "format": self._format(content), "article": self._is_article(content)}
        if own["format"] == "text" and content.form == "text":
            protect, glossary = self.given.get("protect") or [], self.given.get("glossary") or {}
            own["protect"], own["glossary"] = _touching(protect, glossary, content.value)
        return own

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


@dataclass(frozen=True, slots=True)
class ResultKeys:
    """Makes keys of results from the content, its parameters, and `job`: JSON, and the same for all."""

    work: Work
    job: Mapping[str, Any]

    def key(self, content: Content) -> bytes:
        """Return a key that is equal for equal results."""
        decisive = [self.job, self.work.parameters(content), content.form]
        head = json.dumps(decisive, sort_keys=True, ensure_ascii=True).encode()
        digest = hashlib.blake2b(head, digest_size=KEY_BYTES)
        digest.update(b"\0" + content.value.encode())
        return digest.digest()


def row_error(error: Exception) -> dict[str, Any]:
    """Return the `error` of a row: its kind, as problem documents have it, and its words."""
    told: dict[str, Any] = {"type": kind_of(error).slug}
    if not isinstance(error, DragomanError):
        return told | {"message": f"{type(error).__name__}: {error}"}
    told["message"] = error.message
    if error.field is not None:
        told["field"] = error.field
    if error.allowed is not None:
        told["allowed"] = error.allowed
    return told


def _touching(
    protect: Sequence[str], glossary: Mapping[str, str], text: str
) -> tuple[list[str], dict[str, str]]:
    """Return the terms that may stand in a text: those whose letters do, whatever is between them."""
    if not protect and not glossary:
        return [], {}
    there = _letters(text)
    return (
        [term for term in protect if _letters(term) in there],
        {term: to for term, to in glossary.items() if _letters(term) in there},
    )


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))
