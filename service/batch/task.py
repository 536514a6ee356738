"""A batch's task: a value that can be sent to another machine, and its execution over a runtime."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from models.catalog import ModelEntry
from models.steps import Outcome, Steps
from models.summarize.summarizer import SummaryRequest
from models.text.article.html_article import read_html
from models.translate.translator import MemoryLookup
from service import tasks
from service.batch import preflight
from service.batch.record import Content
from service.batch.writers import dumps
from service.store.results import StoredResult, TaskName
from service.store.tmx import TmxPair, file_memory
from service.tasks import PlannedTask, Request

if TYPE_CHECKING:
    from service.runtime import Runtime

KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Task:
    """Summaries or translations by `request`, whose own text doesn't count; `given` is the same as JSON."""

    name: TaskName
    request: Request
    given: Mapping[str, Any]
    pairs: tuple[TmxPair, ...] = ()
    """Sentences that are translated as they are here."""

    def writes(self, runtime: "Runtime") -> bool:
        """Tell whether one of its models writes, behind an engine. Raises UnknownModel."""
        entries: list[ModelEntry] = preflight.needed(runtime, self.request)
        return any(entry.kind not in ("extractive", "entailment") for entry in entries)

    def work(self, runtime: "Runtime") -> "BatchWork":
        """Return the work on each content."""
        recall = file_memory(self.pairs, runtime.languages) if self.pairs else None
        return BatchWork(runtime, self.request, self.given, recall)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """All that another process needs to do units of a task; it is pickled."""

    open_runtime: Callable[..., "Runtime"]
    """Called there, with settings that differ, before anything heavy is imported."""
    task: Task
    models: Mapping[str, str]
    """Those with the revisions that another machine must have too."""
    record_timeout_s: float | None


@dataclass(frozen=True, slots=True)
class BatchWork:
    """Plans each record's content, and makes the keys of its results.

    HTML is translated as HTML, or if `article` is given as the text of the article found in it.
    """

    runtime: "Runtime"
    request: Request
    given: Mapping[str, Any]
    recall: MemoryLookup | None = None

    def plan(self, content: Content) -> PlannedTask:
        """Plan the task of a content. It raises, as it runs, what is wrong with it."""
        return PlannedTask(content.value, self._steps(content), _result)

    def keys(self, job: Mapping[str, Any]) -> Callable[[Content], bytes]:
        """Return a function from a content to its key, which is equal for equal results.

        `job` is JSON that decides all results: the task and its models.
        """
        return partial(self._key, job)

    def _key(self, job: Mapping[str, Any], content: Content) -> bytes:
        head = json.dumps([job, self._parameters(content), content.form], sort_keys=True, ensure_ascii=True)
        digest = hashlib.blake2b(head.encode(), digest_size=KEY_BYTES)
        digest.update(b"\0" + content.value.encode())
        return digest.digest()

    def _steps(self, content: Content) -> Steps[dict[str, Any]]:
        is_article = self._is_article(content)
        text = read_html(content.value).content() if is_article else content.value
        done = yield from tasks.steps(self.runtime, self._request(content, text), self.recall)
        result = tasks.untimed(replace(done, cautions=()))  # those are said once for the whole run
        if is_article:  # as in a summary: the spans refer to it
            result["source"]["text"] = text
        return result

    def _request(self, content: Content, text: str) -> Request:
        if not isinstance(self.request, SummaryRequest):
            return replace(self.request, text=text, format=self._format(content))
        is_html = content.form == "html"
        return replace(self.request, text=None if is_html else text, html=text if is_html else None)

    def _parameters(self, content: Content) -> Mapping[str, Any]:
        """Return all that decides this content's result beside itself, and is not the same for all; JSON."""
        if isinstance(self.request, SummaryRequest):
            return self.given
        own = {**self.given, "format": self._format(content), "article": self._is_article(content)}
        if own["format"] == "text" and content.form == "text":
            protect, glossary = self.given.get("protect") or [], self.given.get("glossary") or {}
            own["protect"], own["glossary"] = _touching(protect, glossary, content.value)
        return own

    def _is_article(self, content: Content) -> bool:
        return content.form == "html" and bool(self.given.get("article"))

    def _format(self, content: Content) -> Any:
        if content.form == "html":
            return "text" if self._is_article(content) else "html"
        return self.given.get("format") or content.form


def _result(outcome: Outcome[dict[str, Any]], seconds: float) -> StoredResult:
    result = outcome.unwrap()
    language = (result.get("detected") or result["source"])["language"]  # of a summary, or of a translation
    parts = (*result.get("sentences", ()), *result.get("segments", ()))
    flags = Counter(flag["kind"] for part in parts for flag in part.get("flags") or ())
    told = [each["confidence"] for each in result.get("segments", ()) if not each["abstained"]]
    known = [confidence for confidence in told if confidence is not None]
    return StoredResult(
        dumps(result).encode(),
        language=language,
        flags=dict(flags),
        sentences=len(known),
        likely_right=sum(known),
        seconds=seconds,
    )


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
