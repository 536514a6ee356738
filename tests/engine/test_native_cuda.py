"""What only a GPU can show: exact in float32, graphs as without, batch-invariant in bf16, bounded memory."""

import random

import pytest
import torch
from seq2seq_models import ARCHITECTURES, assert_as_expected, engine_of, random_decoding, random_source

from models.engine.native.runner import Graphs
from models.engine.protocol import Decoding, Generation

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


def generations_of(seed, widths=(1, 4), each=12):
    rng = random.Random(seed)
    return [
        Generation(random_source(rng), random_decoding(rng, width)) for width in widths for _ in range(each)
    ]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_as_generate(architecture):
    generations = generations_of(architecture, widths=(1, 4, 5, 8), each=10)
    engine = engine_of(architecture, device="cuda", max_slots=12)
    outputs = [future.result(60) for future in engine.submit(generations)]
    engine.close()
    for generation, output in zip(generations, outputs, strict=True):
        assert_as_expected(architecture, generation, output)


def test_graphs_change_nothing(monkeypatch):
    generations = generations_of(5)
    engine = engine_of("bart", device="cuda", max_slots=12)
    replayed = [future.result(60) for future in engine.submit(generations)]
    engine.close()

    class Eager:
        def __init__(self, step, active, lane):
            self.replay = lambda: step(active, lane)

    def eager_graph(self, lane, bucket, step):
        active = torch.zeros(bucket, dtype=torch.int32, device="cuda")
        return Eager(step, active, lane), active

    monkeypatch.setattr(Graphs, "_capture", eager_graph)
    engine = engine_of("bart", device="cuda", max_slots=12)
    eager = [future.result(60) for future in engine.submit(generations)]
    engine.close()
    # Requests may have met in other steps than the first time, so the last digits may differ.
    assert [output.token_ids for output in replayed] == [output.token_ids for output in eager]
    assert [output.score for output in replayed] == pytest.approx(
        [output.score for output in eager], rel=1e-5
    )


def test_cancelled_requests_leave_the_others_alone():
    generations = generations_of(7, each=20)
    engine = engine_of("marian", device="cuda", max_slots=12)
    futures = engine.submit(generations)
    cancelled = [future.cancel() for future in futures[::3]]
    for number, (generation, future) in enumerate(zip(generations, futures, strict=True)):
        if number % 3 or not cancelled[number // 3]:
            assert_as_expected("marian", generation, future.result(60))
    engine.close()
    assert engine.stats().running == 0


def test_memory_does_not_grow():
    engine = engine_of("t5", device="cuda", max_slots=8)
    for future in engine.submit(generations_of(1)):
        future.result(60)
    before = torch.cuda.memory_reserved()
    for future in engine.submit(generations_of(2, each=40)):
        future.result(60)
    engine.close()
    # The caches are planned; what the encoder works in comes and goes in segments of 20 MiB.
    assert torch.cuda.memory_reserved() <= before + (40 << 20)


def test_streamed_tokens_are_the_output():
    seen = []
    generation = Generation(random_source(random.Random(4)), Decoding(max_new_tokens=8), on_token=seen.append)
    engine = engine_of("bart", device="cuda", max_slots=2)
    output = engine.submit([generation])[0].result(60)
    engine.close()
    assert tuple(seen) == output.token_ids


def test_planned_memory_is_refused_when_too_large():
    from models.errors import EngineFailed

    with pytest.raises(EngineFailed, match="bytes free"):
        engine_of("t5", device="cuda", memory_fraction=1e-9)
