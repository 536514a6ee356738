"""The driver: runs tasks step by step, submits their generations to the engines, and ends the tasks.

One loop for all ways to work. In rounds, every task that can continue does so, then all their generations are
submitted together: batches depend on the tasks alone. Otherwise a task continues as soon as its outputs are
there, which is faster for a reader who watches.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import heappop, heappush
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from models.engine.protocol import LATE, Engine, Generation, Output
from models.errors import ClientDisconnected, DeadlineExceeded
from models.steps import Event, Gather, Generate, Outcome, Steps, Words

T = TypeVar("T")
V = TypeVar("V")
Idle = Callable[[], AbstractContextManager[object]]

BEGUN_CHECK_S = 0.01
"""How often a driver checks whether all batches of its round have begun."""

SLICE_S = 0.005
"""The longest work on texts before others have a turn."""
BLOCK_SENTENCES = 16
"""Sentences of which the long ones come first where order is kept: alike ones still share a batch."""


# ---------------------------------------------------------------------- what callers give


class CancelToken:
    """Ends tasks from any thread: their client disconnected, their job was cancelled, or the service ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._event = threading.Event()

    @property
    def cancelled(self) -> bool:
        """True after `cancel`."""
        return self._event.is_set()

    def cancel(self) -> None:
        """End the work; what has ended already stays as it is."""
        with self._lock:
            self._event.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def raise_if_cancelled(self) -> None:
        """Raise ClientDisconnected after `cancel`."""
        if self.cancelled:
            raise ClientDisconnected()

    def wait(self, timeout_s: float) -> None:
        """Pause for so long. Raises ClientDisconnected as soon as the work is cancelled."""
        self._event.wait(timeout_s)
        self.raise_if_cancelled()

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback`, from the thread that cancels, if that happens in this context or has before."""
        with self._lock:
            self._callbacks.append(callback)
            cancelled = self.cancelled
        if cancelled:
            callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)


@dataclass(slots=True)
class Effort:
    """The work done by a driver."""

    text_s: float = 0.0
    engine_s: float = 0.0
    source_tokens: int = 0
    output_tokens: int = 0
    remembered_tokens: int = 0
    """Output tokens that did not have to be generated again."""

    def add(self, other: "Effort") -> None:
        """Count another driver's work as well."""
        self.text_s += other.text_s
        self.engine_s += other.engine_s
        self.source_tokens += other.source_tokens
        self.output_tokens += other.output_tokens
        self.remembered_tokens += other.remembered_tokens


class Turns:
    """Gives one driver at a time its turn; `gate` is held meanwhile, by whoever uses the same engines.

    If rounds may `overlap`, a turn ends as soon as all batches of the round have begun: the next round waits
    in the queue when a worker gets free, and still shares a batch with no other. Otherwise a turn ends with
    the round.
    """

    def __init__(self, gate: AbstractContextManager[Any] | None = None, *, overlap: bool = False):
        self.gate = gate or threading.Lock()
        self.overlap = overlap
        self._lock = threading.Lock()
        self._running = 0
        self._counted = 0.0
        """Until then the time of the rounds that run is counted."""

    @contextmanager
    def timed(self, effort: Effort) -> Iterator[None]:
        """Count the time of a round; where rounds overlap it is the time of the first one that ends."""
        with self._lock:
            self._running += 1
            if self._running == 1:
                self._counted = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                before, self._counted = self._counted, time.monotonic()
                effort.engine_s += self._counted - before


class OutputCache(Protocol):
    """Keeps outputs. With one, equal generations of different tasks are done once too."""

    def recall(self, pending: Sequence["PendingGeneration"]) -> Mapping["PendingGeneration", Output]:
        """Return the outputs that are known."""

    def keep(self, made: Mapping["PendingGeneration", Output], failed: int) -> None:
        """Keep what engines gave since the last time; `failed` generations came to nothing."""


# ---------------------------------------------------------------------- what runs


@dataclass(slots=True, eq=False)
class _Task:
    """A task that runs, or a part of one: of the outputs or values that it waits for, `left` are missing."""

    steps: Steps[Any]
    whole: "_WholeTask"
    parent: "_Task | None" = None
    place: int = 0
    """Which of the parent's answers its value is."""
    answers: list[Any] = field(default_factory=list)
    left: int = 0
    parts: list["_Task"] = field(default_factory=list)
    pending: list["PendingGeneration"] = field(default_factory=list)
    is_alive: bool = True
    is_failing: bool = False
    """An error is on its way to it."""

    def resume(self, answer: Any) -> Any:
        """Return the next step. Raises StopIteration with the value at its end, and what goes wrong."""
        self.is_failing = False
        self.parts, self.pending = [], []
        start = time.perf_counter()
        try:
            return self.steps.throw(answer) if isinstance(answer, Exception) else self.steps.send(answer)
        finally:
            self.whole.text_s += time.perf_counter() - start

    def block(self) -> int:
        """Return which block of sentences, say, of a translation this is within."""
        task = self
        while task.parent is not None and task.parent.parent is not None:
            task = task.parent
        return task.place // BLOCK_SENTENCES


class _WholeTask:
    """A whole task: its end, and where its time went."""

    def __init__(self, steps: Steps[Any]):
        self.root = _Task(steps, self)
        self.value: Any = None
        self.error: Exception | None = None
        self.text_s = self.model_s = 0.0
        self.output_tokens = 0
        self.was_admitted = False
        """An engine took something of it: what follows waits where a queue is full."""
        self._in_engines = 0
        self._since = 0.0

    def count_in_engines(self, change: int) -> None:
        """Note that so many more, or fewer, of the outputs that it waits for are in an engine."""
        now = time.perf_counter()
        if self._in_engines:
            self.model_s += now - self._since
        self._since = now
        self._in_engines += change
        self.was_admitted = self.was_admitted or change > 0

    def end_with(self, error: Exception) -> None:
        """Raise the error where the task waits; a value that it returns then is its value.

        It may pass checkpoints on its way there, and yield events that are lost, but not ask for more.
        """
        self.root.is_alive = False
        try:
            step = self.root.steps.throw(error)
            while step is None or isinstance(step, Event):
                step = next(self.root.steps)
            self.root.steps.close()
            self.error = error
        except StopIteration as end:
            self.value = end.value
        except Exception as raised:  # noqa: BLE001 - any failure is this task's alone
            self.error = raised


class IncrementalDecoder:
    """Turns token ids, as they come, into pieces of text: each character once it is whole."""

    def __init__(self, decode: Callable[[tuple[int, ...]], str]):
        self._decode = decode
        self._ids: tuple[int, ...] = ()
        self._told = ""

    def add(self, token: int) -> Words | None:
        """Take the next token; returns None while it is only a part of a character."""
        self._ids += (token,)
        text = self._decode(self._ids)
        # A decoder may change what it said before; then the rest waits for the result.
        if text.endswith("\ufffd") or not text.startswith(self._told) or text == self._told:
            return None
        words = Words(text[len(self._told) :])
        self._told = text
        return words


_Key = tuple[Engine, Generation, _WholeTask | None]
"""Equal generations of a task are done once; with a cache, so are those of different tasks."""


class PendingGeneration:
    """A generation that is to be submitted, or is in an engine, and the tasks that wait for its output."""

    def __init__(self, key: _Key, decoder: IncrementalDecoder | None):
        self.key = key
        self.engine, self.generation, _ = key
        self.decoder = decoder
        self.waiters: dict[_Task, list[int]] = {}
        """Who waits for it, and which of their answers its output is."""
        self.future: Future[Output] | None = None

    def join(self, task: _Task, place: int) -> None:
        """Have its output go to this place as well."""
        self.waiters.setdefault(task, []).append(place)
        task.pending.append(self)
        if self.future is not None:
            task.whole.count_in_engines(1)

    def leave(self, task: _Task) -> None:
        """Have its output not go there; what nobody waits for any more is called off."""
        places = self.waiters.pop(task, [])
        if self.future is not None and places:
            task.whole.count_in_engines(-len(places))
            if not self.waiters:
                self.future.cancel()

    def enter(self, future: Future[Output]) -> None:
        """Note that an engine has it."""
        self.future = future
        for task, places in self.waiters.items():
            task.whole.count_in_engines(len(places))

    def finish(self) -> list[tuple[_Task, int]]:
        """Note that there is an end of it; returns the places to which its output goes."""
        waiters, self.waiters = self.waiters, {}
        if self.future is not None:
            for task, places in waiters.items():
                task.whole.count_in_engines(-len(places))
        return [(task, place) for task, places in waiters.items() for place in places]


_Order = tuple[int, int, Sequence[int], int, int]
"""Long ones first, of a text's beginning if order is kept, and nothing left to chance."""


class Driver(Generic[T]):
    """Runs tasks to their ends, once.

    `deadline` is on `time.monotonic()`'s clock, and `cancel` ends them all. With `wait` a full engine queue
    is waited for; otherwise a task whose first generations find it full fails with Overloaded. Unless it is
    `in_rounds`, each task and part goes on when its own outputs are there. If it `is_watched`, the words of
    greedy searches are told as they are written. `at_most` so many generations are submitted in a round, so
    that others get a turn; `in_order` those of a text's beginning come before those of its end, rather than
    long ones first. A round waits for its turn, if there are `turns`, and that time does not count.
    `on_progress` hears how many of the parts known so far are done: sentences, say, of a translation. Engines
    take turns between drivers of different `flow`. The driver waits in contexts that `idle` gives, and enters
    one each time that it has worked on texts for SLICE_S. A task's failure touches no other.
    """

    def __init__(
        self,
        tasks: Sequence[Steps[T]],
        *,
        deadline: float | None = None,
        wait: bool = False,
        in_rounds: bool = True,
        is_watched: bool = False,
        at_most: int | None = None,
        in_order: bool = False,
        cache: OutputCache | None = None,
        turns: Turns | None = None,
        cancel: CancelToken | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        flow: str = "",
        idle: Idle = nullcontext,
    ):
        self._tasks = [_WholeTask(steps) for steps in tasks]
        self._deadline = deadline
        self._wait = wait
        self._in_rounds = in_rounds
        self._is_watched = is_watched
        self._at_most = at_most
        self._in_order = in_order
        self._cache = cache
        self._turns = turns or Turns()
        self._cancel = cancel or CancelToken()
        self._on_progress = on_progress
        self._flow = flow
        self._idle = idle
        self._slice_end = 0.0
        self._effort = Effort()
        self._progress = self._reported = (0, 0)
        self._ready: deque[tuple[_Task, Any]] = deque((task.root, None) for task in self._tasks)
        """Those that go on, each with a value that is sent, or an exception that is raised there."""
        self._pending: dict[_Key, PendingGeneration] = {}
        self._in_engines = 0
        """How many of them are in an engine; the others wait."""
        self._queue: list[tuple[_Order, PendingGeneration]] = []
        """A heap of those that wait, and of some that were given up."""
        self._asked = count()
        self._new: list[PendingGeneration] = []
        """Those not looked up yet."""
        self._outputs_for_parts = 0
        """In this round."""
        self._made: dict[PendingGeneration, Output] = {}
        self._failed = 0
        self._news: SimpleQueue[tuple[PendingGeneration, int | Future[Output]] | None] = SimpleQueue()
        """One with a new token, or with its future once that is done; None to wake the driver."""

    @property
    def effort(self) -> Effort:
        """The work done so far."""
        return replace(self._effort, text_s=sum(task.text_s for task in self._tasks))

    @property
    def progress(self) -> tuple[int, int]:
        """The parts that are done, of those known so far; an output for a part in this round counts as one.

        May be read from another thread. A part whose output is not good enough counts less afterwards.
        """
        done, total = self._progress
        return min(total, done + self._outputs_for_parts), total

    def run(self, on_event: Callable[[Event], None] | None = None) -> list[Outcome[T]]:
        """Run all tasks and return their outcomes, in order; `on_event` hears what they tell."""
        for event in self.events(math.inf):
            if event is not None and on_event is not None:
                on_event(event)
        return self._outcomes()

    def events(self, tick_s: float) -> Generator[Event | None, None, list[Outcome[T]]]:
        """Run all tasks and return their outcomes; yield events as they come, and None at checkpoints.

        While engines work there is a yield every `tick_s` at the latest. A caller that closes this generator
        ends the tasks and frees their places.
        """
        with self._cancel.calling(partial(self._news.put, None)):
            try:
                while self._ready or self._pending:
                    while self._ready:
                        yield from self._advance(*self._ready.popleft())
                    if self._on_progress is not None and self._progress != self._reported:
                        self._reported = self._progress
                        self._on_progress(*self._progress)
                    if self._pending and not self._is_over():
                        yield from self._round(tick_s)
            finally:
                for task in self._tasks:
                    self._close(task.root)
        return self._outcomes()

    def _outcomes(self) -> list[Outcome[T]]:
        return [
            Outcome(task.value, task.error, task.text_s, task.model_s, task.output_tokens)
            for task in self._tasks
        ]

    # ------------------------------------------------------------------ from step to step

    def _advance(self, task: _Task, answer: Any) -> Iterator[Event | None]:
        """Take a task on until it wants something that must be waited for, or ends."""
        while task.is_alive and not self._is_over():
            if time.monotonic() >= self._slice_end:
                self._pause(lambda: None)
            try:
                step = task.resume(answer)
            except StopIteration as end:
                task.is_alive = False
                if task.parent is None:
                    task.whole.value = end.value
                else:
                    self._set_answer(task.parent, task.place, end.value)
                return
            except Exception as error:  # noqa: BLE001 - any failure is this task's alone
                self._close(task)
                if task.parent is None:
                    task.whole.error = error
                else:
                    self._throw(task.parent, error)
                return
            answer = None
            if isinstance(step, Generate | Gather):
                wanted = step.generations if isinstance(step, Generate) else step.tasks
                if wanted:
                    task.answers, task.left = [None] * len(wanted), len(wanted)
                    self._count(task, 0, len(wanted))
                    if isinstance(step, Generate):
                        self._ask(task, step)
                    else:
                        task.parts = [_Task(steps, task.whole, task, i) for i, steps in enumerate(step.tasks)]
                        self._ready.extend((part, None) for part in task.parts)
                    return
                answer = []
            else:
                yield step

    def _set_answer(self, task: _Task, place: int, value: Any) -> None:
        """Put a value or an output in its place; the task goes on if it was the last one missing."""
        self._count(task, 1, 0)
        task.answers[place] = value
        task.left -= 1
        if task.left == 0 and task.is_alive and not task.is_failing:
            self._ready.append((task, task.answers))

    def _count(self, task: _Task, done: int, total: int) -> None:
        if task.parent is None:
            self._progress = (self._progress[0] + done, self._progress[1] + total)

    def _throw(self, task: _Task, error: Exception) -> None:
        """Have a task that waits go on with an error, and give up all that it waits for."""
        if task.is_alive and not task.is_failing:
            self._give_up(task)
            task.is_failing = True
            self._ready.append((task, error))

    def _close(self, task: _Task) -> None:
        """End a task without a value, and all that it waits for."""
        if task.is_alive:
            task.is_alive = False
            self._give_up(task)
            task.steps.close()

    def _give_up(self, task: _Task) -> None:
        for part in task.parts:
            self._close(part)
        for pending in task.pending:
            pending.leave(task)
            if not pending.waiters and self._pending.get(pending.key) is pending:
                del self._pending[pending.key]
                self._in_engines -= pending.future is not None

    def _is_over(self) -> bool:
        """End all tasks if time is up or they are cancelled; returns whether that is so."""
        error: Exception
        if self._cancel.cancelled:
            error = ClientDisconnected()
        elif self._deadline is not None and time.monotonic() >= self._deadline:
            error = DeadlineExceeded(LATE)
        else:
            return False
        self._ready.clear()
        for task in self._tasks:
            if task.root.is_alive:
                self._give_up(task.root)
                task.end_with(error)
        return True

    # ------------------------------------------------------------------ to the engines and back

    def _ask(self, task: _Task, step: Generate) -> None:
        """Have what the step wants wait, to be submitted."""
        block = task.block() if self._in_order else 0
        for place, generation in enumerate(step.generations):
            key = step.engine, generation, task.whole if self._cache is None else None
            pending = self._pending.get(key)
            if pending is None:
                decoder = None if step.decode is None else IncrementalDecoder(step.decode)
                pending = self._pending[key] = PendingGeneration(key, decoder)
                ids = tuple(generation.source_ids)
                order = block, -len(ids), ids, generation.decoding.num_beams, next(self._asked)
                heappush(self._queue, (order, pending))
                self._new.append(pending)
            pending.join(task, place)

    def _round(self, tick_s: float) -> Iterator[Event | None]:
        """Submit what waits and listen until tasks can go on."""
        if self._recall():
            return
        asked_for = time.monotonic()
        with ExitStack() as turn:
            turn.enter_context(self._turns.gate)
            if self._deadline is not None:
                self._deadline += time.monotonic() - asked_for
            with self._turns.timed(self._effort):
                engines = self._submit()
                if self._turns.overlap:
                    yield from self._await_outputs(BEGUN_CHECK_S, until_begun=engines)
                    turn.close()
                yield from self._await_outputs(tick_s)
        made, self._made = self._made, {}
        failed, self._failed = self._failed, 0
        self._outputs_for_parts = 0
        if self._cache is not None and (made or failed):
            self._cache.keep(made, failed)

    def _recall(self) -> bool:
        """Answer what the cache has of what is new; returns whether it has something."""
        asked, self._new = self._new, []
        new = [pending for pending in asked if self._pending.get(pending.key) is pending]
        if self._cache is None or not new:
            return False
        recalled = self._cache.recall(new)
        for pending, output in recalled.items():
            del self._pending[pending.key]
            self._effort.remembered_tokens += len(output.token_ids) * self._deliver(pending, output)
        return bool(recalled)

    def _submit(self) -> list[Engine]:
        """Submit what waits, or some of it, to each engine at once, so that it sees the round; returns these.

        Nothing but what waits decides what is chosen: a run that goes on after a kill chooses the same.
        """
        groups: dict[tuple[Engine, bool], list[PendingGeneration]] = {}
        chosen = 0
        while self._queue and (self._at_most is None or chosen < self._at_most):
            _, pending = heappop(self._queue)
            if self._pending.get(pending.key) is pending:
                may_wait = self._wait or all(task.whole.was_admitted for task in pending.waiters)
                groups.setdefault((pending.engine, may_wait), []).append(pending)
                chosen += 1
        refused: list[tuple[PendingGeneration, Exception]] = []
        for (engine, may_wait), group in groups.items():
            generations = [
                replace(
                    pending.generation,
                    deadline=self._deadline,
                    flow=self._flow,
                    on_token=partial(self._notify, pending) if self._streams_tokens(pending) else None,
                )
                for pending in group
            ]
            try:
                futures = (
                    self._pause(partial(engine.submit, generations, wait=True))
                    if may_wait
                    else engine.submit(generations)
                )
            except Exception as error:  # noqa: BLE001 - refused: all of this group is
                refused += [(pending, error) for pending in group]
                continue
            for pending, future in zip(group, futures, strict=True):
                self._effort.source_tokens += len(pending.generation.source_ids)
                self._in_engines += 1
                pending.enter(future)
                future.add_done_callback(partial(self._notify, pending))
        for pending, _ in refused:
            del self._pending[pending.key]
        for pending, refusal in refused:
            self._deliver(pending, refusal)
        return [engine for engine, _ in groups]

    def _streams_tokens(self, pending: PendingGeneration) -> bool:
        is_greedy = pending.generation.decoding.num_beams == 1
        return self._is_watched and pending.decoder is not None and is_greedy

    def _notify(self, pending: PendingGeneration, what: int | Future[Output]) -> None:
        """Take a new token, or the future once it is done, from any thread."""
        self._news.put((pending, what))

    def _await_outputs(
        self, tick_s: float, *, until_begun: Sequence[Engine] | None = None
    ) -> Iterator[Event | None]:
        """Wait for outputs: in rounds for all of them, else until one lets a task go on.

        Or until nothing waits in the queues of the engines `until_begun`; where one of these has others join
        what runs, for the whole round.
        """
        while self._in_engines and (self._in_rounds or not self._ready or not self._news.empty()):
            if until_begun is not None:
                stats = [engine.stats() for engine in until_begun]
                if not any(each.queued or each.slots for each in stats):
                    return
            left_s = math.inf if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            wait_s = min(tick_s, left_s)
            words = None
            with suppress(Empty):
                news = self._next_news(None if wait_s == math.inf else wait_s)
                if news is not None:
                    pending, what = news
                    if not isinstance(what, Future):
                        words = pending.decoder.add(what) if pending.decoder is not None else None
                    elif self._pending.get(pending.key) is pending:  # else it was given up
                        self._complete(pending, what)
                        continue
            if self._is_over():
                return
            yield words

    def _next_news(self, timeout_s: float | None) -> tuple[PendingGeneration, int | Future[Output]] | None:
        if not self._news.empty():
            return self._news.get()
        return self._pause(partial(self._news.get, timeout=timeout_s))

    def _pause(self, wait: Callable[[], V]) -> V:
        """Let others work while this waits."""
        with self._idle():
            value = wait()
        self._slice_end = time.monotonic() + SLICE_S
        return value

    def _complete(self, pending: PendingGeneration, future: Future[Output]) -> None:
        """Take what came of a generation."""
        del self._pending[pending.key]
        self._in_engines -= 1
        try:
            output = future.result()
        except Exception as error:  # noqa: BLE001 - any failure is that generation's alone
            self._failed += 1
            self._deliver(pending, error)
            return
        self._made[pending] = output
        self._effort.output_tokens += len(output.token_ids)
        self._effort.remembered_tokens += len(output.token_ids) * (self._deliver(pending, output) - 1)

    def _deliver(self, pending: PendingGeneration, output: Output | Exception) -> int:
        """Give an output, or the error in its place, to all who wait for it; returns how many those are."""
        places = pending.finish()
        for task, place in places:
            if isinstance(output, Output):
                task.whole.output_tokens += len(output.token_ids)
                self._outputs_for_parts += task.parent is not None
                self._set_answer(task, place, output)
            else:
                self._throw(task, output)
        return len(places)


def run_all(
    tasks: Sequence[Steps[T]],
    *,
    deadline: float | None = None,
    wait: bool = False,
    in_rounds: bool = True,
    cancel: CancelToken | None = None,
    flow: str = "",
    idle: Idle = nullcontext,
) -> list[Outcome[T]]:
    """Run tasks together and return their outcomes in the same order; see `Driver`."""
    return Driver(
        tasks, deadline=deadline, wait=wait, in_rounds=in_rounds, cancel=cancel, flow=flow, idle=idle
    ).run()


def run(task: Steps[T], *, deadline: float | None = None, wait: bool = False) -> Outcome[T]:
    """Run one task to its end."""
    return run_all([task], deadline=deadline, wait=wait)[0]


def stream(
    task: Steps[T],
    *,
    deadline: float | None = None,
    tick_s: float = 1.0,
    cancel: CancelToken | None = None,
    flow: str = "",
    idle: Idle = nullcontext,
) -> Generator[Event | None, None, Outcome[T]]:
    """Run one task for a reader who watches, and return its outcome; see `Driver.events`."""
    driver = Driver(
        [task], deadline=deadline, in_rounds=False, is_watched=True, cancel=cancel, flow=flow, idle=idle
    )
    (outcome,) = yield from driver.events(tick_s)
    return outcome
