"""The engine against transformers' `generate` in float32: token for token, whatever else is running."""

import functools
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seq2seq_models import (
    ARCHITECTURES,
    MAX_NEW,
    MAX_SOURCE,
    assert_as_expected,
    content,
    engine_of,
    oracle,
    random_decoding,
    random_source,
    reference,
    references,
    tiny_model,
)

from models.engine.native import NativeEngine
from models.engine.native.limits import Limits
from models.engine.native.scheduler import Request
from models.engine.protocol import Decoding, Generation


@functools.cache
def expected_others(architecture, source_ids, decoding):
    return references(oracle(architecture), source_ids, decoding)[1:]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_other_hypotheses_are_those_of_generate(architecture):
    rng = random.Random(architecture)
    wanted = [(4, 2), (5, 5), (1, 1), (8, 3), (4, 4), (4, 1)]
    generations = [
        Generation(random_source(rng), replace(random_decoding(rng, beams), num_return_sequences=many))
        for beams, many in wanted
    ]
    engine = engine_of(architecture)
    outputs = [future.result(60) for future in engine.submit(generations)]
    engine.close()
    for generation, output, (_, many) in zip(generations, outputs, wanted, strict=True):
        decoding = generation.decoding
        others = expected_others(architecture, generation.source_ids, decoding)
        # `generate` fills up with hypotheses that it forbade where there are too few.
        others = [each for each in others if each[1] > -1e8]
        assert len(others) == many - 1 or decoding.max_new_tokens == 1
        assert [list(other.token_ids) for other in output.others] == [
            content(oracle(architecture), tokens, decoding) for tokens, _ in others
        ]
        assert_as_expected(architecture, generation, output)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_as_generate(architecture):
    rng = random.Random(architecture)
    generations = [
        Generation(random_source(rng), random_decoding(rng, num_beams))
        for num_beams in (1, 4, 5, 8)
        for _ in range(10)
    ]
    rng.shuffle(generations)
    engine = engine_of(architecture)
    outputs = [future.result(60) for future in engine.submit(generations)]
    engine.close()
    for generation, output in zip(generations, outputs, strict=True):
        assert_as_expected(architecture, generation, output)


REQUESTS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([1, 1, 4, 5])), min_size=1, max_size=7, unique=True
)


@pytest.mark.parametrize("lag", [0, 1])
@settings(max_examples=20, deadline=None, database=None)
@given(requests=REQUESTS, actions=st.lists(st.integers(-3, 3), max_size=30))
def test_joining_and_leaving_changes_nothing(lag, requests, actions):
    """Positive actions submit so many, negative ones run turns, zero cancels one.

    With a lag of one step the host learns of what happened as late as it does on a GPU.
    """
    loop, submit = LoopDriver.shared()
    loop._lag = lag
    pending, running = list(requests), []
    for action in actions:
        running += [submit(*pending.pop()) for _ in range(min(action, len(pending)))]
        for _ in range(-action):
            loop.turn()
        if action == 0 and running:
            LoopDriver.cancel(running.pop(0))
    running += [submit(*request) for request in pending]
    while not loop.idle:
        loop.turn()
    for request in running:
        assert_as_expected("marian", request.generation, request.result(0))
    assert loop.scheduler.slots.used == 0
    assert len(loop.scheduler.slots.free_rows) == loop.scheduler.slots.num_rows


class LoopDriver:
    """An engine's loop without its thread, so that a test decides the order of everything."""

    @staticmethod
    @functools.cache
    def shared():
        engine = engine_of("marian", max_slots=3)
        loop = engine._new_loop()
        loop.turn = torch.inference_mode()(loop.turn)
        LoopDriver.loop = loop

        def submit(seed, num_beams):
            rng = random.Random(seed)
            generation = Generation(random_source(rng), random_decoding(rng, num_beams))
            request = Request(generation, *engine._checks.check(generation))
            loop.add([request])
            return request

        return loop, submit

    @staticmethod
    def cancel(request):
        if request.cancel():
            LoopDriver.loop.drop([request])


def test_several_end_tokens_of_the_model():
    model, twin = tiny_model("bart"), tiny_model("bart")
    for each in (model, twin):
        each.generation_config.eos_token_id = [each.generation_config.eos_token_id, 13]
    engine = NativeEngine(model, Limits(max_slots=2, max_source_tokens=MAX_SOURCE, max_new_tokens=MAX_NEW))
    decoding = Decoding(max_new_tokens=MAX_NEW, num_beams=4)
    source = random_source(random.Random(3))
    output = engine.submit([Generation(source, decoding)])[0].result(60)
    engine.close()
    tokens, score = reference(twin, source, decoding)
    ended = tokens[-1] in twin.generation_config.eos_token_id
    assert list(output.token_ids) == (tokens[:-1] if ended else tokens)
    assert output.score == pytest.approx(score, abs=1e-4, rel=1e-5)


@pytest.mark.parametrize("num_beams", [1, 4])
@pytest.mark.parametrize("architecture", ["bart", "t5"])
def test_what_memory_held_before_is_never_read(architecture, num_beams):
    engine = engine_of(architecture)
    runner = engine._loop._runner
    with torch.inference_mode():
        runner.self_cache.fill_(torch.nan)
        runner.cross_cache.fill_(torch.nan)
    decoding = Decoding(max_new_tokens=MAX_NEW, num_beams=num_beams)
    generations = [Generation(tuple(range(5, 5 + n)), decoding) for n in (2, 9, 4)]
    outputs = [future.result(60) for future in engine.submit(generations)]
    engine.close()
    for generation, output in zip(generations, outputs, strict=True):
        assert_as_expected(architecture, generation, output)
