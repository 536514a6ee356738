"""The engine of decoder-only models on a GPU: greedy searches join and leave between steps.

A request waits for no other's end: it joins as soon as there is room and is answered when it ends, and
batches are filled again while they run. Other searches (beams) run between steps by transformers' `generate`,
a batch at a time. So does what a failed step held: batches are halved until the one request that cannot be
run is alone. What runs is in `models.engine.rolling`; the queue, its limits and those batches are
`BatchingEngine`'s.

transformers' own continuous batching (5.24) was tried: exact as well, but without the flash-attn package each
row attends to all rows' caches, behind a mask that is built in every step. With 1, 16 and 64 rows a step took
7.8, 11 and 111 ms of a CPU's core, `generate`'s 6.6, 7.5 and 8.7, and one here 7.0, 7.4 and 8.8 (Gemma 3's 18
layers, made narrow). Its authors measured a fifth of flash attention's rate without it (pull request 42839).
It also has no beams and no edits of the logits by what a row has written (Qwen2.5's repetition penalty).
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import torch

from models.engine.batches import MOST_TOKENS, QueueEntry
from models.engine.batching import BatchingEngine
from models.engine.generate import GenerateBackend
from models.engine.protocol import LATE, BatchRecord, Decoding, EngineStats
from models.engine.rolling import RollingBatch, RollingRow, takes
from models.errors import DeadlineExceeded, EngineFailed

log = logging.getLogger(__name__)

REFILL, STEPS_APART = 8, 4
"""A prefill takes about as long as a step, and all others wait for it. So there are some steps between two of
them, and while more wait than there is room for, rows join when a part of one in so many is free."""

CACHE_SHARE = 3
"""The caches take at most a part in so many of the memory that is free when the engine is made."""

CPU_CACHE_BYTES = 1 << 30

LOOK_S = 0.05
"""A long queue is looked through for requests that were stopped this often."""

Running = dict[RollingRow, QueueEntry]


def cache_tokens_for(model: Any) -> int:
    """The number of tokens whose keys and values fit into the memory that caches may take."""
    config = model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token_bytes: int = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize
    bytes_for_caches = CPU_CACHE_BYTES
    if model.device.type == "cuda":
        bytes_for_caches = torch.cuda.mem_get_info(model.device)[0] // CACHE_SHARE
    return max(1, bytes_for_caches // token_bytes)


class CausalEngine(BatchingEngine):
    """An Engine over a loaded transformers model. At most `max_batch_size` rows run at a time.

    `max_cache_tokens` bounds the caches, by default by the device's memory: rows times the tokens of the row
    that may become longest.
    """

    def __init__(
        self,
        model: Any,
        *,
        max_source_tokens: int,
        max_cache_tokens: int | None = None,
        max_batch_size: int = 64,
        max_queue: int = 4096,
        on_batch: Callable[[BatchRecord], None] | None = None,
    ):
        self._rolling = RollingBatch(model)
        self._running: Running = {}
        self._max_cache_tokens = max_cache_tokens or cache_tokens_for(model)
        self._step_s = self._looked = 0.0
        self._steps = 0  # since rows joined last
        self.failure = ""
        """The reason why a step failed last, for the trial: `generate` makes good for it."""
        backend = GenerateBackend(model, causal=True, max_source_tokens=max_source_tokens)
        super().__init__(backend, max_batch_size=max_batch_size, max_queue=max_queue, on_batch=on_batch)

    def stats(self) -> EngineStats:
        """See `Engine.stats`; `batches` counts `generate`'s, and each time that rows joined."""
        rows, step_s = len(self._running), self._step_s
        return replace(
            super().stats(),
            slots=self._max_batch_size,
            slots_used=rows,
            step_s=step_s,
            tokens_per_s=rows / step_s if step_s else 0.0,
        )

    def close(self) -> None:
        """See `Engine.close`."""
        super().close()
        del self._rolling

    # ------------------------------------------------------------------ the engine's thread

    def _work(self) -> None:
        while self._wait():
            others, joining = self._next()
            try:
                if others:
                    self._run(others)
                self._advance(joining)
            except Exception:
                log.exception("the engine failed outside a step; it goes on")
                for entry in [*others, *joining, *self._running.values()]:
                    entry.finish(EngineFailed("the engine failed; try again"))
                self._running = {}
                self._rolling.clear()
            with self._changed:
                self._num_running = len(self._running)
                self._changed.notify_all()

    def _wait(self) -> bool:
        """Wait for work; False when closed and drained."""
        with self._changed:
            while not self._queue and not self._running:
                if self._closing:
                    return False
                self._changed.wait()
        return True

    def _next(self) -> tuple[list[QueueEntry], list[QueueEntry]]:
        """Take from the queue a batch for `generate`, if it is one's turn, and those that join now."""
        with self._changed:
            self._drop_stopped_at_times()
            others: list[QueueEntry] = []
            if self._queue and not takes(self._queue[0].generation.decoding):
                others, _ = self._choose()
            greedy = (entry for entry in self._queue if takes(entry.generation.decoding))
            joining = self._joining(list(islice(greedy, self._max_batch_size)))
            if not others and not joining:
                return [], []
            chosen = set(map(id, [*others, *joining]))
            self._queue = [entry for entry in self._queue if id(entry) not in chosen]
            self._num_running += len(chosen)
            self._changed.notify_all()
            return others, joining

    def _drop_stopped_at_times(self) -> None:
        """Drop what was stopped from the queue; not between any two steps, where the queue is long."""
        now = time.monotonic()
        if len(self._queue) <= self._max_batch_size or now > self._looked + LOOK_S:
            self._looked = now
            self._drop_stopped()

    def _joining(self, waiting: list[QueueEntry]) -> list[QueueEntry]:
        """Return the first of those that wait, as many as there is room for."""
        rows, free = len(self._running), self._max_batch_size - len(self._running)
        least = min(len(waiting), max(1, self._max_batch_size // REFILL))
        if rows and (free < least or self._steps < STEPS_APART):
            return []
        longest = max((row.longest for row in self._running), default=0)
        widest, taken = 0, 0
        for entry in waiting[:free]:
            widest = max(widest, entry.tokens)
            longest = max(longest, entry.tokens + entry.generation.decoding.max_new_tokens)
            count = taken + 1
            fits = (rows + count) * longest <= self._max_cache_tokens or rows + count == 1
            if not fits or (count * widest > MOST_TOKENS and count > 1):
                break
            taken = count
        return waiting[:taken]

    def _advance(self, joining: Sequence[QueueEntry]) -> None:
        """Let the sound ones join, or where none does write one more token of each row; answer what ended."""
        sound: Running = {}
        for entry in joining:
            if entry.stopped():
                entry.finish(DeadlineExceeded(LATE))
            elif error := self._refusal(entry.generation):
                entry.finish(error)
            else:
                sound[self._rolling.row_of(entry.generation)] = entry
        self._drop_stopped_rows()
        self._running |= sound
        if not self._running:
            return
        failed = ""
        start = time.perf_counter()
        try:
            if sound:
                self._rolling.join(list(sound))
                self._steps = 0
            else:
                self._rolling.step()
                self._steps += 1
        except Exception as error:  # noqa: BLE001 - devices raise what they like
            failed = repr(error)  # and the error goes, for its frames hold on to the device's memory
        if failed:
            self._run_otherwise(failed)
            return
        seconds = time.perf_counter() - start
        self._step_s = 0.9 * self._step_s + 0.1 * seconds if self._step_s else seconds
        self._pass_on(list(sound) or self._rolling.rows)
        self._answer()
        if sound:
            with self._changed:
                self._batches += 1
                self._source_tokens += sum(entry.tokens for entry in sound.values())

    def _drop_stopped_rows(self) -> None:
        """Let go of the rows whose callers cancelled, or whose time is over."""
        stopped = [row for row, entry in self._running.items() if entry.stopped() or entry.answered]
        for row in stopped:
            self._running.pop(row).finish(DeadlineExceeded(LATE))
        if stopped:
            self._rolling.keep(list(self._running))

    def _pass_on(self, rows: Sequence[RollingRow]) -> None:
        """Tell those that listen of the token that was written."""
        for row in rows:
            on_token = row.generation.on_token
            if on_token is None or row.stopped:
                continue
            try:
                on_token(row.tokens[-1])
            except Exception:
                log.exception("a listener failed; its request ends")
                self._running[row].finish(EngineFailed("the reader of this text failed"))

    def _answer(self) -> None:
        """Answer the rows that are done, and let go of them."""
        done = [row for row in self._running if row.done]
        if not done:
            return
        for row in done:
            output = row.output()
            with self._changed:
                self._output_tokens += len(output.token_ids)
            self._running.pop(row).finish(output)
        self._rolling.keep(list(self._running))

    def _run_otherwise(self, reason: str) -> None:
        """Give what a failed step held to `generate`; what its reader has begun to read cannot begin anew."""
        self.failure = reason
        log.warning("a step of %d requests failed (%s); generate runs them", len(self._running), reason)
        running, self._running = self._running, {}
        self._rolling.clear()
        alike: dict[Decoding, list[QueueEntry]] = defaultdict(list)
        for row, entry in running.items():
            if row.tokens and row.generation.on_token is not None:
                entry.finish(EngineFailed("the model failed on this text after it had begun; try again"))
            else:
                alike[row.generation.decoding].append(entry)
        for entries in alike.values():
            self._run_or_halve(entries)
