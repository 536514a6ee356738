"""Faults that only a GPU would show, against one that is made up: captures, streams, memory let go."""

import gc
import time
import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from seq2seq_models import content, reference, tiny_model

from models.engine.native import NativeEngine
from models.engine.native.limits import Lane, Limits, Plan
from models.engine.native.model import Encoder, activation_of
from models.engine.native.runner import Graphs
from models.engine.protocol import Decoding, Generation

LIMITS = Limits(max_slots=2, max_source_tokens=16, max_new_tokens=8)
LANES = (Lane(4, 8), Lane(1, 1))


class FakeCuda:
    """PyTorch's streams and graphs, as captures use them; a capture that fails cannot be ended."""

    def __init__(self, monkeypatch):
        self.stream = "main"
        self.captured = self.streams = 0
        monkeypatch.setattr(Graphs, "_streams", {})
        full = torch.full
        monkeypatch.setattr(torch, "full", lambda *args, device=None, **options: full(*args, **options))
        monkeypatch.setattr("models.engine.native.runner.to_device", lambda tensor, _: tensor)
        for name, fake in {
            "Stream": self._new_stream,
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: None),
            "graph_pool_handle": lambda: (0, 1),
            "current_stream": lambda: SimpleNamespace(wait_stream=lambda _: None, name=self.stream),
            "set_stream": lambda stream: setattr(self, "stream", stream.name),
            "stream": self._on_stream,
            "graph": self._graph,
        }.items():
            monkeypatch.setattr(torch.cuda, name, fake)

    def _new_stream(self, device):
        self.streams += 1
        return SimpleNamespace(wait_stream=lambda _: None)

    @contextmanager
    def _on_stream(self, stream):
        yield

    @contextmanager
    def _graph(self, graph, pool, stream, capture_error_mode):
        self.stream = "side"
        yield
        self.captured += 1
        self.stream = "main"


@pytest.fixture
def cuda(monkeypatch):
    return FakeCuda(monkeypatch)


def graphs():
    return Graphs(Plan(20, 80), SimpleNamespace(type="cuda", index=0))


def test_all_graphs_are_captured_at_the_start_and_none_later(cuda):
    def step(active, lane):
        pass

    graphs()
    all_graphs = graphs()
    assert cuda.streams == 1, "each would keep a workspace"
    for lane in LANES:
        all_graphs.capture_all(lane, step)
    captured = cuda.captured
    for lane in LANES:
        for count in range(1, 21):
            all_graphs.set_active(lane, list(range(count)))
            all_graphs.run(lane, step)
    assert cuda.captured == captured
    with pytest.raises(KeyError):
        all_graphs.set_active(Lane(8, 16), [0])


@pytest.mark.parametrize("runs", [1, 5])
def test_a_failed_capture_leaves_the_stream_as_it_was(cuda, runs):
    """Each capture runs the step twice: once to set things up, and once to record it."""
    seen = []

    def step(active, lane):
        seen.append(cuda.stream)
        if len(seen) > runs and cuda.stream == "side":
            raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="capturing"):
        graphs().capture_all(LANES[0], step)
    assert cuda.stream == "main"


def test_cudnn_does_not_attend(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.backends.cuda, "enable_cudnn_sdp", asked.append)
    model = tiny_model("bart")
    for is_cuda in (False, True):
        Encoder(model, None, SimpleNamespace(is_cuda=is_cuda))
    assert asked == [False]


@pytest.mark.parametrize(
    ("architecture", "lengths", "width"),
    [("bart", (5, 5), 5), ("bart", (5,), 5), ("bart", (5, 4), 8), ("t5", (5, 5), 8), ("t5", (5,), 5)],
)
def test_sources_of_equal_length_need_no_mask(architecture, lengths, width):
    """On a GPU, where others are padded to a multiple of 8, and T5's, whose bias is added as a mask is."""
    sizes = {"shape": (0, 2, 4, 2, 16, 8), "device": torch.device("cpu"), "dtype": torch.float32}
    cache = SimpleNamespace(is_cuda=False, **sizes)
    encoder = Encoder(tiny_model(architecture), None, cache)
    cache.is_cuda = True
    group = [SimpleNamespace(generation=Generation(range(3, 3 + n), None)) for n in lengths]
    ids, mask = encoder._padded(group)
    assert ids.shape == (len(lengths), width) and (mask is not None) == (width == 8)
    assert ids[:, :4].tolist() == [[3, 4, 5, 6]] * len(lengths)


@pytest.mark.parametrize("architecture", ["bart", "marian"])
def test_float16_encoders_never_ask_the_device(architecture, monkeypatch):
    model, ids = tiny_model(architecture).to(torch.float16), torch.tensor([[5, 6, 7, 8]])
    expected = model.get_encoder()(ids).last_hidden_state
    kinds = set()
    for _ in range(2):
        Encoder(model, None, SimpleNamespace(is_cuda=False))
        kinds.add(type(model.get_encoder().layers[0]))
    assert len(kinds) == 1
    monkeypatch.setattr(torch, "isfinite", None)
    assert torch.equal(model.get_encoder()(ids).last_hidden_state, expected)


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


def test_an_engine_that_waits_for_its_device_for_ever_is_lost(monkeypatch):
    engine = NativeEngine(tiny_model("bart"), LIMITS)
    turned_at = engine._loop.turned_at
    monkeypatch.setattr(engine, "_device", torch.device("cuda"))
    monkeypatch.setattr(time, "monotonic", lambda: turned_at + 61)
    assert engine.stats().lost == "", "it has nothing to do"
    monkeypatch.setattr(type(engine._loop), "idle", False)
    assert engine.stats().lost == "no step has ended for 60 seconds"
    monkeypatch.undo()
    engine.close()


def test_t5s_activation_is_one_launch_with_the_same_numbers():
    from transformers.activations import NewGELUActivation

    x = torch.linspace(-8, 8, 4001)
    activation = activation_of(NewGELUActivation())
    assert activation.func is torch.nn.functional.gelu
    torch.testing.assert_close(activation(x), NewGELUActivation()(x), rtol=1e-6, atol=1e-6)


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
    assert "could not start again" in engine.stats().lost
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
