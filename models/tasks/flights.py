"""Generations on their way: those that wait, those that are in an engine, and who asked for each."""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from itertools import count
from queue import Empty, SimpleQueue
from typing import Protocol

from models.engine.protocol import Engine, Generation, Output
from models.tasks.pieces import Pieces
from models.tasks.running import Effort, Running, TaskState
from models.tasks.steps import Call, Words


@dataclass(frozen=True, slots=True)
class Wanted:
    """A generation, and the engine that is to do it."""

    engine: Engine
    generation: Generation


Order = tuple[int, int, tuple[int, ...], int]
"""Long ones first, of a text's beginning if order is kept, and nothing left to chance."""

BLOCK = 16
"""Sentences of which the long ones come first where order is kept: alike ones still share a batch."""

Key = tuple[Wanted, TaskState | None]
"""Equal ones of a task are done once; with a memory, so are those of different tasks."""


class OutputMemory(Protocol):
    """Remembers outputs."""

    def recall(self, wanted: Sequence[Wanted]) -> Mapping[Wanted, Output]:
        """Return those that are known."""

    def keep(self, made: Mapping[Wanted, Output], failed: int) -> None:
        """Remember what engines gave since the last time; `failed` generations came to nothing."""


class Flight:
    """A generation that waits or is in an engine, with all who asked for it."""

    def __init__(
        self, key: "Key", wanted: Wanted, decode: Callable[[tuple[int, ...]], str] | None, block: int
    ):
        self.key = key
        self.wanted = wanted
        self._block = block
        self.pieces = None if decode is None else Pieces(decode)
        self.takers: dict[Running, list[int]] = {}
        """Who asked for it, and in which of their places its output goes."""
        self.future: Future[Output] | None = None

    @property
    def source_tokens(self) -> int:
        """Tokens of its source."""
        return len(self.wanted.generation.source_ids)

    @property
    def order(self) -> "Order":
        """Its place among those that wait."""
        generation = self.wanted.generation
        return self._block, -self.source_tokens, tuple(generation.source_ids), generation.decoding.num_beams

    def join(self, running: Running, place: int) -> None:
        """Have its output go to this place as well."""
        self.takers.setdefault(running, []).append(place)
        running.flights.append(self)
        if self.future is not None:
            running.task.departs()

    def leave(self, running: Running) -> bool:
        """Have its output not go there; returns whether nobody wants it any more, and calls it off then."""
        gone = self.takers.pop(running, [])
        if self.future is not None:
            for _ in gone:
                running.task.arrives()
            if not self.takers:
                self.future.cancel()
        return not self.takers

    def depart(self, future: Future[Output]) -> None:
        """Note that an engine has it."""
        self.future = future
        for running, _ in self.places():
            running.task.departs()

    def places(self) -> list[tuple[Running, int]]:
        """Return all who asked for it, with the place there."""
        return [(running, place) for running, own in self.takers.items() for place in own]

    def arrive(self) -> list[tuple[Running, int]]:
        """Note that it has landed; returns where its output goes."""
        places = self.places()
        self.takers = {}
        if self.future is not None:
            for running, _ in places:
                running.task.arrives()
        return places

    def output(self) -> Output | Exception:
        """Return what came of it, once it has landed."""
        assert self.future is not None  # noqa: S101 - only what has departed lands
        try:
            return self.future.result()
        except (Exception, CancelledError) as error:  # noqa: BLE001 - any failure is that generation's alone
            return error

    def words(self, token: int) -> Words | None:
        """Return the text that a new token has made whole."""
        return None if self.pieces is None else self.pieces.add(token)


@dataclass(frozen=True, slots=True)
class Landing:
    """An output, or the error in its place, and all whom it goes to, each with its place there."""

    takers: Sequence[tuple[Running, int]]
    output: Output | Exception


class Flights:
    """All generations of one driver. See `Driver` for `wait`, `at_most`, `in_order` and `memory`.

    With `tells` the tokens of greedy searches are heard as they come.
    """

    def __init__(
        self, *, wait: bool, at_most: int | None, in_order: bool, memory: OutputMemory | None, tells: bool
    ):
        self.effort = Effort()
        self._wait = wait
        self._at_most = at_most
        self._in_order = in_order
        self._memory = memory
        self._tells = tells
        self._waiting: dict[Key, Flight] = {}
        self._flying: dict[Key, Flight] = {}
        self._queue: list[tuple[Order, int, Flight]] = []
        """A heap of those that wait, and of some that do so no more."""
        self._asked = count()
        self._new: list[Flight] = []
        """Those not looked up yet."""
        self._made: dict[Wanted, Output] = {}
        self._failed = 0
        self._engines: list[Engine] = []
        """Those that the last round went to."""
        self._heard: SimpleQueue[tuple[Flight, int | None] | None] = SimpleQueue()
        """A flight with a new token, or with None when it has landed; None alone after `wake`."""

    def __bool__(self) -> bool:
        return bool(self._waiting or self._flying)

    @property
    def is_flying(self) -> bool:
        """True while something is in an engine."""
        return bool(self._flying)

    @property
    def have_begun(self) -> bool:
        """True if nothing waits in an engine's queue, and no engine would have others join what runs."""
        stats = [engine.stats() for engine in self._engines]
        return not any(each.queued or each.slots for each in stats)

    @property
    def has_news(self) -> bool:
        """True if something was heard."""
        return not self._heard.empty()

    def ask(self, running: Running, call: Call) -> None:
        """Have what the call wants wait, to be submitted."""
        running.expect(len(call.generations))
        block = running.top().place // BLOCK if self._in_order else 0
        for place, generation in enumerate(call.generations):
            wanted = Wanted(call.engine, generation)
            key = wanted, running.task if self._memory is None else None
            flight = self._waiting.get(key) or self._flying.get(key)
            if flight is None:
                flight = self._waiting[key] = Flight(key, wanted, call.decode, block)
                heappush(self._queue, (flight.order, next(self._asked), flight))
                self._new.append(flight)
            flight.join(running, place)

    def give_up(self, running: Running) -> None:
        """Call off what only this one waits for."""
        for flight in running.flights:
            if flight.leave(running):
                for there in (self._waiting, self._flying):
                    if there.get(flight.key) is flight:
                        del there[flight.key]

    def recall(self) -> list[Landing]:
        """Return the outputs that are remembered of what waits."""
        asked, self._new = self._new, []
        new = {flight.wanted: flight for flight in asked if self._waiting.get(flight.key) is flight}
        if self._memory is None or not new:
            return []
        landings = []
        for wanted, output in self._memory.recall(list(new)).items():
            flight = new[wanted]
            del self._waiting[flight.key]
            self.effort.remembered_tokens += len(output.token_ids) * len(flight.places())
            landings.append(Landing(flight.arrive(), output))
        return landings

    def keep(self) -> None:
        """Have what was made since the last time remembered."""
        made, self._made = self._made, {}
        failed, self._failed = self._failed, 0
        if self._memory is not None and (made or failed):
            self._memory.keep(made, failed)

    def submit(self, deadline: float | None) -> list[Landing]:
        """Submit what waits, or some of it; returns what was refused.

        What goes to one engine is submitted at once, so that it sees the whole round.
        """
        groups: dict[tuple[int, bool], list[Flight]] = {}
        for flight in self._chosen():
            may_wait = self._wait or all(running.task.was_admitted for running in flight.takers)
            groups.setdefault((id(flight.wanted.engine), may_wait), []).append(flight)
            del self._waiting[flight.key]
        self._engines = [group[0].wanted.engine for group in groups.values()]
        refused = []
        for (_, may_wait), group in groups.items():
            generations = [
                replace(flight.wanted.generation, deadline=deadline, on_token=self._listener(flight))
                for flight in group
            ]
            try:
                futures = group[0].wanted.engine.submit(generations, wait=may_wait)
            except Exception as error:  # noqa: BLE001 - refused: all of this group is
                refused += [Landing(flight.arrive(), error) for flight in group]
                continue
            for flight, future in zip(group, futures, strict=True):
                self.effort.source_tokens += flight.source_tokens
                self._flying[flight.key] = flight
                flight.depart(future)
                future.add_done_callback(partial(self._hear, flight))
        return refused

    def _chosen(self) -> list[Flight]:
        """Return what is submitted now, long ones first, since alike ones share a batch.

        Nothing but what waits decides it, so that a run that goes on after a kill chooses the same.
        """
        chosen: list[Flight] = []
        while self._queue and (self._at_most is None or len(chosen) < self._at_most):
            _, _, flight = heappop(self._queue)
            if self._waiting.get(flight.key) is flight:
                chosen.append(flight)
        return chosen

    def _listener(self, flight: Flight) -> Callable[[int], None] | None:
        if not self._tells or flight.pieces is None or flight.wanted.generation.decoding.num_beams > 1:
            return None
        return lambda token: self._heard.put((flight, token))

    def _hear(self, flight: Flight, _: Future[Output]) -> None:
        self._heard.put((flight, None))

    def wake(self) -> None:
        """Have `listen` return, from any thread."""
        self._heard.put(None)

    def listen(self, timeout_s: float) -> Landing | Words | None:
        """Wait for what is heard next; None if nothing is, or nothing new."""
        try:
            heard = self._heard.get(timeout=None if timeout_s == math.inf else timeout_s)
        except Empty:
            return None
        if heard is None:
            return None
        flight, token = heard
        if token is not None:
            return flight.words(token)
        if self._flying.get(flight.key) is not flight:
            return None  # given up
        del self._flying[flight.key]
        output = flight.output()
        if isinstance(output, Output):
            self._made[flight.wanted] = output
            self.effort.output_tokens += len(output.token_ids)
            self.effort.remembered_tokens += len(output.token_ids) * (len(flight.places()) - 1)
        else:
            self._failed += 1
        return Landing(flight.arrive(), output)
