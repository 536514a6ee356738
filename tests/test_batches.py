"""How requests that arrive are shared out into batches, over engines of known speed: no model."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from hypothesis import given, settings
from hypothesis import strategies as st
from test_batching import FakeBackend, TwoAtATime, _generation

from models.engine.batching import (
    LEAST_ROWS,
    MOST_ROWS,
    MOST_TOKENS,
    BatchingEngine,
    QueueEntry,
    in_order,
    shared_out,
    without_late_singles,
    work_of,
)
from models.engine.protocol import Generation, Output


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
    return [QueueEntry(_generation(*[1] * length, beams=beams), Future(), 0.0) for length in lengths]


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=150), st.sampled_from([1, 4]), st.integers(1, 64))
def test_batches_are_of_good_sizes_and_of_about_equal_work(lengths: list[int], beams: int, most: int) -> None:
    entries = _entries(lengths, beams)
    parts = shared_out(entries, most)
    assert sorted(map(id, entries)) == sorted(id(each) for part in parts for each in part)
    flat = [each.tokens for part in parts for each in part]
    assert flat == sorted(lengths, reverse=True)
    for part in parts:
        assert len(part) <= most and len(part) * beams <= MOST_ROWS
        assert len(part) == 1 or len(part) * part[0].tokens <= MOST_TOKENS
    if len(lengths) * beams >= 2 * LEAST_ROWS:
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


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 9)), min_size=1, max_size=40, unique_by=lambda e: e[1]),
    st.integers(0, 20),
)
def test_the_latest_single_requests_are_left_for_the_next_batch(
    requests: list[tuple[bool, int]], most: int
) -> None:
    part = [QueueEntry(_generation(1), Future(), since, single) for single, since in requests]
    kept = without_late_singles(part, most)
    left = [each for each in part if each not in kept]
    assert kept and [each for each in part if each in kept] == kept, "the order stays"
    assert all(each.single for each in left), "a list is never torn apart"
    assert all(one.since < other.since for one in kept if one.single for other in left)
    assert len(kept) <= most or sum(each.single for each in kept) <= 1
    assert not left or len(kept) >= most


def test_clients_who_wait_for_their_answers_share_two_batches_evenly() -> None:
    backend = TwoAtATime([0.05] * 1000)
    backend.workers = 2
    engine = BatchingEngine(backend)

    def client() -> None:
        for _ in range(12):
            engine.submit([_generation(1)])[0].result(10)

    clients = [threading.Thread(target=client) for _ in range(16)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    engine.close()
    settled = [len(batch) for batch in backend.batches[6:-4]]
    assert sum(settled) / len(settled) > 6
