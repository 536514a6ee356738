"""The driver of one task that somebody listens to: its calls' tokens and outputs are told as they come.

Engines tell things from their own threads; here they are passed on in the driver's, so tasks need no locks.
"""

import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

from models.engine.protocol import Generation, Output
from models.tasks.steps import Outcome, Running, Steps, Timings, late, submit

T = TypeVar("T")


def stream(
    task: Steps[T], *, deadline: float | None = None, tick_s: float = 1.0
) -> Generator[None, None, Outcome[T]]:
    """Run one task to its end and return its outcome; yield whenever its listeners were told something.

    While engines work there is a yield every `tick_s` at the latest. A caller that closes this generator
    ends the task and frees its places.
    """
    running = _Listening(task)
    outputs: list[Output] | None = None
    try:
        while True:
            paused = running.step(outputs, deadline)
            while paused:
                yield
                paused = running.step([], deadline)
            if running.call is not None:
                submit([running], deadline, wait=outputs is not None)
            if running.call is None:
                break
            outputs = yield from running.listen(deadline, tick_s)
            if outputs is None:
                break
    finally:
        running.cancel()
        running.steps.close()
    return Outcome(running.value, running.error, Timings(running.text_s, running.model_s))


class _Listening(Running[T]):
    """A task whose calls' listeners are told what happens, all in the driver's own thread."""

    def __init__(self, steps: Steps[T]):
        super().__init__(steps)
        self.heard: SimpleQueue[tuple[int, int | None]] = SimpleQueue()
        """A generation and its new token, or None when it is done."""

    def generations(self, deadline: float | None) -> Iterator[Generation]:
        """See `Running.generations`."""
        listens = self.call is not None and self.call.on_token is not None
        for i, generation in enumerate(super().generations(deadline)):
            if listens and generation.decoding.num_beams == 1:
                yield replace(generation, on_token=partial(self._hear, i))
            else:
                yield generation

    def listen(self, deadline: float | None, tick_s: float) -> Generator[None, None, list[Output] | None]:
        """Wait for this round's outputs; None if there were none to be had, and the task has failed."""
        for i, future in enumerate(self.futures):
            future.add_done_callback(partial(self._hear_end, i))
        left = len(self.futures)
        while left:
            try:
                left -= self._next(deadline, tick_s)
            except Exception as error:  # noqa: BLE001 - any failure is this task's alone
                self.fail(error)
                return None
            yield
        return [future.result() for future in self.futures]

    def _hear(self, index: int, token: int) -> None:
        self.heard.put((index, token))

    def _hear_end(self, index: int, _: Future[Output]) -> None:
        self.heard.put((index, None))

    def _next(self, deadline: float | None, tick_s: float) -> bool:
        """Wait for the next thing heard, but not for long, and pass it on; true if a generation is done."""
        assert self.call is not None  # noqa: S101 - only a task that has called waits
        start = time.perf_counter()
        left = tick_s if deadline is None else min(tick_s, deadline - time.monotonic())
        try:
            index, token = self.heard.get(timeout=max(0.0, left))
        except Empty:
            if deadline is not None and time.monotonic() >= deadline:
                raise late() from None
            return False
        finally:
            self.model_s += time.perf_counter() - start
        if token is not None:
            if self.call.on_token is not None:
                self.call.on_token(index, token)
            return False
        output = self.futures[index].result()
        if self.call.on_output is not None:
            self.call.on_output(index, output)
        return True
