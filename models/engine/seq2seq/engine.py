"""The native seq2seq engine: one thread, one device, requests that join and leave between decoding steps.

Checks and queues what is submitted, and keeps the thread alive that does the work. Token ids only: knows
nothing of text or tasks.
"""

import gc
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import torch

from models.engine.awaited import Awaited
from models.engine.protocol import EngineStats, Generation, Output
from models.engine.seq2seq.checks import MAX_STOP_TOKENS, RequestChecks
from models.engine.seq2seq.loop import Counts, Loop
from models.engine.seq2seq.memory import Limits
from models.engine.seq2seq.runner import Runner
from models.engine.seq2seq.scheduler import Request
from models.errors import EngineFailed, InvalidInput, Overloaded


class Seq2SeqEngine:
    """Generates with an encoder-decoder of transformers, many requests at a time.

    The model (BART, mBART, Pegasus, Marian, M2M100, NLLB, T5, mT5 or Flan-T5, with a language head) becomes
    the engine's own: it is moved to the device and its decoder's weights are rearranged in place.

    The limits are narrowed to the model's positions, and widened to all of its end tokens. CUDA graphs for
    the beam widths are captured here and at no other time: a search that wishes for more
    beams runs with the next lower width.

    ModelUnavailable for other architectures, EngineFailed where the device cannot hold one request.
    """

    def __init__(
        self,
        model: Any,
        limits: Limits,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        max_queued: int = 4096,
    ):
        self._device = torch.device(device)
        self._dtype = dtype
        self._model = model.to(self._device, dtype).eval()
        self.limits = _narrowed(limits, model)
        self._checks = RequestChecks(
            self.limits,
            source_vocabulary=model.get_encoder().get_input_embeddings().num_embeddings,
            target_vocabulary=model.lm_head.out_features,
            end_token_ids=_end_token_ids(model),
        )
        self._max_queued = max_queued
        self._changed = threading.Condition()
        self._inbox: deque[Request] = deque()
        self._cancelled: deque[Request] = deque()
        self._closing = False
        self._counts = Counts()
        self._loop = self._new_loop()
        self._ready = True
        self._thread = threading.Thread(target=self._run, name="seq2seq-engine", daemon=True)
        self._thread.start()

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        """Queue the generations; see `Engine.submit`. EngineFailed once the engine is closed or dead."""
        requests = [self._request(generation) for generation in generations]
        sound = [request for request in requests if isinstance(request, Request)]
        with self._changed:
            self._make_room(wait)
            self._inbox.extend(sound)
            self._changed.notify_all()
        return [*requests]

    def stats(self) -> EngineStats:
        """A look at the engine, taken without stopping it."""
        loop, counts = self._loop, self._counts
        return EngineStats(
            queued=self._num_queued(),
            running=len(loop.scheduler.by_slot),
            requests=counts.requests,
            batches=counts.batches,
            source_tokens=counts.source_tokens,
            output_tokens=counts.output_tokens,
            ready=self._ready,
            slots=loop.scheduler.slots.num_slots,
            slots_used=loop.scheduler.slots.used,
            tokens_per_s=counts.tokens_per_s,
            step_s=counts.step_s,
            batch_fill=counts.batch_fill,
        )

    def close(self) -> None:
        """Finish what is queued, then stop and let go of the model and the memory."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._ready = False
        del self._model
        with suppress(RuntimeError):  # of a device that was lost, which has nothing left to give back
            self._release_memory()

    def _request(self, generation: Generation) -> Awaited:
        """The request; one that cannot run here is answered already."""
        try:
            return Request(generation, *self._checks.check(generation), self._when_cancelled)
        except InvalidInput as error:
            refused = Awaited()
            refused.answer(error)
            return refused

    def _make_room(self, wait: bool) -> None:
        """Return once fewer than the most are queued, or raise; a submission is then taken whole."""
        while True:
            if self._closing or not self._ready:
                raise EngineFailed("the engine is closed" if self._closing else "the engine is not ready")
            queued = self._num_queued()
            if queued < self._max_queued:
                return
            if not wait:
                raise Overloaded(f"{queued} requests are queued, and {self._max_queued} is the most")
            self._changed.wait()

    def _num_queued(self) -> int:
        return len(self._inbox) + len(self._loop.scheduler.waiting)

    def _when_cancelled(self, request: Request) -> None:
        with self._changed:
            self._cancelled.append(request)
            self._changed.notify_all()

    def _new_loop(self) -> Loop:
        with torch.inference_mode(), self._on_device():
            runner = Runner(self._model, device=self._device, dtype=self._dtype, limits=self.limits)
            runner.capture(self._checks.lanes())
            return Loop(runner, self._counts)

    def _on_device(self) -> AbstractContextManager[object]:
        """Triton launches on the thread's current device, which need not be the engine's."""
        return torch.cuda.device(self._device) if self._device.type == "cuda" else nullcontext()

    def _run(self) -> None:
        """The thread: serve until closed; after a failure answer everyone, and start afresh."""
        while True:
            try:
                with torch.inference_mode(), self._on_device():
                    self._serve()
                return
            except BaseException as error:  # noqa: BLE001 - whatever it is must reach those who wait
                self._ready = False
                self._fail_everyone(EngineFailed(f"the engine died: {error!r}"))
            try:
                self._release_memory()
                self._loop = self._new_loop()
            except Exception:  # noqa: BLE001 - the device is lost; `ready` stays off and submit says so
                return
            self._ready = True

    def _release_memory(self) -> None:
        self._loop.release()
        gc.collect()  # the runner and its graphs refer to each other
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _serve(self) -> None:
        while self._take_in():
            self._loop.turn()

    def _take_in(self) -> bool:
        """Wait for something to do and hand it to the loop; False once closed and nothing is left."""
        with self._changed:
            self._changed.notify_all()  # the last turn may have made room
            while self._loop.idle and not self._inbox and not self._cancelled:
                if self._closing:
                    return False
                self._changed.wait()
            self._loop.add(list(self._inbox))
            self._inbox.clear()
            self._loop.drop(self._cancelled)
            self._cancelled.clear()
        return True

    def _fail_everyone(self, error: EngineFailed) -> None:
        self._loop.fail_all(error)
        with self._changed:
            waiting = list(self._inbox)
            self._inbox.clear()
            self._changed.notify_all()
        for request in waiting:
            request.answer(error)


def _narrowed(limits: Limits, model: Any) -> Limits:
    """The limits that the model can keep to: T5's bias by distance has none, others have positions."""
    positions = getattr(model.config, "max_position_embeddings", None) or limits.max_new_tokens
    stops = max(limits.max_stop_tokens, len(_end_token_ids(model)))
    new_tokens = min(limits.max_new_tokens, positions)
    return replace(limits, max_stop_tokens=min(MAX_STOP_TOKENS, stops), max_new_tokens=new_tokens)


def _end_token_ids(model: Any) -> tuple[int, ...]:
    end = model.generation_config.eos_token_id
    return () if end is None else tuple(end) if isinstance(end, list) else (end,)
