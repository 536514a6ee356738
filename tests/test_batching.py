"""The batching engine over a backend that is slow, fails, or is watched: no model."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.driver import Driver, Turns
from models.engine import batching
from models.engine.batching import BatchingEngine
from models.engine.protocol import BatchRecord, Decoding, Generation, Output
from models.errors import DeadlineExceeded, EngineFailed, InvalidInput, Overloaded
from models.steps import Generate, Steps

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

    def give_back() -> None:
        running.append(engine.stats().running)
        given.release()

    monkeypatch.setattr(batching, "REST_S", 0.02)
    monkeypatch.setattr(batching, "give_back", give_back)
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
