"""The native engine's loop over a device that only counts: a GPU, looked at late, answers hardly later."""

import time
from types import SimpleNamespace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from models.engine.native.engine import Counts, Loop
from models.engine.native.limits import Lane
from models.engine.native.runner import Arriving
from models.engine.native.scheduler import Request
from models.engine.protocol import Decoding, Generation

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

    def begin(self, starts: list[Any]) -> dict[int, Exception]:
        time.sleep(self._begin_s)
        for start in starts:
            self._left[start.slot] = start.token_ids[0]
        return {}

    def set_active(self, lane: Lane, slots: list[int]) -> float:
        self._active = slots
        return 1.0

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
