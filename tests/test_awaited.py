"""Futures without a condition are as those of `concurrent.futures`; generations cross the wire unchanged."""

import pickle
import threading
from concurrent.futures import CancelledError, Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engine import wire
from models.engine.futures import OutputFuture
from models.engine.protocol import Decoding, Generation, Output, settle

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
    assert heard == [future] and "a listener failed" in caplog.text


@given(st.lists(st.tuples(st.lists(st.integers(0, 2**31 - 1), max_size=9), st.booleans()), max_size=6))
def test_generations_come_over_as_they_were(made: list[tuple[list[int], bool]]) -> None:
    sent = [
        Generation(tuple(ids), Decoding(max_new_tokens=4, num_beams=2), 7.5, print if streams else None)
        for ids, streams in made
    ]
    over = pickle.loads(pickle.dumps(wire.from_generations("a", range(len(sent)), sent)))
    heard: list[tuple[int, int]] = []
    came = wire.to_generations(over, lambda number: lambda token: heard.append((number, token)))
    for number, (one, other) in enumerate(zip(sent, came, strict=True)):
        assert tuple(other.source_ids) == one.source_ids
        assert (other.decoding, other.deadline) == (one.decoding, one.deadline)
        assert (other.on_token is None) == (one.on_token is None)
        if other.on_token is not None:
            other.on_token(number)
    assert heard == [(number, number) for number, (_, streams) in enumerate(made) if streams]
