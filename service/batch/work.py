"""What is done to each record: its fields become a task, the task's value becomes JSON.

The JSON is the service's own, without timings, so that the same input gives the same output. Knows no files
and no chunks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from models.errors import InvalidInput
from models.tasks.steps import Steps, Timings
from models.tasks.summary import Summary, SummaryRequest
from models.tasks.translation import Translation, TranslationRequest
from models.text.page import read_html
from service.schemas import render_summary, render_translation

_UNTIMED = Timings(0.0, 0.0)

Fields = Mapping[str, Any]
Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """One task, with its options, to be done to every record."""

    steps: Callable[[Fields], Steps[Result]]
    """From a record's fields to its result. What is wrong with the record is raised when the steps run."""
    result_field: str
    """The output's field for the result, which no record may have itself."""


def summarize(
    summary_steps: Callable[[SummaryRequest], Steps[Summary]], options: SummaryRequest, result_field: str
) -> Work:
    """Summaries by `options`, whose own text doesn't count."""

    def steps(fields: Fields) -> Steps[Result]:
        name, content = _content(fields)
        text, html = (content, None) if name == "text" else (None, content)
        summary = yield from summary_steps(replace(options, text=text, html=html))
        answer = render_summary(summary, _UNTIMED, 0.0)
        return answer.model_dump(mode="json", exclude={"timings_ms"})

    return Work(steps, result_field)


def translate(
    translation_steps: Callable[[TranslationRequest], Steps[Translation]],
    options: TranslationRequest,
    result_field: str,
    *,
    article: bool = False,
) -> Work:
    """Translations by `options`, whose own text doesn't count.

    A record's `html` comes back as HTML, or with `article` as the text of the article found in it.
    """

    def steps(fields: Fields) -> Steps[Result]:
        name, content = _content(fields)
        found = name == "html" and article
        text = read_html(content).content() if found else content
        form = options.format if name == "text" else "text" if article else "html"
        translation = yield from translation_steps(replace(options, text=text, format=form))
        answer = render_translation(translation, _UNTIMED, 0.0)
        result = answer.model_dump(mode="json", exclude={"timings_ms"})
        if found:  # as in a summary: the spans refer to it
            result["source"]["text"] = text
        return result

    return Work(steps, result_field)


def _content(fields: Fields) -> tuple[str, str]:
    """The record's `text` or `html`, and which of them it is. A field that is null is not there."""
    given = [name for name in ("text", "html") if fields.get(name) is not None]
    if len(given) != 1:
        was = "both" if given else "neither"
        raise InvalidInput(
            f"the record needs one of text and html and has {was}", field="text", allowed=("text", "html")
        )
    name, value = given[0], fields[given[0]]
    if not isinstance(value, str):
        raise InvalidInput(f"{name} is not a string", field=name, allowed="a string")
    if not value.strip():
        raise InvalidInput(f"{name} is empty", field=name, allowed="at least one word")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInput(f"{name} holds a lone surrogate", field=name, allowed="valid Unicode")
    return name, value
