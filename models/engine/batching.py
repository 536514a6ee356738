"""Joins requests from all threads into batches for a backend that runs one batch at a time, or a few.

What waits while batches run shares the next ones, joined by length, and in batches of about the size at which
such backends are fastest. A lone request begins at once. Only while another batch runs does a free worker
wait a moment for those that are on their way, a fraction of what a batch takes. What ends before the rest of
its batch is answered then, where the backend can tell. It knows neither the backend's library nor what the
ids mean.

Which of a list of requests share a batch depends on the list, never on how many workers there are or which
is free: with int8 an output depends on its batch, and a list that is submitted while nothing else waits must
come out the same. Requests that were submitted one by one are shared out evenly between two batches as well.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from math import ceil, inf, sqrt
from typing import Any, Protocol

from models.engine.flows import MOST_WAITING, FlowQueue
from models.engine.futures import OutputFuture
from models.engine.protocol import LATE, BatchRecord, Decoding, EngineStats, Generation, Output
from models.errors import DeadlineExceeded, DragomanError, EngineFailed, InvalidInput, Overloaded
from models.trim_memory import trim_memory

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """The sizes of a backend's batches."""

    least_rows: int
    good_rows: int
    most_rows: int
    """Hypotheses: two batches have at least the least, each about the good number, none more than most."""
    most_tokens: int
    """Of the sources in a batch with its padding: its memory is bounded, and how long others wait for it."""
    cores: int = 1
    """The cores that a batch is to have, if they are there: so many fewer batches run at a time."""
    own_limits: bool = False
    """The backend ends each output at its own limit, so that limits may differ in a batch."""
    greedy: "BatchSizes | None" = None
    """Those of greedy searches, if they are others."""

    def of(self, decoding: Decoding) -> "BatchSizes":
        """Return those of a search."""
        return self.greedy if decoding.num_beams == 1 and self.greedy is not None else self

    def shrunk(self, rows: int, tokens: int) -> "BatchSizes":
        """Return them with at most so many rows and tokens."""
        return replace(
            self,
            most_rows=min(self.most_rows, rows),
            most_tokens=min(self.most_tokens, tokens),
            greedy=None if self.greedy is None else self.greedy.shrunk(rows, tokens),
        )


CPU_SIZES = BatchSizes(least_rows=32, good_rows=64, most_rows=128, most_tokens=8192)
"""A Marian of 61 million parameters in int8 took, on one core with four beams, 203 ms of CPU a sentence
alone, 69 in batches of 8, 58 of 16 and 55 of 32; greedy 160, 35, 26 and 21, and 20 in batches of 64. So
beyond 32 rows there is less to gain than by a second core that has a batch of its own. An array of 64
sentences of all lengths took 72, 63, 64 and 66 ms each in batches of 8, 16, 32 and 64, and greedy 41, 31, 27
and 26."""

STEP_TOKENS = 16
"""A step of a batch costs as much CPU time as so many source tokens, with four beams as half of them. Parts
with equally many tokens, of 64 or 40 sentences, differed by 1.3 times: the longest sentence sets them."""

LOOK_AHEAD = 8
"""The number of batches' worth of the queue that is sorted by length to make one batch."""

MOMENT, LONGEST_MOMENT = 0.08, 0.3
"""The parts of a batch's usual time that a free worker waits, while others run, for one more request after
the last, and in all: requests that a batch has answered are followed by others, one after another. Sixteen
simulated clients of an engine with these costs on two cores got 20.8 sentences a second for 18.7 without.
Where one batch runs at a time, its own clients are awaited so once it has ended."""

REST_S = 1.0
"""Seconds without work after which memory that batches have freed goes back to the system: half a gigabyte
after an array of 64 sentences of the bundled translator. The next batch has to be given new pages for it."""


class Backend(Protocol):
    """The part that runs a batch."""

    max_source_tokens: int
    workers: int
    """The most batches that it runs at a time: `run` is called from so many threads."""
    batches_at_a_time: int
    """The number of batches that run now or are about to; set before each `run`."""
    sizes: BatchSizes

    def at_a_time(self, cores: int) -> int:
        """Return how many batches may run at a time now, if each is to have so many cores, more than one."""

    def vocabulary_size(self) -> int: ...

    def run(
        self,
        batch: Sequence[Generation],
        stopped: Callable[[int], bool],
        finished: Callable[[int, Output], object] | None = None,
    ) -> list[Output]:
        """The outputs of generations with equal decodings, in order.

        Between steps it asks `stopped(i)`, where it can, and gives up on item i if that is true; and it may
        say that item i has finished before the others.
        """

    def is_alive(self) -> bool:
        """Return False if its device is lost, and no batch can run any more; asked when one has failed."""

    def close(self) -> None: ...


class QueueEntry(OutputFuture):
    """A request on its way, and what its caller waits for; `since` when, on `time.monotonic()`'s clock.

    `single` says that it was submitted by itself, and not in a list.
    """

    def __init__(
        self,
        generation: Generation,
        since: float,
        *,
        single: bool = False,
        when_cancelled: Callable[[Any], None] | None = None,
    ):
        super().__init__(when_cancelled)
        self.generation, self.since, self.single = generation, since, single
        self.rows = generation.decoding.num_beams
        """Hypotheses that are searched for it."""
        self.tokens = len(generation.source_ids)
        """Tokens of its source."""
        self.flow = generation.flow
        self.search = generation.decoding
        """What those that share its batch have in common."""
        self.answered = inf
        """When it was, if that was before the rest of its batch."""

    def expired(self) -> bool:
        return self.generation.deadline is not None and time.monotonic() > self.generation.deadline

    def stopped(self) -> bool:
        return self.cancelled() or self.expired()


@dataclass(eq=False, slots=True)
class _Sign:
    """When a batch began, or last asked whether to stop; a long one asks at each step."""

    at: float


class BatchingEngine:
    """An Engine over a Backend: a queue, and a thread for each of its workers that makes batches of it.

    `max_queue` counts the generations of a flow that wait; a submission is taken whole as long as fewer than
    that do. `on_batch` is called from a worker's thread after every batch. A batch that has neither ended nor
    asked whether to stop for `batch_limit_s` waits for a device that has hung: then the engine is lost.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        max_batch_size: int = 64,
        max_queue: int = MOST_WAITING,
        on_batch: Callable[[BatchRecord], None] | None = None,
        batch_limit_s: float | None = None,
    ):
        self._backend = backend
        self._batch_limit_s = batch_limit_s
        self._signs: set[_Sign] = set()
        """Of the batches that run now."""
        self._max_batch_size = max_batch_size
        self._sizes = backend.sizes
        self._lost = ""
        self._max_queue = max_queue
        self._on_batch = on_batch
        self._queue = FlowQueue[QueueEntry]()
        self._parts: dict[Decoding, list[list[QueueEntry]]] = {}
        """What waits, as it was shared out; forgotten when more comes."""
        self._batches_running = self._requests_running = 0
        self._expected = 0
        """How many will wait soon after the last batch has ended, if its clients go on."""
        self._usual_s = self._ended = 0.0
        self._rested = True
        """Nothing has run since memory was last given back."""
        self._changed = threading.Condition()
        self._closing = False
        self._requests = self._batches = self._source_tokens = self._output_tokens = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"dragoman-engine-{i}", daemon=True)
            for i in range(backend.workers)
        ]
        for thread in self._threads:
            thread.start()

    # ------------------------------------------------------------------ callers' side

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        """See `Engine.submit`."""
        now, single = time.monotonic(), len(generations) == 1
        requests = [
            QueueEntry(generation, now, single=single, when_cancelled=self._cancelled)
            for generation in generations
        ]
        flow = generations[0].flow if generations else ""
        with self._changed:
            while wait and self._full(flow) and not self._closing:
                self._changed.wait()
            if self._closing:
                raise EngineFailed("the engine is closed")
            if self._lost:
                raise EngineFailed(self._lost)
            if self._full(flow):
                raise Overloaded(f"the queue is full ({self._max_queue} generations wait)")
            self._requests += len(requests)
            for request in requests:
                if self._sizes.of(request.search).own_limits:
                    request.search = replace(request.search, max_new_tokens=0)
                self._queue.add(request)
            self._parts.clear()
            self._changed.notify_all()
        return [*requests]

    def _full(self, flow: str) -> bool:
        """Return whether as many of the flow wait as may."""
        return self._queue.waiting(flow) >= self._max_queue

    def _cancelled(self, request: QueueEntry) -> None:
        with self._changed:
            was_full = self._full(request.flow)
            self._queue.drop(request)
            if was_full:
                self._changed.notify_all()

    def _stalled(self) -> str:
        limit_s, now = self._batch_limit_s, time.monotonic()
        if limit_s is not None and any(now - sign.at >= limit_s for sign in list(self._signs)):
            return f"a batch has given no sign for {limit_s:g} seconds"
        return ""

    def stats(self) -> EngineStats:
        with self._changed:
            return EngineStats(
                queued=len(self._queue),
                running=self._requests_running,
                requests=self._requests,
                batches=self._batches,
                source_tokens=self._source_tokens,
                output_tokens=self._output_tokens,
                ready=all(thread.is_alive() for thread in self._threads)
                and not self._closing
                and not self._lost,
                lost=self._lost or self._stalled(),
            )

    def close(self) -> None:
        """Finish what is queued, then free the model."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._backend.close()

    # ------------------------------------------------------------------ the workers' threads

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            if not batch:
                trim_memory()
                continue
            try:
                self._run(batch)
            except Exception:
                log.exception("the engine failed outside a batch; continuing")
                for request in batch:
                    request.answer(EngineFailed("the engine failed; try again"))
            finally:
                with self._changed:
                    self._requests_running -= len(batch)
                    self._batches_running -= 1
                    # whoever was answered long before waits again by now, or has no more to ask
                    late = time.monotonic() - MOMENT * self._usual_s
                    singles = sum(request.single and request.answered >= late for request in batch)
                    waiting = len(self._queue)
                    self._expected = waiting + singles if waiting or singles > 1 else 0
                    self._ended = time.monotonic()
                    self._changed.notify_all()

    def _next_batch(self) -> list[QueueEntry] | None:
        """Wait for work and take a batch of it; an empty one after a rest, None when closed and drained."""
        with self._changed:
            while True:
                self._drop_stopped()
                if self._closing and not self._queue:
                    return None
                moment_s = self._moment_s() if self._queue else self._rest_s()
                if moment_s == 0 and not (self._queue and self._batches_running >= self._most()):
                    break
                self._changed.wait(moment_s or None)
            if not self._queue:
                self._rested = True
                return []
            self._rested = False
            batch, others = self._choose()
            for request in batch:
                self._queue.take(request)
            self._requests_running += len(batch)
            self._batches_running += 1
            self._backend.batches_at_a_time = min(self._most(), self._batches_running + others)
            self._changed.notify_all()
            return batch

    def _most(self) -> int:
        """Return how many batches may run at a time now."""
        cores = self._sizes.cores
        return self._backend.workers if cores == 1 else self._backend.at_a_time(cores)

    def _moment_s(self) -> float:
        """How much longer to wait for others before the next batch.

        Nothing unless a batch runs by now, or has just ended where one runs at a time, and had company. Those
        that it answered may be on their way again, so the wait counts from its end.
        """
        if self._closing or not (self._batches_running or len(self._queue) < self._expected):
            return 0.0
        first = self._queue.first()
        least = self._sizes.of(first.search).least_rows
        if sum(request.rows for request in islice(self._queue, least)) >= least:
            return 0.0
        since, moment_s = [request.since for request in self._queue], MOMENT * self._usual_s
        if not self._batches_running and (self._most() > 1 or min(since) > self._ended + moment_s):
            return 0.0
        end = min(
            max(*since, self._ended) + moment_s,
            max(min(since), self._ended) + LONGEST_MOMENT * self._usual_s,
        )
        return max(0.0, end - time.monotonic())

    def _rest_s(self) -> float | None:
        """How much longer to rest before memory is given back; None if that is done, or a batch runs."""
        if self._rested or self._batches_running:
            return None
        return max(0.0, self._ended + REST_S - time.monotonic())

    def _drop_stopped(self) -> None:
        for request in list(self._queue):
            if request.stopped():
                request.answer(DeadlineExceeded(LATE))
            if request.done():
                self._queue.drop(request)

    def _choose(self) -> tuple[list[QueueEntry], int]:
        """The request whose turn it is, and those of its decoding that are nearest to it in length.

        Also the number of batches that are left, as far as it can be seen.
        """
        in_turn = list(self._queue)
        first = in_turn[0]
        search = first.search
        alike = [r for r in in_turn if r.search == search]
        unlike = any(r.search != search for r in in_turn)
        parts = self._parts.get(search, [])
        if not any(first in part for part in parts):
            some = alike[: LOOK_AHEAD * self._max_batch_size]
            parts = shared_out(some, self._max_batch_size, self._sizes.of(search))
        [whole] = (part for part in parts if first in part)
        # Even the first may have been cancelled by now.
        part = in_order([request for request in whole if request is first or not request.done()], alike)
        # Half of what waits and runs while another batch can run beside one that does; else all of it.
        most = len(in_turn) + self._requests_running
        if self._batches_running and self._most() > 1:
            most = (most + 1) // 2
        batch = without_late_singles(part, most, alike)
        left = [each for each in parts if each is not whole]
        self._parts[search] = left if set(batch) <= set(whole) else []
        return batch, len(left) + (unlike or len(batch) < len(part))

    def _run(self, batch: list[QueueEntry]) -> None:
        sound = []
        for request in batch:
            if error := self._refusal(request.generation):
                request.answer(error)
            else:
                sound.append(request)
        if sound:
            self._run_or_halve(sound)

    def _refusal(self, generation: Generation) -> DragomanError | None:
        """Return why the backend's model cannot take the generation's source; None if it can."""
        ids, most = generation.source_ids, self._backend.max_source_tokens
        if not 0 < len(ids) <= most:
            return InvalidInput(
                f"the input has {len(ids)} tokens; this model takes 1 to {most}", field="text"
            )
        if min(ids) < 0 or max(ids) >= self._backend.vocabulary_size():
            return EngineFailed("the input holds a token id that this model does not have")
        return None

    def _run_or_halve(self, batch: list[QueueEntry]) -> None:
        """Run a batch; one that fails (out of memory, a poisoned request) is run in halves."""
        start = time.perf_counter()
        sign = _Sign(time.monotonic())
        waited_s = sum(sign.at - request.since for request in batch)
        self._signs.add(sign)

        def stopped(i: int) -> bool:
            sign.at = time.monotonic()
            return batch[i].stopped()

        def finished(i: int, output: Output) -> None:
            batch[i].answered = time.monotonic()
            batch[i].answer(output)

        try:
            outputs = self._backend.run(
                [request.generation for request in batch],
                stopped,
                finished,
            )
        except Exception as error:
            if len(batch) == 1:
                log.exception("a generation failed")
                batch[0].answer(EngineFailed(f"the model failed on this text ({type(error).__name__})"))
                if not self._backend.is_alive():
                    self._lost = f"the device is lost: {error}"
                return
            log.warning("a batch of %d failed (%s); running it in halves", len(batch), error)
            if "out of memory" in str(error).lower():
                self._shrink(batch)
        else:
            self._answer(batch, outputs, time.perf_counter() - start, waited_s)
            return
        finally:
            self._signs.discard(sign)
        # Only here are the error's frames gone, and the memory that they held.
        left = [request for request in batch if not request.done()]
        middle = len(left) // 2
        for half in (left[:middle], left[middle:]):
            if half:
                self._run_or_halve(half)

    def _shrink(self, batch: list[QueueEntry]) -> None:
        """Let no later batch be larger than half of this one."""
        rows, tokens = len(batch) * batch[0].rows, len(batch) * max(request.tokens for request in batch)
        with self._changed:
            self._sizes = self._sizes.shrunk(rows // 2, tokens // 2)
            self._parts.clear()

    def _answer(
        self, batch: list[QueueEntry], outputs: list[Output], seconds: float, waited_s: float
    ) -> None:
        record = BatchRecord(
            size=len(batch),
            source_tokens=sum(request.tokens for request in batch),
            output_tokens=sum(len(output.token_ids) for output in outputs),
            seconds=seconds,
            hypotheses=batch[0].generation.decoding.num_return_sequences,
            waited_s=waited_s,
        )
        with self._changed:
            self._usual_s = seconds if not self._batches else (self._usual_s + seconds) / 2
            self._batches += 1
            self._source_tokens += record.source_tokens
            self._output_tokens += record.output_tokens
        for request, output in zip(batch, outputs, strict=True):
            request.answer(DeadlineExceeded(LATE) if request.expired() else output)
        if self._on_batch is not None:
            self._on_batch(record)


def shared_out(
    alike: list[QueueEntry], max_batch_size: int, sizes: BatchSizes = CPU_SIZES
) -> list[list[QueueEntry]]:
    """Share out requests of one decoding, the longest first, into batches of about equal work.

    One batch, if there are fewer rows than two want, else an even number if each is to have one core: there
    may be a second one. They have about `good_rows`, and no more than `most_rows`, `most_tokens` and
    `max_batch_size` allow.
    """
    alike = sorted(alike, key=lambda r: r.tokens, reverse=True)
    rows = alike[0].rows
    most = max(1, min(max_batch_size, sizes.most_rows // rows))
    all_rows = len(alike) * rows
    step = 2 if sizes.cores == 1 else 1
    good = step * max(1, round(all_rows / (step * sizes.good_rows)))
    low, high = 0, ceil(work_of(alike))
    filled = partial(_filled, alike, most, sizes.most_tokens)
    count = max(good if all_rows >= 2 * sizes.least_rows else 1, len(filled(high)))
    while low < high:  # the least work of the largest of so many batches
        middle = (low + high) // 2
        if len(filled(middle)) <= count:
            high = middle
        else:
            low = middle + 1
    return filled(high)


def work_of(batch: list[QueueEntry]) -> float:
    """Return the work of a batch, the longest first, in tokens: those of its sources, and of its steps."""
    return sum(request.tokens for request in batch) + batch[0].tokens * STEP_TOKENS / sqrt(batch[0].rows)


def _filled(alike: list[QueueEntry], most: int, most_tokens: int, work: float) -> list[list[QueueEntry]]:
    """Return batches in order, each filled until it has so much work or is as large as it may be."""
    parts: list[list[QueueEntry]] = []
    done = 0.0
    for request in alike:
        part = parts[-1] if parts else []
        full = len(part) == most or (part and (len(part) + 1) * part[0].tokens > most_tokens)
        if not part or full or done + request.tokens > work:
            parts.append([request])
            done = work_of([request])
        else:
            part.append(request)
            done += request.tokens
    return parts


def in_order(part: list[QueueEntry], alike: list[QueueEntry]) -> list[QueueEntry]:
    """Return the part with the first of `alike` in the places of its longest ones.

    A part of longer requests, whose turn has not come, may hold earlier ones of that same length.
    """
    longest = part[0].tokens
    shorter = [request for request in part if request.tokens < longest]
    equals = [request for request in alike if request.tokens == longest]
    return equals[: len(part) - len(shorter)] + shorter


def without_late_singles(part: list[QueueEntry], most: int, alike: Sequence[QueueEntry]) -> list[QueueEntry]:
    """Return the part with the last of its single requests left out, as far as it has more than `most`.

    The last are those that are last in `alike`.

    Clients who each wait for their answer fall into groups that share a batch, and stay in them. Where each
    batch took all that waited, sixteen simulated clients on two cores were soon fifteen beside one: 42.4
    sentences a second, greedy, and 50.2 in two batches of eight (26.2 and 28.0 with four beams).
    """
    chosen = {request for request in part if request.single}
    singles = [request for request in alike if request in chosen]
    together = len(part) - len(singles)
    late = set(singles[max(1, most - together) :])
    return [request for request in part if request not in late]
