"""The body of a chat completion, and which task of ours it asks for.

The model's name says it (`translate:fr`, `summarize:bullets:de`, `facebook/m2m100_418M:translate:fr`), or the
system message does, or the user's message is a prompt that is known. An instruct model, by its own name,
takes messages as they are.
"""

import re
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from models.chat import ChatMessage, ChatRequest, Role, takes_messages
from models.choices import DEFAULT_LENGTH, LENGTHS, SUMMARY_FORMATS, Length, TextFormat
from models.entry import ModelEntry
from models.errors import InvalidInput, UnknownModel, UnsupportedLanguage
from models.summarize.extractive import count_words
from models.summarize.summarizer import TOKENS_A_WORD, SummaryRequest
from models.translate.translator import TranslationRequest
from service.http.compat.family import ClientFields, checked_texts
from service.http.compat.openai_prompt import PromptReader, Wish
from service.schemas.requests import ModelName

if TYPE_CHECKING:
    from service.runtime import Runtime

NAMES = (
    "translate:fr (any target), translate:en:fr (source and target), summarize, summarize:short (headline, "
    "medium, long), summarize:bullets, summarize:short:bullets:de (in German), and CATALOG-NAME:translate:fr"
)
MOST_PARTS = 8

REFUSED = {
    "tools": "no model here calls tools",
    "functions": "no model here calls functions",
    "logprobs": "no probabilities are given",
    "top_logprobs": "no probabilities are given",
    "stop": "a text is always done to its end",
    "audio": "there is text alone",
    "prediction": "nothing is predicted",
    "web_search_options": "nothing is searched",
}
"""Fields that would make another answer of it, and why they cannot be had."""

_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_PAGE = re.compile(r"\s*<(?:!doctype|html|body|article|section|div|p|ul|ol|table|h[1-6])\b", re.I)


def _joined(content: object) -> object:
    """A content's text, where it comes in parts."""
    if not isinstance(content, list):
        return content
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) < len(content) or not all(isinstance(text, str) for text in texts):
        raise PydanticCustomError("parts", "may hold parts of type text alone")
    return "\n".join(map(str, texts))


class MessageBody(ClientFields):
    """One message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_joined)]


class StreamOptions(ClientFields):
    """What a stream has beside its text."""

    include_usage: bool = False


class ChatBody(ClientFields):
    """The body of /v1/chat/completions; other fields change nothing here."""

    model: ModelName
    messages: list[MessageBody] = Field(min_length=1, max_length=1000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    n: int | None = None
    response_format: dict[str, Any] | None = None
    tools: Any = None
    functions: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    stop: Any = None
    audio: Any = None
    prediction: Any = None
    web_search_options: Any = None

    @property
    def most_tokens(self) -> int | None:
        """The narrower of the two limits."""
        return min((n for n in (self.max_tokens, self.max_completion_tokens) if n), default=None)

    @property
    def wrapped_in(self) -> str | None:
        """The one field of the JSON object that the answer is to be; None for text.

        Raises InvalidInput for a format of more.
        """
        form = self.response_format or {}
        if form.get("type", "text") == "text":
            return None
        try:
            ((name, kind),) = form["json_schema"]["schema"]["properties"].items()
            if kind["type"] == "string":
                return str(name)
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        allowed = "text, or a json_schema of one string"
        raise InvalidInput("the response_format cannot be had", field="response_format", allowed=allowed)


Request = TranslationRequest | SummaryRequest | ChatRequest


class ChatReader:
    """Makes requests of bodies."""

    def __init__(self, runtime: "Runtime"):
        self._runtime = runtime

    @cached_property
    def _prompts(self) -> PromptReader:
        return PromptReader(self._runtime.languages)

    def read(self, body: ChatBody) -> Request:
        """Return the task. Raises InvalidInput where it cannot be told, and UnknownModel."""
        _refuse(body)
        texts = checked_texts([each.content for each in body.messages], "messages", self._runtime.settings)
        entry, named = self.named(body.model)
        if entry is not None and named.task is None and takes_messages(entry):
            roles = [cast(Role, each.role.replace("developer", "system")) for each in body.messages]
            messages = tuple(map(ChatMessage, roles, texts))
            return ChatRequest(messages, entry, body.most_tokens)
        wish, text = self._prompts.read(
            [t for m, t in zip(body.messages, texts, strict=True) if m.role in ("system", "developer")],
            _last(body.messages, texts),
            named,
        )
        if not text.strip():
            raise InvalidInput("there is no text in the user's message", field="messages", allowed="a text")
        if wish.task == "summarize":
            return _summary(wish, entry, text, body.most_tokens)
        if wish.task is None or wish.target is None:
            what = "what to do" if wish.task is None else "into which language"
            raise InvalidInput(
                f"neither the model's name nor the system message says {what}; models to name: {NAMES}",
                field="model",
            )
        _require_room(text, body.most_tokens)
        return TranslationRequest(
            text=text,
            source=wish.source or "auto",
            target=wish.target,
            model=entry.name if entry else None,
            format=_format(text),
        )

    def named(self, name: str) -> tuple[ModelEntry | None, Wish]:
        """Return the catalog's model in a name, and the task that the name says. Raises UnknownModel."""
        model, first, rest = name, "", ""
        for task in ("translate", "summarize"):
            if name == task or name.startswith(f"{task}:"):
                return None, self._wish(task, name.split(":")[1:], name)
            before, mark, after = name.partition(f":{task}")
            if mark and (not after or after.startswith(":")):
                model, first, rest = before, task, after
        if not first and not re.search("[:/]", name) and not self._is_known(name):
            return None, Wish()  # `gpt-4o-mini`, as software has it that cannot name another
        try:
            entry = self._runtime.catalog.get(model, cast(Any, first or None))
        except UnknownModel as error:
            raise UnknownModel(f"{error.message}; models to name: {NAMES}", field="model") from None
        if first:
            return entry, self._wish(first, rest.split(":")[1:], name)
        if len(entry.tasks) > 1:
            return entry, Wish()
        if entry.tasks[0] == "entail":
            raise UnknownModel(f"{name} writes nothing; models to name: {NAMES}", field="model")
        pair = entry.pairs[0] if len(entry.pairs) == 1 else (None, None)
        return entry, Wish(entry.tasks[0], *pair)

    def _is_known(self, name: str) -> bool:
        return any(entry.name == name for entry in self._runtime.catalog.entries)

    def _wish(self, task: str, parts: list[str], name: str) -> Wish:
        """The task with what stands after it in a model's name."""
        if task == "translate":
            if len(parts) > 2:
                raise UnknownModel(f"{name!r} names more than two languages", field="model", allowed=NAMES)
            codes = [self._language(part, name) for part in parts]
            return Wish("translate", *([None, *codes] if len(codes) == 1 else codes))
        length = next((name for name in LENGTHS if name in parts), None)
        form = next((name for name in SUMMARY_FORMATS if name in parts), None)
        others = [part for part in parts if part not in (length, form)]
        if len(others) > 1 or len(parts) > MOST_PARTS:
            raise UnknownModel(f"{name!r} says too much", field="model", allowed=NAMES)
        target = self._language(others[0], name) if others else None
        return Wish("summarize", None, target, length, form)

    def _language(self, code: str, name: str) -> str:
        try:
            return self._runtime.languages.normalize(code[:40], "target")
        except UnsupportedLanguage as error:
            raise UnknownModel(f"in {name!r}: {error.message}", field="model", allowed=NAMES) from None


def _refuse(body: ChatBody) -> None:
    """Raise InvalidInput for what would be another answer."""
    if body.n not in (None, 1):
        raise InvalidInput("n is not 1: there is one answer", field="n", allowed="1")
    for field, why in REFUSED.items():
        if getattr(body, field):
            raise InvalidInput(f"{field} is not supported: {why}", field=field, allowed="nothing")
    _ = body.wrapped_in


def _last(messages: list[MessageBody], texts: list[str]) -> str:
    """The user's last messages, up to what the assistant said before."""
    found: list[str] = []
    for message, text in zip(reversed(messages), reversed(texts), strict=True):
        if message.role == "user":
            found.insert(0, text)
        elif found:
            break
    return "\n\n".join(found)


def _summary(wish: Wish, entry: ModelEntry | None, text: str, most_tokens: int | None) -> SummaryRequest:
    length = wish.length or _length(wish.max_sentences)
    if most_tokens is not None and most_tokens >= LENGTHS[length].max_words * TOKENS_A_WORD:
        most_tokens = None  # a limit is no length: the summary is shorter anyway
    return SummaryRequest(
        text=text,
        length=length,
        format=wish.format or "paragraph",
        max_sentences=None if wish.length else wish.max_sentences,
        max_tokens=most_tokens,
        target=wish.target,
        model=entry.name if entry else None,
    )


def _length(sentences: int | None) -> Length:
    """Return the length that has room for so many sentences; the default where it has, too."""
    if sentences is None or sentences <= LENGTHS[DEFAULT_LENGTH].sentences:
        return DEFAULT_LENGTH
    return next((name for name, each in LENGTHS.items() if each.sentences >= sentences), "long")


def _require_room(text: str, most_tokens: int | None) -> None:
    """Raise InvalidInput where a translation cannot be within the limit: none is ever cut."""
    least = count_words(text)
    if most_tokens is not None and most_tokens < least:
        raise InvalidInput(
            f"max_tokens is {most_tokens}, and the text has {least} words",
            field="max_tokens",
            allowed="more tokens than the text has words, or none: a translation is never cut",
        )


def _format(text: str) -> TextFormat:
    """A page is HTML; tags within text are kept as Markdown keeps them."""
    if _PAGE.match(text):
        return "html"
    return "markdown" if _TAG.search(text) else "text"
