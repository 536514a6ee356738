"""A batch searched with beams goes in parts: its first sentences come early, and what is cancelled ends."""

import dataclasses
from pathlib import Path

import pytest
from conftest import TinyHub

from models.codec import CompletionCodec, Purpose
from models.convert import to_ctranslate2
from models.engine import ct2
from models.engine.protocol import Generation, Output
from models.languages import Languages

SENTENCES = ("The talks failed.", "They spoke about trade.", "A statement.", "The capital.", "In spring.")


@pytest.fixture(scope="module")
def batch(tiny_hub: TinyHub, languages: Languages) -> list[Generation]:
    entry, store = tiny_hub.entry("completion"), tiny_hub.store
    codec = CompletionCodec(entry, store.tokenizer(entry), store.generation_config(entry), languages)
    purpose = Purpose("translate", "en", "fr")
    decoding = dataclasses.replace(codec.decoding(purpose, max_new_tokens=8), num_beams=4)
    return [Generation(codec.encode(text, purpose), decoding) for text in SENTENCES]


@pytest.fixture
def backend(tiny_hub: TinyHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ct2.Ct2Backend:
    entry, store = tiny_hub.entry("completion"), tiny_hub.store
    model = store.load(entry, dtype="float32")
    to_ctranslate2(model, store.tokenizer(entry), store.folder(entry), tmp_path, quantization="float32")
    monkeypatch.setattr(ct2, "BEAM_ROWS", 8)
    return ct2.Ct2Backend(tmp_path, causal=True, max_source_tokens=128, threads=1)


def test_each_part_is_told_when_it_is_done(backend: ct2.Ct2Backend, batch: list[Generation]) -> None:
    told: list[tuple[int, Output]] = []
    asked: list[int] = []

    def stopped(i: int) -> bool:
        asked.append(len(told))
        return False

    outputs = backend.run(batch, stopped, lambda i, output: told.append((i, output)))
    assert told == list(enumerate(outputs))
    assert sorted(set(asked)) == [0, 2, 4], "two sentences of four beams at a time"
    alone = [backend.run([generation], lambda _: False)[0] for generation in batch]
    assert [each.token_ids for each in outputs] == [each.token_ids for each in alone]


def test_a_part_that_nobody_waits_for_is_left_out(backend: ct2.Ct2Backend, batch: list[Generation]) -> None:
    told: list[int] = []
    outputs = backend.run(batch, lambda i: i in (2, 3, 4), lambda i, _: told.append(i))
    assert told == [0, 1]
    assert len(outputs) == len(batch)
    assert [bool(each.token_ids) for each in outputs[2:]] == [False] * 3
