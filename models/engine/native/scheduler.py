"""Decides which requests run: slots and rows, the queue, running requests by lane, deadlines, cancellations.

A slot holds one source (its cross-attention keys and values and its search state); a row holds the
self-attention cache of one hypothesis. A lane is a group that one decoding step can process together: the
same number of beams and of candidates per step. Knows no tensors or models; only the engine's thread calls
it.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from models.engine.flows import FlowQueue
from models.engine.futures import OutputFuture
from models.engine.native.limits import Lane
from models.engine.protocol import Generation


class Place(NamedTuple):
    """One request's slot and its rows, one row a beam."""

    slot: int
    rows: tuple[int, ...]


NOWHERE = Place(-1, ())
"""The place of a request that waits or is over."""


class Slots:
    """Hands out places and takes them back; never grows."""

    def __init__(self, num_slots: int, num_rows: int):
        self.num_slots = num_slots
        self.num_rows = num_rows
        self._free_slots = list(range(num_slots - 1, -1, -1))
        self.free_rows = list(range(num_rows - 1, -1, -1))

    @property
    def used(self) -> int:
        """Slots that are held."""
        return self.num_slots - len(self._free_slots)

    def take(self, num_beams: int) -> Place | None:
        """A slot with `num_beams` rows, or None while too few are free."""
        if not self._free_slots or len(self.free_rows) < num_beams:
            return None
        rows = tuple(self.free_rows[-num_beams:])
        del self.free_rows[-num_beams:]
        return Place(self._free_slots.pop(), rows)

    def release(self, place: Place) -> None:
        self._free_slots.append(place.slot)
        self.free_rows.extend(place.rows)


class Request(OutputFuture):
    """A generation on its way through the engine, and what its caller waits for."""

    def __init__(
        self,
        generation: Generation,
        lane: Lane,
        stop_token_ids: tuple[int, ...],
        when_cancelled: Callable[[Any], None] | None = None,
    ):
        super().__init__(when_cancelled)
        self.generation = generation
        self.flow = generation.flow
        self.lane = lane
        self.stop_token_ids = stop_token_ids
        self.place = NOWHERE
        self.first_step = 0
        """The engine's step that was the first to include this request."""
        self.num_seen = 0
        """Tokens already looked at for `on_token`."""
        self.over = False
        """Answered, cancelled, expired or about to be answered: it holds nothing any more."""

    def is_end(self, place: int, token_id: int) -> bool:
        """Return whether this token, the `place`-th from 1 on, is an end token rather than output."""
        decoding = self.generation.decoding
        forced = place == decoding.max_new_tokens and token_id == decoding.forced_eos_token_id
        return forced or token_id in self.stop_token_ids

    @property
    def has_forced_first(self) -> bool:
        return self.generation.decoding.forced_bos_token_id is not None


class Scheduler:
    """First come, first served within a flow, and flows in turn, in groups worth an encoder call.

    While others run, newcomers wait until an eighth of all slots can be filled at once or `patience_steps`
    have passed: an encoder call costs as much for one source as for many. Of many newcomers, those beyond
    `max_admitted_tokens` of source wait for a step in between, so that who runs keeps its pace.
    """

    def __init__(self, slots: Slots, *, patience_steps: int = 8, max_admitted_tokens: int = 16384):
        self.slots = slots
        self.max_admitted_tokens = max_admitted_tokens
        self.patience_steps = patience_steps
        self.waiting = FlowQueue[Request]()
        self.running: dict[Lane, dict[int, Request]] = {}
        """By their slots."""
        self.by_slot: dict[int, Request] = {}
        self.changed: set[Lane] = set()
        """Lanes whose requests are not those that the device was last told."""
        self._deadlines: list[tuple[float, int, Request]] = []
        self._num_added = 0
        self._steps_since_admission = 0

    def add(self, requests: Iterable[Request]) -> None:
        for request in requests:
            self._num_added += 1
            self.waiting.add(request)
            if request.generation.deadline is not None:
                heapq.heappush(self._deadlines, (request.generation.deadline, self._num_added, request))

    def admit(self) -> list[Request]:
        """Take the requests whose turn it is off the queue and give each a place."""
        self._steps_since_admission += 1
        if not self._worth_admitting():
            return []
        admitted: list[Request] = []
        room = self.max_admitted_tokens
        while self.waiting:
            request = self.waiting.first()
            room -= len(request.generation.source_ids)
            if room < 0 and admitted and self.running:
                self._steps_since_admission = self.patience_steps  # the others' turn is the next
                return admitted
            place = self.slots.take(request.lane.num_beams)
            if place is None:
                break
            self.waiting.take(request)
            request.place = place
            admitted.append(request)
        if admitted:
            self._steps_since_admission = 0
        return admitted

    def _worth_admitting(self) -> bool:
        if not self.running or self._steps_since_admission > self.patience_steps:
            return bool(self.waiting)
        free = self.slots.num_slots - self.slots.used
        return min(len(self.waiting), free) >= max(1, self.slots.num_slots // 8)

    def start(self, request: Request, step: int) -> None:
        """The request's source is encoded: from `step` on its lane includes it."""
        request.first_step = step
        self.running.setdefault(request.lane, {})[request.place.slot] = request
        self.by_slot[request.place.slot] = request
        self.changed.add(request.lane)

    def end(self, requests: Iterable[Request]) -> None:
        """Free what these requests hold, wherever they are on their way."""
        for request in requests:
            request.over = True
            place, request.place = request.place, NOWHERE
            if place is NOWHERE:
                self.waiting.drop(request)
                continue
            self.slots.release(place)
            if self.by_slot.pop(place.slot, None):
                self.changed.add(request.lane)
                running = self.running[request.lane]
                del running[place.slot]
                if not running:
                    del self.running[request.lane]

    def expired(self, now: float) -> list[Request]:
        """Requests whose deadline has passed, and that are not over yet."""
        late = []
        while self._deadlines and self._deadlines[0][0] <= now:
            request = heapq.heappop(self._deadlines)[2]
            if not request.over:
                late.append(request)
        return late

    @property
    def idle(self) -> bool:
        return not self.running and not self.waiting
