"""Which device and numbers a model gets, asked of cards that are not there."""

import logging
from pathlib import Path

import pytest
from conftest import TinyHub
from safetensors.torch import load_file

from models.engine.batching import BatchingEngine
from models.engine.card import Card, parameters_in
from models.engine.ct2 import Ct2Backend
from models.engine.seq2seq.memory import beam_widths
from models.engines import Device, EngineMaker
from models.languages import Languages
from models.pool import ModelPool

GB = 1 << 30
H100 = Card("H100", (9, 0), 80 * GB)
T4 = Card("T4", (7, 5), 15 * GB)
P100 = Card("P100", (6, 0), 16 * GB)
FULL = Card("H100", (9, 0), GB // 2)


def maker_for(
    card: Card, tiny_hub: TinyHub, monkeypatch: pytest.MonkeyPatch, device: Device = "auto"
) -> EngineMaker:
    monkeypatch.setattr("models.engines.look", lambda: card)
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
    card: Card, family: str, device: str, why: str, tiny_hub: TinyHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    import re

    found, told = maker_for(card, tiny_hub, monkeypatch).device_for(tiny_hub.entry(family))
    assert found == device
    assert re.search(why, told) if why else not told


@pytest.mark.parametrize("card", [P100, FULL])
def test_on_a_card_that_cannot_int8_runs_on_the_cpu_and_that_is_told(
    card: Card, tiny_hub: TinyHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
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
def test_numbers(card: Card, float16: bool, dtype: str | None) -> None:
    assert card.dtype(float16=float16) == dtype


def test_weights_are_counted_without_reading_them(tiny_hub: TinyHub, tmp_path: Path) -> None:
    folder = tiny_hub.store.folder(tiny_hub.entry("bart"))
    weights = load_file(folder / "model.safetensors")
    assert parameters_in(folder) == sum(each.numel() for each in weights.values())
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
