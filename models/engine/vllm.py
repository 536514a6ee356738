"""vLLM as the engine of decoder-only models, for those who have its package.

vLLM keeps caches, makes batches and runs the model. Here are the queue before it, the thread that has it take
steps, and its names for what a decoding asks. Knows nothing of text: no tokenizer is loaded.
"""

import gc
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from models.engine.awaited import Awaited
from models.engine.batches import refusal
from models.engine.protocol import LATE, Decoding, EngineStats, Generation, Output
from models.errors import (
    DeadlineExceeded,
    DragomanError,
    EngineFailed,
    InvalidInput,
    ModelUnavailable,
    Overloaded,
)

log = logging.getLogger(__name__)

MOST_RUNNING = 256
CACHE_SHARE = 2
"""Keys and values take a part in so many of what is free beside the weights: other models need room too."""
CPU_CACHE_BYTES = 1 << 30
FORBIDDEN = -100.0
"""The least that vLLM takes as the bias of a logit."""
LOOK_S = 0.02
"""Requests that were stopped are looked for this often."""


class VllmRequest(Awaited):
    """A generation in vLLM, or on its way there, and what its caller waits for."""

    def __init__(self, generation: Generation, name: str):
        super().__init__()
        self.generation = generation
        self.name = name
        self.token_ids: list[int] = []

    def late(self, now: float) -> bool:
        """Return True once nobody wants the output any more."""
        deadline = self.generation.deadline
        return self.cancelled() or (deadline is not None and deadline <= now)


class VllmEngine:
    """An Engine over the model in `folder`, in transformers' layout, computed in `dtype`.

    `end_token_ids` end an output where a decoding names no others. `free_bytes` is the GPU's memory beside
    the weights, of which keys and values take a part; None for a CPU.

    All searches are greedy, with one hypothesis: vLLM has no beams and bans no n-grams. It has repetition
    penalties, suppressed tokens, ends, and a least number of tokens. Raises what vLLM raises for models, and
    memory, that it cannot use.
    """

    def __init__(
        self,
        folder: Path,
        dtype: str,
        *,
        end_token_ids: tuple[int, ...],
        free_bytes: int | None,
        max_source_tokens: int,
        max_new_tokens: int,
        max_queued: int = 4096,
    ):
        self._max_source_tokens, self._max_new_tokens = max_source_tokens, max_new_tokens
        self._max_queued = max_queued
        cache_bytes = CPU_CACHE_BYTES if free_bytes is None else free_bytes // CACHE_SHARE
        tokens = max_source_tokens + max_new_tokens
        self._llm, self._vocabulary = _load(folder, dtype, tokens, cache_bytes)
        self._ends = end_token_ids
        self._changed = threading.Condition()
        self._inbox: deque[VllmRequest] = deque()
        self._running: dict[str, VllmRequest] = {}
        self._closing = False
        self._failure = ""
        self._submitted = self._output_tokens = self._source_tokens = 0
        self._step_s = self._looked = 0.0
        self._thread = threading.Thread(target=self._run, name="vllm-engine", daemon=True)
        self._thread.start()

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        """Queue the generations; see `Engine.submit`."""
        with self._changed:
            while wait and len(self._inbox) >= self._max_queued and not self._closing:
                self._changed.wait()
            if self._closing or self._failure:
                raise EngineFailed(self._failure or "the engine is closed")
            if len(self._inbox) >= self._max_queued:
                raise Overloaded(f"the queue is full ({self._max_queued} generations wait)")
            first = self._submitted
            requests = [VllmRequest(each, str(first + i)) for i, each in enumerate(generations)]
            self._submitted += len(requests)
            for request in requests:
                if (error := self._refusal(request.generation)) is not None:
                    request.answer(error)
                else:
                    self._inbox.append(request)
            self._changed.notify_all()
        return [*requests]

    def stats(self) -> EngineStats:
        """See `Engine.stats`."""
        running, step_s = len(self._running), self._step_s
        return EngineStats(
            queued=len(self._inbox),
            running=running,
            requests=self._submitted,
            source_tokens=self._source_tokens,
            output_tokens=self._output_tokens,
            ready=not self._failure and not self._closing,
            slots=MOST_RUNNING,
            slots_used=running,
            step_s=step_s,
            tokens_per_s=running / step_s if step_s else 0.0,
        )

    def close(self) -> None:
        """Finish what is queued, then free the model."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        if self._llm is not None:
            with suppress(Exception):  # of a device that was lost
                self._llm.engine_core.shutdown()
            self._llm = None
            gc.collect()

    def _refusal(self, generation: Generation) -> DragomanError | None:
        new = generation.decoding.max_new_tokens
        if not 0 < new <= self._max_new_tokens:
            allowed = f"1 to {self._max_new_tokens}"
            return InvalidInput(f"max_new_tokens is {new}", field="max_new_tokens", allowed=allowed)
        return refusal(generation, self._max_source_tokens, self._vocabulary)

    # ------------------------------------------------------------------ the engine's thread

    def _run(self) -> None:
        try:
            while self._take_in():
                began = time.perf_counter()
                for output in self._llm.step():
                    self._learn(output)
                seconds = time.perf_counter() - began
                self._step_s += (0.05 if self._step_s else 1.0) * (seconds - self._step_s)
        except Exception as error:
            log.exception("vLLM failed; its model has to be loaded anew")
            self._fail_everyone(f"vLLM failed: {error!r}")

    def _take_in(self) -> bool:
        """Wait for work, hand it to vLLM, and take from it what nobody wants; False once closed and done."""
        with self._changed:
            while not self._inbox and not self._running:
                if self._closing:
                    return False
                self._changed.wait()
            late = self._late()
            room = MOST_RUNNING - len(self._running)
            joining = [self._inbox.popleft() for _ in range(min(room, len(self._inbox)))]
            self._changed.notify_all()
        for request in late:
            request.answer(DeadlineExceeded(LATE))
        for request in joining:
            self._begin(request)
        return True

    def _late(self) -> list[VllmRequest]:
        """Take out of queue and vLLM what nobody wants any more; a look now and then is enough."""
        now = time.monotonic()
        if now < self._looked + LOOK_S:
            return []
        self._looked = now
        running = [request for request in self._running.values() if request.late(now)]
        self._abort(running)
        queued = [request for request in self._inbox if request.late(now)]
        if queued:
            gone = set(queued)
            self._inbox = deque(request for request in self._inbox if request not in gone)
        return [*running, *queued]

    def _abort(self, requests: Sequence[VllmRequest]) -> None:
        if requests:
            self._llm.abort_request([request.name for request in requests])
        for request in requests:  # and not before: should vLLM fail, they are to hear of it
            del self._running[request.name]

    def _begin(self, request: VllmRequest) -> None:
        from vllm.inputs import tokens_input

        generation = request.generation
        wanted = _parameters(generation.decoding, self._ends)
        try:
            self._llm.add_request(request.name, tokens_input(list(generation.source_ids)), wanted)
        except Exception as error:  # noqa: BLE001 - what vLLM says of one request is that one's affair
            request.answer(EngineFailed(f"vLLM refused the request: {error}"))
            return
        self._running[request.name] = request
        self._source_tokens += len(generation.source_ids)

    def _learn(self, output: Any) -> None:
        """Hear of a request's new tokens, and of its end."""
        request = self._running.get(output.request_id)
        if request is None:
            return
        (found,) = output.outputs
        stops = request.generation.decoding.stop_token_ids or self._ends
        new = [token for token in found.token_ids if token not in stops]
        request.token_ids += new
        if request.generation.on_token is not None and not self._told(request.generation.on_token, new):
            self._abort([request])
            request.answer(EngineFailed("the reader of this text failed"))
        elif output.finished:
            del self._running[request.name]
            self._output_tokens += len(request.token_ids)
            ended = found.finish_reason == "stop"
            score = found.cumulative_logprob / (len(request.token_ids) + ended)
            request.answer(Output(tuple(request.token_ids), score, "stop" if ended else "length"))

    def _told(self, on_token: Callable[[int], None], tokens: Sequence[int]) -> bool:
        """Tell of each token; False if the caller's own code fails."""
        try:
            for token in tokens:
                on_token(token)
        except Exception:
            log.exception("a reader of tokens failed; its text is given up")
            return False
        return True

    def _fail_everyone(self, why: str) -> None:
        with self._changed:
            self._failure = why
            lost = [*self._running.values(), *self._inbox]
            self._running.clear()
            self._inbox.clear()
            self._changed.notify_all()
        for request in lost:
            request.answer(EngineFailed(why))


def _load(folder: Path, dtype: str, tokens: int, cache_bytes: int) -> tuple[Any, int]:
    """vLLM's engine for requests of so many tokens, and the size of the model's vocabulary."""
    if find_spec("vllm") is None:
        raise ModelUnavailable("its package is missing: pip install 'dragoman[vllm]'")
    from transformers import AutoConfig
    from vllm import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine
    from vllm.v1.executor import Executor

    text = AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config(decoder=True)
    arguments = EngineArgs(
        model=str(folder),
        skip_tokenizer_init=True,
        generation_config="vllm",
        distributed_executor_backend="uni",  # in this process, which has nothing else to do
        dtype=dtype,
        max_model_len=min(tokens, text.max_position_embeddings),
        max_num_seqs=MOST_RUNNING,
        kv_cache_memory_bytes=cache_bytes,
        disable_log_stats=True,
        use_tqdm_on_load=False,
    )
    config = arguments.create_engine_config()
    return LLMEngine(config, Executor.get_class(config), log_stats=False), text.vocab_size


def _parameters(decoding: Decoding, ends: tuple[int, ...]) -> Any:
    """The decoding as vLLM has it; the score is of the model's own probabilities, before any edit."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=0.0,
        max_tokens=decoding.max_new_tokens,
        min_tokens=decoding.min_new_tokens,
        repetition_penalty=decoding.repetition_penalty,
        logit_bias=dict.fromkeys(decoding.suppressed_token_ids, FORBIDDEN) or None,
        stop_token_ids=list(decoding.stop_token_ids or ends),
        ignore_eos=True,  # the ends are those above
        logprobs=0,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
    )
