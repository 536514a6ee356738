"""What is done to each content: a task, whose value becomes JSON, and the parameters that touch it.

The JSON is the service's own, without timings, so that the same input gives the same output. Knows no files.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Work:
    """One task, with its options, to be done to every content."""

    steps: Callable[[Content], Steps[Result]]
    """From a content to its result. What is wrong with the content is raised when the steps run."""
    parameters: Callable[[Content], Parameters]
    """What of the options decides this content's result; JSON."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What results are kept by: the content, what decides its result, and `job`, the same for all; JSON."""

    work: Work
    job: Mapping[str, Any]

    def key(self, content: Content) -> bytes:
        """Equal for equal results."""
        decisive = [self.job, self.work.parameters(content), content.form]
        head = json.dumps(decisive, sort_keys=True, ensure_ascii=True).encode()
        digest = hashlib.blake2b(head, digest_size=KEY_BYTES)
        digest.update(b"\0" + content.value.encode())
        return digest.digest()


def summarize(
    summary_steps: Callable[[SummaryRequest], Steps[Summary]], options: SummaryRequest, given: Parameters
) -> Work:
    """Summaries by `options`, whose own text doesn't count; `given` is the same as JSON."""

    def steps(content: Content) -> Steps[Result]:
        is_html = content.form == "html"
        text, html = (None, content.value) if is_html else (content.value, None)
        summary = yield from summary_steps(replace(options, text=text, html=html))
        return render_summary(summary, _UNTIMED, 0.0).model_dump(mode="json", exclude={"timings_ms"})

    return Work(steps, lambda content: given)


def translate(
    translation_steps: Callable[[TranslationRequest], Steps[Translation]],
    options: TranslationRequest,
    given: Parameters,
) -> Work:
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
        translation = yield from translation_steps(request)
        answer = render_translation(translation, _UNTIMED, 0.0)
        result = answer.model_dump(mode="json", exclude={"timings_ms"})
        if found:  # as in a summary: the spans refer to it
            result["source"]["text"] = text
        return result

    def parameters(content: Content) -> Parameters:
        own = {**given, "format": form(content), "article": article and content.form == "html"}
        if own["format"] == "text" and content.form == "text":
            own["protect"], own["glossary"] = _touching(given, content.value)
        return own

    return Work(steps, parameters)


def _touching(given: Parameters, text: str) -> tuple[list[str], dict[str, str]]:
    """The terms that may stand in a text: those whose letters do, whatever is between them."""
    protect, glossary = given.get("protect") or [], given.get("glossary") or {}
    if not protect and not glossary:
        return [], {}
    there = _letters(text)
    return (
        [term for term in protect if _letters(term) in there],
        {term: to for term, to in glossary.items() if _letters(term) in there},
    )


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))
