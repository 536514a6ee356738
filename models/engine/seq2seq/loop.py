"""The engine's turn: admit, step, and learn what the step before has brought.

Ties the scheduler to the device's runner. Called by one thread; never waits but for the device, and for that
only once the next step is under way. Knows nothing of threads.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from models.engine.protocol import Output
from models.engine.seq2seq.runner import Arriving, Runner
from models.engine.seq2seq.scheduler import Request, Scheduler
from models.engine.seq2seq.slots import Slots
from models.engine.seq2seq.state import NEVER, Start
from models.errors import DeadlineExceeded, DragomanError, EngineFailed

STEPS_AHEAD = 1
"""Steps that the device is given, beside the one it has, before the host prepares an encoder call. It is a
fixed number, so that who shares a step with whom depends on what was submitted, and not on how fast anything
is: in 16 bits the same submission then gives the same outputs each time."""


@dataclass(slots=True)
class Counts:
    """Totals since the start, and averages over about the last twenty steps."""

    requests: int = 0
    batches: int = 0
    source_tokens: int = 0
    output_tokens: int = 0
    step_s: float = 0.0
    tokens_per_step: float = 0.0
    batch_fill: float = 0.0

    def stepped(self, seconds: float, num_tokens: int) -> None:
        weight = 0.05 if self.step_s else 1.0
        self.step_s += weight * (seconds - self.step_s)
        self.tokens_per_step += weight * (num_tokens - self.tokens_per_step)

    @property
    def tokens_per_s(self) -> float:
        return self.tokens_per_step / self.step_s if self.step_s else 0.0


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
        self._due: deque[tuple[int, Callable[[], None]]] = deque()
        """What is on its way from the device and who learns from it, with the step that it comes after."""
        self._streaming: list[Request] = []

    @property
    def idle(self) -> bool:
        return self.scheduler.idle and not self._due

    def add(self, requests: Sequence[Request]) -> None:
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
            self._fail(request, DeadlineExceeded("the request's time ran out"))
        self._admit()
        self._run_step()
        self._learn()

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
        self._run_ahead()
        failed = self._runner.begin(list(map(_start, admitted)))
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

    def _run_ahead(self) -> None:
        """Queue steps, so that the device is busy while the host prepares an encoder call."""
        for _ in range(STEPS_AHEAD if self._lag else 0):
            self._run_step()

    def _run_step(self) -> None:
        running = self.scheduler.running
        if not running:
            self._stepped_at = None
            return
        for lane in running:
            if lane in self.scheduler.changed:
                self.counts.batch_fill = self._runner.set_active(lane, list(running[lane]))
            self._runner.step(lane)
        self.scheduler.changed.clear()
        self._step += 1
        readback = self._runner.read_back()
        self._due.append((self._step, partial(self._learn_from, self._step, readback)))
        self._time_step(sum(map(len, running.values())))

    def _time_step(self, num_tokens: int) -> None:
        now = time.perf_counter()
        if self._stepped_at is not None:
            self.counts.stepped(now - self._stepped_at, num_tokens)
        self._stepped_at = now

    def _learn(self) -> None:
        due = self._step - (self._lag if self.scheduler.running else 0)
        while self._due and self._due[0][0] <= due:
            self._due.popleft()[1]()

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
            results = self._runner.fetch(_slots(ended), most, longest)
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


def _slots(requests: Sequence[Request]) -> list[int]:
    return [request.place.slot for request in requests]


def _start(request: Request) -> Start:
    generation, place = request.generation, request.place
    return Start(place.slot, place.rows, generation.source_ids, generation.decoding, request.stop_token_ids)
