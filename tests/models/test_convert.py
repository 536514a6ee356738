"""A conversion in little memory gives CTranslate2's own bytes, and holds no weight that is converted."""

import weakref

import pytest
import tiny_models
import torch
from ctranslate2.specs.model_spec import ModelSpec

from models import convert
from models.convert import to_ctranslate2

KINDS = sorted(set(tiny_models.MAKERS) - {"entailment"})


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_are_those_of_ctranslate2(tiny_hub, tmp_path, monkeypatch, kind):
    entry, store = tiny_hub.entry(kind), tiny_hub.store
    tokenizer, folder = store.tokenizer(entry), store.folder(entry)
    monkeypatch.setattr(convert, "ROWS_AT_ONCE", 7)  # a vocabulary is no multiple of it
    to_ctranslate2(store.load(entry, dtype="float32"), tokenizer, folder, tmp_path / "ours")

    def optimize(layers):
        layers.optimize("int8")

    monkeypatch.setattr(convert, "_share", optimize)
    monkeypatch.setattr(convert, "_to_int8", lambda _: None)
    to_ctranslate2(store.load(entry, dtype="float32"), tokenizer, folder, tmp_path / "theirs")
    files = {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "ours").iterdir()} == files


def test_weights_in_16_bits_give_the_same_bytes(tiny_hub, tmp_path):
    entry, store = tiny_hub.entry("instruct"), tiny_hub.store
    rounded = store.load(entry, dtype="bfloat16")
    exact = store.load(entry, dtype="bfloat16").float()
    for name, model in (("16", rounded), ("32", exact)):
        to_ctranslate2(model, store.tokenizer(entry), store.folder(entry), tmp_path / name)
    assert (tmp_path / "16" / "model.bin").read_bytes() == (tmp_path / "32" / "model.bin").read_bytes()


def test_a_row_without_numbers_is_rounded():
    numbers, scale = convert._rounded(torch.tensor([[0.0, 0.0], [1e-45, 0.0], [-2.0, 1.0]]))
    assert numbers.tolist()[::2] == [[0, 0], [-127, 64]]
    assert torch.from_numpy(scale).isfinite().all()


def test_no_weight_stays_that_is_converted(tiny_hub, tmp_path, monkeypatch):
    entry, store = tiny_hub.entry("marian"), tiny_hub.store
    weights = []
    left = []

    def load():
        model = store.load(entry, dtype="float32")
        weights.extend(weakref.ref(parameter) for parameter in model.parameters() if parameter.dim() > 1)
        return model

    def save(_layers, _output):
        left.append(sum(weight() is not None for weight in weights))

    monkeypatch.setattr(ModelSpec, "save", save)
    to_ctranslate2(load(), store.tokenizer(entry), store.folder(entry), tmp_path)
    assert weights and left == [0]
