"""The work on each content: its tasks, the JSON made of their values, and the parameters that touch it.

The JSON is the service's own, without timings, so that the same input gives the same output. Knows no files.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Protocol

from models.errors import DragomanError
from models.tasks.steps import Steps, Timings
from models.tasks.summary import Summary, SummaryRequest
from models.tasks.translation import Translation, TranslationRequest
from models.text.page import read_html
from service.batch.record import Content
from service.schemas import render_summary, render_translation

_UNTIMED = Timings(0.0, 0.0)

KEY_BYTES = 16

Result = dict[str, Any]
Parameters = Mapping[str, Any]


@dataclass(slots=True)
class Ran:
    """A task that has ended."""

    value: Result | None
    error: Exception | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of one content, which share their rounds, and the function that joins their ends."""

    steps: Sequence[Steps[Result]]
    join: Callable[[Sequence[Ran]], Ran] = itemgetter(0)


class Work(Protocol):
    """The work on every content."""

    def tasks(self, content: Content) -> Tasks:
        """Return the tasks for a content. They raise, as they run, what is wrong with it."""

    def parameters(self, content: Content) -> Parameters:
        """Return all that decides this content's result beside itself; JSON."""

    def describe(self, error: Exception, content: Content | None) -> dict[str, Any]:
        """Return the JSON for an error of this content, or of a record that has none."""


@dataclass(frozen=True, slots=True)
class TextWork:
    """One task with its options, for every text."""

    steps: Callable[[Content], Steps[Result]]
    parameters: Callable[[Content], Parameters]

    def tasks(self, content: Content) -> Tasks:
        """See `Work`."""
        return Tasks([self.steps(content)])

    def describe(self, error: Exception, _content: Content | None) -> dict[str, Any]:
        """Name the error by its type: UnsupportedLanguage is `unsupported-language`."""
        if not isinstance(error, DragomanError):
            return {"type": "unexpected-error", "message": f"{type(error).__name__}: {error}"}
        kind = re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
        told: dict[str, Any] = {"type": kind, "message": error.message}
        if error.field is not None:
            told["field"] = error.field
        if error.allowed is not None:
            told["allowed"] = error.allowed
        return told


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


def summary_result(summary: Summary) -> Result:
    """Return the HTTP answer without its timings."""
    return render_summary(summary, _UNTIMED, 0.0).model_dump(mode="json", exclude={"timings_ms"})


def translation_result(translation: Translation) -> Result:
    """Return the HTTP answer without its timings."""
    return render_translation(translation, _UNTIMED, 0.0).model_dump(mode="json", exclude={"timings_ms"})


def summarize(
    summary_steps: Callable[[SummaryRequest], Steps[Summary]], options: SummaryRequest, given: Parameters
) -> TextWork:
    """Summaries by `options`, whose own text doesn't count; `given` is the same as JSON."""

    def steps(content: Content) -> Steps[Result]:
        is_html = content.form == "html"
        text, html = (None, content.value) if is_html else (content.value, None)
        done = yield from summary_steps(replace(options, text=text, html=html))
        return summary_result(replace(done, cautions=()))  # said once, for the whole run

    return TextWork(steps, lambda content: given)


def translate(
    translation_steps: Callable[[TranslationRequest], Steps[Translation]],
    options: TranslationRequest,
    given: Parameters,
) -> TextWork:
    """Translations by `options`, whose own text doesn't count; `given` is the same as JSON.

    HTML comes back as HTML, or if `article` is given as the text of the article found in it.
    """
    article = bool(given.get("article"))

    def form(content: Content) -> Any:
        if content.form == "html":
            return "text" if article else "html"
        return given.get("format") or content.form

    def steps(content: Content) -> Steps[Result]:
        found = content.form == "html" and article
        text = read_html(content.value).content() if found else content.value
        request = replace(options, text=text, format=form(content))
        done = yield from translation_steps(request)
        result = translation_result(replace(done, cautions=()))
        if found:  # as in a summary: the spans refer to it
            result["source"]["text"] = text
        return result

    def parameters(content: Content) -> Parameters:
        own = {**given, "format": form(content), "article": article and content.form == "html"}
        if own["format"] == "text" and content.form == "text":
            protect, glossary = given.get("protect") or [], given.get("glossary") or {}
            own["protect"], own["glossary"] = touching(protect, glossary, content.value)
        return own

    return TextWork(steps, parameters)


def touching(
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
