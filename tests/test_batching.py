"""The batching engine over a backend that is slow, fails, or is watched: no model."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.engine.batching import (
    LEAST_ROWS,
    MOST_ROWS,
    MOST_TOKENS,
    BatchingEngine,
    _parts,
    _QueueEntry,
)
from models.engine.protocol import BatchRecord, Decoding, Generation, Output
from models.errors import DeadlineExceeded, EngineFailed, InvalidInput, Overloaded

POISON = 99
LONG = 77


class FakeBackend:
    """Answers with the source reversed. POISON fails the batch; LONG steps until it is stopped."""

    max_source_tokens = 8
    workers = 1

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


def _generation(*ids: int, beams: int = 1, deadline: float | None = None) -> Generation:
    return Generation(ids, Decoding(max_new_tokens=4, num_beams=beams), deadline)


def test_whatever_waits_shares_the_next_batch(backend: FakeBackend, engine: BatchingEngine) -> None:
    backend.gate.clear()
    first = engine.submit([_generation(1)])
    backend.running.wait(10)
    others = [engine.submit([_generation(i, i)])[0] for i in range(2, 6)]
    backend.gate.set()
    assert [f.result(10).token_ids for f in [*first, *others]] == [(1,), *((i, i) for i in range(2, 6))]
    assert [len(batch) for batch in backend.batches] == [1, 4]


def test_only_equal_decodings_share_a_batch(backend: FakeBackend, engine: BatchingEngine) -> None:
    futures = engine.submit([_generation(1), _generation(2, beams=4), _generation(3)])
    assert [f.result(10).token_ids for f in futures] == [(1,), (2,), (3,)]
    assert sorted(len(batch) for batch in backend.batches) == [1, 2]


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


def test_single_requests_that_wait_share_a_batch_of_one_worker() -> None:
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
    assert sorted(len(batch) for batch in backend.batches) == [1, 1, 4]
    engine.close()


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


# ------------------------------------------------------------------ arrivals at an engine of known speed


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


def _entries(lengths: list[int], beams: int) -> list[_QueueEntry]:
    return [_QueueEntry(_generation(*[1] * length, beams=beams), Future(), 0.0) for length in lengths]


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=150), st.sampled_from([1, 4]), st.integers(1, 64))
def test_batches_are_of_good_sizes_and_of_about_equal_work(lengths: list[int], beams: int, most: int) -> None:
    entries = _entries(lengths, beams)
    parts = _parts(entries, most)
    assert sorted(map(id, entries)) == sorted(id(each) for part in parts for each in part)
    flat = [each.tokens for part in parts for each in part]
    assert flat == sorted(lengths, reverse=True)
    for part in parts:
        assert len(part) <= most and len(part) * beams <= MOST_ROWS
        assert len(part) == 1 or len(part) * part[0].tokens <= MOST_TOKENS
    if len(lengths) * beams >= 2 * LEAST_ROWS:
        assert len(parts) >= 2, "a second core has something to do"


def test_a_few_requests_share_one_batch_and_an_article_is_halved() -> None:
    assert [len(part) for part in _parts(_entries([20] * 15, 4), 64)] == [15]
    assert [len(part) for part in _parts(_entries([20] * 40, 4), 64)] == [20, 20]
    assert [len(part) for part in _parts(_entries([20] * 64, 4), 64)] == [16] * 4
    assert [len(part) for part in _parts(_entries([20] * 64, 1), 64)] == [32, 32]
    work = [sum(each.tokens for each in part) for part in _parts(_entries([50] * 10 + [16] * 30, 4), 64)]
    assert max(work) < 1.2 * min(work)


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
