"""The tools of the Model Context Protocol: their fields, their typed results, what a language model reads.

Who does their work is given. It needs the package `mcp`, an extra.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated, Any, Literal, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from models.checker import Kind
from models.choices import ABOUT_LENGTHS, DEFAULT_LENGTH, MAX_SENTENCES, Length, SummaryFormat, TextFormat
from models.errors import DragomanError
from service.errors import with_allowed
from service.schemas.answers import SummaryAnswer, TranslationAnswer
from service.schemas.checking import CheckAnswer, CleanAnswer

A = TypeVar("A", bound=BaseModel)

ToolName = Literal["translate", "summarize", "check", "clean"]

Do = Callable[[ToolName, dict[str, Any]], BaseModel]
"""Does a tool's work, as /v1 does for this body. Raises DragomanError."""

READS_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
INSTRUCTIONS = (
    "Translates and summarizes articles on this machine, and says what in a summary or translation its "
    "source does not support. Results carry flags: tell the user of those with severity error."
)

Text = Annotated[str, Field(description="The text.")]
Model = Annotated[str | None, Field(description="A model of the catalog; the default if absent.")]
Source = Annotated[str, Field(description="Its language, an ISO 639-1 code; `auto` finds it.")]
SomeLanguage = Annotated[str | None, Field(description="The language to write in; the text's own if absent.")]
Page = Annotated[str | None, Field(description="A web page, in place of `text`.")]
Pasted = Annotated[str | None, Field(description="The article as text; exactly one of `text` and `html`.")]


def tool_server(do: Do) -> MCPServer[Any]:
    """Return a server of the four tools, for any transport."""
    made: MCPServer[Any] = MCPServer(
        "dragoman", version=version("dragoman"), instructions=INSTRUCTIONS, log_level="ERROR"
    )
    for tool in (_translate(do), _summarize(do), _check(do), _clean(do)):
        made.add_tool(tool, annotations=READS_ONLY)
    return made


def _translate(do: Do) -> Callable[..., CallToolResult]:
    def translate(
        text: Text,
        target: Annotated[str, Field(description="The language to translate into: fr, de, zh-Hant, ...")],
        source: Source = "auto",
        format: Annotated[TextFormat, Field(description="What the text is; markup is kept.")] = "text",
        protect: Annotated[list[str], Field(description="Terms that stay as they are.")] = [],  # noqa: B006
        glossary: Annotated[dict[str, str], Field(description="Terms and what each is to be.")] = {},  # noqa: B006
        model: Model = None,
    ) -> Annotated[CallToolResult, TranslationAnswer]:
        """Translate a text, sentence by sentence, with what the checks found wrong in each."""
        answer = _done(
            do, "translate", TranslationAnswer, text=text, target=target, source=source, format=format,
            protect=protect, glossary=glossary, model=model,
        )  # fmt: skip
        wrong = [f.reason for s in answer.segments for f in s.flags if f.severity == "error"]
        return _result(answer, answer.translation, [*answer.notes, *wrong])

    return translate


def _summarize(do: Do) -> Callable[..., CallToolResult]:
    def summarize(
        text: Pasted = None,
        html: Page = None,
        length: Annotated[Length, Field(description=ABOUT_LENGTHS)] = DEFAULT_LENGTH,
        max_sentences: Annotated[int | None, Field(ge=1, le=MAX_SENTENCES)] = None,
        format: SummaryFormat = "paragraph",
        target: SomeLanguage = None,
        model: Model = None,
    ) -> Annotated[CallToolResult, SummaryAnswer]:
        """Summarize an article: each sentence with its evidence and what the article does not support."""
        answer = _done(
            do, "summarize", SummaryAnswer, text=text, html=html, length=length, max_sentences=max_sentences,
            format=format, target=target, model=model,
        )  # fmt: skip
        wrong = [f.reason for s in answer.sentences for f in s.flags if f.severity == "error"]
        return _result(answer, answer.summary, [*answer.notes, *wrong])

    return summarize


def _check(do: Do) -> Callable[..., CallToolResult]:
    def check(
        source: Annotated[str, Field(description="What the output was made from.")],
        output: Annotated[str, Field(description="The summary or translation, whoever wrote it.")],
        kind: Kind,
        source_language: Source = "auto",
        target: Annotated[str | None, Field(description="The output's language; found if absent.")] = None,
    ) -> Annotated[CallToolResult, CheckAnswer]:
        """Find what in a summary or translation its source does not support: numbers, names, dates, ..."""
        answer = _done(
            do, "check", CheckAnswer, source=source, output=output, kind=kind,
            source_language=source_language, target=target,
        )  # fmt: skip
        flags = [flag for sentence in answer.sentences for flag in sentence.flags]
        found = [f"{f.severity}: {output[f.start : f.end]!r}: {f.reason}" for f in flags]
        return _result(answer, "\n".join(found) or "nothing found", [])

    return check


def _clean(do: Do) -> Callable[..., CallToolResult]:
    def clean(text: Pasted = None, html: Page = None) -> Annotated[CallToolResult, CleanAnswer]:
        """Give the article alone, without what the web page put around it."""
        answer = _done(do, "clean", CleanAnswer, text=text, html=html)
        return _result(answer, "\n\n".join(part for part in (answer.title, answer.text) if part), [])

    return clean


def _done(do: Do, name: ToolName, form: type[A], **fields: Any) -> A:
    """Return the answer. Raises ToolError, in words for whoever called the tool."""
    body = {field: value for field, value in fields.items() if value not in (None, [], {})}
    try:
        answer = do(name, body)
    except DragomanError as error:
        raise ToolError(with_allowed(error.message, error.allowed)) from error
    assert isinstance(answer, form)  # noqa: S101 - as ANSWERS has it
    return answer


def _result(answer: BaseModel, text: str, notes: Sequence[str]) -> CallToolResult:
    """What a model reads is the text and the notes alone; all of it is there for programs."""
    parts = [text, *(["Notes: " + "; ".join(dict.fromkeys(notes))] if notes else [])]
    content: list[Any] = [TextContent(type="text", text=part) for part in parts]
    return CallToolResult(content=content, structured_content=answer.model_dump(mode="json"))
