"""OpenAI's interface, for the `openai` package and other clients: chat completions and models.

A completion is a translation, a summary, or an instruct model's answer; nothing is stored. The model's name
selects the task (`translate:fr`, `summarize:bullets:de`, `facebook/m2m100_418M:translate:fr`), or the system
message does, or the user's message is a known prompt (`openai_prompts.py`). An instruct model, called by its
own name, gets the messages unchanged.

Answers come whole or as a stream, whose chunks add up to exactly the whole answer: a sentence is sent once it
can no longer change.
"""

import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from flask import Blueprint, Response, request
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from models.catalog import ModelEntry
from models.chat import ChatAnswer, ChatMessage, ChatRequest, Role, chat
from models.choices import DEFAULT_LENGTH, LENGTHS, SUMMARY_FORMATS, Length, TextFormat
from models.errors import InvalidInput, UnknownModel, UnsupportedLanguage
from models.steps import Event, Outcome, Steps, Usage, Words
from models.summarize.extractive import count_words
from models.summarize.summarizer import TOKENS_A_WORD, SentenceReady, Summary, SummaryRequest
from models.text.markup.build import read_plain
from models.translate.sentence import separator
from models.translate.translator import Segment, SegmentReady, Translation, TranslationRequest
from service.http.body import read_json
from service.http.compat.family import (
    ClientFields,
    Family,
    answer,
    checked_texts,
    directions,
    message,
    open_to_browsers,
    without_nulls,
)
from service.http.compat.openai_prompts import PromptReader, PromptTask
from service.http.run_request import RequestRunner
from service.http.streaming import stream
from service.options import ModelName
from service.problems import Problem
from service.validation import validated

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
        if entry is not None and named.task is None and entry.follows_instructions:
            roles = [cast(Role, each.role.replace("developer", "system")) for each in body.messages]
            messages = tuple(map(ChatMessage, roles, texts))
            return ChatRequest(messages, entry, body.most_tokens)
        prompt, text = self._prompts.read(
            [t for m, t in zip(body.messages, texts, strict=True) if m.role in ("system", "developer")],
            _last(body.messages, texts),
            named,
        )
        if not text.strip():
            raise InvalidInput("the user's message has no text", field="messages", allowed="a text")
        if prompt.task == "summarize":
            return _summary(prompt, entry, text, body.most_tokens)
        if prompt.task is None or prompt.target is None:
            what = "what to do" if prompt.task is None else "into which language"
            raise InvalidInput(
                f"neither the model's name nor the system message says {what}; models to name: {NAMES}",
                field="model",
            )
        _require_room(text, body.most_tokens)
        return TranslationRequest(
            text=text,
            source=prompt.source or "auto",
            target=prompt.target,
            model=entry.name if entry else None,
            format=_format(text),
        )

    def named(self, name: str) -> tuple[ModelEntry | None, PromptTask]:
        """Return the catalog's model in a name, and the task that the name says. Raises UnknownModel."""
        model, first, rest = name, "", ""
        for task in ("translate", "summarize"):
            if name == task or name.startswith(f"{task}:"):
                return None, self._named_task(task, name.split(":")[1:], name)
            before, mark, after = name.partition(f":{task}")
            if mark and (not after or after.startswith(":")):
                model, first, rest = before, task, after
        is_known = any(entry.name == name for entry in self._runtime.catalog.entries)
        if not first and not re.search("[:/]", name) and not is_known:
            return None, PromptTask()  # `gpt-4o-mini`, as software has it that cannot name another
        try:
            entry = self._runtime.catalog.get(model, cast(Any, first or None))
        except UnknownModel as error:
            raise UnknownModel(f"{error.message}; models to name: {NAMES}", field="model") from None
        if first:
            return entry, self._named_task(first, rest.split(":")[1:], name)
        if len(entry.tasks) > 1:
            return entry, PromptTask()
        if entry.tasks[0] == "entail":
            raise UnknownModel(f"{name} writes nothing; models to name: {NAMES}", field="model")
        pair = entry.pairs[0] if len(entry.pairs) == 1 else (None, None)
        return entry, PromptTask(entry.tasks[0], *pair)

    def _named_task(self, task: str, parts: list[str], name: str) -> PromptTask:
        """The task with what stands after it in a model's name."""
        if task == "translate":
            if len(parts) > 2:
                raise UnknownModel(f"{name!r} names more than two languages", field="model", allowed=NAMES)
            codes = [self._language(part, name) for part in parts]
            return PromptTask("translate", *([None, *codes] if len(codes) == 1 else codes))
        length = next((name for name in LENGTHS if name in parts), None)
        form = next((name for name in SUMMARY_FORMATS if name in parts), None)
        others = [part for part in parts if part not in (length, form)]
        if len(others) > 1 or len(parts) > MOST_PARTS:
            raise UnknownModel(f"{name!r} says too much", field="model", allowed=NAMES)
        target = self._language(others[0], name) if others else None
        return PromptTask("summarize", None, target, length, form)

    def _language(self, code: str, name: str) -> str:
        try:
            return self._runtime.languages.with_region(code[:40], "target")
        except UnsupportedLanguage as error:
            raise UnknownModel(f"in {name!r}: {error.message}", field="model", allowed=NAMES) from None


def _refuse(body: ChatBody) -> None:
    """Raise InvalidInput for what would be another answer."""
    if body.n not in (None, 1):
        raise InvalidInput("n is not 1: there is one answer", field="n", allowed=["1"])
    for field, why in REFUSED.items():
        if getattr(body, field):
            raise InvalidInput(f"{field} is not supported: {why}", field=field, allowed="nothing")
    _ = body.wrapped_in


def _last(messages: list[MessageBody], texts: list[str]) -> str:
    """The user's last messages, up to what the assistant said before."""
    found: list[str] = []
    for each, text in zip(reversed(messages), reversed(texts), strict=True):
        if each.role == "user":
            found.insert(0, text)
        elif found:
            break
    return "\n\n".join(found)


def _summary(
    prompt: PromptTask, entry: ModelEntry | None, text: str, most_tokens: int | None
) -> SummaryRequest:
    length = prompt.length or _length(prompt.max_sentences)
    if most_tokens is not None and most_tokens >= LENGTHS[length].max_words * TOKENS_A_WORD:
        most_tokens = None  # a limit is no length: the summary is shorter anyway
    return SummaryRequest(
        text=text,
        length=length,
        format=prompt.format or "paragraph",
        max_sentences=None if prompt.length else prompt.max_sentences,
        max_tokens=most_tokens,
        target=prompt.target,
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


Value = Translation | Summary | ChatAnswer

STATUSES = {422: 400, 415: 400}
"""Kinds of error that OpenAI's clients know; the other statuses are ours."""
CODES = {
    "unknown-model": "model_not_found",
    "unknown-key": "invalid_api_key",
    "key-required": "invalid_api_key",
    "revoked-key": "invalid_api_key",
    "text-too-long": "context_length_exceeded",
    "rate-limited": "rate_limit_exceeded",
    "overloaded": "rate_limit_exceeded",
    "characters-spent": "insufficient_quota",
}
"""OpenAI's names for kinds of error; the others are ours."""
PARAMS = {"text": "messages", "target": "model", "source": "model"}


def status_of(problem: Problem) -> int:
    """Return the status that OpenAI's clients expect."""
    return 404 if problem.type.endswith("/unknown-model") else STATUSES.get(problem.status, problem.status)


def error(problem: Problem, said: str) -> dict[str, Any]:
    """Return an error in OpenAI's form."""
    slug = problem.type.rpartition("/")[2]
    kind = "server_error" if problem.status >= 500 else "invalid_request_error"
    field = problem.errors[0].field if problem.errors else problem.field
    return {
        "message": said,
        "type": "insufficient_quota" if slug == "characters-spent" else kind,
        "param": PARAMS.get(field, field) if field else None,
        "code": CODES.get(slug, slug.replace("-", "_")),
    }


class Completion:
    """One answer; both its forms have the same id."""

    def __init__(self, body: ChatBody):
        self._body = body
        self._base = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": body.model,
        }

    def whole(self, value: Value) -> dict[str, Any]:
        """Return the answer in one piece."""
        message = {"role": "assistant", "content": self.content(value), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(value)}
        return {
            **self._base,
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(value.usage),
        }

    def chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> str:
        """Return a frame with a piece of the answer."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._frame([choice], None)

    def end(self, value: Value) -> str:
        """Return the last frames."""
        last = self.chunk({}, _finish(value))
        if self._asks_for_usage:
            last += self._frame([], _usage(value.usage))
        return f"{last}data: [DONE]\n\n"

    def content(self, value: Value) -> str:
        """Return the answer's text, in JSON if that was asked for."""
        text = _text(value)
        name = self._body.wrapped_in
        return text if name is None else json.dumps({name: text}, ensure_ascii=False)

    @property
    def _asks_for_usage(self) -> bool:
        return self._body.stream_options is not None and self._body.stream_options.include_usage

    def _frame(self, choices: list[Any], usage: Mapping[str, int] | None) -> str:
        body = {**self._base, "object": "chat.completion.chunk", "choices": choices}
        if self._asks_for_usage:
            body["usage"] = usage
        return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


class Chunks:
    """The frames of a streamed completion; see `service.http.streaming.Script`."""

    def __init__(self, body: ChatBody, request: Request, message: Callable[[Problem], str]):
        self._completion = Completion(body)
        self._delta: Delta = _nothing if body.wrapped_in else _delta(request)
        self._message = message
        self._told: str | None = None

    def event(self, event: Event) -> str:
        return self._frames(self._delta(event))

    def end(self, outcome: Outcome[Any], total_s: float) -> str:
        value: Value = outcome.unwrap()
        content = self._completion.content(value)
        told = self._told or ""
        if not content.startswith(told):
            raise RuntimeError("the streamed text is not a prefix of the answer")
        return self._frames(content[len(told) :], is_last=True) + self._completion.end(value)

    def error(self, problem: Problem) -> str:
        body = {"error": error(problem, self._message(problem))}
        return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"

    def _frames(self, text: str, *, is_last: bool = False) -> str:
        frames = ""
        if self._told is None and (text or is_last):
            self._told = ""
            frames = self._completion.chunk({"role": "assistant", "content": ""})
        if text:
            self._told = (self._told or "") + text
            frames += self._completion.chunk({"content": text})
        return frames


Delta = Callable[[Event], str]
"""Returns the piece of text that an event makes certain, after those before it; it may be empty."""


def _nothing(event: Event) -> str:
    """Leave all to the end."""
    return ""


def written(event: Event) -> str:
    """Return a piece of what a model writes."""
    return event.text if isinstance(event, Words) else ""


class Sentences:
    """The sentences of a summary in a language that is known beforehand."""

    def __init__(self, request: SummaryRequest):
        self._is_list = request.format == "bullets"
        self._between = "\n" if self._is_list else _between(request.target or "")
        self._certain: dict[int, str] = {}
        self._next = 0
        self._any = False

    def add(self, event: Event) -> str:
        if isinstance(event, SentenceReady) and not event.again:
            self._certain[event.index] = event.sentence.text
        told = ""
        while (text := self._certain.pop(self._next, None)) is not None:
            self._next += 1
            if text or self._is_list:
                told += (self._between if self._any else "") + (f"- {text}" if self._is_list else text)
                self._any = True
        return told


class Segments:
    """The segments of a plain text's translation, with what stands between them."""

    def __init__(self, request: TranslationRequest):
        self._document = request.text
        self._runs = read_plain(request.text)
        self._between = _between(request.target)
        self._certain: dict[int, Segment] = {}
        self._next = self._run = self._end = 0
        self._is_inside = False
        """True while the run has begun; else all before `_end` is told."""
        self._line: list[str] = []
        """The pieces of a run that is changed as a whole, by being wrapped."""

    def add(self, event: Event) -> str:
        if isinstance(event, SegmentReady) and not event.again:
            self._certain[event.index] = event.segment
        told = ""
        while (segment := self._certain.pop(self._next, None)) is not None:
            told += self._piece(segment)
            self._next += 1
        return told

    def _piece(self, segment: Segment) -> str:
        told = ""
        while self._runs[self._run].span.end <= segment.source.start:
            told += self._leave()
        run = self._runs[self._run]
        if self._is_inside:
            piece = (self._between if segment.text else "") + segment.text
        else:
            told += self._document[self._end : run.span.start]
            piece = self._document[run.span.start : segment.source.start] + segment.text
        self._is_inside, self._end = True, segment.source.end
        if run.finish is str:
            return told + piece
        self._line.append(piece)
        return told

    def _leave(self) -> str:
        """Return what there is to tell of a run once it is over, and go to the next."""
        run = self._runs[self._run]
        self._run += 1
        if not self._is_inside:
            return ""
        line = "".join([*self._line, self._document[self._end : run.span.end]])
        self._is_inside, self._line, self._end = False, [], run.span.end
        return run.finish(line)


def _between(target: str) -> str:
    return separator(target.partition("-")[0])


def _delta(request: Request) -> Delta:
    if isinstance(request, TranslationRequest):
        return Segments(request).add if request.format == "text" else _nothing
    if isinstance(request, SummaryRequest):
        return Sentences(request).add if request.target else _nothing
    return written


def _text(value: Value) -> str:
    if isinstance(value, Translation):
        return value.translation
    return value.summary if isinstance(value, Summary) else value.text


def _finish(value: Value) -> str:
    return "length" if isinstance(value, ChatAnswer) and not value.complete else "stop"


def _usage(usage: Usage) -> dict[str, int]:
    """Return the tokens that models read and wrote, in second attempts and on the way through English too."""
    return {
        "prompt_tokens": usage.source_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.source_tokens + usage.output_tokens,
    }


class OpenAIModel(BaseModel):
    """A name that OpenAI's clients may ask for: a task, or a model of the catalog."""

    id: str = Field(description="`translate:fr`, `summarize:short`, `facebook/m2m100_418M`, ...")
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "dragoman"


def listed(runtime: "Runtime") -> list[OpenAIModel]:
    """Return all that can be chosen; languages may also be put together with lengths and other models."""
    entries = runtime.catalog.entries
    has_default = any(entry.name == runtime.settings.translate_model for entry in entries)
    known = directions(runtime) if has_default else {}
    targets = dict.fromkeys(code for own in known.values() for code in own)
    names = [
        "translate",
        *(f"translate:{code}" for code in targets),
        "summarize",
        *(f"summarize:{length}" for length in LENGTHS),
        "summarize:bullets",
        *(each.name for each in entries if "*" not in each.name and "entail" not in each.tasks),
    ]
    return [OpenAIModel(id=name) for name in names]


COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/models"

FUTILE = frozenset({500, 504})
"""Statuses that clients would ask again for, at the same cost and with the same end."""


class OpenAI(Family):
    """The views of an OpenAI server over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._runtime = runtime
        self._work = work
        self._reader = ChatReader(runtime)

    def blueprint(self) -> Blueprint:
        routes = Blueprint("openai", __name__)
        routes.post(COMPLETIONS)(self.complete)
        routes.get(f"{MODELS}/<path:name>")(self.model)
        open_to_browsers(routes, "Authorization, *")  # feed readers call from their pages
        return routes

    def owns(self, path: str) -> bool:
        return path == MODELS or path.startswith(("/v1/chat/", f"{MODELS}/"))

    def error(self, problem: Problem) -> Response:
        """An error in OpenAI's form, with our fields where our own clients ask too."""
        told = {"error": error(problem, message(problem))}
        if request.path.rstrip("/") == MODELS:
            response = answer(problem.model_dump(mode="json", exclude_none=True) | told, problem.status)
            response.mimetype = "application/problem+json"
            return response
        response = answer(told, status_of(problem))
        if problem.status in FUTILE:
            response.headers["x-should-retry"] = "false"
        return response

    def complete(self) -> Response:
        with ExitStack() as held:
            held.enter_context(self._work.place())
            body = validated(ChatBody, without_nulls(read_json(request)))
            asked = self._reader.read(body)
            self._work.charge(_texts(asked))
            if body.stream:
                script = Chunks(body, asked, message)
                return stream(self._work, held, self._steps(asked), script)
            (outcome,) = self._work.run([self._steps(asked)]).outcomes
            value: Value = outcome.unwrap()
            return answer(Completion(body).whole(value))

    def model(self, name: str) -> Response:
        found = next((each for each in listed(self._runtime) if each.id == name), None)
        if found is None:
            raise UnknownModel(f"unknown model: {name[:200]!r}", field="model")
        return answer(found.model_dump())

    def _steps(self, asked: Request) -> Steps[Value]:
        if isinstance(asked, ChatRequest):
            return chat(self._runtime.pool, asked)
        (steps,) = self._work.steps([asked])
        return steps


def _texts(asked: Request) -> list[str]:
    if isinstance(asked, ChatRequest):
        return [each.content for each in asked.messages]
    return [asked.text or ""]
