"""The tools of the Model Context Protocol: their fields, typed results, and text for the language model.

Fields are those of /v1's bodies; the caller passes in what does the work. Needs the package `mcp`, an extra.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from models.checker import CheckRequest
from models.checks.registry import NOTHING_FOUND
from models.errors import DragomanError
from models.steps import Outcome
from models.text.article.html_article import read_html
from models.text.article.paste import read_pasted
from service import tasks
from service.answers import (
    CheckAnswer,
    CleanAnswer,
    SummaryAnswer,
    TranslationAnswer,
    render_check,
    render_clean,
)
from service.errors import with_allowed
from service.options import CheckBody, CleanBody, SummarizeBody, TranslateBody, inputs
from service.validation import validated

if TYPE_CHECKING:
    from service.runtime import Runtime
    from service.store.glossaries import Glossaries

B = TypeVar("B", bound=BaseModel)

READS_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
INSTRUCTIONS = (
    "Translates and summarizes articles on this machine, and says what in a summary or translation its "
    "source does not support. Results carry flags: tell the user of those with severity error."
)
ANSWERS: dict[type[BaseModel], type[BaseModel]] = {
    TranslateBody: TranslationAnswer,
    SummarizeBody: SummaryAnswer,
    CheckBody: CheckAnswer,
    CleanBody: CleanAnswer,
}
NOT_HERE = frozenset({"texts", "stream"})
"""Fields of bodies that a tool does not have: it does one text, and answers once."""
_MODEL = "The name of a model; the default if absent."
ABOUT = {
    ("translate", "text"): "The text to translate.",
    (
        "translate",
        "target",
    ): "The language to translate into: a code, such as fr or pt-BR, or its name.",
    ("translate", "model"): _MODEL,
    ("translate", "memory"): "Sentences that the caller's translation memory has are taken from it.",
    ("summarize", "text"): "The article to summarize, as it was pasted.",
    ("summarize", "model"): _MODEL,
    ("summarize", "memory"): "Sentences of its translation are taken from the caller's translation memory.",
}
"""Descriptions of tools' fields, where those of the bodies speak of HTTP."""

Run = Callable[[tasks.Request | CheckRequest], tuple[Outcome[Any], float]]
"""Runs a request, and returns its outcome and the seconds that it took."""


def make_tools(
    runtime: "Runtime",
    run: Run,
    *,
    charge: Callable[[Sequence[str]], None] = lambda texts: None,
    in_child: Callable[..., Any] = lambda function, *arguments, field: function(*arguments),
    glossaries: "Callable[[], Glossaries | None]" = lambda: None,
) -> list[Tool]:
    """Return the four tools, which take 20 ms to make and may be called by several servers.

    `charge` counts the characters of texts, `in_child` runs a function in a child process, and `glossaries`
    gives those that may be named, the runtime's if it gives none. All are asked by the call.
    """

    def translate(**fields: Any) -> CallToolResult:
        """Translate a text, sentence by sentence, with what the checks found wrong in each."""
        answer = text_task(_read(TranslateBody, fields))
        wrong = [f.reason for s in answer.segments for f in s.flags if f.severity == "error"]
        return _result(answer, answer.translation, [*answer.notes, *wrong])

    def summarize(**fields: Any) -> CallToolResult:
        """Summarize an article: each sentence with its evidence and what the article does not support."""
        answer = text_task(_read(SummarizeBody, fields))
        wrong = [f.reason for s in answer.sentences for f in s.flags if f.severity == "error"]
        return _result(answer, answer.summary, [*answer.notes, *wrong])

    def text_task(body: SummarizeBody | TranslateBody) -> Any:
        sent = inputs(body, runtime.settings)
        charge(sent.good)
        request = tasks.request_maker(body, runtime, glossaries())(**{sent.kind: sent.good[0]})
        return tasks.answer(*run(request))

    def check(**fields: Any) -> CallToolResult:
        """Find what in a summary or translation its source does not support: numbers, names, dates, ..."""
        body = _read(CheckBody, fields)
        body.require_short(runtime.settings)
        charge([body.source, body.output])
        outcome, _ = run(CheckRequest(**dict(body)))
        answer = render_check(outcome.unwrap(), body.output)
        flags = [flag for sentence in answer.sentences for flag in sentence.flags]
        found = [f"{f.severity}: {body.output[f.start : f.end]!r}: {f.reason}" for f in flags]
        return _result(answer, "\n".join(found) or NOTHING_FOUND, [])

    def clean(**fields: Any) -> CallToolResult:
        """Give the article alone, without what the web page put around it."""
        sent = inputs(_read(CleanBody, fields), runtime.settings)
        charge(sent.good)
        read = read_html if sent.kind == "html" else read_pasted
        answer = render_clean(in_child(read, *sent.good, field=sent.kind))
        return _result(answer, "\n\n".join(part for part in (answer.title, answer.text) if part), [])

    made = zip((translate, summarize, check, clean), ANSWERS, strict=True)
    return [Tool.from_function(_tool(each, body), annotations=READS_ONLY) for each, body in made]


def tool_server(tools: Sequence[Tool]) -> MCPServer[Any]:
    """Return a server of the tools, for any transport and one event loop."""
    return MCPServer(
        "dragoman",
        version=version("dragoman"),
        instructions=INSTRUCTIONS,
        log_level="ERROR",
        subscriptions=False,  # the tools never change, and who listens would for ever
        tools=list(tools),
    )


def _tool(do: Callable[..., CallToolResult], body: type[BaseModel]) -> Callable[..., CallToolResult]:
    """Return the function with the body's fields for parameters, whose errors are told to the caller."""

    def tool(**fields: Any) -> CallToolResult:
        try:
            return do(**fields)
        except DragomanError as error:
            raise ToolError(with_allowed(error.message, error.allowed)) from error

    def is_needed(name: str) -> bool:
        """Return True for the `text` of a body that has neither `html` nor, here, `texts` in its place."""
        return name == "text" and "html" not in body.model_fields

    tool.__name__, tool.__doc__ = do.__name__, do.__doc__
    parameters = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.is_required() or is_needed(name) else field.default,
            annotation=Annotated[
                str if is_needed(name) else field.annotation,
                field,
                Field(description=ABOUT.get((tool.__name__, name), field.description)),
            ],
        )
        for name, field in body.model_fields.items()
        if name not in NOT_HERE
    ]
    returned = Annotated[CallToolResult, ANSWERS[body]]
    tool.__signature__ = Signature(parameters, return_annotation=returned)  # type: ignore[attr-defined]
    return tool


def _read(body: type[B], fields: dict[str, Any]) -> B:
    given = {name: value for name, value in fields.items() if value not in (None, [], {})}
    return validated(body, given)


def _result(answer: BaseModel, text: str, notes: Sequence[str]) -> CallToolResult:
    """What a model reads is the text and the notes alone; all of it is there for programs."""
    parts = [text, *(["Notes: " + "; ".join(dict.fromkeys(notes))] if notes else [])]
    content: list[Any] = [TextContent(type="text", text=part) for part in parts]
    return CallToolResult(content=content, structured_content=answer.model_dump(mode="json"))
