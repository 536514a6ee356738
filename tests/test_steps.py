"""Running tasks: together, each failing alone, and not past their deadline even where no engine is called."""

import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future

import pytest

from models.engine.protocol import Decoding, EngineStats, Generation, Output
from models.errors import DeadlineExceeded, EngineFailed, InvalidInput
from models.tasks.listening import stream
from models.tasks.steps import Call, Outcome, Steps, run, run_all


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
    outcome = run(_calls(engine, log), deadline=time.monotonic() + 0.3)
    assert isinstance(outcome.error, DeadlineExceeded)
    assert log == ["closed"]
    assert engine.futures[0].cancelled()


# ---------------------------------------------------------------------- streamed


class _ByHand:
    """An engine whose futures the test resolves itself."""

    def __init__(self) -> None:
        self.generations: list[Generation] = []
        self.futures: list[Future[Output]] = []

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        self.generations += generations
        self.futures += (new := [Future() for _ in generations])
        return new

    def stats(self) -> EngineStats:
        return EngineStats()

    def close(self) -> None:
        pass


def _listening(engine: _ByHand, heard: list[object], log: list[str], beams: int = 1) -> Steps[str]:
    try:
        decoding = Decoding(max_new_tokens=4, num_beams=beams)
        outputs = yield Call(
            engine,
            [Generation((1,), decoding), Generation((2,), decoding)],
            on_output=lambda i, output: heard.append((i, output.token_ids)),
            on_token=lambda i, token: heard.append((i, token)),
        )
        return "".join(str(output.token_ids) for output in outputs)
    finally:
        log.append("closed")


def _outcome(streamed: Generator[None, None, Outcome[str]]) -> Outcome[str]:
    try:
        while True:
            next(streamed)
    except StopIteration as end:
        return end.value


def test_a_streamed_task_hears_tokens_and_outputs_as_they_come() -> None:
    engine, heard, log = _ByHand(), [], []
    streamed = stream(_listening(engine, heard, log), tick_s=0.01)
    next(streamed)
    assert heard == [], "a tick, with nothing heard"
    tell = engine.generations[0].on_token
    assert tell is not None
    tell(7)
    next(streamed)
    assert heard == [(0, 7)]
    engine.futures[1].set_result(Output((9,)))
    next(streamed)
    assert heard[1:] == [(1, (9,))], "the second is there before the first"
    engine.futures[0].set_result(Output((7,)))
    assert _outcome(streamed).unwrap() == "(7,)(9,)", "outputs are in their order all the same"
    assert log == ["closed"]


def test_beam_searches_have_no_tokens_to_tell() -> None:
    engine = _ByHand()
    streamed = stream(_listening(engine, [], [], beams=2), tick_s=0.01)
    next(streamed)
    assert [generation.on_token for generation in engine.generations] == [None, None]
    streamed.close()


def test_closing_a_stream_frees_what_it_holds() -> None:
    engine, log = _ByHand(), []
    streamed = stream(_listening(engine, [], log), tick_s=0.01)
    next(streamed)
    streamed.close()
    assert [future.cancelled() for future in engine.futures] == [True, True]
    assert log == ["closed"]


def test_a_streamed_task_ends_at_its_deadline() -> None:
    engine, log = _ByHand(), []
    outcome = _outcome(stream(_listening(engine, [], log), deadline=time.monotonic() + 0.3))
    assert isinstance(outcome.error, DeadlineExceeded)
    assert all(future.cancelled() for future in engine.futures)
    assert isinstance(
        _outcome(stream(_pauses(log, 10_000), deadline=time.monotonic())).error, DeadlineExceeded
    )
    assert log == ["closed", "closed"]


def test_a_streamed_tasks_failures_are_its_outcome() -> None:
    engine, log = _ByHand(), []
    streamed = stream(_listening(engine, [], log), tick_s=0.01)
    next(streamed)
    engine.futures[0].set_exception(EngineFailed("no"))
    assert isinstance(_outcome(streamed).error, EngineFailed)
    assert engine.futures[1].cancelled()
    assert isinstance(_outcome(stream(_fails())).error, InvalidInput)
    assert _outcome(stream(_pauses(log, 2))).unwrap() == "done"
