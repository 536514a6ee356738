"""vLLM as an engine: queue and thread over a stand-in; where the package is, tokens against `generate`."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import causal_models
import pytest
from causal_models import causal_model, generated

from models.engine.batching import BatchingEngine
from models.engine.protocol import Decoding, Generation
from models.engine.vllm import VllmEngine
from models.engines import EngineMaker, kind_of
from models.errors import DeadlineExceeded, EngineFailed, InvalidInput, ModelUnavailable, Overloaded

INSTALLED = find_spec("vllm") is not None
PLAIN = Decoding(max_new_tokens=6)


class StandIn:
    """vLLM's engine, as far as it is used: each prompt goes on by counting up from its last token."""

    def __init__(self, *_: Any, **__: Any):
        self.asked: dict[str, SimpleNamespace] = {}
        self.aborted: list[str] = []
        self.may_step = threading.Event()
        self.may_step.set()
        self.error: Exception | None = None
        self.step_s = 0.0
        self.closed = False
        self.engine_core = SimpleNamespace(shutdown=lambda: setattr(self, "closed", True))
        self._written: dict[str, list[int]] = {}
        made.append(self)

    def add_request(self, name: str, prompt: list[int], wanted: SimpleNamespace) -> None:
        if 13 in prompt:
            raise ValueError("no thirteen")
        self.asked[name] = wanted
        self._written[name] = [prompt[-1]]

    def abort_request(self, names: list[str]) -> None:
        self.aborted += names
        for name in names:
            del self._written[name]

    def step(self) -> list[SimpleNamespace]:
        self.may_step.wait(20)
        time.sleep(self.step_s)
        if self.error is not None:
            raise self.error
        return [self._one(name) for name in list(self._written)]

    def _one(self, name: str) -> SimpleNamespace:
        written, wanted = self._written[name], self.asked[name]
        written.append(written[-1] + 1)
        stopped = written[-1] in wanted.stop_token_ids
        finished = stopped or len(written) > wanted.max_tokens
        reason = "stop" if stopped else "length" if finished else None
        if finished:
            del self._written[name]
        found = SimpleNamespace(
            token_ids=written[-1:], finish_reason=reason, cumulative_logprob=1.0 - len(written)
        )
        return SimpleNamespace(request_id=name, finished=finished, outputs=[found])


made: list[StandIn] = []


def module(name: str, **names: Any) -> ModuleType:
    there = ModuleType(name)
    for key, value in names.items():
        setattr(there, key, value)
    return there


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., VllmEngine]]:
    """Make engines over the stand-in."""
    causal_model("llama").save_pretrained(tmp_path)
    for each in (
        module("vllm", EngineArgs=Arguments, SamplingParams=SimpleNamespace, __spec__=SimpleNamespace()),
        module("vllm.inputs", tokens_input=list),
        module("vllm.sampling_params", RequestOutputKind=SimpleNamespace(DELTA="new ones")),
        module("vllm.v1"),
        module("vllm.v1.engine"),
        module("vllm.v1.engine.llm_engine", LLMEngine=StandIn),
        module("vllm.v1.executor", Executor=SimpleNamespace(get_class=lambda _: None)),
    ):
        monkeypatch.setitem(sys.modules, each.__name__, each)
    engines: list[VllmEngine] = []

    def make(**options: Any) -> VllmEngine:
        sizes = {
            "end_token_ids": (1, 7),
            "free_bytes": None,
            "max_source_tokens": 12,
            "max_new_tokens": 20,
            **options,
        }
        engines.append(VllmEngine(tmp_path, "float32", **sizes))
        return engines[-1]

    yield make
    for each in engines:
        made[-1].may_step.set()
        each.close()
    assert all(each.closed for each in made)
    made.clear()


class Arguments(SimpleNamespace):
    def create_engine_config(self) -> "Arguments":
        return self


def test_outputs(engine: Callable[..., VllmEngine]) -> None:
    decodings = [PLAIN, Decoding(max_new_tokens=9, stop_token_ids=(33, 44))]
    cut, ended = [
        future.result(20) for future in engine().submit([Generation((5, 30), each) for each in decodings])
    ]
    assert (cut.token_ids, cut.finish, cut.score) == ((31, 32, 33, 34, 35, 36), "length", -1.0)
    assert (ended.token_ids, ended.finish, ended.score) == ((31, 32), "stop", -1.0)


def test_the_model_ends_by_its_own_tokens(engine: Callable[..., VllmEngine]) -> None:
    (output,) = engine().submit([Generation((5,), Decoding(max_new_tokens=9))])
    assert output.result(20).token_ids == (6,), "7 is one of the model's two ends"


def test_a_decoding_in_vllms_words(engine: Callable[..., VllmEngine]) -> None:
    decoding = Decoding(
        max_new_tokens=6,
        min_new_tokens=2,
        num_beams=4,
        num_return_sequences=4,
        repetition_penalty=1.5,
        suppressed_token_ids=(8, 9),
    )
    (output,) = engine().submit([Generation((30,), decoding)])
    assert output.result(20).others == (), "all searches are greedy"
    (asked,) = made[0].asked.values()
    assert (asked.temperature, asked.repetition_penalty, asked.logit_bias) == (
        0.0,
        1.5,
        {8: -100.0, 9: -100.0},
    )
    assert (asked.min_tokens, asked.max_tokens, asked.stop_token_ids) == (2, 6, [1, 7])


def test_tokens_are_told_as_they_come(engine: Callable[..., VllmEngine]) -> None:
    told: list[int] = []
    (output,) = engine().submit([Generation((30,), PLAIN, on_token=told.append)])
    assert list(output.result(20).token_ids) == told


def test_a_reader_that_fails_hurts_nobody_else(engine: Callable[..., VllmEngine]) -> None:
    def broken(token: int) -> None:
        raise RuntimeError(token)

    bad, good = engine().submit([Generation((30,), PLAIN, on_token=broken), Generation((40,), PLAIN)])
    with pytest.raises(EngineFailed, match="reader"):
        bad.result(20)
    assert good.result(20).token_ids[0] == 41
    assert made[0].aborted == ["0"]


def test_what_cannot_run_fails_alone(engine: Callable[..., VllmEngine]) -> None:
    wrong = [
        Generation((), PLAIN),
        Generation((3,) * 13, PLAIN),
        Generation((3,), Decoding(max_new_tokens=21)),
        Generation((3, 89), PLAIN),
        Generation((13,), PLAIN),
    ]
    *refused, good = engine().submit([*wrong, Generation((30,), PLAIN)])
    errors = [type(future.exception(20)) for future in refused]
    assert errors == [InvalidInput, InvalidInput, InvalidInput, EngineFailed, EngineFailed]
    assert good.result(20).token_ids[0] == 31


def test_who_goes_away_leaves_vllm(engine: Callable[..., VllmEngine]) -> None:
    there = engine()
    made[0].may_step.clear()
    late = time.monotonic() + 0.05
    cancelled, expired, good = there.submit(
        [Generation((30,), PLAIN), Generation((30,), PLAIN, deadline=late), Generation((30,), PLAIN)]
    )
    while there.stats().running < 3:
        time.sleep(0.01)
    cancelled.cancel()
    time.sleep(0.06)
    made[0].may_step.set()
    with pytest.raises(DeadlineExceeded):
        expired.result(20)
    assert good.result(20).finish == "length"
    assert sorted(made[0].aborted) == ["0", "1"]


def test_time_runs_out_in_the_queue_too(
    engine: Callable[..., VllmEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.engine.vllm.MOST_RUNNING", 1)
    there, late = engine(), time.monotonic() + 0.05
    endless = Generation((30,), Decoding(max_new_tokens=20))
    made[0].step_s = 0.05
    first, expired = there.submit([endless, Generation((30,), PLAIN, deadline=late)])
    with pytest.raises(DeadlineExceeded):
        expired.result(20)
    assert not first.done()
    assert list(made[0].asked) == ["0"], "vLLM never had it"


def test_a_full_queue(engine: Callable[..., VllmEngine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.engine.vllm.MOST_RUNNING", 1)
    there = engine(max_queued=2)
    made[0].may_step.clear()
    first = there.submit([Generation((30,), PLAIN)])
    while there.stats().running < 1:
        time.sleep(0.01)
    queued = there.submit([Generation((40,), PLAIN)] * 2)
    with pytest.raises(Overloaded):
        there.submit([Generation((50,), PLAIN)])
    waits = threading.Thread(
        target=lambda: queued.extend(there.submit([Generation((50,), PLAIN)], wait=True))
    )
    waits.start()
    made[0].may_step.set()
    waits.join(20)
    assert [future.result(20).token_ids[0] for future in (*first, *queued)] == [31, 41, 41, 51]


def test_when_vllm_fails_everyone_hears_of_it(engine: Callable[..., VllmEngine]) -> None:
    there = engine()
    made[0].may_step.clear()
    futures = there.submit([Generation((30,), PLAIN)] * 3)
    made[0].error = RuntimeError("the device is lost")
    made[0].may_step.set()
    for future in futures:
        with pytest.raises(EngineFailed, match="the device is lost"):
            future.result(20)
    assert not there.stats().ready
    with pytest.raises(EngineFailed, match="the device is lost"):
        there.submit([Generation((30,), PLAIN)])


def test_an_abort_that_fails_leaves_nobody_waiting(
    engine: Callable[..., VllmEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = engine()
    made[0].may_step.clear()
    late, other = there.submit(
        [Generation((30,), PLAIN, deadline=time.monotonic() + 0.05), Generation((30,), PLAIN)]
    )

    def lost(names: list[str]) -> None:
        raise RuntimeError("the device is lost")

    monkeypatch.setattr(made[0], "abort_request", lost)
    time.sleep(0.1)
    made[0].may_step.set()
    for future in (late, other):
        with pytest.raises(EngineFailed, match="the device is lost"):
            future.result(20)


def test_caches_have_a_part_of_what_is_free(engine: Callable[..., VllmEngine], monkeypatch: Any) -> None:
    seen: list[Arguments] = []
    monkeypatch.setattr(Arguments, "create_engine_config", lambda self: seen.append(self) or self)
    engine(free_bytes=1000, max_source_tokens=12, max_new_tokens=500)
    assert seen[0].kv_cache_memory_bytes == 500
    assert seen[0].max_model_len == 128, "the model has no more positions"


def test_the_choice_is_of_decoder_only_models() -> None:
    for device in ("cpu", "cuda"):
        assert kind_of("vllm", device, causal=True) == "vllm"
        assert kind_of("vllm", device, causal=False) == kind_of("auto", device, causal=False)


@pytest.mark.skipif(INSTALLED, reason="the package is here")
def test_a_missing_package_is_named(tiny_hub: Any) -> None:
    maker = EngineMaker(tiny_hub.store, device="cpu", choice="vllm")
    with pytest.raises(ModelUnavailable, match=r"pip install 'dragoman\[vllm\]'"):
        maker.make(tiny_hub.entry("instruct"))


def test_what_does_not_fit_the_gpu_runs_on_the_cpu_without_it(
    tiny_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EngineMaker, "device_for", lambda *_: ("cpu", "the card is too old"))
    maker = EngineMaker(tiny_hub.store, choice="vllm", threads=1)
    engine = maker.make(tiny_hub.entry("instruct"))
    assert isinstance(engine, BatchingEngine)
    assert maker.setbacks == ["tiny/instruct: it runs on the CPU"]
    engine.close()


@pytest.mark.skipif(not INSTALLED, reason="needs vLLM")
@pytest.mark.filterwarnings("ignore")  # vLLM's own
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_tokens_are_those_of_generate(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(causal_models.SHAPE, "hidden_size", 64)  # vLLM has heads of 32 and more
    monkeypatch.setitem(causal_models.SHAPE, "num_attention_heads", 2)
    causal_model.cache_clear()
    causal_model(architecture).save_pretrained(tmp_path)
    decodings = [
        PLAIN,
        Decoding(max_new_tokens=14, repetition_penalty=1.7),
        Decoding(max_new_tokens=14, min_new_tokens=8, suppressed_token_ids=(5, 9, 88)),
        Decoding(max_new_tokens=9, stop_token_ids=(14, 20)),
    ]
    generations = [Generation(tuple(range(3 + n, 4 + 2 * n)), decodings[n % 4]) for n in range(24)]
    sizes: dict[str, Any] = {"max_source_tokens": 30, "max_new_tokens": 14}
    engine = VllmEngine(tmp_path, "float32", end_token_ids=(1, 7), free_bytes=1 << 27, **sizes)
    outputs = [future.result(120) for future in engine.submit(generations)]
    engine.close()
    for output, right in zip(outputs, generated(architecture, generations), strict=True):
        assert (output.token_ids, output.finish) == (right.token_ids, right.finish)
        assert output.score == pytest.approx(right.score, abs=1e-3)
    causal_model.cache_clear()
