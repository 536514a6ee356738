"""The engine of decoder-only models writes what `generate` does, whoever joins, leaves or fails meanwhile."""

import gc
import threading
import time
import weakref
from dataclasses import replace

import pytest
import torch
from causal_models import (
    ARCHITECTURES,
    END,
    MAX_NEW,
    MAX_SOURCE,
    OTHER_END,
    VOCABULARY,
    WINDOW,
    causal_model,
    generated,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.engine.causal import CausalEngine, cache_tokens_for
from models.engine.protocol import Decoding, Generation
from models.engine.rolling import RollingBatch
from models.errors import DeadlineExceeded, DragomanError, EngineFailed, InvalidInput

WAIT_S = 30
JOINING = [
    Decoding(max_new_tokens=MAX_NEW),
    Decoding(max_new_tokens=1),
    Decoding(max_new_tokens=9, repetition_penalty=1.3),
    Decoding(max_new_tokens=10, no_repeat_ngram_size=2),
    Decoding(max_new_tokens=8, min_new_tokens=6, length_penalty=2.0, renormalize_logits=True),
    Decoding(max_new_tokens=5, forced_eos_token_id=OTHER_END),
    Decoding(max_new_tokens=12, stop_token_ids=tuple(range(30, 45))),
    Decoding(max_new_tokens=12, repetition_penalty=0.8, suppressed_token_ids=(3, 4, 5, END)),
]
OTHERS = [
    Decoding(max_new_tokens=6, num_beams=3, num_return_sequences=2),
    Decoding(max_new_tokens=6, num_beams=2, no_repeat_ngram_size=2),
]
SOURCES = st.lists(st.integers(8, VOCABULARY - 1), min_size=1, max_size=MAX_SOURCE).map(tuple)


def engine_of(architecture="gemma3", **options):
    options = {"max_batch_size": 4, **options}
    return CausalEngine(causal_model(architecture), max_source_tokens=MAX_SOURCE, **options)


def assert_same(outputs, references):
    for output, reference in zip(outputs, references, strict=True):
        assert (output.token_ids, output.finish) == (reference.token_ids, reference.finish)
        assert output.score == pytest.approx(reference.score, abs=1e-4)
        assert [other.token_ids for other in output.others] == [o.token_ids for o in reference.others]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    requests=st.lists(
        st.tuples(SOURCES, st.sampled_from(JOINING), st.integers(0, 12), st.integers(0, 40)),
        min_size=1,
        max_size=7,
    )
)
def test_rows_that_join_and_leave_write_what_generate_does(architecture, requests):
    """Each request joins at a step of its own; some are let go of at another before they are done."""
    generations = [Generation(source, decoding) for source, decoding, *_ in requests]
    batch = RollingBatch(causal_model(architecture))
    rows = [batch.row_of(generation) for generation in generations]
    leaves = [starts + stays for _, _, starts, stays in requests]
    for step in range(13 + MAX_NEW):
        joining = [row for row, (_, _, starts, _) in zip(rows, requests, strict=True) if starts == step]
        if joining:
            batch.join(joining)
        left = {id(row) for row, last in zip(rows, leaves, strict=True) if step > last}
        batch.keep([row for row in batch.rows if not row.done and id(row) not in left])
        if batch.rows:
            batch.step()
            batch.keep([row for row in batch.rows if not row.done])
    done = [place for place, row in enumerate(rows) if row.done]
    references = generated(architecture, [generations[place] for place in done])
    assert_same([rows[place].output() for place in done], references)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    waves=st.lists(
        st.lists(
            st.tuples(SOURCES, st.sampled_from(JOINING + OTHERS), st.booleans()), min_size=1, max_size=6
        ),
        min_size=2,
        max_size=3,
    )
)
def test_requests_that_arrive_while_others_run(waves):
    """Each wave arrives, and some of the one before are cancelled, when a request of that one has begun."""
    engine, futures, generations = engine_of(), [], []
    everything, lock = threading.Event(), threading.RLock()

    def submit(number):
        wave = [Generation(source, decoding) for source, decoding, _ in waves[number]]
        if number + 1 < len(waves):
            wave[0] = replace(wave[0], decoding=JOINING[0], on_token=arrive(number + 1))
        generations.append(wave)
        futures.append(engine.submit(wave))
        if number + 1 == len(waves):
            everything.set()
        futures[-1][0].add_done_callback(lambda _: everything.set())  # one that ends at once brings no other

    def arrive(number):
        def on_token(_):
            with lock:
                if len(generations) > number:
                    return
                submit(number)
            for future, (*_, cancel) in zip(futures[number - 1][1:], waves[number - 1][1:], strict=True):
                if cancel:
                    future.cancel()

        return on_token

    with lock:
        submit(0)
    assert everything.wait(WAIT_S)
    done = []
    while any(not future.done() for wave in list(futures) for future in wave):
        for future in [future for wave in list(futures) for future in wave]:
            if not future.cancelled():
                future.exception(WAIT_S)
    engine.close()
    for wave, asked in zip(generations, futures, strict=True):
        done += [(g, f.result(0)) for g, f in zip(wave, asked, strict=True) if not f.cancelled()]
    assert_same([output for _, output in done], generated("gemma3", [generation for generation, _ in done]))
    assert (engine.stats().slots_used, engine.stats().running, engine.stats().queued) == (0, 0, 0)


def test_sources_are_longer_than_the_sliding_window(monkeypatch):
    assert causal_model("gemma3").config.sliding_window == WINDOW < MAX_SOURCE
    source = tuple(range(8, 8 + MAX_SOURCE))
    generation = Generation(source, Decoding(max_new_tokens=9, min_new_tokens=9))
    model = causal_model("gemma3")
    [narrow] = generated("gemma3", [generation])
    monkeypatch.setattr(model.config, "sliding_window", 10 * MAX_SOURCE)
    [wide] = generated("gemma3", [generation])
    assert wide.token_ids != narrow.token_ids  # so an engine that did not heed it would be found out


def long_and_short():
    """A source whose output is long, and one of a single token."""
    long = Generation((9, 10, 11), Decoding(max_new_tokens=60, min_new_tokens=60))
    return long, Generation((12, 13), Decoding(max_new_tokens=1))


def test_who_arrives_late_is_answered_before_the_longest_ends():
    engine = engine_of()
    long, short = long_and_short()
    begun, let_on = threading.Event(), threading.Event()

    def on_token(_):
        begun.set()
        let_on.wait(WAIT_S)

    [slow] = engine.submit([replace(long, on_token=on_token)])
    assert begun.wait(WAIT_S)
    [quick] = engine.submit([short])
    quick.add_done_callback(lambda _: order.append("short"))
    slow.add_done_callback(lambda _: order.append("long"))
    order: list[str] = []
    let_on.set()
    assert len(slow.result(WAIT_S).token_ids) == 60
    assert order == ["short", "long"]
    engine.close()


def test_tokens_are_streamed_as_they_are_written():
    engine, told = engine_of(), []
    decoding = Decoding(max_new_tokens=12, stop_token_ids=tuple(range(60, VOCABULARY)))
    generations = [Generation((20 + i, 21), decoding, None, told.append) for i in range(1)]
    [future] = engine.submit(generations)
    assert tuple(told) == future.result(WAIT_S).token_ids
    engine.close()


def test_a_deadline_ends_what_runs():
    engine = engine_of()
    long, short = long_and_short()
    late = replace(long, deadline=time.monotonic() + 0.2, on_token=lambda _: time.sleep(0.02))
    futures = engine.submit([late, short])
    with pytest.raises(DeadlineExceeded):
        futures[0].result(WAIT_S)
    assert futures[1].result(WAIT_S).token_ids
    engine.close()


def test_what_does_not_fit_is_refused_alone():
    engine = engine_of()
    long, short = long_and_short()
    too_long = replace(short, source_ids=(9,) * (MAX_SOURCE + 1))
    unknown = replace(short, source_ids=(VOCABULARY,))
    futures = engine.submit([too_long, long, unknown, short])
    with pytest.raises(InvalidInput):
        futures[0].result(WAIT_S)
    with pytest.raises(EngineFailed):
        futures[2].result(WAIT_S)
    assert futures[1].result(WAIT_S).token_ids
    assert futures[3].result(WAIT_S).token_ids
    engine.close()


def test_rows_are_bounded_by_their_caches(monkeypatch):
    most = []
    step = RollingBatch.step
    monkeypatch.setattr(RollingBatch, "step", lambda self: (most.append(len(self.rows)), step(self)))
    decoding = Decoding(max_new_tokens=10, min_new_tokens=10)
    generations = [Generation((9,) * 10, decoding)] * 7 + [Generation((9,) * 25, decoding)]
    engine = engine_of(max_batch_size=8, max_cache_tokens=60)
    outputs = [future.result(WAIT_S) for future in engine.submit(generations)]
    engine.close()
    assert max(most) == 3
    assert len(outputs) == 8
    assert engine.stats().source_tokens == 95


def test_caches_are_planned_by_the_model():
    per_token = 2 * 2 * 2 * 8 * 4  # keys and values, layers, heads, width, bytes
    assert cache_tokens_for(causal_model("qwen3")) == (1 << 30) // per_token


def test_a_step_that_fails_is_made_good_by_generate(monkeypatch):
    """Except for those whose readers have begun; the engine goes on."""
    step, fails = RollingBatch.step, [True]

    def fail_once(self):
        if fails and any(len(row.tokens) == 3 for row in self.rows):
            fails.clear()
            raise RuntimeError("out of memory")
        step(self)

    monkeypatch.setattr(RollingBatch, "step", fail_once)
    long, _ = long_and_short()
    generations = [replace(long, on_token=lambda _: None), long, Generation((30, 31), JOINING[2])]
    engine = engine_of()
    futures = engine.submit(generations)
    with pytest.raises(EngineFailed, match="after it had begun"):
        futures[0].result(WAIT_S)
    assert_same([f.result(WAIT_S) for f in futures[1:]], generated("gemma3", generations[1:]))
    assert_same([engine.submit([long])[0].result(WAIT_S)], generated("gemma3", [long]))
    engine.close()


def test_a_device_that_is_lost_fails_everybody_and_hangs_nobody(monkeypatch):
    model = causal_model("llama")

    def lost(*_, **__):
        raise RuntimeError("device lost")

    engine = engine_of("llama")
    with monkeypatch.context() as broken:
        broken.setattr(model.model, "forward", lost)
        futures = engine.submit([Generation((9, 10 + i), JOINING[i % 3]) for i in range(9)])
        for future in futures:
            with pytest.raises(DragomanError):
                future.result(WAIT_S)
    again = Generation((9, 10), JOINING[0])
    assert_same([engine.submit([again])[0].result(WAIT_S)], generated("llama", [again]))
    engine.close()


def test_a_listener_that_fails_ends_its_own_request():
    def on_token(_):
        raise ValueError("gone")

    engine = engine_of()
    long, short = long_and_short()
    futures = engine.submit([replace(long, on_token=on_token), long, short])
    with pytest.raises(EngineFailed):
        futures[0].result(WAIT_S)
    assert_same([f.result(WAIT_S) for f in futures[1:]], generated("gemma3", [long, short]))
    engine.close()


def _threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("dragoman-engine")}


def test_close_finishes_what_is_queued_and_lets_go_of_the_model():
    torch.manual_seed(0)
    model = type(causal_model("llama"))(causal_model("llama").config).eval()
    model.generation_config.eos_token_id = END
    gone = weakref.ref(model)
    others = _threads()
    engine = CausalEngine(model, max_source_tokens=MAX_SOURCE, max_batch_size=2)
    del model
    futures = engine.submit([Generation((9, 10 + i), JOINING[0]) for i in range(6)])
    own = _threads() - others
    assert own
    engine.close()
    assert all(future.done() and future.result().token_ids is not None for future in futures)
    assert not own & _threads()
    with pytest.raises(EngineFailed):
        engine.submit([Generation((9,), JOINING[0])])
    gc.collect()
    assert gone() is None
