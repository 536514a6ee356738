"""The native engine's loop, scheduler and books over a device that only takes an H100's time.

The host's work is real but for the launches of kernels: queue, places, tables for the device, the encoder
module's own Python, books, answers. Time is the CPU time of this process and the device's; so a busy machine
changes little. Each case is run twice, once with a host that takes no time: what is left of its rate is the
share that the host keeps. Kernel launches, copies to a GPU and their order are not simulated.
"""

import gc
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import torch
from engine_workloads import WORKLOADS, Workload, simulated_model

from models.engine.native import NativeEngine
from models.engine.native.engine import Loop
from models.engine.native.limits import Limits, limits_for
from models.engine.native.runner import Arriving, Runner
from models.engine.protocol import Generation, Output
from service.batch.lanes import AT_ONCE


@dataclass(frozen=True)
class Case:
    """What is run, and the device's times: of a step, and of encoding a token."""

    workload: Workload
    num_beams: int
    alone: bool
    step_ms: float
    slot_us: float
    row_us: float
    token_us: float


# Measured on one H100 in bf16: BART's steps 1.05 ms (1 row), 2.82 (64 articles of 4 beams), 4.55 (128 of 4,
# and 256 of one), 8.3 (256 of 4), 1,764 articles a second encoded; Marian's by its rates of 49.5, 1,919 and
# 14,710 a second.
BART, MARIAN = WORKLOADS
_BART_TIMES = {"step_ms": 1.05, "slot_us": 8.8, "row_us": 4.9, "token_us": 0.75}
CASES = (
    Case(BART, 4, False, **_BART_TIMES),
    Case(BART, 1, False, **_BART_TIMES),
    Case(BART, 4, True, **_BART_TIMES),
    Case(MARIAN, 4, False, step_ms=0.55, slot_us=13.0, row_us=0.0, token_us=0.2),
    Case(MARIAN, 1, False, step_ms=0.55, slot_us=1.3, row_us=0.0, token_us=0.2),
)


ARTICLES, UNITS, SENTENCES = 1024, (33, 512), 25
"""A batch's, those of a unit before and now, and those of an article."""
MOST_QUEUED = 2048
AT_A_TIME = 64
"""Requests that are submitted together, while the engine waits for the device: both hold the same lock of
Python's, and how it is handed over is not simulated."""


class Device:
    """A device's time and the host's: it works through what it is given, and who waits loses no real time."""

    def __init__(self, *, host_is_free: bool):
        self.busy_s = 0.0
        self.steps = 0
        self._ready_s = 0.0
        self._waited_s = 0.0
        self._host_s = (lambda: 0.0) if host_is_free else time.process_time
        self.meanwhile = lambda: False
        """Does a little of what the host does while it waits; False if there is nothing to do."""

    def now(self) -> float:
        return self._host_s() + self._waited_s

    def work(self, seconds: float) -> None:
        self._ready_s = max(self._ready_s, self.now()) + seconds
        self.busy_s += seconds

    def event(self) -> "Arrival":
        return Arrival(self, self._ready_s)

    def wait_until(self, moment: float) -> None:
        while self.now() < moment and self.meanwhile():
            pass
        self._waited_s += max(0.0, moment - self.now())


@dataclass(frozen=True)
class Arrival:
    """As a CUDA event."""

    device: Device
    at: float

    def synchronize(self) -> None:
        self.device.wait_until(self.at)


class SimulatedRunner(Runner):
    """Steps only count; a search ends at its limit of new tokens."""

    def __init__(self, case: Case, simulated: Device, model, **options):
        self._case = case
        self._simulated = simulated
        super().__init__(model, **options)
        encode = self.encoder._encode

        def encoded(input_ids, attention_mask):
            simulated.work(input_ids.numel() * case.token_us / 1e6)
            encode(input_ids=input_ids[:1, :1], attention_mask=None)  # the module's own Python
            return type("", (), {"last_hidden_state": torch.zeros(len(input_ids), 1, model.config.d_model)})

        self.encoder._encode = encoded
        self.encoder._cache = self.encoder._cache[..., :1, :]  # what a GPU copies takes the host no time
        self.decoder.cross_keys_values = lambda _, hidden: hidden.new_zeros(1).expand(
            2, hidden.shape[0], 1, hidden.shape[1], 1
        )

    def _step(self, active, lane):
        case, state, slots = self._case, self.state, active.long()
        buckets = self._graphs.buckets(lane)
        bucket = buckets[bisect_left(buckets, len(active))]
        rows_us = bucket * (case.slot_us + lane.num_beams * case.row_us)
        self._simulated.work(case.step_ms / 1e3 + rows_us / 1e6)
        self._simulated.steps += 1
        position = state.position[slots] + 1
        state.position[slots] = position
        state.finished[slots] = (position >= state.settings[slots, 0]).int()
        state.done_length[slots, 0] = position

    def _to_host(self, *tensors):
        return Arriving([tensor.clone() for tensor in tensors], self._simulated.event())


class SimulatedEngine(NativeEngine):
    """The engine over the simulated device, looked at as late as a GPU is."""

    def __init__(self, case: Case, simulated: Device, model, limits: Limits):
        self._new_runner = lambda **options: SimulatedRunner(case, simulated, model, **options)
        super().__init__(model, limits)

    def _new_loop(self):
        with torch.inference_mode():
            runner = self._new_runner(device=self._device, dtype=self._dtype, limits=self.limits)
        loop = Loop(runner, self._counts)
        loop._lag = 1
        return loop


def simulate() -> Iterator[dict[str, object]]:
    """Yield a record of each case."""
    torch.set_num_threads(1)
    yield from map(_record, CASES)
    for case, articles in ((CASES[0], ARTICLES), (CASES[4], ARTICLES // 2)):
        for unit in UNITS:
            yield _in_units(case, articles, unit)


def _in_units(case: Case, articles: int, unit: int) -> dict[str, object]:
    """A batch in units of so many articles: each is drained, and then a tenth of it is tried once more."""
    each = 1 if case.workload is BART else SENTENCES
    device = Device(host_is_free=False)
    engine = SimulatedEngine(case, device, simulated_model(case.workload), limits_of(case))
    started = device.now()
    for number in range(articles // unit):
        generations = case.workload.generations(unit * each, case.num_beams, seed=number)
        for tried in (generations, generations[: len(generations) // 10]):
            for i in range(0, len(tried), AT_ONCE["cuda"]):
                for future in engine.submit(tried[i : i + AT_ONCE["cuda"]]):
                    future.result()
    seconds = device.now() - started
    engine.close()
    done = articles // unit * unit
    return {
        **about(case),
        "system": "simulated",
        "case": f"units of {unit}",
        "articles_per_s": done / seconds,
    }


def _record(case: Case) -> dict[str, object]:
    free_s, _ = seconds_of(case, host_is_free=True)
    seconds, busy_s = min(seconds_of(case, host_is_free=False) for _ in range(3))
    count = count_of(case)
    return {
        "system": "simulated",
        **about(case),
        "per_s": count / seconds,
        "of_the_device": free_s / seconds,
        "busy": busy_s / seconds,
    }


def about(case: Case) -> dict[str, object]:
    """A record's first fields."""
    name = "one alone" if case.alone else "all at once"
    return {"model": case.workload.name, "case": name, "num_beams": case.num_beams}


def limits_of(case: Case) -> Limits:
    """The limits of the engine."""
    workload = case.workload
    return limits_for(case.num_beams, workload.max_source_tokens, workload.max_new_tokens)


def count_of(case: Case) -> int:
    """The number of requests."""
    return 32 if case.alone else case.workload.num_requests * (2 if case.num_beams == 1 else 1)


def seconds_of(case: Case, *, host_is_free: bool, count: int | None = None) -> tuple[float, float]:
    """The simulated seconds of the whole case, and those of the device's work."""
    device = Device(host_is_free=host_is_free)
    workload = case.workload
    engine = SimulatedEngine(case, device, simulated_model(workload), limits_of(case))
    generations = workload.generations(count or count_of(case), case.num_beams)
    gc.collect()
    gc.freeze()  # as a server does once it is up
    started = device.now()
    size = 1 if case.alone else AT_A_TIME
    groups = [generations[i : i + size] for i in range(0, len(generations), size)]
    futures = []

    def meanwhile() -> bool:
        if groups and not case.alone and engine.stats().queued < MOST_QUEUED:
            futures.extend(engine.submit(groups.pop(), wait=False))
            return True
        return False

    device.meanwhile = meanwhile
    for _ in range(4):
        meanwhile()
    while groups or futures:
        if not futures:
            futures.extend(engine.submit(groups.pop()))
        futures.pop().result()
    seconds, busy_s = device.now() - started, device.busy_s
    engine.close()
    gc.unfreeze()
    return seconds, busy_s


def replayed_s(case: Case, feed: Sequence[tuple[int, Sequence[Generation]]]) -> float:
    """The simulated seconds of a host that takes no time, given the same after as many steps."""
    device = Device(host_is_free=True)
    engine = SimulatedEngine(case, device, simulated_model(case.workload), limits_of(case))
    left, futures = deque(feed), deque[Future[Output]]()

    def meanwhile() -> bool:
        if left and device.steps >= left[0][0]:
            futures.extend(engine.submit(left.popleft()[1]))
            return True
        return False

    device.meanwhile = meanwhile
    while left or futures:
        if not futures:  # and so the engine has nothing to do
            futures.extend(engine.submit(left.popleft()[1]))
        futures.popleft().result()
    engine.close()
    return device.now()
