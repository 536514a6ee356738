"""Engines in a process of their own: the same answers, and no more lost than what that process had."""

import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Client, Listener, Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import engine_program
import pytest
import seq2seq_models
from engine_program import LOST, POISON, Entry, ReversingBackend
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import until

from models.engine import process as engine_process
from models.engine.batching import BatchingEngine
from models.engine.flows import MOST_WAITING
from models.engine.futures import OutputFuture
from models.engine.native import NativeEngine
from models.engine.native.limits import Limits
from models.engine.process import EngineClient, EngineServer, from_generations, to_generations
from models.engine.protocol import BatchRecord, Decoding, Engine, EngineStats, Generation, Output, settle
from models.errors import DeadlineExceeded, EngineFailed, EngineGone, ModelUnavailable, Overloaded
from service import engine_supervisor
from service.engine_process import EngineProcess
from service.engine_supervisor import EngineSupervisor
from service.runtime import Runtime
from service.settings import Settings

KEY = b"a key"


@contextmanager
def _served(
    folder: Path,
    make: Callable[[Any], Engine],
    on_batch: Callable[[str, BatchRecord], None] | None = None,
    *,
    most: int | None = None,
) -> Iterator[EngineClient]:
    """Serve engines in this process, over a real socket."""
    address = str(folder / "s")
    with Listener(address, "AF_UNIX", authkey=KEY) as listener:
        host = EngineServer(make, most=most)
        threading.Thread(target=host.serve, args=(listener,), daemon=True).start()
        engines = EngineClient(lambda: Client(address, "AF_UNIX", authkey=KEY), on_batch)
        engines.host = host  # type: ignore[attr-defined]
        yield engines
        engines.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineClient]:
    with _served(tmp_path_factory.mktemp("engines"), engine_program.reversing) as engines:
        yield engines


@pytest.fixture
def process(tmp_path: Path) -> Iterator[EngineProcess]:
    """Fake engines in a process."""
    process = EngineProcess(
        Settings(data_dir=tmp_path, cache_dir=tmp_path),
        SimpleNamespace(device="cpu"),  # type: ignore[arg-type]
        command=(sys.executable, str(Path(engine_program.__file__))),
    )
    yield process
    process.close()


def _generation(
    *ids: int, deadline: float | None = None, told: Callable[[int], None] | None = None
) -> Generation:
    return Generation(ids, Decoding(max_new_tokens=8), deadline, told)


# ------------------------------------------------------------------------------------- the same answers


@pytest.mark.parametrize("architecture", ["bart", "marian"])
def test_outputs_are_those_of_the_same_engine_here(architecture: str, tmp_path: Path) -> None:
    def make(_: object) -> NativeEngine:
        model = seq2seq_models.tiny_model(architecture)
        return NativeEngine(model, Limits(max_source_tokens=16, max_new_tokens=16), dtype=model.dtype)

    decodings = [Decoding(max_new_tokens=12), Decoding(max_new_tokens=12, num_beams=4, length_penalty=0.8)]
    wanted = [Generation(tuple(range(3, 4 + n)), each) for n in range(1, 12) for each in decodings]
    here = make(None)
    with _served(tmp_path, make) as engines:
        there = engines.load(architecture, None)
        expected = [future.result(60) for future in here.submit(wanted)]
        assert [future.result(60) for future in there.submit(wanted)] == expected
        assert there.stats().requests == here.stats().requests
        there.close()
    here.close()


@settings(max_examples=25, deadline=None)
@given(
    arrivals=st.lists(
        st.tuples(
            st.lists(st.integers(0, 90), min_size=1, max_size=8),
            st.sampled_from(["wait", "cancel", "stream", "late"]),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_each_request_ends_as_it_should(arrivals: list[tuple[list[int], str]], shared: EngineClient) -> None:
    engine = shared.load("reversing", Entry())
    streamed: list[list[int]] = [[] for _ in arrivals]
    futures = engine.submit(
        [
            _generation(
                *ids,
                deadline=time.monotonic() - 1 if kind == "late" else None,
                told=told.append if kind == "stream" else None,
            )
            for (ids, kind), told in zip(arrivals, streamed, strict=True)
        ]
    )
    for future, (_, kind) in zip(futures, arrivals, strict=True):
        if kind == "cancel":
            future.cancel()
    for future, (ids, kind), told in zip(futures, arrivals, streamed, strict=True):
        if kind == "late":
            with pytest.raises(DeadlineExceeded):
                future.result(10)
        elif not future.cancelled():
            assert future.result(10) == Output(tuple(reversed(ids)))
            assert told == (ids[::-1] if kind == "stream" else [])
    engine.close()


def test_a_batch_is_told_of_with_its_models_name(tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []

    def make(entry: Entry) -> BatchingEngine:
        told = lambda record: engines.host.on_batch(entry.name, record)  # noqa: E731
        return BatchingEngine(ReversingBackend(), on_batch=told)

    with _served(tmp_path, make, lambda name, record: heard.append((name, record.size))) as engines:
        engine = engines.load("reversing", Entry())
        engine.submit([_generation(1, 2), _generation(3)])[1].result(10)
        engine.close()
    assert heard == [("reversing", 2)]


def test_cancelled_work_leaves_the_other_process_too(tmp_path: Path) -> None:
    with _served(tmp_path, engine_program.reversing) as engines:
        engine = engines.load("reversing", Entry())
        running = engine.submit([_generation(*range(60))])
        waiting = engine.submit([_generation(1) for _ in range(50)])
        for future in waiting:
            future.cancel()
        assert running[0].result(10).token_ids[0] == 59
        engine.close()
        assert engine.stats().output_tokens <= 60 + 32


class Closed:
    """An engine that takes nothing until it is opened."""

    def __init__(self) -> None:
        self.asked, self.opened = threading.Event(), threading.Event()
        self.taken: list[OutputFuture] = []

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[OutputFuture]:
        if not wait:
            raise Overloaded("the queue is full")
        self.asked.set()
        self.opened.wait(10)
        self.taken = [OutputFuture() for _ in generations]
        return self.taken

    def stats(self) -> EngineStats:
        return EngineStats()

    def close(self) -> None:
        pass


def test_what_is_cancelled_while_it_waits_for_room_there_is_not_done(tmp_path: Path) -> None:
    full = Closed()
    with _served(tmp_path, lambda _: full) as engines:  # type: ignore[arg-type, return-value]
        engine = engines.load("full", None)
        dropped, wanted = engine.submit([_generation(1), _generation(2)])
        full.asked.wait(10)
        dropped.cancel()
        engine.stats()  # which is answered after the other process has read of it
        full.opened.set()
        until(lambda: len(full.taken) == 2 and full.taken[0].cancelled())
        full.taken[1].answer(OUTPUT)
        assert wanted.result(10) == OUTPUT
        engine.close()


def test_a_full_engine_says_so_or_has_the_caller_wait(shared: EngineClient) -> None:
    engine = shared.load("reversing", Entry())
    first = engine.submit([_generation(*range(8)) for _ in range(MOST_WAITING)])
    with pytest.raises(Overloaded):
        engine.submit([_generation(1)])
    assert engine.submit([_generation(1, 2)], wait=True)[0].result(60) == Output((2, 1))
    assert first[0].result(60).token_ids[0] == 7
    engine.close()
    assert all(future.done() for future in first)
    with pytest.raises(EngineFailed, match="closed"):
        engine.submit([_generation(1)])


def test_two_processes_share_one_engine(tmp_path: Path) -> None:
    made: list[str] = []

    def make(entry: Entry) -> BatchingEngine:
        made.append(entry.name)
        return engine_program.reversing(entry)

    with _served(tmp_path, make) as engines:
        other = EngineClient(lambda: Client(str(tmp_path / "s"), "AF_UNIX", authkey=KEY))
        one, two = engines.load("reversing", Entry()), other.load("reversing", Entry())
        one.close()
        assert two.submit([_generation(4, 5)])[0].result(10) == Output((5, 4))
        two.close()
        other.close()
    assert made == ["reversing"]


# ------------------------------------------------------------------------------------- a process that ends


def test_a_model_that_cannot_be_had_is_told_as_it_was_raised(process: EngineProcess) -> None:
    with pytest.raises(ModelUnavailable, match="there is no such model"):
        process.make(Entry("missing"))  # type: ignore[arg-type]
    with pytest.raises(EngineFailed, match="ended"):
        process.make(Entry("deadly"))  # type: ignore[arg-type]
    assert process.fallbacks == []
    engine = process.make(Entry())  # type: ignore[arg-type]
    assert process.fallbacks == ["reversing: it is a fake"]
    assert engine.submit([_generation(1, 2)])[0].result(10) == Output((2, 1))
    engine.close()


def test_what_ends_the_process_fails_and_what_comes_later_does_not(process: EngineProcess) -> None:
    engine = process.make(Entry())  # type: ignore[arg-type]
    with pytest.raises(EngineFailed, match="is restarting"):
        engine.submit([_generation(POISON)])[0].result(10)
    assert not engine.stats().ready
    assert until(lambda: _answer(engine)) == Output((2, 1))
    assert engine.stats().ready
    engine.close()


def test_a_process_whose_device_is_lost_ends_and_another_takes_its_place(process: EngineProcess) -> None:
    engine = process.make(Entry())  # type: ignore[arg-type]
    first = process.pids[0]
    with pytest.raises(EngineFailed, match="RuntimeError"):
        engine.submit([_generation(LOST)])[0].result(10)
    until(lambda: process.pids[0] != first)
    assert until(lambda: _answer(engine)) == Output((2, 1))
    engine.close()


def test_killed_under_load_each_request_is_right_or_a_clear_error(process: EngineProcess) -> None:
    engine = process.make(Entry())  # type: ignore[arg-type]
    ended, counts = threading.Event(), [Counter[str]() for _ in range(8)]

    def work(seed: int) -> None:
        while not ended.is_set():
            ids = [(seed * 7 + n) % 90 for n in range(seed, seed + 12)]
            try:
                output = engine.submit([_generation(*ids)])[0].result(60)
            except EngineFailed as error:
                assert "is restarting" in error.message
                counts[seed]["failed"] += 1
                time.sleep(0.01)
            else:
                assert output == Output(tuple(reversed(ids)))
                counts[seed]["right"] += 1

    with ThreadPoolExecutor(8) as pool:
        working = [pool.submit(work, seed) for seed in range(8)]
        for kills in range(1, 4):
            until(lambda kills=kills: all(count["right"] > 2 * kills for count in counts))  # type: ignore[misc]
            assert process.pids[0] is not None
            os.kill(process.pids[0], signal.SIGKILL)
            assert until(lambda: _answer(engine)) == Output((2, 1))
        until(lambda: all(count["failed"] and count["right"] > 8 for count in counts))
        ended.set()
        for each in working:
            each.result(60)
    engine.close()


def test_no_load_waits_for_a_client_that_is_closed() -> None:
    connecting, failures = threading.Event(), list[str]()

    def connect() -> Any:
        connecting.wait(20)
        return Pipe()[0]

    def load() -> None:
        try:
            client.load("a", None)
        except EngineGone as error:
            failures.append(error.message)

    client = EngineClient(connect)
    threading.Thread(target=load, daemon=True).start()
    until(lambda: "a" in client._engines)
    closing = threading.Thread(target=client.close)
    closing.start()
    until(lambda: client._closing)
    connecting.set()
    closing.join()
    until(lambda: len(failures) == 1)
    load()
    assert failures == [engine_process.CLOSED] * 2


def test_the_process_ends_with_its_owner(process: EngineProcess) -> None:
    engine = process.make(Entry())  # type: ignore[arg-type]
    pid = process.pids[0]
    engine.close()
    process.close()
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_cannot_be_started_again_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_supervisor, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(engine_supervisor, "LONGEST_PAUSE_S", 0.0)
    folder, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    folder.mkdir()
    supervisor = EngineSupervisor(
        Settings(data_dir=tmp_path), folder / "engines.at", command=(sys.executable, "-c", "input()")
    )

    def looked(holds: Callable[[], bool]) -> bool:
        supervisor.look()
        return holds()

    supervisor.look()
    first = supervisor.pid
    folder.rename(elsewhere)
    folder.touch()
    until(lambda: looked(lambda: "cannot be started" in caplog.text))
    assert supervisor.pid == first
    folder.unlink()
    elsewhere.rename(folder)
    until(lambda: looked(lambda: supervisor.pid != first))
    supervisor.close()


def _answer(engine: Engine) -> Output | None:
    """None while the process is restarting."""
    try:
        return engine.submit([_generation(1, 2)])[0].result(60)
    except EngineFailed:
        return None


# ------------------------------------------------------------------------------------- several processes


def test_the_work_of_a_process_that_ends_is_dropped_and_others_go_on(tmp_path: Path) -> None:
    with _served(tmp_path, engine_program.reversing) as engines:
        other = EngineClient(lambda: Client(str(tmp_path / "s"), "AF_UNIX", authkey=KEY))
        one, two = engines.load("reversing", Entry()), other.load("reversing", Entry())
        two.submit([_generation(*range(60))])
        lost = two.submit([_generation(*range(50)) for _ in range(64)])
        mine = one.submit([_generation(4, 5)])
        other.close()
        assert mine[0].result(10) == Output((5, 4))
        assert all(isinstance(future.exception(1), EngineFailed) for future in lost)
        assert one.stats().output_tokens < 60 + 64 * 50  # how much of it, the machine decides
        one.close()


def test_one_closed_while_a_new_process_loads_it_is_freed_there(tmp_path: Path) -> None:
    gates = [threading.Event(), threading.Event()]
    gates[0].set()
    made: list[BatchingEngine] = []

    def make(entry: Entry) -> BatchingEngine:
        gates[min(len(made), 1)].wait(10)
        made.append(engine_program.reversing(entry))
        return made[-1]

    with _served(tmp_path, make) as engines:
        engine, host = engines.load("reversing", Entry()), engines.host  # type: ignore[attr-defined]
        host._engines.clear()  # as in a new process
        assert engines._connection is not None
        with socket.socket(fileno=os.dup(engines._connection.fileno())) as own:
            own.shutdown(socket.SHUT_RDWR)
        until(lambda: "reversing" in host._engines)
        engine.close()
        gates[1].set()
        again = engines.load("reversing", Entry())  # after the other one has gone
        assert len(made) == 3 and made[1]._closing
        assert again.submit([_generation(1, 2)])[0].result(10) == Output((2, 1))
        again.close()
        assert not host._engines


def test_engines_beyond_the_limit_rest_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "IDLE_S", 0.0)
    made: list[str] = []
    closed: list[str] = []

    def make(name: str) -> Engine:
        made.append(name)
        engine = BatchingEngine(ReversingBackend())
        close = engine.close
        engine.close = lambda: (closed.append(name), close())[0]  # type: ignore[assignment, func-returns-value]
        return engine

    with _served(tmp_path, make, most=2) as engines:
        loaded = {name: engines.load(name, name) for name in "abc"}
        assert (made, closed) == (["a", "b", "c"], ["a"])
        assert loaded["a"].stats().ready
        assert loaded["a"].submit([_generation(1, 2)])[0].result(10) == Output((2, 1))
        assert (made, closed) == (["a", "b", "c", "a"], ["a", "b"])
        running = loaded["a"].submit([_generation(*range(60))])
        engines.load("d", "d")
        assert closed == ["a", "b", "c"]  # and not the one that works
        assert running[0].result(10).token_ids[0] == 59
        for engine in loaded.values():
            engine.close()


def test_a_runtime_parts_its_engines_when_it_is_asked_to(tmp_path: Path) -> None:
    runtime = Runtime(Settings(data_dir=tmp_path, cache_dir=tmp_path, device="cpu"))
    try:
        runtime.part_engines()
        parted = runtime.pool.engines
        assert isinstance(parted, EngineProcess) and parted.device == "cpu"
        runtime.part_engines()
        assert runtime.pool.engines is parted
        assert parted.pids == [None], "it is started when the first model is loaded"
    finally:
        runtime.close()


OUTPUT = Output((1, 2))
ACTIONS = st.lists(st.sampled_from(["listen", "answer", "fail", "cancel"]), max_size=6)


@given(ACTIONS)
def test_as_a_future_of_the_library(actions: list[str]) -> None:
    kinds: list[Future[Output]] = [OutputFuture(), Future()]
    heard: list[list[int]] = [[], []]
    told: list[list[object]] = [[], []]
    error = ValueError("wrong")
    for future, calls, results in zip(kinds, heard, told, strict=True):
        for number, action in enumerate(actions):
            if action == "listen":
                future.add_done_callback(lambda _, calls=calls, number=number: calls.append(number))  # type: ignore[misc]
            elif action == "cancel":
                results.append(future.cancel())
            elif not {"answer", "fail"} & set(actions[:number]):  # an engine answers once
                settle(future, OUTPUT if action == "answer" else error)
            results.append((future.done(), future.cancelled()))
        if future.done() and not future.cancelled():
            results.append(future.exception() or future.result())
    assert heard[0] == heard[1]
    assert told[0] == told[1]


def test_a_thread_that_waits_is_told_of_the_end() -> None:
    future = OutputFuture()
    with pytest.raises(TimeoutError):
        future.result(0.001)
    threading.Timer(0.02, future.answer, (OUTPUT,)).start()
    assert future.result(10) is OUTPUT
    failed = OutputFuture()
    threading.Timer(0.02, failed.answer, (KeyError("a"),)).start()
    with pytest.raises(KeyError):
        failed.result(10)


def test_cancelled_once_and_for_all() -> None:
    cancelled: list[OutputFuture] = []
    future = OutputFuture(cancelled.append)
    assert future.cancel() and future.cancel()
    assert not future.answer(OUTPUT)
    assert cancelled == [future]
    with pytest.raises(CancelledError):
        future.result(0)
    answered = OutputFuture(cancelled.append)
    assert answered.answer(OUTPUT) and not answered.cancel()
    assert cancelled == [future]


def test_a_listener_that_fails_hurts_no_other(caplog: pytest.LogCaptureFixture) -> None:
    future, heard = OutputFuture(), []
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(heard.append)
    future.answer(OUTPUT)
    assert heard == [future] and "a callback failed" in caplog.text


@given(st.lists(st.tuples(st.lists(st.integers(0, 2**31 - 1), max_size=9), st.booleans()), max_size=6))
def test_generations_come_over_as_they_were(made: list[tuple[list[int], bool]]) -> None:
    sent = [
        Generation(tuple(ids), Decoding(max_new_tokens=4, num_beams=2), 7.5, print if streams else None, "f")
        for ids, streams in made
    ]
    over = pickle.loads(pickle.dumps(from_generations("a", range(len(sent)), sent)))
    heard: list[tuple[int, int]] = []
    came = to_generations(over, lambda number: lambda token: heard.append((number, token)))
    for number, (one, other) in enumerate(zip(sent, came, strict=True)):
        assert tuple(other.source_ids) == one.source_ids
        assert (other.decoding, other.deadline, other.flow) == (one.decoding, one.deadline, one.flow)
        assert (other.on_token is None) == (one.on_token is None)
        if other.on_token is not None:
            other.on_token(number)
    assert heard == [(number, number) for number, (_, streams) in enumerate(made) if streams]
