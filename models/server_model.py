"""A model behind another server: Ollama, vLLM, llama.cpp, LM Studio, OpenAI or any other that speaks OpenAI's
chat completions. Text in, text out.

Tasks use it like any other model, so windows, repair, glossaries, markup, jobs and batches work the same: its
"token ids" are the characters of the conversation, written as JSON, and of the answer. The server's tokens
are unknown here; CHARACTERS_PER_TOKEN turns an entry's limits into characters.

The client is the `openai` package, which knows how servers stream and fail. Waiting, retries and cancelling
are done here, so that a request can be cancelled at any moment.
"""

import asyncio
import json
import logging
import math
import random
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from models.catalog import ModelEntry, Task
from models.codec import Codec, Purpose, with_facts
from models.engine.flows import MOST_WAITING, FlowQueue, add_to
from models.engine.protocol import LATE, Decoding, EngineStats, Generation, Output, settle
from models.errors import (
    DeadlineExceeded,
    DragomanError,
    EngineFailed,
    EngineGone,
    Overloaded,
    ServerFailed,
    ServerUnavailable,
)
from models.languages import Languages

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

log = logging.getLogger(__name__)

CHARACTERS_PER_TOKEN = 2
"""On the safe side: English has about four, Russian three, Chinese one to two."""

CONNECT_S = 10.0
SILENCE_S = 300.0
"""The longest wait for a server's next words: a CPU reads a long article for minutes."""

BACKOFFS_S = (0.5, 1.0, 2.0)
"""Waits before a request is tried again, give or take a quarter; a server's Retry-After overrides them."""
LONGEST_RETRY_AFTER_S = 60.0
"""A server that asks for a longer wait is told to the caller as unavailable."""

OPTIONAL = frozenset(
    (
        "temperature",
        "seed",
        "logprobs",
        "stream_options",
        "reasoning_effort",
        "chat_template_kwargs",
        "max_tokens",
    )
)
"""Parameters that some servers do not take. Those that one refuses are left out from then on."""

SAMPLING_TEMPERATURE = 0.7
"""For other hypotheses than the likeliest one, which is asked for with temperature 0."""

THINKING_TOKENS = 4096
"""Room for a model that thinks before it answers though it was asked not to."""

MAX_WORDS = 200
"""Characters of a server's own words that are passed on."""


_WHOLE_WORDS = re.compile(r"(?:.*[\s\u2e80-\U0010ffff])?", re.S)
"""Up to the last white space, or character of a script that puts none between words."""


class ServerCodec(Codec):
    """Text to a conversation and an answer to text; see the head of this module for the ids."""

    def __init__(self, entry: ModelEntry, languages: Languages):
        self.entry = entry
        self._own_codes = languages.column(entry.codes or "name", entry.languages)
        self._names = languages.column("name")

    def encode(self, text: str, purpose: Purpose) -> tuple[int, ...]:
        prompt = with_facts(self._fill(self.entry.prompt[purpose.task], purpose), purpose.facts)
        before, _, after = prompt.partition("{text}")
        messages = [{"role": "user", "content": f"{before}{text}{after}"}]
        return _ids_of(messages, purpose.task, (len(before), len(before) + len(text)))

    def encode_messages(self, messages: Sequence[tuple[str, str]]) -> tuple[int, ...]:
        """The ids of a conversation, of roles and contents."""
        return _ids_of([{"role": role, "content": content} for role, content in messages], None, (0, 0))

    def decoding(self, purpose: Purpose, *, max_new_tokens: int, min_new_tokens: int = 0) -> Decoding:
        """The limits alone: the server searches in its own way, with temperature 0.

        A summary's limit is in tokens; a translation's is made of its source's ids, which are characters.
        """
        scale = CHARACTERS_PER_TOKEN if purpose.task == "summarize" else 1
        return Decoding(max_new_tokens=min(scale * max_new_tokens, self.entry.max_new_tokens))

    def decode(self, ids: tuple[int, ...]) -> str:
        return "".join(map(chr, ids)).strip()

    def decode_begun(self, ids: tuple[int, ...]) -> str:
        """The whole words of an answer that is still being written: a reader hears words, not characters."""
        return _WHOLE_WORDS.match("".join(map(chr, ids)).lstrip())[0]  # type: ignore[index]  # it always does

    def has_region(self, purpose: Purpose) -> bool:
        return purpose.region is not None


def _ids_of(
    messages: Sequence[Mapping[str, str]], task: Task | None, source: tuple[int, int]
) -> tuple[int, ...]:
    """The ids of a conversation; `source` is where the last message has the text, if there is a task."""
    told = {"messages": messages, "task": task, "source": source}
    return tuple(map(ord, json.dumps(told, ensure_ascii=False)))


def conversation(ids: Sequence[int]) -> tuple[list[dict[str, str]], Task | None, str]:
    """Return the messages of a model's input, its task, and the text that it is about."""
    told = json.loads("".join(map(chr, ids)))
    messages, (start, end) = told["messages"], told["source"]
    return messages, told["task"], messages[-1]["content"][start:end]


def in_characters(entry: ModelEntry) -> ModelEntry:
    """Return the entry with its limits in characters, which are what this model's ids count."""
    scale = CHARACTERS_PER_TOKEN
    return entry.model_copy(
        update={
            "max_source_tokens": entry.max_source_tokens * scale,
            "max_new_tokens": entry.max_new_tokens * scale,
        }
    )


def listed(entry: ModelEntry, api_key: str | None) -> Mapping[str, int | None]:
    """The models that a server has, each with its context in tokens where the server says so.

    Raises ServerFailed and ServerUnavailable.
    """
    from openai import APIConnectionError, APIStatusError, DefaultHttpxClient, OpenAI

    client = OpenAI(
        base_url=entry.url,
        api_key=api_key or "none",
        max_retries=0,
        timeout=CONNECT_S,
        http_client=DefaultHttpxClient(**_straight(str(entry.url))),
    )
    try:
        with client:
            told = [each.model_dump() for each in client.models.list()]
        return {each["id"]: _context(each) for each in told}
    except APIConnectionError as error:
        raise ServerUnavailable(f"its server {entry.url} cannot be reached") from error
    except APIStatusError as error:
        told_status = f"answers {error.status_code} for its list of models"
        raise ServerFailed(f"its server {entry.url} {told_status}") from error
    except Exception as error:  # whatever the client makes of what is no list
        raise ServerFailed(f"its server {entry.url} does not answer with a list of models") from error


def _straight(url: str) -> dict[str, Any]:
    """The options with which text goes to this address alone: after no redirect, and to this machine itself
    by no proxy that the environment names."""
    host = urlsplit(url).hostname or ""
    is_here = host == "localhost" or host.startswith("127.") or host == "::1"
    return {"follow_redirects": False, "trust_env": not is_here}


def _context(told: Mapping[str, Any]) -> int | None:
    """The context in what a server tells of a model: vLLM and llama.cpp have it, each in its own place."""
    found = told.get("max_model_len") or (told.get("meta") or {}).get("n_ctx")
    return found if isinstance(found, int) else None


# ------------------------------------------------------------------------------------------- the engine


@dataclass(frozen=True, slots=True)
class _Request:
    """One request to the server."""

    messages: list[dict[str, str]]
    max_tokens: int
    seed: int
    """0 for the likeliest answer; any other samples one."""
    answer: "Answer"


@dataclass(eq=False, slots=True)
class _Turn:
    """What waits for a place."""

    flow: str
    come: "asyncio.Future[None]"
    has_place: bool = False


class _Again(Exception):
    """The server may answer if it is asked again; otherwise `error` is what to raise."""

    def __init__(self, error: DragomanError, after_s: float | None = None):
        super().__init__(error.message)
        self.error = error
        self.after_s = after_s


class ServerEngine:
    """An Engine over a server's chat completions.

    All requests run in one thread's event loop, at most `concurrency` at a time, flows in turn. The first
    hypothesis of a generation is the server's likeliest answer; where more are wanted, the others are
    sampled. A server that was started for this engine alone has `is_alive`, is started again by its `url`,
    and ended by `on_close`.
    """

    def __init__(
        self,
        name: str,
        url: str | Callable[[], str],
        model: str,
        *,
        api_key: str | None = None,
        concurrency: int = 4,
        is_alive: Callable[[], bool] = lambda: True,
        on_close: Callable[[], None] | None = None,
    ):
        self._name = name
        self._url = url
        self._model = model
        self._key = api_key
        self._is_alive = is_alive
        self._on_close = on_close
        self._refused: frozenset[str] = frozenset()
        """Those of OPTIONAL that this server does not take."""
        self._thinks = False
        """Whether the model thinks before it answers, although it is asked not to."""
        self._changed = threading.Condition()
        self._open: Counter[str] = Counter()
        """Generations that are not answered, by flow."""
        self._running = 0
        self._requests = self._source_tokens = self._output_tokens = 0
        self._closing = False
        self._client: AsyncOpenAI | None = None
        self._free_places = concurrency
        self._waiting = FlowQueue[_Turn]()
        """For a place."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"server {name}", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------ callers' side

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        """See `Engine.submit`."""
        flow = generations[0].flow if generations else ""
        with self._changed:
            while wait and self._open[flow] >= MOST_WAITING and not self._closing:
                self._changed.wait()
            if self._closing:
                raise EngineFailed("the engine is closed")
            if self._open[flow] >= MOST_WAITING:
                raise Overloaded(f"the queue is full ({MOST_WAITING} generations wait)")
            add_to(self._open, flow, len(generations))
            self._requests += len(generations)
        futures: list[Future[Output]] = [Future() for _ in generations]
        for generation, future in zip(generations, futures, strict=True):
            self._loop.call_soon_threadsafe(self._begin, generation, future)
        return futures

    def stats(self) -> EngineStats:
        with self._changed:
            return EngineStats(
                queued=max(0, self._open.total() - self._running),
                running=self._running,
                requests=self._requests,
                source_tokens=self._source_tokens,
                output_tokens=self._output_tokens,
                ready=self._thread.is_alive() and not self._closing and self._is_alive(),
            )

    def close(self) -> None:
        """Finish what is queued, then let go of the server."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            while self._open:
                self._changed.wait()
        if self._client is not None:
            asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._on_close is not None:
            self._on_close()

    # ------------------------------------------------------------------ in the loop

    def _begin(self, generation: Generation, future: Future[Output]) -> None:
        task = self._loop.create_task(self._answer(generation, future))
        future.add_done_callback(partial(self._cancel, task))

    def _cancel(self, task: "asyncio.Task[None]", future: Future[Output]) -> None:
        if future.cancelled():
            self._loop.call_soon_threadsafe(task.cancel)

    async def _answer(self, generation: Generation, future: Future[Output]) -> None:
        result: Output | Exception
        try:
            async with asyncio.timeout_at(generation.deadline):  # the loop's clock is time.monotonic()
                result = await self._outputs(generation)
        except asyncio.CancelledError:  # by its caller, who hears nothing more
            result = EngineFailed("cancelled")
        except TimeoutError:
            result = DeadlineExceeded(LATE)
        except DragomanError as error:
            log.warning("%s", error.message)  # which holds no key and no text
            result = error
        except Exception as error:
            log.exception("%s: a request failed", self._name)
            result = ServerFailed(f"{self._name}: {type(error).__name__}")
        settle(future, result)
        with self._changed:
            add_to(self._open, generation.flow, -1)
            self._changed.notify_all()

    async def _outputs(self, generation: Generation) -> Output:
        """Return the likeliest answer, and sampled ones after it where several are wanted."""
        messages, task, source = conversation(generation.source_ids)
        limit = -(-generation.decoding.max_new_tokens // CHARACTERS_PER_TOKEN)
        number, on_token = generation.decoding.num_return_sequences, generation.on_token
        sent = "\n".join(each["content"] for each in messages) if task is None else source
        answers = [Answer(sent, task, None if seed else on_token) for seed in range(number)]
        tries = [
            asyncio.ensure_future(self._in_place(_Request(messages, limit, seed, answer), generation.flow))
            for seed, answer in enumerate(answers)
        ]
        try:
            first, *others = await asyncio.gather(*tries)
        finally:
            for each in tries:
                each.cancel()
        usage = [each.usage for each in (first, *others) if each.usage is not None]
        total = (sum(source for source, _ in usage), sum(output for _, output in usage)) if usage else None
        with self._changed:
            self._source_tokens += total[0] if total else len(generation.source_ids)
            self._output_tokens += total[1] if total else len(first.token_ids)
        different = {each.token_ids: each for each in others if each.token_ids != first.token_ids}
        ranked = tuple(different.values())
        return Output(first.token_ids, first.score, first.finish, ranked, usage=total)

    @asynccontextmanager
    async def _place(self, flow: str) -> AsyncIterator[None]:
        """Hold one of the places, when it is the flow's turn."""
        turn = _Turn(flow, self._loop.create_future())
        self._waiting.add(turn)
        self._give_places()
        try:
            await turn.come
            yield
        finally:
            self._waiting.drop(turn)
            self._free_places += turn.has_place
            self._give_places()

    def _give_places(self) -> None:
        while self._waiting and self._free_places:
            turn = self._waiting.first()
            self._waiting.take(turn)
            if not turn.come.done():  # else it was cancelled
                turn.come.set_result(None)
                turn.has_place = True
                self._free_places -= 1

    async def _in_place(self, request: _Request, flow: str) -> Output:
        """Ask in one of the places, and again if the server fails in a way that may pass."""
        async with self._place(flow):
            self._running += 1
            try:
                for backoff_s in BACKOFFS_S:
                    try:
                        return await self._ask(request)
                    except _Again as failed:
                        if not self._is_alive():
                            told = f"{self._name}: its server ended and is restarting"
                            raise EngineGone(told) from failed
                        if request.answer.was_told:
                            raise failed.error from failed
                        why = type(failed.__cause__).__name__  # its own words may hold the key or the text
                        log.warning("%s; trying again (%s)", failed.error.message, why)
                        own = backoff_s * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
                        await asyncio.sleep(own if failed.after_s is None else failed.after_s)
                try:
                    return await self._ask(request)
                except _Again as failed:
                    raise failed.error from failed
            finally:
                self._running -= 1

    async def _ask(self, request: _Request) -> Output:
        """Ask once; and once more without the parameters that the server refuses."""
        from openai import APIStatusError

        refused = self._refused
        while True:
            try:
                output = await self._complete(request, refused)
            except APIStatusError as error:
                more = _refusal(error) - refused
                if not more:
                    self._fail(error, request.answer)
                refused |= more
                continue
            self._refused = refused
            if output.finish == "length" and request.answer.thought and not self._thinks:
                self._thinks = True  # it had no room left for the answer
                request.answer.begin()
                continue
            return output

    async def _complete(self, request: _Request, refused: frozenset[str]) -> Output:
        """Have one answer streamed. Raises APIStatusError, _Again and DragomanErrors."""
        from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

        answer = request.answer
        answer.begin()
        try:
            client = await self._connected()
            stream = await client.chat.completions.create(
                model=self._model,
                messages=request.messages,  # type: ignore[arg-type]
                stream=True,
                **self._arguments(request, refused),
            )
            async with stream:  # type: ignore[union-attr]
                async for chunk in stream:  # type: ignore[union-attr]
                    answer.add(chunk)
        except APIStatusError:
            raise
        except APITimeoutError as error:
            raise DeadlineExceeded(f"{self._name}: its server sent nothing for too long") from error
        except APIConnectionError as error:
            raise _Again(ServerUnavailable(f"{self._name}: its server cannot be reached")) from error
        except APIError as error:  # told in the middle of the stream
            raise ServerFailed(f"{self._name}: its server says: {self._words(error, answer)}") from error
        except Exception as error:  # the connection's own errors, which the client passes on from a stream
            raise _Again(ServerFailed(f"{self._name}: its server broke off the answer")) from error
        if answer.finish is None:
            raise _Again(ServerFailed(f"{self._name}: its server broke off the answer"))
        if answer.finish == "content_filter" or answer.refusal:
            told = answer.refusal or "its content filter stopped the answer"
            raise ServerFailed(f"{self._name}: the model declined: {self._safe(told, answer)}")
        return answer.output()

    async def _connected(self) -> "AsyncOpenAI":
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

        url = self._url if isinstance(self._url, str) else await asyncio.to_thread(self._url)
        if self._client is None:
            self._client = AsyncOpenAI(
                base_url=url,
                api_key=self._key or "none",
                max_retries=0,
                timeout=Timeout(SILENCE_S, connect=CONNECT_S),
                http_client=DefaultAsyncHttpxClient(**_straight(url)),
            )
        self._client.base_url = url
        return self._client

    def _arguments(self, request: _Request, refused: frozenset[str]) -> dict[str, Any]:
        limit = request.max_tokens + (THINKING_TOKENS if self._thinks else 0)
        wanted: dict[str, Any] = {
            "max_tokens": limit,
            "temperature": SAMPLING_TEMPERATURE if request.seed else 0.0,
            "logprobs": True,
            "stream_options": {"include_usage": True},
            "reasoning_effort": "none",
        }
        if request.seed:
            wanted["seed"] = request.seed
        found = {name: value for name, value in wanted.items() if name not in refused}
        if "max_tokens" in refused:
            found["max_completion_tokens"] = limit  # its name for OpenAI's models that think
        if "chat_template_kwargs" not in refused:
            found["extra_body"] = {"chat_template_kwargs": {"enable_thinking": False}}
        return found

    def _fail(self, error: "APIStatusError", answer: "Answer") -> NoReturn:
        """Raise what a status means."""
        status = error.status_code
        told = f"{self._name}: its server answers {status}: {self._words(error, answer)}"
        after_s = _retry_after_s(error)
        failure: DragomanError = ServerFailed(told)
        if status in (429, 503):
            failure = ServerUnavailable(told, retry_after_s=after_s or 5.0)
        may_pass = status in (408, 409, 429) or status >= 500
        if may_pass and (after_s is None or after_s <= LONGEST_RETRY_AFTER_S):
            raise _Again(failure, after_s) from error
        raise failure from error

    def _words(self, error: Exception, answer: "Answer") -> str:
        """Return the server's own words."""
        body = getattr(error, "body", None)
        told = body.get("message") if isinstance(body, dict) else body
        if isinstance(body, dict) and not isinstance(told, str):
            told = body.get("detail") or body.get("error")
        return self._safe(told if isinstance(told, str) and told else str(error), answer)

    def _safe(self, told: str, answer: "Answer") -> str:
        """Return a server's words without the key and without the text that it was sent."""
        line = " ".join(told.split())
        if self._key:
            line = line.replace(self._key, "...")
        line = re.sub(r"\bsk-[\w*-]+", "...", line)[:MAX_WORDS]
        sent = " ".join(answer.sent.split())
        forms = [form for form in (sent, json.dumps(sent)[1:-1]) if len(form) >= _LEAST_QUOTED]
        pieces = (line[i : i + _QUOTED] for i in range(max(0, len(line) - _QUOTED) + 1))
        if any(form in line for form in forms) or any(
            len(piece) == _QUOTED and piece in form for piece in pieces for form in forms
        ):
            return "(its words quote the text)"
        return line


_QUOTED, _LEAST_QUOTED = 16, 4
"""A server's words quote the text if they share so many characters in a row with it, or have all of it."""


def _refusal(error: "APIStatusError") -> frozenset[str]:
    """Return the parameters that the server refuses: those that it names, else all that it may do without."""
    if error.status_code not in (400, 403, 422):
        return frozenset()
    told = f"{error.message} {error.body}"
    named = frozenset(name for name in OPTIONAL if name in told)
    return named or (frozenset() if error.status_code == 403 else OPTIONAL - {"max_tokens"})


def _retry_after_s(error: "APIStatusError") -> float | None:
    try:
        found = float(error.response.headers.get("retry-after", ""))
    except ValueError:  # absent, or a date
        return None
    return max(0.0, found) if math.isfinite(found) else None


# ------------------------------------------------------------------------------------------- the answer


class Answer:
    """An answer as it comes: its text without what the model says around it, and how likely it was."""

    def __init__(self, sent: str, task: Task | None, on_token: Callable[[int], None] | None):
        self.sent = sent
        """The text that the server was sent, or all messages of a chat."""
        self._task = task
        self._on_token = on_token
        self._told = ""
        self.begin()

    def begin(self) -> None:
        """Forget a try that came to nothing."""
        self._text = self.refusal = ""
        self.thought = False
        self.finish: str | None = None
        self._log_probabilities: list[float] = []
        self._usage: tuple[int, int] | None = None

    @property
    def was_told(self) -> bool:
        """Whether somebody has heard the beginning of it."""
        return bool(self._told)

    def add(self, chunk: Any) -> None:
        """Take in the next part. Servers differ in what they leave out."""
        if chunk.usage is not None:
            self._usage = (chunk.usage.prompt_tokens or 0, chunk.usage.completion_tokens or 0)
        if not chunk.choices:
            return
        choice = chunk.choices[0]
        delta = choice.delta
        self.finish = choice.finish_reason or self.finish
        self.refusal += getattr(delta, "refusal", None) or ""
        if getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None):
            self.thought = True
        if not delta.content:
            return
        self._text += delta.content
        if choice.logprobs is not None:
            self._log_probabilities += [each.logprob for each in choice.logprobs.content or ()]
        answer = without_thought(self._text, self.sent)
        if len(answer) < len(self._text.lstrip()):
            self.thought = True
            if not answer.strip():
                self._log_probabilities.clear()  # those of the thought say nothing of the answer
        self._tell()

    def output(self) -> Output:
        """Return the whole answer."""
        text = cleaned(self._text, self.sent, self._task)
        known = self._log_probabilities
        score = min(0.0, sum(known) / len(known)) if known else None
        finish = self.finish
        return Output(
            tuple(map(ord, text)), score, "length" if finish == "length" else "stop", usage=self._usage
        )

    def _tell(self) -> None:
        if self._on_token is None:
            return
        text = cleaned(self._text, self.sent, self._task, whole=False)
        if text.startswith(self._told):
            for character in text[len(self._told) :]:
                self._on_token(ord(character))
            self._told = text


_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning)>.*?(?:</\1>|\Z)", re.S)
_THOUGHT_TAGS = ("<think>", "<thinking>", "<thought>", "<reasoning>", "<|channel|>")
_FINAL = "<|channel|>final<|message|>"
_FENCE = re.compile(r"```[\w-]{0,20}\n(.*?)\n?```", re.S)
_LABEL = (
    r"(?:translation|translated text|summary|headline|traduction|traducción|tradução|traduzione|übersetzung|"
    r"résumé|resumen|resumo|riassunto|zusammenfassung|перевод|краткое содержание|译文|翻译|摘要|总结)"
)
_WORK = (
    r"(?:translat|summar|headline|version|tradu[cçz]|r[ée]sum|übersetz|zusammenfass|riassunt|перевод|译|摘要)"
)
_YES = (
    r"(?:(?:sure|certainly|of course|absolutely|ok(?:ay)?|bien sûr|claro|natürlich|certo|конечно|当然|好的)"
    r"[^\n:：]{0,30}?[!.,，。！]\s{0,2})?"
)
_HERE = r"(?:here(?:['’]s| is| are)|below is|the following is|this is|voici|hier ist|aqu[íi]|ecco|вот|以下是)"
_OPENING_LINE = re.compile(
    rf"[*#_ ]{{0,4}}{_YES}(?:{_HERE}[^\n:：]{{0,100}}|{_LABEL}(?: ?\([^)\n]{{0,30}}\))?)"
    r"[*_]{0,2}[:：][*_ ]{0,3}\n\s*",
    re.I,
)
"""A first line such as "Sure! Here is the French translation:"."""
_OPENING_WORDS = re.compile(
    rf"[*#_ ]{{0,4}}(?:{_YES}{_HERE} (?:the|a|your|la|le|die|il|o|el)\b"
    rf"[^\n:：]{{0,60}}{_WORK}[^\n:：]{{0,60}}"
    rf"|{_LABEL}(?: ?\([^)\n]{{0,30}}\))?)[*_]{{0,2}}[:：][*_]{{0,2}} ",
    re.I,
)
"""The same with the answer on the same line."""
_COURTESY = re.compile(r"(?:sure|certainly|of course|absolutely|okay)[!.] ?\n\s*", re.I)
_REMARK = re.compile(
    r"(?:-{3,}$|(?![*-] )[*_#(\[（ ]{0,4}(?:"
    r"(?:note|notes|explanation|remarque|anmerkung|hinweis|nota|примечание)[*_]{0,2} ?[:：]|注意?[，,:：]"
    r"|translator['’]s note|please note|let me know|i hope|feel free))",
    re.I,
)
"""The beginning of a line that is no longer the answer."""
_QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“", "‘": "’", "「": "」"}
_HELD_CHARACTERS = 160
"""A stream's first line is held back until it has so many characters, in case it is only an opening."""
_NEAR_CHARACTERS = 120
_COLON = re.compile("[:：]")


def without_thought(answer: str, source: str) -> str:
    """Return an answer without the thought that it begins with; a tag that the source has is its own."""
    text = answer.lstrip()
    if text.startswith("<|channel|>") and "<|channel|>" not in source:
        return text.partition(_FINAL)[2]
    found = _THOUGHT.match(text)
    if found is not None and f"<{found[1]}" not in source:
        return text[found.end() :].lstrip()
    return text


def cleaned(answer: str, source: str, task: Task | None, *, whole: bool = True) -> str:
    """Return the answer without what a model says around it: thoughts, an opening, a fence, quotation marks.

    The source tells what is the answer's own. A chat's answer loses a thought alone. Of one that is not
    `whole` yet as much is returned as the whole one will begin with, so far as can be told.
    """
    text = without_thought(answer, source)
    if task is None:
        unsure = not whole and any(tag.startswith(text) for tag in _THOUGHT_TAGS)
        return "" if unsure else text.strip()
    if "</think>" in text and "</think>" not in source:  # its beginning was in the prompt
        text = text.partition("</think>")[2]
    text = text.strip()
    if not whole and ("\n" not in text and len(text) <= _HELD_CHARACTERS):
        return ""
    text = _without_opening(text, source, task)
    if not whole and (text[:1] in _QUOTES or text.startswith("```")):
        return ""  # only its end tells what they are
    if (fence := _FENCE.fullmatch(text)) and "```" not in source:
        text = fence[1].strip()
    text = _without_remark(text, source, task, whole=whole)
    return _unquoted(text, source, task)


def _without_opening(text: str, source: str, task: Task) -> str:
    if task == "translate":
        may_be_line = not _COLON.search(source[:_NEAR_CHARACTERS])  # the answer's may be the source's own
        may_be_words, may_be_yes = not _COLON.search(source), "\n" not in source
    else:
        may_be_line = may_be_words = may_be_yes = text[:40].lower() not in source.lower()
    for opening, may_be in (
        (_COURTESY, may_be_yes),
        (_OPENING_LINE, may_be_line),
        (_OPENING_WORDS, may_be_words),
    ):
        found = opening.match(text) if may_be else None
        if found is not None and found.end() < len(text):
            text = text[found.end() :]
    return text


def _without_remark(text: str, source: str, task: Task, *, whole: bool) -> str:
    """Return the text without a remark after it: in a translation that has more lines than its source, or as
    the last paragraph of a summary."""
    lines = text.split("\n")
    if len(lines) == 1:
        return text
    is_longer = len(_filled(text)) > len(_filled(source))
    for i, line in enumerate(lines[1:], 1):
        found = _REMARK.match(line.strip())
        if found is None or found[0].lower() in source.lower():
            continue
        is_last = found[0].startswith("---") or "\n\n" not in "\n".join(lines[i:]).strip()
        if not whole or (is_longer if task == "translate" else is_last):
            return "\n".join(lines[:i]).rstrip()
    return text if whole else "\n".join(lines[:-1]).rstrip()


def _filled(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _unquoted(text: str, source: str, task: Task) -> str:
    """Return the text without a pair of quotation marks around it, unless the source has them there."""
    closing, marks = _QUOTES.get(text[:1]), {*_QUOTES, *_QUOTES.values()}
    ends = {source.strip()[:1], source.strip()[-1:]}
    if closing is None or (task == "translate" and ends & marks):
        return text
    inside = text[1:-1]
    wraps = len(text) > 2 and text[-1] == closing and text[0] not in inside and closing not in inside
    return inside.strip() if wraps else text
