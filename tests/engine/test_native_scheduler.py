"""Slots, queue, memory plan and loop of the native engine: no model, and a device that only counts."""

import ast
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.engine.native import limits
from models.engine.native.engine import Counts, Loop
from models.engine.native.limits import Lane
from models.engine.native.runner import Arriving
from models.engine.native.scheduler import NOWHERE, Request, Scheduler, Slots
from models.engine.protocol import Decoding, Generation
from models.errors import EngineFailed

HERE = Path(limits.__file__).parent


@pytest.mark.parametrize("module", ["scheduler", "limits"])
def test_no_torch(module):
    tree = ast.parse((HERE / f"{module}.py").read_text())
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert not any(name.split(".")[0] in ("torch", "triton", "transformers") for name in imported)


def request(num_beams=1, deadline=None, flow=""):
    decoding = Decoding(max_new_tokens=4, num_beams=num_beams)
    generation = Generation((3,), decoding, deadline=deadline, flow=flow)
    return Request(generation, Lane(num_beams, 2 * num_beams), (2,))


def test_places_are_never_shared():
    slots = Slots(3, 9)
    places = [slots.take(4), slots.take(4)]
    rows = [row for place in places for row in place.rows]
    assert len(set(rows)) == 8
    assert places[0].slot != places[1].slot
    assert slots.take(4) is None  # a slot is free, but one row only
    assert slots.take(1) is not None
    assert slots.take(1) is None
    slots.release(places[0])
    assert (slots.used, len(slots.free_rows)) == (2, 4)


def test_first_come_first_served():
    scheduler = Scheduler(Slots(2, 8))
    requests = [request(), request(8), request()]
    scheduler.add(requests)
    # The second needs all rows: it is not overtaken by the third.
    assert scheduler.admit() == requests[:1]
    scheduler.end(requests[:1])
    assert scheduler.admit() == requests[1:2]


def test_many_newcomers_leave_steps_in_between_to_those_who_run():
    scheduler = Scheduler(Slots(32, 32), max_admitted_tokens=10)
    requests = [request() for _ in range(31)]  # of one token each
    scheduler.add(requests[:15])
    assert scheduler.admit() == requests[:15]  # nobody runs yet
    scheduler.start(requests[0], step=1)
    scheduler.add(requests[15:])
    assert scheduler.admit() == requests[15:25]
    assert scheduler.admit() == requests[25:]


def test_newcomers_gather_while_others_run():
    scheduler = Scheduler(Slots(16, 16), patience_steps=3)
    running = request()
    scheduler.add([running])
    scheduler.start(scheduler.admit()[0], step=1)
    one, other = request(), request()
    scheduler.add([one])
    assert scheduler.admit() == []
    scheduler.add([other])  # two are an eighth of the slots
    assert scheduler.admit() == [one, other]
    last = request()
    scheduler.add([last])
    assert [scheduler.admit() for _ in range(4)] == [[], [], [], [last]]


def test_ending_frees_everything():
    scheduler = Scheduler(Slots(4, 8))
    requests = [request(4), request(1), request(1)]
    scheduler.add(requests)
    for each in scheduler.admit():
        scheduler.start(each, step=1)
    scheduler.changed.clear()
    scheduler.end(requests[:2])
    assert requests[0].place is NOWHERE
    assert list(scheduler.running) == [requests[2].lane]
    assert scheduler.changed == {requests[0].lane, requests[2].lane}
    assert scheduler.slots.used == 1
    scheduler.end(requests)
    assert scheduler.idle
    assert (scheduler.slots.used, len(scheduler.slots.free_rows)) == (0, 8)


def test_cancelled_while_waiting_is_never_admitted():
    scheduler = Scheduler(Slots(4, 8))
    gone, stays = request(), request()
    scheduler.add([gone, stays])
    scheduler.end([gone])
    assert scheduler.admit() == [stays]


def test_flows_take_turns():
    scheduler = Scheduler(Slots(2, 8))
    first, second, last = requests = [request(flow="a") for _ in range(3)]
    lone = request(flow="b")
    scheduler.add([*requests, lone])
    assert scheduler.admit() == [first, lone]
    scheduler.end([first, lone])
    scheduler.add([request(flow="b")])
    assert scheduler.admit()[0] is second
    assert list(scheduler.waiting) == [last]


def test_deadlines_come_in_order():
    scheduler = Scheduler(Slots(4, 8))
    late, soon, never, over = request(deadline=5.0), request(deadline=2.0), request(), request(deadline=1.0)
    scheduler.add([late, soon, never, over])
    scheduler.end([over])
    assert scheduler.expired(3.0) == [soon]
    assert scheduler.expired(9.0) == [late]


LIMITS = limits.Limits(max_slots=100, beam_widths=(4, 1, 8), max_source_tokens=10, max_new_tokens=5)
TOKEN, LOGITS = 256, 200
"""Bytes."""
ONE = 10 * TOKEN + 16 * 8 * 5 + 4 * (5 * TOKEN + 2 * LOGITS)
"""A source, four tables of eight beams, and four hypotheses."""


def test_the_plan_fits_what_is_free():
    assert limits.plan(LIMITS, TOKEN, LOGITS, 10 * ONE + 5) == (10, 40)
    assert limits.plan(LIMITS, TOKEN, LOGITS, 10 * ONE - 5) == (9, 36)
    assert limits.plan(replace(LIMITS, max_slots=3), TOKEN, LOGITS, None) == (3, 12)
    # Even one slot must be able to run the widest beam search.
    assert limits.plan(replace(LIMITS, max_slots=1, beam_widths=(1, 8)), TOKEN, LOGITS, None) == (1, 8)


def test_no_room_at_all_is_refused_with_the_reason():
    with pytest.raises(EngineFailed, match="10 source tokens with 4 beams"):
        limits.plan(LIMITS, TOKEN, LOGITS, 100)


SLOTS = 15
LANE = Lane(1, 2)
LAG = 2


class CountingDevice:
    """Each slot ends after so many steps as its source says."""

    def __init__(self, kind: str, begin_s: float = 0.0):
        self.steps: list[list[int]] = []
        """The slots of each."""
        self._begin_s = begin_s
        self.device = SimpleNamespace(type=kind)
        self.plan = SimpleNamespace(num_slots=SLOTS, num_rows=SLOTS)
        self.encoder = SimpleNamespace(max_batch_tokens=10_000)
        self._left: dict[int, int] = {}
        self._active: list[int] = []

    def begin(self, requests: list[Request]) -> dict[int, Exception]:
        time.sleep(self._begin_s)
        for request in requests:
            self._left[request.place.slot] = request.generation.source_ids[0]
        return {}

    def set_active(self, lane: Lane, slots: list[int]) -> None:
        self._active = slots

    def step(self, lane: Lane) -> None:
        self.steps.append(self._active)
        for slot in self._active:
            self._left[slot] -= 1

    def read_back(self) -> Arriving:
        finished = torch.tensor([self._left.get(slot, 1) <= 0 for slot in range(SLOTS + 1)])
        return Arriving([torch.stack((finished.int(), torch.zeros(SLOTS + 1, dtype=torch.int32)))])

    def fetch(self, slots: list[int], num_hypotheses: int, longest: int) -> Arriving:
        shape = (len(slots), num_hypotheses)
        return Arriving(
            [torch.ones(shape, dtype=torch.int32), torch.full(shape, -1.0), torch.full((*shape, 1), 7)]
        )


def answers(kind: str, arrivals: list[tuple[int, int]], cancelled: dict[int, int]) -> list[int | None]:
    """The turn at which each request is answered, of those that come at a turn and take so many steps."""
    loop = Loop(CountingDevice(kind), Counts())  # type: ignore[arg-type]
    requests = [
        Request(Generation((steps,), Decoding(max_new_tokens=99)), LANE, (2,)) for _, steps in arrivals
    ]
    turns: list[int | None] = [None] * len(requests)
    for turn in range(500):
        loop.add([each for each, (at, _) in zip(requests, arrivals, strict=True) if at == turn])
        gone = [requests[i] for i, at in cancelled.items() if at == turn and arrivals[i][0] <= turn]
        loop.drop([each for each in gone if each.cancel()])
        if not loop.idle:
            loop.turn()
        for i, request in enumerate(requests):
            if turns[i] is None and request.done() and not request.cancelled():
                turns[i] = turn
        if loop.idle and all(at <= turn for at, _ in arrivals):
            return turns
    raise AssertionError("the loop does not come to its end")


def test_a_short_request_does_not_wait_for_a_long_one() -> None:
    assert answers("cpu", [(0, 5), (0, 60)], {}) == [4, 59]
    assert answers("cuda", [(0, 5), (0, 60)], {}) == [6, 61], "the short one came at turn 61 too"


def test_who_shares_a_step_does_not_depend_on_how_fast_anything_is() -> None:
    def steps(begin_s: float) -> list[list[int]]:
        device = CountingDevice("cuda", begin_s)
        loop = Loop(device, Counts())  # type: ignore[arg-type]
        loop.add(
            [Request(Generation((3 + i % 7,), Decoding(max_new_tokens=99)), LANE, (2,)) for i in range(60)]
        )
        while not loop.idle:
            loop.turn()
        return device.steps

    assert steps(0.0) == steps(0.002)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 40)), min_size=1, max_size=SLOTS),
    st.dictionaries(st.integers(0, SLOTS - 1), st.integers(0, 50), max_size=4),
)
def test_a_device_that_is_looked_at_late_answers_little_later(
    arrivals: list[tuple[int, int]], cancelled: dict[int, int]
) -> None:
    cancelled = {i: at for i, at in cancelled.items() if i < len(arrivals)}
    now, late = answers("cpu", arrivals, cancelled), answers("cuda", arrivals, cancelled)
    for i, (soon, later) in enumerate(zip(now, late, strict=True)):
        if soon is not None and later is not None:
            assert later <= soon + LAG, arrivals
        elif soon is None or later is None:
            assert i in cancelled, "only a cancelled one goes without an answer"
