"""Requests joined into batches, over backends that are slow, fail, or are watched: no model."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.driver import Driver, Turns
from models.engine import batching
from models.engine.batching import (
    CPU_SIZES,
    BatchingEngine,
    BatchSizes,
    QueueEntry,
    in_order,
    shared_out,
    without_late_singles,
    work_of,
)
from models.engine.flows import MOST_REMEMBERED, FlowQueue
from models.engine.protocol import BatchRecord, Decoding, Generation, Output
from models.errors import DeadlineExceeded, EngineFailed, InvalidInput, Overloaded
from models.steps import Generate, Steps

POISON = 99
LONG = 77


class FakeBackend:
    """Answers with the source reversed. POISON fails the batch; LONG steps until it is stopped."""

    max_source_tokens = 8
    workers = 1
    sizes = CPU_SIZES

    def is_alive(self) -> bool:
        return True

    def __init__(self) -> None:
        self.batches: list[list[Generation]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.running = threading.Event()
        self.closed = False

    def vocabulary_size(self) -> int:
        return 100

    def run(
        self,
        batch: Sequence[Generation],
        stopped: Callable[[int], bool],
        finished: Callable[[int, Output], None],
    ) -> list[Output]:
        self.running.set()
        self.gate.wait(10)
        self.batches.append(list(batch))
        if any(POISON in g.source_ids for g in batch):
            raise RuntimeError("poisoned")
        for i, generation in enumerate(batch):
            while LONG in generation.source_ids and not stopped(i):
                time.sleep(0.001)
        return [Output(tuple(reversed(g.source_ids))) for g in batch]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def engine(backend: FakeBackend) -> Iterator[BatchingEngine]:
    engine = BatchingEngine(backend, max_batch_size=4, max_queue=8)
    yield engine
    backend.gate.set()
    engine.close()


def _generation(*ids: int, beams: int = 1, deadline: float | None = None, flow: str = "") -> Generation:
    return Generation(ids, Decoding(max_new_tokens=4, num_beams=beams), deadline, flow=flow)


def test_whatever_waits_shares_the_next_batch(backend: FakeBackend, engine: BatchingEngine) -> None:
    backend.gate.clear()
    first = engine.submit([_generation(1)])
    backend.running.wait(10)
    others = [engine.submit([_generation(i, i)])[0] for i in range(2, 6)]
    backend.gate.set()
    assert [f.result(10).token_ids for f in [*first, *others]] == [(1,), *((i, i) for i in range(2, 6))]
    assert [len(batch) for batch in backend.batches] == [1, 4]


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("beams", [1, 2])
def test_flows_take_turns(backend: FakeBackend, engine: BatchingEngine, length: int, beams: int) -> None:
    """One's single request is in the next batch, however much another has sent before it."""
    backend.gate.clear()
    futures = engine.submit([_generation(1, flow="a")])
    backend.running.wait(10)
    for _ in range(2):
        futures += engine.submit([_generation(2, 2, flow="a") for _ in range(7)])
    with pytest.raises(Overloaded):
        engine.submit([_generation(2, 2, flow="a")])
    lone = engine.submit([_generation(*[3] * length, beams=beams, flow="b")])
    backend.gate.set()
    for future in (*futures, *lone):
        future.result(10)
    found = [i for i, batch in enumerate(backend.batches) if any(each.flow == "b" for each in batch)]
    assert found[0] == 1 < len(backend.batches) - 2


def test_each_of_three_flows_gets_as_much(backend: FakeBackend, engine: BatchingEngine) -> None:
    backend.gate.clear()
    futures = engine.submit([_generation(1)])
    backend.running.wait(10)
    for flow, number in (("a", 8), ("b", 4), ("c", 4)):
        for _ in range(number):
            futures += engine.submit([_generation(1, flow=flow)])
    backend.gate.set()
    for future in futures:
        future.result(10)
    order = [each.flow for batch in backend.batches[1:] for each in batch]
    assert [order[:12].count(flow) for flow in "abc"] == [4, 4, 4]
    assert order[12:] == ["a"] * 4


class Waiting:
    def __init__(self, flow: str):
        self.flow = flow


def test_a_flow_comes_first_until_it_had_as_many_turns() -> None:
    queue = FlowQueue[Waiting]()

    def add(flow: str, number: int) -> list[Waiting]:
        for each in (added := [Waiting(flow) for _ in range(number)]):
            queue.add(each)
        return added

    def order() -> str:
        return "".join(each.flow for each in queue)

    many = add("a", 8)
    for each in many[:4]:
        queue.take(each)
    few = add("b", 3)
    assert order() == "bababaa", "it comes anew, and before who had a batch just now"
    for each in [few[0], *many[4:7]]:
        queue.take(each)
    assert order() == "bba", "it had one turn of that batch"
    queue.take(few[1])
    queue.drop(few[2])
    add("b", 1)
    assert order() == "ba", "it wants one after another"
    queue.take(many[7])
    add("c", 1)
    add("a", 1)
    assert order() == "bca", "whose last turn is longest ago"
    for i in range(3 * MOST_REMEMBERED):
        (each,) = add(f"flow {i}", 1)
        assert queue.first() is next(iter(queue))
        queue.take(each)
    assert len(queue._turns) <= len(queue._flows) + MOST_REMEMBERED, "who came once is forgotten"


def test_only_equal_decodings_share_a_batch(backend: FakeBackend, engine: BatchingEngine) -> None:
    futures = engine.submit([_generation(1), _generation(2, beams=4), _generation(3)])
    assert [f.result(10).token_ids for f in futures] == [(1,), (2,), (3,)]
    assert sorted(len(batch) for batch in backend.batches) == [1, 2]


@pytest.mark.parametrize("own_limits", [True, False])
def test_greedy_searches_share_a_batch_whatever_their_limits_if_the_backend_ends_each(
    own_limits: bool,
) -> None:
    backend = FakeBackend()
    backend.sizes = replace(CPU_SIZES, greedy=replace(CPU_SIZES, own_limits=own_limits))
    engine = BatchingEngine(backend)
    decodings = [Decoding(max_new_tokens=n, num_beams=beams) for beams in (1, 4) for n in (8, 16, 8)]
    for future in engine.submit([Generation((i,), each) for i, each in enumerate(decodings)]):
        future.result(10)
    engine.close()
    assert sorted(len(batch) for batch in backend.batches) == ([1, 2, 3] if own_limits else [1, 1, 2, 2])
    assert {each.decoding for batch in backend.batches for each in batch} == set(decodings)


class Small(FakeBackend):
    """Runs out of memory with more than ten hypotheses."""

    sizes = BatchSizes(least_rows=1024, good_rows=1024, most_rows=1024, most_tokens=1 << 20)

    def run(self, batch: Sequence[Generation], *callbacks: Any) -> list[Output]:
        if len(batch) * batch[0].decoding.num_beams > 10:
            self.batches.append(list(batch))
            raise RuntimeError("CUDA failed with error out of memory")
        return super().run(batch, *callbacks)


def test_batches_stay_small_once_memory_ran_out() -> None:
    backend = Small()
    engine = BatchingEngine(backend, max_batch_size=1024)
    sizes = []
    for _ in range(2):
        futures = engine.submit([_generation(1, beams=2)] * 64)
        assert [future.result(10).token_ids for future in futures] == [(1,)] * 64
        sizes.append([len(batch) for batch in backend.batches])
        backend.batches.clear()
    engine.close()
    assert sizes[0][0] == 64, "all at once, as the backend's sizes allow"
    assert max(sizes[1]) <= 5


def test_a_poisoned_request_fails_alone(engine: BatchingEngine) -> None:
    futures = engine.submit([_generation(1), _generation(POISON), _generation(3), _generation(4)])
    with pytest.raises(EngineFailed):
        futures[1].result(10)
    assert [futures[i].result(10).token_ids for i in (0, 2, 3)] == [(1,), (3,), (4,)]
    assert engine.submit([_generation(5)])[0].result(10).token_ids == (5,)


@pytest.mark.parametrize("ids", [(), (1,) * 9])
def test_what_does_not_fit_is_refused(engine: BatchingEngine, ids: tuple[int, ...]) -> None:
    bad, good = engine.submit([_generation(*ids), _generation(1)])
    with pytest.raises(InvalidInput, match="1 to 8"):
        bad.result(10)
    assert good.result(10).token_ids == (1,)


@pytest.mark.parametrize("ids", [(100,), (1, -1)])
def test_ids_out_of_range_never_reach_the_backend(engine: BatchingEngine, ids: tuple[int, ...]) -> None:
    with pytest.raises(EngineFailed, match="token id"):
        engine.submit([_generation(*ids)])[0].result(10)


def test_a_full_queue_refuses_all_or_waits(backend: FakeBackend, engine: BatchingEngine) -> None:
    backend.gate.clear()
    running = engine.submit([_generation(1)])
    backend.running.wait(10)
    waiting = engine.submit([_generation(2)] * 9)  # taken whole: fewer than 8 waited before it
    with pytest.raises(Overloaded):
        engine.submit([_generation(3)])
    assert waiting.pop().cancel() and waiting.pop().cancel()  # they leave room, though no worker is free
    waiting += engine.submit([_generation(2)] * 2)
    assert engine.stats().queued == 9
    threading.Timer(0.05, backend.gate.set).start()
    later = engine.submit([_generation(4)], wait=True)
    assert [f.result(10).token_ids for f in [*running, *waiting, *later]] == [(1,), *[(2,)] * 9, (4,)]


def test_a_cancelled_request_frees_its_place(backend: FakeBackend, engine: BatchingEngine) -> None:
    [endless] = engine.submit([_generation(LONG)])
    backend.running.wait(10)
    [queued] = engine.submit([_generation(POISON)])
    assert queued.cancel()
    assert endless.cancel()
    assert engine.submit([_generation(1)])[0].result(10).token_ids == (1,)
    assert all(POISON not in g.source_ids for batch in backend.batches for g in batch)
    with pytest.raises(CancelledError):
        endless.result(10)


def test_a_deadline_ends_what_runs_and_what_waits(backend: FakeBackend, engine: BatchingEngine) -> None:
    [running] = engine.submit([_generation(LONG, deadline=time.monotonic() + 0.05)])
    backend.running.wait(10)
    [waiting] = engine.submit([_generation(1, deadline=time.monotonic() - 1)])
    for future in (running, waiting):
        with pytest.raises(DeadlineExceeded):
            future.result(10)


def test_a_batch_that_gives_no_sign_is_a_lost_device(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(
        batching, "time", SimpleNamespace(monotonic=lambda: now[0], perf_counter=time.perf_counter)
    )
    engine = BatchingEngine(backend, batch_limit_s=60.0)
    backend.gate.clear()
    [future] = engine.submit([_generation(LONG)])
    backend.running.wait(10)
    assert engine.stats().lost == ""
    now[0] += 60
    assert engine.stats().lost == "a batch has given no sign for 60 seconds"
    backend.gate.set()
    while engine.stats().lost:  # until it asks whether to stop, as it does at each step
        time.sleep(0.001)
    future.cancel()
    engine.close()
    now[0] += 60
    assert engine.stats().lost == ""


def test_one_cancelled_while_its_batch_is_chosen_hurts_no_other(
    engine: BatchingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelling(alike: list[QueueEntry], *sizes: Any) -> list[list[QueueEntry]]:
        alike[0].cancel()
        return shared_out(alike, *sizes)

    with monkeypatch.context() as patched:
        patched.setattr(batching, "shared_out", cancelling)
        with pytest.raises(CancelledError):
            engine.submit([_generation(1)])[0].result(10)
    assert engine.submit([_generation(2)])[0].result(10).token_ids == (2,)


def test_close_drains_and_then_refuses(backend: FakeBackend) -> None:
    engine = BatchingEngine(backend)
    backend.gate.clear()
    futures = engine.submit([_generation(i) for i in range(5)])
    threading.Timer(0.05, backend.gate.set).start()
    engine.close()
    assert [f.result(0).token_ids for f in futures] == [(i,) for i in range(5)]
    assert backend.closed
    assert not engine.stats().ready
    with pytest.raises(EngineFailed):
        engine.submit([_generation(1)])


def test_a_failing_observer_does_not_stop_the_engine(backend: FakeBackend) -> None:
    def observe(record: BatchRecord) -> None:
        raise ValueError(record)

    engine = BatchingEngine(backend, on_batch=observe)
    for _ in range(2):
        assert engine.submit([_generation(1)])[0].result(10).token_ids == (1,)
    assert engine.stats().ready
    engine.close()


def test_stats_count(backend: FakeBackend, engine: BatchingEngine) -> None:
    for future in engine.submit([_generation(1, 2), _generation(3)]):
        future.result(10)
    stats = engine.stats()
    assert (stats.requests, stats.source_tokens, stats.output_tokens) == (2, 3, 3)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 60) | st.just(POISON), min_size=0, max_size=10), st.sampled_from([1, 4])
        ),
        max_size=30,
    )
)
def test_every_request_gets_its_own_answer(requests: list[tuple[list[int], int]]) -> None:
    backend = FakeBackend()
    engine = BatchingEngine(backend, max_batch_size=4)
    futures = engine.submit([_generation(*ids, beams=beams) for ids, beams in requests])
    for future, (ids, _) in zip(futures, requests, strict=True):
        if ids and len(ids) <= 8 and POISON not in ids:
            assert future.result(10).token_ids == tuple(reversed(ids))
        else:
            assert isinstance(future.exception(10), EngineFailed | InvalidInput)
    engine.close()
    assert all(len({g.decoding for g in batch}) == 1 for batch in backend.batches)


class TwoAtATime(FakeBackend):
    """Takes two batches at a time, each as long as `delays` says."""

    workers = 2

    def __init__(self, delays: Sequence[float] = ()) -> None:
        super().__init__()
        self.barrier: threading.Barrier | None = None
        self._delays = iter(delays)

    def run(
        self,
        batch: Sequence[Generation],
        stopped: Callable[[int], bool],
        finished: Callable[[int, Output], None],
    ) -> list[Output]:
        if self.barrier is not None:
            self.barrier.wait(10)
        time.sleep(next(self._delays, 0.0))
        return super().run(batch, stopped, finished)


def test_workers_share_a_submission_and_run_at_the_same_time() -> None:
    backend = TwoAtATime()
    backend.barrier = threading.Barrier(2)  # one batch alone would break it
    engine = BatchingEngine(backend, max_batch_size=4)
    futures = engine.submit([_generation(i) for i in range(8)])
    assert [f.result(10).token_ids for f in futures] == [(i,) for i in range(8)]
    assert [len(batch) for batch in backend.batches] == [4, 4]
    engine.close()
    assert backend.closed


def test_single_requests_that_wait_are_shared_out_between_two_batches() -> None:
    backend = TwoAtATime()
    backend.gate.clear()
    engine = BatchingEngine(backend, max_batch_size=4)
    first = []
    for i in range(2):
        first += engine.submit([_generation(i)])
        while engine.stats().running <= i:
            time.sleep(0.001)
    later = [engine.submit([_generation(i, i)])[0] for i in range(4)]
    backend.gate.set()
    assert [len(f.result(10).token_ids) for f in [*first, *later]] == [1, 1, 2, 2, 2, 2]
    assert sorted(len(batch) for batch in backend.batches) in ([1, 1, 4], [1, 1, 1, 3])
    engine.close()


class Counting(TwoAtATime):
    """Counts the batches that run at a time, each of which is to have `cores`; `free` ones are there."""

    def __init__(self, cores: int, free: int = 2) -> None:
        super().__init__([0.002] * 1000)
        self.sizes = replace(CPU_SIZES, cores=cores)
        self._free = free
        self._lock, self._now = threading.Lock(), 0
        self.most = 0

    def at_a_time(self, cores: int) -> int:
        return self.workers // cores if self._free >= cores else self.workers

    def run(self, batch: Sequence[Generation], *callbacks: Any) -> list[Output]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            return super().run(batch, *callbacks)
        finally:
            with self._lock:
                self._now -= 1


@pytest.mark.parametrize(("cores", "free", "most"), [(1, 2, 2), (2, 2, 1), (2, 1, 2)])
def test_batches_that_want_two_cores_have_them_unless_others_took_one(
    cores: int, free: int, most: int
) -> None:
    backend = Counting(cores, free)
    engine = BatchingEngine(backend, max_batch_size=2, max_queue=200)
    futures = [
        engine.submit([_generation(i, beams=beams) for i in range(8)])
        for beams in (1, 4, 1, 4)
        for _ in range(3)
    ]
    for future in chain(*futures):
        future.result(10)
    engine.close()
    assert backend.most == most


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=20),
    delays=st.lists(st.sampled_from([0.0, 0.002]), max_size=8),
)
def test_which_share_a_batch_does_not_depend_on_the_workers(lengths: list[int], delays: list[float]) -> None:
    made = []
    for backend in (FakeBackend(), TwoAtATime(delays)):
        engine = BatchingEngine(backend, max_batch_size=4, max_queue=100)
        generations = [_generation(*[i] * length) for i, length in enumerate(lengths)]
        for future in engine.submit(generations):
            future.result(10)
        engine.close()
        made.append({tuple(g.source_ids for g in batch) for batch in backend.batches})
    assert made[0] == made[1]


def test_what_is_left_of_a_list_stays_shared_out_until_more_comes(backend: FakeBackend) -> None:
    backend.gate.clear()
    engine = BatchingEngine(backend)
    futures = engine.submit([_generation(1) for _ in range(128)])
    backend.running.wait(10)
    backend.gate.set()
    for future in futures:
        future.result(10)
    assert [len(batch) for batch in backend.batches] == [64, 64], "and not 64, 32 and 32"
    backend.gate.clear()
    backend.running.clear()
    futures = engine.submit([_generation(1) for _ in range(128)])
    backend.running.wait(10)
    futures += engine.submit([_generation(1) for _ in range(32)])
    backend.gate.set()
    for future in futures:
        future.result(10)
    assert [len(batch) for batch in backend.batches[2:]] == [64, 48, 48]
    engine.close()


@settings(max_examples=30, deadline=None)
@given(
    lists=st.lists(st.lists(st.integers(1, 8), min_size=1, max_size=20), min_size=2, max_size=5),
    delays=st.lists(st.sampled_from([0.0, 0.002]), max_size=20),
)
def test_rounds_that_overlap_have_the_batches_that_they_have_alone(
    lists: list[list[int]], delays: list[float]
) -> None:
    made = []
    for backend, overlap in ((FakeBackend(), False), (TwoAtATime(delays), True)):
        engine = BatchingEngine(backend, max_batch_size=4, max_queue=100)
        turns = Turns(overlap=overlap)

        def asks(number: int, lengths: list[int], engine: BatchingEngine = engine) -> Steps[None]:
            yield Generate(engine, [_generation(number, *[i] * (n - 1)) for i, n in enumerate(lengths)])

        drivers = [Driver([asks(i, lengths)], turns=turns) for i, lengths in enumerate(lists)]
        threads = [threading.Thread(target=driver.run) for driver in drivers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        engine.close()
        made.append({tuple(g.source_ids for g in batch) for batch in backend.batches})
    assert made[0] == made[1]


def test_memory_is_given_back_once_after_each_rest_and_never_beside_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, running = threading.Semaphore(0), list[int]()

    def trim_memory() -> None:
        running.append(engine.stats().running)
        given.release()

    monkeypatch.setattr(batching, "REST_S", 0.02)
    monkeypatch.setattr(batching, "trim_memory", trim_memory)
    backend = TwoAtATime()
    engine = BatchingEngine(backend, max_batch_size=4)
    assert not given.acquire(timeout=0.1)  # nothing has run yet
    for _ in range(2):
        backend.gate.clear()
        futures = engine.submit([_generation(1)])
        assert not given.acquire(timeout=0.1)
        backend.gate.set()
        assert futures[0].result(10).token_ids == (1,)
        assert given.acquire(timeout=10)
        assert not given.acquire(timeout=0.1)
    engine.close()
    assert running == [0, 0]


class KnownSpeed(FakeBackend):
    """A batch takes 1 ms, and 0.05 for each of its items; `begun` has them in order."""

    def __init__(self, workers: int) -> None:
        super().__init__()
        self.workers = workers
        self.begun: list[list[int]] = []
        self._lock = threading.Lock()

    def run(
        self,
        batch: Sequence[Generation],
        stopped: Callable[[int], bool],
        finished: Callable[[int, Output], None],
    ) -> list[Output]:
        with self._lock:
            self.begun.append([g.source_ids[0] for g in batch])
        time.sleep(0.001 + 0.00005 * len(batch))
        return [Output(g.source_ids) for g in batch]

    def vocabulary_size(self) -> int:
        return 1000


ARRIVALS = st.lists(
    st.tuples(st.sampled_from([0, 0, 0.0005, 0.002]), st.integers(1, 8), st.sampled_from([1, 4])),
    min_size=1,
    max_size=40,
)


@settings(max_examples=30, deadline=None)
@given(ARRIVALS, st.sampled_from([1, 2]))
def test_nobody_starves_and_equals_keep_their_order(
    arrivals: list[tuple[float, int, int]], workers: int
) -> None:
    backend = KnownSpeed(workers)
    engine = BatchingEngine(backend, max_batch_size=4, max_queue=100)
    futures, before = [], []
    for i, (pause_s, length, beams) in enumerate(arrivals):
        time.sleep(pause_s)
        before.append((len(backend.begun), engine.stats().queued))
        futures += engine.submit([_generation(*[i] * length, beams=beams)])
    for i, future in enumerate(futures):
        assert future.result(10).token_ids[0] == i
    engine.close()
    batch_of = {i: number for number, batch in enumerate(backend.begun) for i in batch}
    for i, (begun, queued) in enumerate(before):
        # Each batch takes the oldest: no more of them go ahead than requests did. One may begin meanwhile.
        assert batch_of[i] <= begun + queued + workers
    if workers == 1:
        for kind in {arrival[1:] for arrival in arrivals}:
            order = [batch_of[i] for i, arrival in enumerate(arrivals) if arrival[1:] == kind]
            assert order == sorted(order)


def _entries(lengths: list[int], beams: int) -> list[QueueEntry]:
    return [QueueEntry(_generation(*[1] * length, beams=beams), 0.0) for length in lengths]


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=150), st.sampled_from([1, 4]), st.integers(1, 64))
def test_batches_are_of_good_sizes_and_of_about_equal_work(lengths: list[int], beams: int, most: int) -> None:
    entries = _entries(lengths, beams)
    parts = shared_out(entries, most)
    assert sorted(map(id, entries)) == sorted(id(each) for part in parts for each in part)
    flat = [each.tokens for part in parts for each in part]
    assert flat == sorted(lengths, reverse=True)
    for part in parts:
        assert len(part) <= most and len(part) * beams <= CPU_SIZES.most_rows
        assert len(part) == 1 or len(part) * part[0].tokens <= CPU_SIZES.most_tokens
    if len(lengths) * beams >= 2 * CPU_SIZES.least_rows:
        assert len(parts) >= 2, "a second core has something to do"


def test_of_equal_requests_the_earlier_go_first_whatever_part_they_were_shared_into() -> None:
    entries = _entries([1, 1, 2, 2, 2], 1)
    first, second = shared_out(entries, 4)
    assert (first, second) == (entries[2:4], [entries[4], *entries[:2]])
    assert in_order(second, entries) == [entries[2], *entries[:2]]
    assert in_order(first, entries) == first


def test_a_few_requests_share_one_batch_and_an_article_is_halved() -> None:
    assert [len(part) for part in shared_out(_entries([20] * 15, 4), 64)] == [15]
    assert [len(part) for part in shared_out(_entries([20] * 40, 4), 64)] == [20, 20]
    assert [len(part) for part in shared_out(_entries([20] * 64, 4), 64)] == [16] * 4
    assert [len(part) for part in shared_out(_entries([20] * 64, 1), 64)] == [32, 32]
    together = replace(CPU_SIZES, least_rows=16, good_rows=24, cores=2)
    sizes = [
        [len(part) for part in shared_out(_entries([20] * n, 1), 64, together)] for n in (16, 24, 44, 72)
    ]
    assert sizes == [[16], [24], [22, 22], [24, 24, 24]]


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=16, max_size=40))
def test_no_other_cut_in_two_has_less_work_for_the_slower_half(lengths: list[int]) -> None:
    entries = sorted(_entries(lengths, 4), key=lambda each: each.tokens, reverse=True)
    cuts = range(max(1, len(entries) - 32), min(33, len(entries)))  # 128 hypotheses at most
    best = min(max(work_of(entries[:cut]), work_of(entries[cut:])) for cut in cuts)
    assert max(map(work_of, shared_out(entries, 64))) < best + 1


def test_a_free_worker_waits_a_moment_for_others_only_while_one_runs() -> None:
    backend = TwoAtATime([0.2, 0.2])
    engine = BatchingEngine(backend, max_batch_size=4)
    engine.submit([_generation(1)])[0].result(10)  # a batch takes 0.2 s here
    start = time.monotonic()
    first = engine.submit([_generation(2)])
    while not engine.stats().running:
        time.sleep(0.0005)
    assert time.monotonic() - start < 0.1, "a lone request begins at once"
    second = engine.submit([_generation(3)])
    third = engine.submit([_generation(4)])
    for future in (*first, *second, *third):
        future.result(10)
    engine.close()
    assert [len(batch) for batch in backend.batches if len(batch) > 1] == [2], "these two came together"
    assert backend.batches_at_a_time == 2


def test_whoever_was_answered_long_before_the_batch_ended_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a clock on which a batch takes 100 seconds: a wait in vain would be 8 seconds of the real one."""
    clock = [0.0]
    told = SimpleNamespace(monotonic=lambda: clock[0], perf_counter=lambda: clock[0])
    monkeypatch.setattr(batching, "time", told)

    class Slow(FakeBackend):
        def run(self, batch: Sequence[Generation], stopped: Any, finished: Any) -> list[Output]:
            if len(batch) > 1 and len(self.batches) == 1:
                self.gate.clear()
                finished(0, Output(batch[0].source_ids))
            clock[0] += 100
            return super().run(batch, stopped, finished)

    backend = Slow()
    backend.gate.clear()
    engine = BatchingEngine(backend)

    def ask(i: int) -> Future[Output]:
        return engine.submit([_generation(i)])[0]

    first = ask(1)
    assert backend.running.wait(10)
    second, third = ask(2), ask(3)
    backend.gate.set()
    first.result(10)
    fourth = ask(4)  # the first client again, for whom the next batch waits
    second.result(10)
    again = ask(5)
    backend.gate.set()
    third.result(10)
    fourth.result(10)
    last = [ask(6), ask(7)]
    for future in (again, *last):
        future.result(5)
    engine.close()
    assert [len(batch) for batch in backend.batches] == [1, 3, 3]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 9)), min_size=1, max_size=40, unique_by=lambda e: e[1]),
    st.integers(0, 20),
)
def test_the_latest_single_requests_are_left_for_the_next_batch(
    requests: list[tuple[bool, int]], most: int
) -> None:
    part = [QueueEntry(_generation(1), since, single=single) for single, since in requests]
    kept = without_late_singles(part, most, sorted(part, key=lambda each: each.since))
    left = [each for each in part if each not in kept]
    assert kept and [each for each in part if each in kept] == kept, "the order stays"
    assert all(each.single for each in left), "a list is never torn apart"
    assert all(one.since < other.since for one in kept if one.single for other in left)
    assert len(kept) <= most or sum(each.single for each in kept) <= 1
    assert not left or len(kept) >= most


@pytest.mark.parametrize(("clients", "cores", "least"), [(16, 1, 6), (16, 2, 12), (2, 2, 1.5), (1, 2, 1)])
def test_clients_who_wait_for_their_answers_share_batches_evenly(
    clients: int, cores: int, least: float
) -> None:
    """Two batches at a time, or one where each has both cores."""
    backend = Counting(cores)
    backend._delays = iter([0.05] * 1000)
    engine = BatchingEngine(backend)

    def client() -> None:
        for _ in range(12):
            engine.submit([_generation(1)])[0].result(10)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    engine.close()
    settled = [len(batch) for batch in backend.batches[6:-4]]
    assert sum(settled) / len(settled) >= least
