"""Chat completions as OpenAI's clients read them: whole, or in chunks while the task is done.

The chunks together are the whole answer to the letter: a sentence goes out once nothing can change it.
"""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from models.chat import ChatAnswer
from models.steps import Event, Outcome, Usage, Words
from models.summarize.summarizer import SentenceReady, Summary, SummaryRequest
from models.text.markup import layout
from models.translate.sentence import separator
from models.translate.translator import Segment, SegmentReady, Translation, TranslationRequest
from service.http.compat.openai_request import ChatBody, Request
from service.schemas.problem import Problem

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
            raise RuntimeError("what was streamed is not how the answer begins")
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
        self._between = "\n" if self._is_list else separator(request.target or "")
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
        self._runs = layout.read(request.text)
        self._between = separator(request.target)
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
