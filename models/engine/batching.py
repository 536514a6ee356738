"""Joins requests from all threads into batches for a backend that runs one batch at a time, or a few.

What waits while batches run shares the next ones, joined by length, and in batches of about the size at which
such backends are fastest: see `models.engine.batches`. A lone request begins at once. Only while another
batch runs does a free worker wait a moment for those that are on their way, a fraction of what a batch takes.
What ends before the rest of its batch is answered then, where the backend can tell. It knows neither the
backend's library nor what the ids mean.

Which of a list of requests share a batch depends on the list, never on how many workers there are or which
is free: with int8 an output depends on its batch, and a list that is submitted while nothing else waits must
come out the same. Requests that were submitted one by one are shared out evenly between two batches as well.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

from models.engine.batches import LEAST_ROWS, QueueEntry, in_order, refusal, shared_out, without_late_singles
from models.engine.protocol import LATE, BatchRecord, Decoding, EngineStats, Generation, Output
from models.errors import DeadlineExceeded, DragomanError, EngineFailed, Overloaded
from models.freed import give_back

log = logging.getLogger(__name__)

LOOK_AHEAD = 8
"""The number of batches' worth of the queue that is sorted by length to make one batch."""

MOMENT, LONGEST_MOMENT = 0.08, 0.3
"""The parts of a batch's usual time that a free worker waits, while others run, for one more request after
the last, and in all: requests that a batch has answered are followed by others, one after another. Sixteen
simulated clients of an engine with these costs on two cores got 20.8 sentences a second for 18.7 without."""

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

    def vocabulary_size(self) -> int: ...

    def run(
        self,
        batch: Sequence[Generation],
        stopped: Callable[[int], bool],
        finished: Callable[[int, Output], None] | None = None,
    ) -> list[Output]:
        """The outputs of generations with equal decodings, in order.

        Between steps it asks `stopped(i)`, where it can, and gives up on item i if that is true; and it may
        say that item i has finished before the others.
        """

    def close(self) -> None: ...


class BatchingEngine:
    """An Engine over a Backend: a queue, and a thread for each of its workers that makes batches of it.

    `max_queue` counts generations that wait; a submission is taken whole as long as fewer than that do.
    `on_batch` is called from a worker's thread after every batch.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        max_batch_size: int = 64,
        max_queue: int = 4096,
        on_batch: Callable[[BatchRecord], None] | None = None,
    ):
        self._backend = backend
        self._max_batch_size = max_batch_size
        self._max_queue = max_queue
        self._on_batch = on_batch
        self._queue: list[QueueEntry] = []
        self._parts: dict[Decoding, list[list[QueueEntry]]] = {}
        """What waits, as it was shared out; forgotten when more comes."""
        self._num_running = self._batches_running = 0
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
        requests = [QueueEntry(generation, Future(), now, single) for generation in generations]
        with self._changed:
            while wait and len(self._queue) >= self._max_queue and not self._closing:
                self._changed.wait()
            if self._closing:
                raise EngineFailed("the engine is closed")
            if len(self._queue) >= self._max_queue:
                raise Overloaded(f"the queue is full ({self._max_queue} generations wait)")
            self._requests += len(requests)
            self._queue.extend(requests)
            self._parts.clear()
            self._changed.notify_all()
        return [request.future for request in requests]

    def stats(self) -> EngineStats:
        with self._changed:
            return EngineStats(
                queued=len(self._queue),
                running=self._num_running,
                requests=self._requests,
                batches=self._batches,
                source_tokens=self._source_tokens,
                output_tokens=self._output_tokens,
                ready=all(thread.is_alive() for thread in self._threads) and not self._closing,
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
                give_back()
                continue
            try:
                self._run(batch)
            except Exception:
                log.exception("the engine failed outside a batch; it goes on")
                for request in batch:
                    if not request.future.done():
                        request.finish(EngineFailed("the engine failed; try again"))
            finally:
                with self._changed:
                    self._num_running -= len(batch)
                    self._batches_running -= 1
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
                if moment_s == 0:
                    break
                self._changed.wait(moment_s)
            if not self._queue:
                self._rested = True
                return []
            self._rested = False
            batch, others = self._choose()
            chosen = set(map(id, batch))
            self._queue = [request for request in self._queue if id(request) not in chosen]
            self._num_running += len(batch)
            self._batches_running += 1
            self._backend.batches_at_a_time = min(self._backend.workers, self._batches_running + others)
            self._changed.notify_all()
            return batch

    def _moment_s(self) -> float:
        """How much longer to wait for others before the next batch; nothing unless a batch runs by now.

        Those that the last batch answered may be on their way again, so the wait counts from its end.
        """
        if not self._batches_running or self._closing:
            return 0.0
        if sum(request.rows for request in self._queue[:LEAST_ROWS]) >= LEAST_ROWS:
            return 0.0
        end = min(
            max(self._queue[-1].since, self._ended) + MOMENT * self._usual_s,
            max(self._queue[0].since, self._ended) + LONGEST_MOMENT * self._usual_s,
        )
        return max(0.0, end - time.monotonic())

    def _rest_s(self) -> float | None:
        """How much longer to rest before memory is given back; None if that is done, or a batch runs."""
        if self._rested or self._batches_running:
            return None
        return max(0.0, self._ended + REST_S - time.monotonic())

    def _drop_stopped(self) -> None:
        for request in self._queue:
            if request.stopped():
                request.finish(DeadlineExceeded(LATE))
        self._queue = [request for request in self._queue if not request.future.done()]

    def _choose(self) -> tuple[list[QueueEntry], int]:
        """The oldest request and those of its decoding that are nearest to it in length.

        Also the number of batches that are left, as far as it can be seen.
        """
        oldest = self._queue[0]
        decoding = oldest.generation.decoding
        alike = [r for r in self._queue if r.generation.decoding == decoding]
        unlike = len(alike) < len(self._queue)
        parts = self._parts.get(decoding, [])
        if not any(oldest in part for part in parts):
            parts = shared_out(alike[: LOOK_AHEAD * self._max_batch_size], self._max_batch_size)
        [whole] = (part for part in parts if oldest in part)
        part = in_order([request for request in whole if not request.answered], alike)
        batch = without_late_singles(part, self._half())
        left = [each for each in parts if each is not whole]
        self._parts[decoding] = left if set(batch) <= set(whole) else []
        return batch, len(left) + (unlike or len(batch) < len(part))

    def _half(self) -> int:
        """Half of what waits and runs while another batch can run beside one that does; else all of it."""
        everything = len(self._queue) + self._num_running
        together = self._batches_running and self._backend.workers > 1
        return (everything + 1) // 2 if together else everything

    def _run(self, batch: list[QueueEntry]) -> None:
        sound = []
        for request in batch:
            if error := self._refusal(request.generation):
                request.finish(error)
            else:
                sound.append(request)
        if sound:
            self._run_or_halve(sound)

    def _refusal(self, generation: Generation) -> DragomanError | None:
        return refusal(generation, self._backend.max_source_tokens, self._backend.vocabulary_size())

    def _run_or_halve(self, batch: list[QueueEntry]) -> None:
        """Run a batch; one that fails (out of memory, a poisoned request) is run in halves."""
        start = time.perf_counter()
        try:
            outputs = self._backend.run(
                [request.generation for request in batch],
                lambda i: batch[i].stopped(),
                lambda i, output: batch[i].finish(output),
            )
        except Exception as error:
            if len(batch) == 1:
                log.exception("a generation failed")
                batch[0].finish(EngineFailed(f"the model failed on this text ({type(error).__name__})"))
                return
            log.warning("a batch of %d failed (%s); running it in halves", len(batch), error)
            left = [request for request in batch if not request.answered]
            middle = len(left) // 2
            for half in (left[:middle], left[middle:]):
                if half:
                    self._run_or_halve(half)
            return
        record = self._record(batch, outputs, time.perf_counter() - start)
        for request, output in zip(batch, outputs, strict=True):
            late = DeadlineExceeded(LATE)
            request.finish(late if request.expired() else output)
        if self._on_batch is not None:
            self._on_batch(record)

    def _record(self, batch: list[QueueEntry], outputs: list[Output], seconds: float) -> BatchRecord:
        record = BatchRecord(
            size=len(batch),
            source_tokens=sum(len(request.generation.source_ids) for request in batch),
            output_tokens=sum(len(output.token_ids) for output in outputs),
            seconds=seconds,
        )
        with self._changed:
            self._usual_s = seconds if not self._batches else (self._usual_s + seconds) / 2
            self._batches += 1
            self._source_tokens += record.source_tokens
            self._output_tokens += record.output_tokens
        return record
