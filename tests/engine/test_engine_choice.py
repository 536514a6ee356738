"""Which engine, device and numbers a model gets, asked of GPUs that are not there."""

import ctypes
import json
import logging
import os
import re
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import ctranslate2
import pytest
import torch
from click.testing import CliRunner
from conftest import TinyHub
from fake_runtime import FakeRuntime
from safetensors.torch import load_file
from wrong_engines import raising, wrong_slot

from models.engine import ct2, gpu, trial
from models.engine.batching import BatchingEngine
from models.engine.ct2 import Ct2Backend
from models.engine.futures import OutputFuture
from models.engine.generate import GenerateBackend
from models.engine.gpu import GPU_SIZES, WORKING_BYTES, Gpu, Verdicts, batch_sizes, parameters_in, subject
from models.engine.native import NativeEngine
from models.engine.native.limits import beam_widths
from models.engine.protocol import Decoding, Engine, Generation, Output
from models.engine.trial import WrongOutput
from models.engine_choice import Device, EngineChoice, EngineMaker, kind_of
from models.errors import EngineFailed, ModelUnavailable, NotConvertible
from models.languages import Languages
from models.pool import ModelPool
from models.store import Store
from service.cli.main import cli
from service.cli.session import Session
from service.engine_process import engine_maker
from service.settings import Settings

GB = 1 << 30
H100 = Gpu("H100", (9, 0), 80 * GB)
T4 = Gpu("T4", (7, 5), 15 * GB)
P100 = Gpu("P100", (6, 0), 16 * GB)
FULL = Gpu("H100", (9, 0), GB // 2)


def maker_for(
    card: Gpu, tiny_hub: TinyHub, monkeypatch: pytest.MonkeyPatch, device: Device = "auto"
) -> EngineMaker:
    monkeypatch.setattr("models.engine_choice.look", lambda: card)
    return EngineMaker(tiny_hub.store, device=device, threads=1)


@pytest.mark.parametrize(
    ("card", "family", "device", "why"),
    [
        (H100, "bart", "cuda", ""),
        (T4, "bart", "cuda", ""),
        (T4, "t5", "cpu", r"T4 \(compute capability 7.5\) has no bfloat16 \(8.0\), and float16 overflows"),
        (P100, "bart", "cpu", "P100 .* is older than the kernels"),
        (FULL, "bart", "cpu", "it needs 1.1 GB of H100's memory, and 0.5 GB are free"),
    ],
)
def test_a_model_runs_where_it_can(
    card: Gpu, family: str, device: str, why: str, tiny_hub: TinyHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, told = maker_for(card, tiny_hub, monkeypatch).device_for(tiny_hub.entry(family))
    assert found == device
    assert re.search(why, told) if why else not told


@pytest.mark.parametrize("card", [P100, FULL])
def test_on_a_card_that_cannot_int8_runs_on_the_cpu_and_that_is_told(
    card: Gpu, tiny_hub: TinyHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    maker = maker_for(card, tiny_hub, monkeypatch)
    with caplog.at_level(logging.WARNING):
        engine = maker.make(tiny_hub.entry("m2m100", max_source_tokens=64, max_new_tokens=16))
    assert isinstance(engine, BatchingEngine)
    assert isinstance(engine._backend, Ct2Backend)
    [told] = maker.fallbacks
    assert told == "tiny/m2m100: it runs on the CPU"
    assert f"{told}: " in caplog.text
    assert card.name in caplog.text
    engine.close()


def test_who_asks_for_the_gpu_gets_it(tiny_hub: TinyHub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert maker_for(FULL, tiny_hub, monkeypatch, "cuda").device_for(tiny_hub.entry("t5")) == ("cuda", "")


@pytest.mark.parametrize(
    ("card", "float16", "dtype"),
    [
        (H100, False, "bfloat16"),
        (H100, True, "bfloat16"),
        (T4, True, "float16"),
        (T4, False, None),
        (P100, True, None),
    ],
)
def test_numbers(card: Gpu, float16: bool, dtype: str | None) -> None:
    assert card.dtype(float16=float16) == dtype


def test_weights_are_counted_without_reading_them(tiny_hub: TinyHub, tmp_path: Path) -> None:
    folder = tiny_hub.store.folder(tiny_hub.entry("bart"))
    weights = load_file(folder / "model.safetensors")
    assert parameters_in(folder) == sum(each.numel() for each in weights.values())
    maker, need_bytes = EngineMaker(tiny_hub.store), 2 * parameters_in(folder) + WORKING_BYTES
    assert maker.need_bytes(tiny_hub.entry("bart")) == need_bytes
    assert maker.need_bytes(SimpleNamespace(weights="elsewhere")) is None  # type: ignore[arg-type]
    (tmp_path / "pytorch_model.bin").write_bytes(b"0" * 40)
    assert parameters_in(tmp_path) == 20


@pytest.mark.parametrize(
    ("own", "widths"), [(1, (1, 4)), (2, (2, 1, 4)), (4, (4, 1, 8)), (5, (5, 1)), (8, (8, 1))]
)
def test_the_widths_that_are_captured(own: int, widths: tuple[int, ...]) -> None:
    assert beam_widths(own) == widths


def test_what_must_go_goes_before_the_new_model_is_planned(
    tiny_hub: TinyHub, languages: Languages, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = EngineMaker(tiny_hub.store, device="cpu", threads=1)
    pool = ModelPool(tiny_hub.catalog("bart", "marian"), tiny_hub.store, languages, maker, max_loaded=1)
    make, loaded = maker.make, []

    def watched(entry):  # type: ignore[no-untyped-def]
        loaded.append(pool.loaded())
        return make(entry)

    monkeypatch.setattr(maker, "make", watched)
    pool.load("tiny/bart")
    pool.load("tiny/marian")
    pool.close()
    assert loaded == [[], []], "the first one held its memory while the second was planned"


# ------------------------------------------------------------------------------------- which engine


@pytest.mark.parametrize(
    ("choice", "device", "causal", "kind"),
    [
        ("auto", "cpu", False, "ct2"),
        ("auto", "cpu", True, "ct2"),
        ("auto", "cuda", False, "native"),
        ("auto", "cuda", True, "ct2"),
        ("native", "cpu", False, "native"),
        ("native", "cpu", True, "ct2"),
        ("native", "cuda", True, "ct2"),
        ("ct2", "cpu", False, "ct2"),
        ("ct2", "cuda", False, "ct2"),
        ("ct2", "cuda", True, "ct2"),
        ("generate", "cpu", False, "generate"),
        ("generate", "cuda", False, "generate"),
        ("generate", "cuda", True, "generate"),
    ],
)
def test_which_engine_is_tried_first(choice: EngineChoice, device: str, causal: bool, kind: str) -> None:
    assert kind_of(choice, device, causal=causal) == kind


class OnTheCpu:
    """A store whose models, asked for on a GPU, come on the CPU."""

    def __init__(self, store: Any):
        self._store = store
        self.loads = 0
        self.folder, self.ct2_folder = store.folder, store.ct2_folder

    def load(self, entry: Any, *, dtype: str, device: str) -> Any:
        assert (dtype, device) == ("bfloat16", "cuda")
        self.loads += 1
        return self._store.load(entry, dtype=dtype)


class CudaModule:
    """The module `ctranslate2` where there is a GPU: what is to run there runs on the CPU."""

    def __init__(self) -> None:
        self.devices = 1
        self.failure = ""
        self.error: type[BaseException] = RuntimeError
        self.has_cublas = True
        self.loaded: list[tuple[str, dict[str, Any]]] = []

    def get_cuda_device_count(self) -> int:
        return self.devices

    def Translator(self, folder: str, **options: Any) -> Any:
        return self._load("Translator", folder, options)

    def Generator(self, folder: str, **options: Any) -> Any:
        return self._load("Generator", folder, options)

    def _load(self, kind: str, folder: str, options: dict[str, Any]) -> Any:
        if self.failure:
            raise self.error(self.failure)
        self.loaded.append((kind, options))
        return getattr(ctranslate2, kind)(folder)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> CudaModule:
    module = CudaModule()
    monkeypatch.setattr(ct2, "ctranslate2", module)
    monkeypatch.setattr(ct2, "load_cublas", lambda: module.has_cublas)
    return module


Make = Callable[..., tuple[EngineMaker, OnTheCpu]]


@pytest.fixture
def maker(tiny_hub: TinyHub, cuda: CudaModule, monkeypatch: pytest.MonkeyPatch) -> Make:
    """An engine maker that believes in a GPU, and its store."""
    monkeypatch.setattr(EngineMaker, "_gpu", lambda _: H100)
    monkeypatch.setattr(EngineMaker, "_lack_of_kernels", lambda _: "")
    store: Any = OnTheCpu(tiny_hub.store)
    return lambda choice: (EngineMaker(store, choice=choice, trial_limit_s=60), store)


def m2m100(tiny_hub: TinyHub) -> Any:
    return tiny_hub.entry("m2m100", max_source_tokens=64, max_new_tokens=16)


def write(engine: Engine) -> Output:
    [future] = engine.submit([Generation((5, 6, 7), Decoding(max_new_tokens=5))])
    output = future.result(30)
    engine.close()
    return output


def backend_of(engine: Engine) -> Any:
    assert isinstance(engine, BatchingEngine)
    return engine._backend


@pytest.mark.parametrize("choice", ["auto", "native"])
def test_on_a_gpu_the_native_engine_is_used_if_it_passes(
    maker: Make, tiny_hub: TinyHub, choice: EngineChoice
) -> None:
    engines, store = maker(choice)
    engine = engines.make(m2m100(tiny_hub))
    assert isinstance(engine, NativeEngine)
    assert write(engine).token_ids
    assert store.loads == 1


@pytest.mark.parametrize("choice", ["auto", "native", "ct2"])
@pytest.mark.parametrize("kind", ["completion", "instruct"])
def test_on_a_gpu_ctranslate2_runs_decoder_only_models_in_16_bits(
    maker: Make, tiny_hub: TinyHub, cuda: CudaModule, kind: str, choice: EngineChoice
) -> None:
    engines, store = maker(choice)
    engine = engines.make(tiny_hub.entry(kind))
    [(loaded, options)] = cuda.loaded
    assert loaded == "Generator"
    assert (options["device"], options["compute_type"], options["inter_threads"]) == ("cuda", "bfloat16", 1)
    assert backend_of(engine).workers == 1
    assert write(engine).token_ids
    assert store.loads == 0
    assert not engines.fallbacks


def test_where_memory_is_short_ctranslate2_has_int8_weights(
    maker: Make, tiny_hub: TinyHub, cuda: CudaModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_parameters = parameters_in(tiny_hub.store.folder(m2m100(tiny_hub)))
    small = Gpu("RTX", (8, 6), GB + 3 * num_parameters // 2)
    monkeypatch.setattr(EngineMaker, "_gpu", lambda _: small)
    engines, store = maker("auto")
    engine = engines.make(m2m100(tiny_hub))
    assert [options["compute_type"] for _, options in cuda.loaded] == ["int8_bfloat16"]
    assert write(engine).token_ids
    assert store.loads == 0, "the native engine has no room"


def test_batches_are_as_large_as_memory_allows(tmp_path: Path) -> None:
    bart = {"decoder_layers": 12, "decoder_attention_heads": 16, "d_model": 1024, "vocab_size": 50264}
    (tmp_path / "config.json").write_text(json.dumps(bart))
    assert batch_sizes(tmp_path, 130 * GB, 1024, 256) == GPU_SIZES
    small = batch_sizes(tmp_path, 8 * GB, 1024, 256)
    assert (small.most_rows, small.good_rows) == (165, 165)  # 12.6 MB a hypothesis, and its logits
    assert small.most_tokens == 37449  # 115 kB a token
    assert batch_sizes(tmp_path / "none", 0, 1024, 256).most_rows == 1


def test_cublas_is_loaded_before_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(path: str, mode: int = 0) -> None:
        if path in gpu.CUBLAS and path not in loaded:
            raise OSError(f"{path}: cannot open shared object file")
        loaded.append(Path(path).name)

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(gpu, "find_spec", lambda _: SimpleNamespace(submodule_search_locations=[tmp_path]))
    assert not gpu.load_cublas()
    folder = tmp_path / "cublas" / "lib"
    folder.mkdir(parents=True)
    for name in gpu.CUBLAS:
        (folder / name).touch()
    assert gpu.load_cublas()
    assert loaded[:2] == ["libcublasLt.so.12", "libcublas.so.12"], "the one that the other needs first"
    monkeypatch.setattr(ctypes, "CDLL", Mock(side_effect=OSError("file too short")))
    assert not gpu.load_cublas()


def test_a_card_without_bfloat16_has_ctranslate2_compute_in_float16(
    maker: Make, tiny_hub: TinyHub, cuda: CudaModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EngineMaker, "_gpu", lambda _: T4)
    engine = maker("ct2")[0].make(m2m100(tiny_hub))
    [(loaded, options)] = cuda.loaded
    assert (loaded, options["device"], options["compute_type"]) == ("Translator", "cuda", "float16")
    assert write(engine).token_ids


@pytest.mark.parametrize("sabotage", [wrong_slot, raising], ids=lambda each: each.__name__)
def test_where_the_trial_fails_ctranslate2_is_used(
    maker: Make, tiny_hub: TinyHub, monkeypatch: pytest.MonkeyPatch, caplog: Any, sabotage: Any
) -> None:
    sabotage(monkeypatch)
    engines, _ = maker("auto")
    with caplog.at_level(logging.WARNING):
        engine = engines.make(m2m100(tiny_hub))
    assert isinstance(backend_of(engine), Ct2Backend)
    assert "tiny/m2m100: the native engine cannot be used here" in caplog.text
    assert "the trial failed" in caplog.text
    assert engines.fallbacks == [
        "tiny/m2m100: the native engine cannot be used here, falling back to another engine"
    ]
    assert write(engine).token_ids


def test_where_the_engine_cannot_be_built_ctranslate2_is_used(
    maker: Make, tiny_hub: TinyHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("no room for the caches")

    monkeypatch.setattr(NativeEngine, "_new_loop", full)
    engine = maker("auto")[0].make(m2m100(tiny_hub))
    assert isinstance(backend_of(engine), Ct2Backend)
    assert "no room for the caches" in caplog.text
    engine.close()


def test_who_asks_for_the_native_engine_hears_why_it_fails(
    maker: Make, tiny_hub: TinyHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong_slot(monkeypatch)
    with pytest.raises(ModelUnavailable, match=r"tiny/m2m100: the native engine.*the trial failed"):
        maker("native")[0].make(m2m100(tiny_hub))


def test_without_a_compiler_ctranslate2_is_used_on_a_gpu(
    maker: Make, tiny_hub: TinyHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(EngineMaker, "_lack_of_kernels", lambda _: "Triton finds no C compiler")
    engines, store = maker("auto")
    with caplog.at_level(logging.WARNING):
        engine = engines.make(m2m100(tiny_hub))
    assert isinstance(backend_of(engine), Ct2Backend)
    assert "Triton finds no C compiler" in caplog.text
    assert write(engine).token_ids
    assert store.loads == 0, "the native engine's model is not loaded for nothing"


def no_device(cuda: CudaModule, store: Any) -> str:
    cuda.devices = 0
    return "CTranslate2 finds no CUDA device"


def no_library(cuda: CudaModule, store: Any) -> str:
    cuda.has_cublas = False
    return "CTranslate2 needs libcublas.so.12 on a GPU: pip install nvidia-cublas-cu12"


def old_driver(cuda: CudaModule, store: Any) -> str:
    cuda.failure = "CUDA driver version is insufficient for CUDA runtime version"
    return cuda.failure


def no_numbers(cuda: CudaModule, store: Any) -> str:
    cuda.error = ValueError
    cuda.failure = "Requested bfloat16 compute type, but the target device does not support it"
    return cuda.failure


def not_convertible(cuda: CudaModule, store: Any) -> str:
    def ct2_folder(*_: Any) -> Path:
        raise NotConvertible("CTranslate2 does not know this architecture")

    store.ct2_folder = ct2_folder
    return "CTranslate2 does not know this architecture"


@pytest.mark.parametrize(
    "lack", [no_device, no_library, old_driver, no_numbers, not_convertible], ids=lambda each: each.__name__
)
def test_generate_runs_what_ctranslate2_cannot_on_a_gpu(
    maker: Make, tiny_hub: TinyHub, cuda: CudaModule, caplog: pytest.LogCaptureFixture, lack: Any
) -> None:
    engines, store = maker("auto")
    why = lack(cuda, store)
    engine = engines.make(tiny_hub.entry("completion"))
    assert isinstance(backend_of(engine), GenerateBackend)
    assert engines.fallbacks == ["tiny/completion: falling back to transformers' generate"]
    assert why in caplog.text
    assert write(engine).token_ids
    assert store.loads == 1


@pytest.mark.parametrize("lack", [no_device, no_library], ids=lambda each: each.__name__)
def test_who_asks_for_ctranslate2_hears_why_it_fails(
    maker: Make, tiny_hub: TinyHub, cuda: CudaModule, lack: Any
) -> None:
    engines, store = maker("ct2")
    with pytest.raises(
        ModelUnavailable, match=re.escape(f"CTranslate2 cannot be used here: {lack(cuda, store)}")
    ):
        engines.make(m2m100(tiny_hub))


def test_a_gpu_that_is_lost_in_the_trial_is_told(
    maker: Make, tiny_hub: TinyHub, cuda: CudaModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch)
    engines, store = maker("auto")
    load = store.load

    def lost(entry: Any, **options: Any) -> Any:
        if store.loads:
            raise RuntimeError("illegal memory access")
        return load(entry, **options)

    monkeypatch.setattr(store, "load", lost)
    cuda.failure = "illegal memory access"
    with pytest.raises(ModelUnavailable, match=r"illegal memory access.*start again with the engine"):
        engines.make(m2m100(tiny_hub))


# ------------------------------------------------------------------------------------- verdicts of trials


@pytest.fixture
def kept(tmp_path: Path) -> Verdicts:
    return Verdicts(tmp_path / "cache")


@pytest.fixture
def trials(tiny_hub: TinyHub, kept: Verdicts, cuda: CudaModule, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads a model on a GPU that is believed in; returns its engine, the trials and the loads so far."""
    tried: list[str] = []
    monkeypatch.setattr(EngineMaker, "_lack_of_kernels", lambda _: "")

    def load(
        failure: str = "",
        card: str = "H100",
        revision: str = "r1",
        error: type[EngineFailed] = WrongOutput,
        native: float = 2.0,
        choice: EngineChoice = "auto",
    ) -> tuple[type, int, int]:
        def try_out(*_: object, **__: object) -> None:
            tried.append(card)
            if failure:
                raise error(failure)

        def rate_of(engine: Engine, requests: list[Generation]) -> float:
            assert len(requests) == 64 and all(future.result(60) for future in engine.submit(requests[:2]))
            return native if isinstance(engine, NativeEngine) else 1.5

        monkeypatch.setattr(trial, "try_out", try_out)
        monkeypatch.setattr(trial, "rate_of", rate_of)
        monkeypatch.setattr(EngineMaker, "_gpu", lambda _: Gpu(card, (9, 0), 80 << 30))
        store: Any = OnTheCpu(tiny_hub.store)
        store.revision = lambda _: revision
        engine = EngineMaker(store, verdicts=kept, choice=choice).make(m2m100(tiny_hub))
        engine.close()
        return type(engine), len(tried), store.loads

    return load


def test_a_model_that_passed_is_not_tried_again(trials: Any) -> None:
    assert trials() == (NativeEngine, 1, 1)
    assert trials("it would fail now") == (NativeEngine, 1, 1)


def test_a_failure_is_kept_too_and_says_so(trials: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert trials("scores are off") == (BatchingEngine, 1, 1)
    with caplog.at_level(logging.WARNING):
        assert trials() == (BatchingEngine, 1, 0), "nor is the model loaded for the native engine"
    assert "scores are off (on 20" in caplog.text


@pytest.mark.parametrize("why", ["no answer within 120 seconds", "the engine died: out of memory"])
def test_a_failure_that_may_pass_is_not_kept(trials: Any, kept: Verdicts, why: str) -> None:
    assert trials(why, error=EngineFailed)[0] == BatchingEngine
    assert kept.all() == []
    assert trials() == (NativeEngine, 2, 1)


def test_the_faster_engine_serves_and_both_rates_are_kept(trials: Any, kept: Verdicts) -> None:
    assert trials(native=1.0) == (BatchingEngine, 1, 1)
    assert trials() == (BatchingEngine, 1, 0), "neither raced nor loaded for the native engine again"
    assert [each.rates for each in kept.all()] == [{"native": 1.0, "ct2": 1.5}]
    assert kept.all()[0].in_words() == "passed; ct2 serves (native 1.0, ct2 1.5 requests/s)"
    assert trials(choice="native") == (NativeEngine, 1, 1), "who asks for it gets it"


def test_without_ctranslate2_there_is_no_race(trials: Any, cuda: CudaModule, kept: Verdicts) -> None:
    cuda.devices = 0
    assert trials(native=1.0) == (NativeEngine, 1, 1)
    cuda.devices = 1
    assert trials(native=1.0) == (BatchingEngine, 1, 1)


def test_a_race_that_ended_the_process_is_not_run_again(trials: Any, cuda: CudaModule) -> None:
    cuda.failure, cuda.error = "aborted", KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        trials(native=1.0)
    cuda.failure = ""
    assert trials(native=1.0) == (NativeEngine, 1, 1)


def test_a_race_takes_whole_rounds_for_two_seconds() -> None:
    rounds: list[int] = []

    class Engine:
        def submit(self, requests: list[int]) -> list[OutputFuture]:
            rounds.append(len(requests))
            futures = [OutputFuture() for _ in requests]
            for future in futures:
                future.answer(Output(()))
            return futures

    seconds = iter([0.0, 0.9, 1.8, 2.7, 2.7])  # at the start, after each of three rounds, and at the end
    assert trial.rate_of(Engine(), [1] * 64, lambda: next(seconds)) == pytest.approx(3 * 64 / 2.7)  # type: ignore[arg-type, list-item]
    assert rounds == [64] * 6, "one to warm up, and two more that were under way"


def test_a_race_does_not_wait_for_ever() -> None:
    engine: Any = SimpleNamespace(submit=lambda _: [OutputFuture()])
    with pytest.raises(EngineFailed, match="no answer within 0 seconds"):
        trial.rate_of(engine, [], time_limit_s=0.0)


def test_whatever_changes_asks_for_a_new_trial(trials: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trials()[1] == 1
    assert trials(card="H200")[1] == 2
    assert trials()[1] == 2, "each card has its own"
    assert trials(revision="r2")[1] == 3
    monkeypatch.setattr(gpu, "version", lambda name: f"{name} of another day")
    assert trials(revision="r2")[1] == 4
    assert trials(revision="r2")[1] == 4


@pytest.mark.parametrize("told", ["", "[1]", '[{"about": 3}]', "{"])
def test_a_file_that_is_something_else_is_none(kept: Verdicts, told: str) -> None:
    about = subject("a", "r", "H100")
    kept.keep(about, "no")
    file = kept._file
    file.write_text(told)
    assert kept.of(about) is None
    kept.keep(about, "")
    assert [(each.about, each.failure) for each in kept.all()] == [(about, "")]


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Verdicts(tmp_path / "file").keep(subject("a", "r", "H100"), "")


def test_compiled_kernels_are_kept_in_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    monkeypatch.setenv("CUDA_CACHE_PATH", "/mine")
    settings = Settings(cache_dir=tmp_path, data_dir=tmp_path)
    engine_maker(settings, Store(tmp_path), None)
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "triton")
    assert os.environ["CUDA_CACHE_PATH"] == "/mine"


@pytest.mark.parametrize("lack", ["triton", "compiler", "headers", ""])
def test_what_triton_lacks(lack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler called only `cc` is none to Triton, and $CC is the only one where it is set."""
    compiler = tmp_path / ("cc" if lack == "compiler" else "gcc")
    compiler.touch(0o755)
    if lack != "headers":
        (tmp_path / "Python.h").touch()
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpu, "find_spec", lambda name: None if lack == name else name)
    monkeypatch.setattr(sysconfig, "get_paths", lambda _: {"include": str(tmp_path)})
    said = {"triton": "not installed", "compiler": "no C compiler", "headers": "Python.h", "": ""}
    assert said[lack] in gpu.lack_of_triton() and bool(lack) == bool(gpu.lack_of_triton())
    monkeypatch.setenv("CC", "nothing-of-this-name")
    assert gpu.compiler() is None


def test_doctor_tells_them_and_asks_for_new_ones(tmp_path: Path) -> None:
    kept = Verdicts(tmp_path)
    kept.keep(subject("some/model", "r", "H100"), "scores are off")
    given = {"DRAGOMAN_CACHE_DIR": str(tmp_path), "DRAGOMAN_DATA_DIR": str(tmp_path)}

    def doctor(*options: str) -> str:
        return CliRunner().invoke(cli, ["doctor", *options], obj=Session(FakeRuntime), env=given).stdout

    assert "some/model on H100" in doctor() and "scores are off" in doctor()
    assert "some/model" not in doctor("--new-trials")
    assert kept.all() == []
