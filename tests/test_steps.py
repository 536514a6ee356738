"""Running tasks: together, each failing alone, and not past their deadline even where no engine is called."""

import time
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from models.engine.protocol import Decoding, EngineStats, Generation, Output
from models.errors import DeadlineExceeded, InvalidInput
from models.tasks.steps import Call, Steps, run, run_all


def _pauses(log: list[str], count: int) -> Steps[str]:
    try:
        for _ in range(count):
            time.sleep(0.005)
            yield None
        return "done"
    finally:
        log.append("closed")


def _fails() -> Steps[str]:
    yield None
    raise InvalidInput("wrong")


def test_pauses_are_no_calls() -> None:
    log: list[str] = []
    assert run(_pauses(log, 3)).unwrap() == "done"
    assert log == ["closed"]


def test_a_deadline_ends_a_task_at_its_next_pause() -> None:
    log: list[str] = []
    start = time.monotonic()
    outcome = run(_pauses(log, 10_000), deadline=start + 0.05)
    assert isinstance(outcome.error, DeadlineExceeded)
    assert log == ["closed"]
    assert time.monotonic() - start < 5


def test_a_task_fails_alone() -> None:
    good, bad, other = run_all([_pauses([], 1), _fails(), _pauses([], 2)])
    assert (good.value, other.value) == ("done", "done")
    with pytest.raises(InvalidInput):
        bad.unwrap()


class _IdleEngine:
    """Takes everything and does nothing."""

    def __init__(self) -> None:
        self.futures: list[Future[Output]] = []

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        self.futures += (new := [Future() for _ in generations])
        return new

    def stats(self) -> EngineStats:
        return EngineStats()

    def close(self) -> None:
        pass


def _calls(engine: _IdleEngine, log: list[str]) -> Steps[str]:
    try:
        yield Call(engine, [Generation((1,), Decoding(max_new_tokens=1))])
        return "done"
    finally:
        log.append("closed")


def _interrupted() -> Steps[str]:
    yield None
    raise KeyboardInterrupt


def test_an_interrupt_closes_what_is_left() -> None:
    log: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_all([_calls(_IdleEngine(), log), _interrupted()])
    assert log == ["closed"]


def test_a_deadline_calls_off_what_was_submitted() -> None:
    engine, log = _IdleEngine(), []
    outcome = run(_calls(engine, log), deadline=time.monotonic() + 0.05)
    assert isinstance(outcome.error, DeadlineExceeded)
    assert log == ["closed"]
    assert engine.futures[0].cancelled()
