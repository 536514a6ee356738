"""Faults that only a GPU would show, against one that is made up: captures, streams, memory let go."""

import gc
import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from seq2seq_models import content, reference, tiny_model

from models.engine.native import NativeEngine
from models.engine.native.limits import Lane, Limits, Plan
from models.engine.native.model import Encoder
from models.engine.native.runner import Graphs
from models.engine.protocol import Decoding, Generation

LIMITS = Limits(max_slots=2, max_source_tokens=16, max_new_tokens=8)
LANES = (Lane(4, 8), Lane(1, 1))


class FakeCuda:
    """PyTorch's streams, graphs and pools, as captures use them; a capture that fails cannot be ended."""

    def __init__(self, monkeypatch):
        self.stream = "main"
        self.open_pools = set()
        self.captured = 0
        full = torch.full
        monkeypatch.setattr(torch, "full", lambda *args, device=None, **options: full(*args, **options))
        monkeypatch.setattr("models.engine.native.runner.to_device", lambda tensor, _: tensor)
        for name, fake in {
            "Stream": lambda _: SimpleNamespace(wait_stream=lambda _: None),
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: None),
            "graph_pool_handle": lambda: (0, 1),
            "current_device": lambda: 0,
            "current_stream": lambda: SimpleNamespace(wait_stream=lambda _: None, name=self.stream),
            "set_stream": lambda stream: setattr(self, "stream", stream.name),
            "stream": self._on_stream,
            "graph": self._graph,
        }.items():
            monkeypatch.setattr(torch.cuda, name, fake)
        monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", self._end, raising=False)

    @contextmanager
    def _on_stream(self, stream):
        yield

    @contextmanager
    def _graph(self, graph, pool, stream, capture_error_mode):
        self.stream = "side"
        self.open_pools.add(pool)
        yield
        self.captured += 1
        self.open_pools.remove(pool)
        self.stream = "main"

    def _end(self, device, pool):
        if pool not in self.open_pools:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.open_pools.remove(pool)


@pytest.fixture
def cuda(monkeypatch):
    return FakeCuda(monkeypatch)


def graphs():
    return Graphs(Plan(20, 80), SimpleNamespace(type="cuda"))


def test_all_graphs_are_captured_at_the_start_and_none_later(cuda):
    def step(active, lane):
        pass

    all_graphs = graphs()
    for lane in LANES:
        all_graphs.capture_all(lane, step)
    captured = cuda.captured
    for lane in LANES:
        for count in range(1, 21):
            assert 0 < all_graphs.set_active(lane, list(range(count))) <= 1
            all_graphs.run(lane, step)
    assert cuda.captured == captured
    with pytest.raises(KeyError):
        all_graphs.set_active(Lane(8, 16), [0])


@pytest.mark.parametrize("runs", [1, 5])
def test_a_failed_capture_leaves_stream_and_allocator_as_they_were(cuda, runs):
    """Each capture runs the step twice: once to set things up, and once to record it."""
    seen = []

    def step(active, lane):
        seen.append(cuda.stream)
        if len(seen) > runs and cuda.stream == "side":
            raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="capturing"):
        graphs().capture_all(LANES[0], step)
    assert (cuda.stream, cuda.open_pools) == ("main", set())


def test_cudnn_does_not_attend(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.backends.cuda, "enable_cudnn_sdp", asked.append)
    model = tiny_model("bart")
    for is_cuda in (False, True):
        Encoder(model, None, SimpleNamespace(is_cuda=is_cuda))
    assert asked == [False]


def test_a_closed_engine_holds_nothing():
    """Weights and caches are gone when memory is given back, though engine and future are kept.

    Without the collector's help: the engine's process freezes what is there when a model is loaded.
    """
    model = tiny_model("bart")
    engine = NativeEngine(model, LIMITS)
    kept = [
        weakref.ref(model),
        weakref.ref(engine._loop._runner.cross_cache),
        weakref.ref(engine._loop._runner),
    ]
    del model
    future = engine.submit([Generation((5, 6, 7), Decoding(max_new_tokens=8))])[0]
    assert future.result(30).token_ids
    gc.freeze()
    try:
        engine.close()
        assert [ref() for ref in kept] == [None, None, None]
    finally:
        gc.unfreeze()


def test_an_engine_that_could_not_start_again_is_closed_all_the_same(monkeypatch):
    engine = NativeEngine(tiny_model("bart"), LIMITS)

    def broken(*_):
        raise RuntimeError("lost")

    monkeypatch.setattr(engine, "_new_loop", broken)
    monkeypatch.setattr(engine._loop._runner, "step", broken)
    runner = weakref.ref(engine._loop._runner)
    with pytest.raises(Exception, match="lost"):
        engine.submit([Generation((5, 6), Decoding(max_new_tokens=8))])[0].result(30)
    engine._thread.join(10)
    engine.close()
    monkeypatch.undo()
    gc.collect()
    assert runner() is None


@pytest.mark.parametrize(("wish", "width"), [(1, 1), (3, 1), (4, 4), (6, 4), (16, 4)])
def test_a_wider_wish_falls_back_to_what_there_is(wish, width):
    oracle = tiny_model("pegasus")
    engine = NativeEngine(tiny_model("pegasus"), LIMITS)
    source = (5, 9, 14, 7)
    output = engine.submit([Generation(source, Decoding(max_new_tokens=8, num_beams=wish))])[0].result(30)
    engine.close()
    decoding = Decoding(max_new_tokens=8, num_beams=width)
    tokens, score = reference(oracle, source, decoding)
    assert list(output.token_ids) == content(oracle, tokens, decoding)
    assert output.score == pytest.approx(score, abs=1e-4)
