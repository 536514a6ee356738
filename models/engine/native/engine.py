"""The native engine for encoder-decoders: one thread, one device, continuous batching.

`NativeEngine` checks and queues what is submitted, and keeps the thread alive that runs `Loop`: admit, step,
and learn what the step before has brought. Requests join and leave between decoding steps. Token ids only:
knows nothing of text or tasks.
"""

import gc
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from models.engine.flows import MOST_WAITING
from models.engine.futures import OutputFuture
from models.engine.native.limits import MAX_STOP_TOKENS, Limits, RequestChecks
from models.engine.native.model import end_token_ids
from models.engine.native.runner import Arriving, Runner
from models.engine.native.scheduler import Request, Scheduler, Slots
from models.engine.native.search import NEVER
from models.engine.protocol import EngineStats, Generation, Output
from models.errors import DeadlineExceeded, DragomanError, EngineFailed, InvalidInput, Overloaded

STALLED_S = 60.0
"""A turn takes milliseconds; one that takes as long as this waits for a device that has hung."""


class NativeEngine:
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
        max_queued: int = MOST_WAITING,
    ):
        self._device = torch.device(device)
        self._dtype = dtype
        self._model = model.to(self._device, dtype).eval()
        self.limits = _narrowed(limits, model)
        self._checks = RequestChecks(
            self.limits,
            source_vocabulary=model.get_encoder().get_input_embeddings().num_embeddings,
            target_vocabulary=model.lm_head.out_features,
            end_token_ids=end_token_ids(model),
        )
        self._max_queued = max_queued
        self._changed = threading.Condition()
        self._inbox: deque[Request] = deque()
        self._cancelled: deque[Request] = deque()
        self._closing = False
        self._lost = ""
        self._counts = Counts()
        self._loop = self._new_loop()
        self._ready = True
        self._thread = threading.Thread(target=self._run, name="native-engine", daemon=True)
        self._thread.start()

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        """Queue the generations; see `Engine.submit`. EngineFailed once the engine is closed or dead."""
        requests = [self._request(generation) for generation in generations]
        sound = [request for request in requests if isinstance(request, Request)]
        with self._changed:
            self._make_room(wait, generations[0].flow if generations else "")
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
            lost=self._lost or self._stalled(),
            slots=loop.scheduler.slots.num_slots,
            step_s=counts.step_s,
        )

    def _stalled(self) -> str:
        """Why a GPU answers no more, if so; nothing else could tell that the thread waits for it for ever."""
        stalled_s = 0.0 if self._loop.idle else time.monotonic() - self._loop.turned_at
        if self._device.type == "cuda" and self._ready and stalled_s > STALLED_S:
            return f"no step has ended for {STALLED_S:g} seconds"
        return ""

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

    def _request(self, generation: Generation) -> OutputFuture:
        """The request; one that cannot run here is answered already."""
        try:
            return Request(generation, *self._checks.check(generation), self._when_cancelled)
        except InvalidInput as error:
            refused = OutputFuture()
            refused.answer(error)
            return refused

    def _make_room(self, wait: bool, flow: str) -> None:
        """Return once fewer than the most of the flow are queued, or raise; a submission is taken whole."""
        while True:
            if self._closing or not self._ready:
                raise EngineFailed("the engine is closed" if self._closing else "the engine is not ready")
            arriving = sum(request.flow == flow for request in self._inbox)
            queued = arriving + self._loop.scheduler.waiting.waiting(flow)
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

    def _new_loop(self) -> "Loop":
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
                    while self._take_in():
                        self._loop.turn()
                return
            except BaseException as error:  # noqa: BLE001 - whatever it is must reach those who wait
                self._ready = False
                with self._changed:
                    self._loop.add(self._inbox)  # what was queued since fails with the others
                    self._inbox.clear()
                    self._changed.notify_all()
                self._loop.fail_all(EngineFailed(f"the engine died: {error!r}"))
            try:
                self._release_memory()
                self._loop = self._new_loop()
            except Exception as error:  # noqa: BLE001 - `ready` stays off and submit says so
                self._lost = f"the engine died and could not start again: {error!r}"
                return
            self._ready = True

    def _release_memory(self) -> None:
        self._loop.release()
        gc.collect()  # transformers' modules may refer to each other; what is the engine's own does not
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _take_in(self) -> bool:
        """Wait for something to do and hand it to the loop; False once closed and nothing is left."""
        with self._changed:
            self._changed.notify_all()  # the last turn may have made room
            while self._loop.idle and not self._inbox and not self._cancelled:
                if self._closing:
                    return False
                self._changed.wait()
            if self._loop.idle:
                self._loop.turned_at = time.monotonic()
            self._loop.add(self._inbox)
            self._inbox.clear()
            self._loop.drop(self._cancelled)
            self._cancelled.clear()
        return True


def _narrowed(limits: Limits, model: Any) -> Limits:
    """The limits that the model can keep to: T5's bias by distance has none, others have positions.

    On a GPU a source beyond them would end the whole process's CUDA context.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None:
        limits = replace(
            limits,
            max_source_tokens=min(limits.max_source_tokens, positions),
            max_new_tokens=min(limits.max_new_tokens, positions),
        )
    stops = max(limits.max_stop_tokens, len(end_token_ids(model)))
    return replace(limits, max_stop_tokens=min(MAX_STOP_TOKENS, stops))


@dataclass(slots=True)
class Counts:
    """Totals since the start, and a step's time, as an average over about the last twenty."""

    requests: int = 0
    batches: int = 0
    source_tokens: int = 0
    output_tokens: int = 0
    step_s: float = 0.0


class Loop:
    """All requests between their submission and their answer."""

    def __init__(self, runner: Runner, counts: Counts):
        self.scheduler = Scheduler(
            Slots(runner.plan.num_slots, runner.plan.num_rows),
            max_admitted_tokens=runner.encoder.max_batch_tokens,
        )
        self.counts = counts
        self._runner = runner
        self._open: set[Request] = set()  # everyone who still waits for an answer
        # On CUDA the host looks at a step one step late; on a CPU there is nothing to overlap.
        self._lag = 1 if runner.device.type == "cuda" else 0
        self._step = 0
        self._stepped_at: float | None = None
        self.turned_at = time.monotonic()
        """When the last turn ended, or work came after none."""
        self._due: deque[tuple[int, Callable[[], None]]] = deque()
        """What is on its way from the device and who learns from it, with the step that it comes after."""
        self._streaming: list[Request] = []

    @property
    def idle(self) -> bool:
        return self.scheduler.idle and not self._due

    def add(self, requests: Iterable[Request]) -> None:
        self._open.update(requests)
        self.scheduler.add(requests)

    def drop(self, requests: Iterable[Request]) -> None:
        """Free what cancelled requests hold; one that has just finished is answered in its turn."""
        for request in requests:
            if not request.over:
                self.scheduler.end([request])
                self._open.discard(request)

    def release(self) -> None:
        """Let go of the device's memory; no turn may follow."""
        self._due.clear()
        with suppress(AttributeError):  # it was let go before
            del self._runner

    def turn(self) -> None:
        """Admit who can be admitted, run one step of each lane, answer who has finished."""
        for request in self.scheduler.expired(time.monotonic()):
            self._fail(request, DeadlineExceeded("the request passed its deadline"))
        self._admit()
        self._run_step()
        due = self._step - (self._lag if self.scheduler.running else 0)
        while self._due and self._due[0][0] <= due:
            self._due.popleft()[1]()
        self.turned_at = time.monotonic()

    def fail_all(self, error: DragomanError) -> None:
        """Answer everyone who still waits with this error; no turn may follow."""
        while self._open:
            request = self._open.pop()
            request.over = True
            request.answer(error)

    def _admit(self) -> None:
        admitted = self.scheduler.admit()
        if not admitted:
            return
        if self._lag:
            # The device is busy while the host prepares an encoder call. One step is a fixed number, so that
            # who shares a step with whom depends on what was submitted, and not on how fast anything is: in
            # 16 bits the same submission then gives the same outputs each time.
            self._run_step()
        failed = self._runner.begin(admitted)
        self.counts.batches += 1
        for request in admitted:
            self.counts.source_tokens += len(request.generation.source_ids)
            error = failed.get(request.place.slot)
            if error is not None:
                self._fail(request, EngineFailed(f"the source could not be encoded: {error}"))
                continue
            self.scheduler.start(request, self._step + 1)
            if request.generation.on_token is not None:
                self._streaming.append(request)

    def _run_step(self) -> None:
        running = self.scheduler.running
        if not running:
            self._stepped_at = None
            return
        for lane in running:
            if lane in self.scheduler.changed:
                self._runner.set_active(lane, list(running[lane]))
            self._runner.step(lane)
        self.scheduler.changed.clear()
        self._step += 1
        readback = self._runner.read_back()
        self._due.append((self._step, partial(self._learn_from, self._step, readback)))
        now = time.perf_counter()
        if self._stepped_at is not None:
            weight = 0.05 if self.counts.step_s else 1.0
            self.counts.step_s += weight * (now - self._stepped_at - self.counts.step_s)
        self._stepped_at = now

    def _learn_from(self, step: int, readback: Arriving) -> None:
        finished, tokens = readback.wait()[0]
        if self._streaming:
            self._stream(step, tokens)
        by_slot = self.scheduler.by_slot
        over = (by_slot[slot] for slot in finished.nonzero()[:, 0].tolist() if slot in by_slot)
        # A slot may have a new request by now, about which this readback says nothing.
        ended = [request for request in over if request.first_step <= step]
        if ended:
            most = max(request.generation.decoding.num_return_sequences for request in ended)
            # No output is longer than the steps that its request has had.
            longest = 1 + self._step - min(request.first_step for request in ended)
            results = self._runner.fetch([request.place.slot for request in ended], most, longest)
            self._due.append((self._step, partial(self._answer_all, ended, results)))
            self.scheduler.end(ended)

    def _answer_all(self, requests: Sequence[Request], results: Arriving) -> None:
        lengths, scores, tokens = results.wait()
        rows = zip(requests, lengths.tolist(), scores.tolist(), tokens.numpy(), strict=True)
        for request, *found in rows:
            self._answer(request, [(ids[:n].tolist(), score) for n, score, ids in zip(*found, strict=True)])

    def _stream(self, step: int, tokens: Tensor) -> None:
        self._streaming = [request for request in self._streaming if not request.over]
        for request in self._streaming:
            on_token = request.generation.on_token
            if on_token is None or request.first_step > step:
                continue
            request.num_seen += 1
            token = int(tokens[request.place.slot])
            forced_first = request.num_seen == 1 and request.has_forced_first
            if forced_first or request.is_end(request.num_seen, token):
                continue
            try:
                on_token(token)
            except Exception as error:  # noqa: BLE001 - the caller's own code; it must not hurt the others
                self._fail(request, EngineFailed(f"on_token raised {error!r}"))

    def _answer(self, request: Request, hypotheses: Sequence[tuple[list[int], float]]) -> None:
        (token_ids, score), *others = hypotheses[: request.generation.decoding.num_return_sequences]
        if not token_ids or math.isnan(score):
            self._fail(
                request, EngineFailed("no output: every token was forbidden, or the model gave no numbers")
            )
            return
        self.counts.requests += 1
        self.counts.output_tokens += len(token_ids)
        self._open.discard(request)
        ranked = tuple(_output(request, *other) for other in others if other[1] > NEVER)
        request.answer(_output(request, token_ids, score, ranked))

    def _fail(self, request: Request, error: DragomanError) -> None:
        self.scheduler.end([request])
        self._open.discard(request)
        request.answer(error)


def _output(request: Request, token_ids: list[int], score: float, others: tuple[Output, ...] = ()) -> Output:
    decoding, length = request.generation.decoding, len(token_ids)
    ends = request.is_end(length, token_ids[-1])
    kept = token_ids[request.has_forced_first : length - ends]
    # A forced last token is the limit's doing, whatever it is.
    cut = length == decoding.max_new_tokens and (not ends or decoding.forced_eos_token_id is not None)
    return Output(tuple(kept), score, "length" if cut else "stop", others)
