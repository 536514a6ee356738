"""The engine when something goes wrong, is called off or is watched; exactness is tested elsewhere."""

import dataclasses
import threading
import time
import weakref

import pytest
import torch
from seq2seq_models import MAX_POSITIONS, VOCABULARY, content, reference, tiny_model
from waiting import until

from models.engine.native import NativeEngine
from models.engine.native.limits import Lane, Limits
from models.engine.native.scheduler import Place, Request
from models.engine.protocol import Decoding, Generation
from models.errors import DeadlineExceeded, EngineFailed, InvalidInput, ModelUnavailable, Overloaded

GREEDY = Decoding(max_new_tokens=6)
BEAMS = Decoding(max_new_tokens=6, num_beams=4)
SOURCES = [tuple(range(start, start + 5 + start % 4)) for start in range(4, 20, 2)]


@pytest.fixture(scope="module")
def oracle():
    return tiny_model("bart")


@pytest.fixture
def make_engine():
    """Engines that are closed when the test is over."""
    engines = []

    def make(*, max_slots=4, max_queued=50):
        limits = Limits(max_slots=max_slots, max_source_tokens=16, max_new_tokens=8)
        engines.append(NativeEngine(tiny_model("bart"), limits, max_queued=max_queued))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(make_engine):
    return make_engine()


def assert_right(oracle, generation, future):
    tokens, _ = reference(oracle, generation.source_ids, generation.decoding)
    assert list(future.result(30).token_ids) == content(oracle, tokens, generation.decoding)


class Gate:
    """Holds an engine's steps until it is opened, for good or for one step."""

    def __init__(self, engine, monkeypatch):
        self._steps = threading.Semaphore(0)
        step = engine._loop._runner.step

        def held(lane):
            self._steps.acquire(timeout=20)
            step(lane)

        monkeypatch.setattr(engine._loop._runner, "step", held)

    def open(self, steps=10_000):
        self._steps.release(steps)


REFUSED = {
    "an id out of range": Generation((3, VOCABULARY), GREEDY),
    "a negative id": Generation((3, -1), GREEDY),
    "no source": Generation((), GREEDY),
    "too long a source": Generation((3,) * 17, GREEDY),
    "too many new tokens": Generation((3,), Decoding(max_new_tokens=9)),
    "no new tokens": Generation((3,), Decoding(max_new_tokens=0)),
    "more new tokens than the most": Generation((3,), Decoding(max_new_tokens=4, min_new_tokens=1 << 40)),
    "no beams": Generation((3,), Decoding(max_new_tokens=4, num_beams=0)),
    "too long an n-gram": Generation((3,), Decoding(max_new_tokens=4, no_repeat_ngram_size=9)),
    "a penalty of zero": Generation((3,), Decoding(max_new_tokens=4, repetition_penalty=0.0)),
    "too many ends": Generation((3,), Decoding(max_new_tokens=4, stop_token_ids=tuple(range(5)))),
    "a forced token out of range": Generation((3,), Decoding(max_new_tokens=4, forced_bos_token_id=999)),
    "a token forced and suppressed": Generation(
        (3,), Decoding(max_new_tokens=4, forced_eos_token_id=5, suppressed_token_ids=(5,))
    ),
    "streamed beams": Generation((3,), BEAMS, on_token=print),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_run_fails_alone(engine, oracle, refused):
    good = Generation(SOURCES[0], BEAMS)
    first, wrong, last = engine.submit([good, refused, good])
    with pytest.raises(InvalidInput) as caught:
        wrong.result(30)
    assert caught.value.field
    assert_right(oracle, good, first)
    assert_right(oracle, good, last)


def test_out_of_memory_halves_the_encoder_batch(engine, oracle, monkeypatch):
    encoder = engine._loop._runner.encoder
    encode, sizes = encoder._encode, []

    def small_memory(input_ids, attention_mask):
        sizes.append(len(input_ids))
        if len(input_ids) > 1:
            raise torch.OutOfMemoryError("no room")
        return encode(input_ids=input_ids, attention_mask=attention_mask)

    monkeypatch.setattr(encoder, "_encode", small_memory)
    generations = [Generation(source, GREEDY) for source in SOURCES]
    for generation, future in zip(generations, engine.submit(generations), strict=True):
        assert_right(oracle, generation, future)
    assert sizes[:3] == [4, 2, 1]
    assert sizes.count(4) == 1  # the limit has been lowered for good


def test_a_source_that_breaks_the_encoder_fails_alone(engine, oracle, monkeypatch):
    encoder = engine._loop._runner.encoder
    encode = encoder._encode

    def allergic(input_ids, attention_mask):
        if (input_ids == 77).any():
            raise RuntimeError("77 hurts")
        return encode(input_ids=input_ids, attention_mask=attention_mask)

    monkeypatch.setattr(encoder, "_encode", allergic)
    generations = [Generation(source, GREEDY) for source in SOURCES]
    futures = engine.submit([*generations[:3], Generation((77, 3), GREEDY), *generations[3:]])
    with pytest.raises(EngineFailed, match="77 hurts"):
        futures.pop(3).result(30)
    for generation, future in zip(generations, futures, strict=True):
        assert_right(oracle, generation, future)


@pytest.mark.parametrize("decoding", [GREEDY, BEAMS])
def test_numbers_that_are_none_fail_alone_and_leave_nothing_behind(
    make_engine, oracle, monkeypatch, decoding
):
    engine = make_engine(max_slots=1)
    encoder = engine._loop._runner.encoder
    encode = encoder._encode

    def overflowing(input_ids, attention_mask):
        encoded = encode(input_ids=input_ids, attention_mask=attention_mask)
        if (input_ids == 77).any():
            encoded.last_hidden_state.fill_(torch.nan)
        return encoded

    monkeypatch.setattr(encoder, "_encode", overflowing)
    poison, good = Generation((77,) * 9, decoding), Generation(SOURCES[0], decoding)
    wrong, right = engine.submit([poison, good])
    with pytest.raises(EngineFailed, match="no numbers"):
        wrong.result(30)
    assert_right(oracle, good, right)


def test_cancelling_frees_the_slot_within_a_step(engine, oracle, monkeypatch):
    gate = Gate(engine, monkeypatch)
    futures = engine.submit([Generation(source, BEAMS) for source in SOURCES[:6]])
    until(lambda: engine.stats().running == 4)
    steps = engine._loop._step
    assert futures[0].cancel()
    assert futures[5].cancel()
    gate.open()
    until(lambda: engine._loop._step > steps)
    for number in range(1, 5):
        assert_right(oracle, Generation(SOURCES[number], BEAMS), futures[number])
    until(lambda: engine.stats().running == 0)
    assert engine.stats().requests == 4


def test_cancelling_frees_the_place_in_the_queue(make_engine, oracle, monkeypatch):
    engine = make_engine(max_slots=1, max_queued=3)
    gate = Gate(engine, monkeypatch)
    generation = Generation(SOURCES[0], Decoding(max_new_tokens=6, min_new_tokens=6))
    futures = engine.submit([generation])
    until(lambda: engine.stats().running == 1)
    futures += engine.submit([generation] * 3)
    for future in futures[2:]:
        assert future.cancel()
    gate.open(steps=1)
    until(lambda: engine.stats().queued == 1)
    assert engine.stats().running == 1
    futures += engine.submit([generation] * 2)
    gate.open()
    for future in (futures[0], futures[1], *futures[4:]):
        assert_right(oracle, generation, future)


def test_a_deadline_ends_waiting_and_running_requests(engine, oracle, monkeypatch):
    gate = Gate(engine, monkeypatch)
    soon = time.monotonic() + 0.2
    late = [Generation(source, BEAMS, deadline=soon) for source in SOURCES[:5]]
    calm = Generation(SOURCES[5], BEAMS, deadline=soon + 60)
    *expired, kept = engine.submit([*late, calm])
    time.sleep(0.25)
    gate.open()
    for future in expired:
        with pytest.raises(DeadlineExceeded):
            future.result(30)
    assert_right(oracle, calm, kept)


def test_a_dead_loop_fails_everyone_and_is_restarted(engine, oracle, monkeypatch):
    ready_while_down = []
    new_loop = engine._new_loop

    def observed():
        ready_while_down.append(engine.stats().ready)
        return new_loop()

    def broken(lane):
        raise RuntimeError("lost")

    monkeypatch.setattr(engine, "_new_loop", observed)
    monkeypatch.setattr(engine._loop._runner, "step", broken)
    for future in engine.submit([Generation(source, GREEDY) for source in SOURCES]):
        with pytest.raises(EngineFailed, match="lost"):
            future.result(30)
    until(lambda: engine.stats().ready)
    assert ready_while_down == [False]
    generation = Generation(SOURCES[0], GREEDY)
    assert_right(oracle, generation, engine.submit([generation])[0])


def test_cancelled_requests_do_not_hurt_the_loop_after_a_death(engine, oracle, monkeypatch):
    begun, die, loops = threading.Event(), threading.Event(), []
    new_loop = engine._new_loop

    def counted():
        loops.append(new_loop())
        return loops[-1]

    def dying(lane):
        begun.set()
        die.wait(20)
        raise RuntimeError("lost")

    monkeypatch.setattr(engine, "_new_loop", counted)
    monkeypatch.setattr(engine._loop._runner, "step", dying)
    futures = engine.submit([Generation(source, GREEDY) for source in SOURCES])
    assert begun.wait(10)
    assert futures[0].cancel()  # it runs
    assert futures[-1].cancel()  # it waits
    late = engine.submit([Generation(SOURCES[0], GREEDY)])[0]
    assert late.cancel()  # the loop has not even heard of it
    die.set()
    for future in futures[1:-1]:
        with pytest.raises(EngineFailed, match="lost"):
            future.result(30)
    until(lambda: loops and engine.stats().ready)
    generations = [Generation(source, BEAMS) for source in SOURCES]
    for generation, future in zip(generations, engine.submit(generations), strict=True):
        assert_right(oracle, generation, future)
    assert len(loops) == 1


@pytest.mark.parametrize("part", ["begin", "read_back", "fetch"])
def test_nobody_is_forgotten_wherever_the_loop_dies(engine, oracle, monkeypatch, part):
    def broken(*_):
        raise SystemExit("lost")

    monkeypatch.setattr(engine._loop._runner, part, broken)
    for future in engine.submit([Generation(source, GREEDY) for source in SOURCES]):
        with pytest.raises(EngineFailed, match="lost"):
            future.result(30)
    until(lambda: engine.stats().ready)
    generation = Generation(SOURCES[0], GREEDY)
    assert_right(oracle, generation, engine.submit([generation])[0])


def test_an_engine_that_cannot_restart_says_so(engine, monkeypatch):
    def broken(*_):
        raise RuntimeError("lost")

    monkeypatch.setattr(engine, "_new_loop", broken)
    monkeypatch.setattr(engine._loop._runner, "step", broken)
    with pytest.raises(EngineFailed):
        engine.submit([Generation(SOURCES[0], GREEDY)])[0].result(30)
    engine._thread.join(10)
    assert not engine.stats().ready
    with pytest.raises(EngineFailed, match="not ready"):
        engine.submit([Generation(SOURCES[0], GREEDY)])


@pytest.mark.parametrize("forced", [None, 7])
def test_streamed_tokens_are_the_output(engine, forced):
    seen = {source: [] for source in SOURCES}
    decoding = Decoding(max_new_tokens=8, forced_bos_token_id=forced, forced_eos_token_id=9)
    generations = [Generation(source, decoding, on_token=seen[source].append) for source in SOURCES]
    for generation, future in zip(generations, engine.submit(generations), strict=True):
        token_ids = future.result(30).token_ids
        assert tuple(seen[generation.source_ids]) == token_ids


def test_a_callback_that_raises_fails_its_own_request(engine, oracle):
    def broken(token):
        raise ValueError("no")

    generation = Generation(SOURCES[1], Decoding(max_new_tokens=6, min_new_tokens=3))
    streamed = dataclasses.replace(generation, on_token=broken)
    wrong, right = engine.submit([streamed, generation])
    with pytest.raises(EngineFailed, match="on_token"):
        wrong.result(30)
    assert_right(oracle, generation, right)


def test_a_full_queue_refuses_or_waits(make_engine, oracle, monkeypatch):
    engine = make_engine(max_queued=4)
    gate = Gate(engine, monkeypatch)
    generations = [Generation(source, GREEDY) for source in SOURCES[:4]]
    futures = engine.submit(generations)
    until(lambda: engine.stats().running == 4)
    futures += engine.submit(generations)
    with pytest.raises(Overloaded):
        engine.submit(generations[:1])
    waiting = threading.Thread(target=lambda: futures.extend(engine.submit(generations, wait=True)))
    waiting.start()
    gate.open()
    waiting.join(30)
    assert len(futures) == 12
    for generation, future in zip(generations * 3, futures, strict=True):
        assert_right(oracle, generation, future)


def test_who_waits_for_room_is_woken_when_all_that_was_queued_has_failed(make_engine, oracle, monkeypatch):
    engine = make_engine(max_queued=2)
    turn = engine._loop.turn

    def slow_turn():
        time.sleep(0.2)  # who waits looks at the queue now, and not again before it is told to
        turn()

    monkeypatch.setattr(engine._loop, "turn", slow_turn)
    late = Generation(SOURCES[0], GREEDY, deadline=time.monotonic())
    expired = engine.submit([late] * 2)
    generation = Generation(SOURCES[0], GREEDY)
    [future] = engine.submit([generation], wait=True)
    assert_right(oracle, generation, future)
    for each in expired:
        with pytest.raises(DeadlineExceeded):
            each.result(30)


def test_a_submission_larger_than_the_queue_is_taken_whole(make_engine, oracle):
    engine = make_engine(max_queued=2)
    generations = [Generation(source, GREEDY) for source in SOURCES[:4]]
    for generation, future in zip(generations, engine.submit(generations), strict=True):
        assert_right(oracle, generation, future)


def test_an_architecture_that_would_come_out_wrong_is_refused():
    model = tiny_model("t5")
    model.config.model_type = "umt5"  # its relative bias is another in each layer
    with pytest.raises(ModelUnavailable, match="umt5"):
        NativeEngine(model, Limits())


def test_a_source_beyond_the_model_s_positions_is_refused():
    limits = Limits(max_slots=1, max_source_tokens=2 * MAX_POSITIONS, max_new_tokens=8)
    engine = NativeEngine(tiny_model("bart"), limits)
    longest = tuple(range(5, 5 + MAX_POSITIONS))
    fits, beyond = engine.submit([Generation(longest, GREEDY), Generation((*longest, 5), GREEDY)])
    assert fits.result(30).token_ids
    with pytest.raises(InvalidInput) as caught:
        beyond.result(30)
    assert caught.value.allowed == f"1 to {MAX_POSITIONS}"
    engine.close()


def test_stats_count(engine):
    futures = engine.submit([Generation(source, BEAMS) for source in SOURCES])
    lengths = [len(future.result(30).token_ids) for future in futures]
    until(lambda: engine.stats().running == 0)
    stats = engine.stats()
    assert (stats.requests, stats.queued, stats.running, stats.slots) == (len(SOURCES), 0, 0, 4)
    assert stats.source_tokens == sum(map(len, SOURCES))
    assert stats.output_tokens >= sum(lengths)
    assert stats.ready
    assert stats.step_s > 0


def test_closing_finishes_what_is_queued(engine, oracle):
    generations = [Generation(source, GREEDY) for source in SOURCES]
    futures = engine.submit(generations)
    engine.close()
    for generation, future in zip(generations, futures, strict=True):
        assert future.done()
        assert_right(oracle, generation, future)
    assert not engine.stats().ready
    with pytest.raises(EngineFailed, match="closed"):
        engine.submit(generations)
    engine.close()


def test_the_limit_is_told_from_the_end(engine, oracle):
    decoding = Decoding(max_new_tokens=8)
    finishes = set()
    for source in SOURCES:
        output = engine.submit([Generation(source, decoding)])[0].result(30)
        tokens, _ = reference(oracle, source, decoding)
        ended = tokens[-1] == oracle.generation_config.eos_token_id
        assert output.finish == ("stop" if ended else "length")
        finishes.add(output.finish)
    assert finishes == {"stop", "length"}


def test_a_failed_source_holds_on_to_no_memory(engine, monkeypatch):
    """What the encoder had worked out is let go at once, though the error is kept until it is told."""
    encoder, kept = engine._loop._runner.encoder, []

    def broken(input_ids, attention_mask):
        work = torch.zeros(3)
        kept.append(weakref.ref(work))
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(encoder, "_encode", broken)
    requests = [Request(Generation((5, 6), GREEDY), Lane(1, 1), ()) for _ in range(2)]
    for slot, request in enumerate(requests):
        request.place = Place(slot, (slot,))
    failed = encoder.encode(requests)
    assert set(failed) == {0, 1}
    assert len(kept) == 3
    assert [work() for work in kept] == [None] * 3


def test_a_device_that_is_lost_ends_the_thread_quietly(engine, monkeypatch):
    """Once CUDA has failed, freeing memory fails as well."""

    def broken(*_):
        raise RuntimeError("lost")

    monkeypatch.setattr(engine, "_release_memory", broken)
    monkeypatch.setattr(engine._loop._runner, "step", broken)
    with pytest.raises(EngineFailed, match="lost"):
        engine.submit([Generation(SOURCES[0], GREEDY)])[0].result(30)
    engine._thread.join(10)
    assert not engine._thread.is_alive()
    assert not engine.stats().ready
