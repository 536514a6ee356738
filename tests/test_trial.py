"""The trial at load: right engines pass, broken ones don't, and what is used then."""

import dataclasses
import logging
import threading

import pytest
import torch
from conftest import TinyHub
from seq2seq_models import ARCHITECTURES, tiny_model

from models.engine.batching import BatchingEngine
from models.engine.card import Card
from models.engine.protocol import Decoding, Generation
from models.engine.seq2seq import Seq2SeqEngine, attention, decoder, search
from models.engine.seq2seq.memory import Limits
from models.engine.trial import Bounds, try_out
from models.engines import EngineMaker, kind_of
from models.errors import EngineFailed, ModelUnavailable

MAX_SOURCE, MAX_NEW = 40, 16
BOUNDS = Bounds(MAX_SOURCE, MAX_NEW, num_beams=4, most_beams=4)


def tried(architecture="bart", dtype=torch.float32, time_limit_s=60.0, engine=None):
    model = tiny_model(architecture)
    if architecture == "bart":
        with torch.no_grad():
            model.get_decoder().embed_positions.weight.normal_(std=0.6)  # so that a position matters
    model = model.to(dtype)
    engine = engine or Seq2SeqEngine(
        model, Limits(max_slots=5, max_source_tokens=MAX_SOURCE, max_new_tokens=MAX_NEW), dtype=dtype
    )
    try:
        try_out(engine, model, BOUNDS, time_limit_s=time_limit_s)
    finally:
        engine.close()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_right_engine_passes(architecture, dtype):
    tried(architecture, dtype)


def test_a_model_with_several_ends_passes():
    model = tiny_model("marian")
    model.generation_config.eos_token_id = [model.generation_config.eos_token_id, 13]
    engine = Seq2SeqEngine(model, Limits(max_slots=3, max_source_tokens=MAX_SOURCE, max_new_tokens=MAX_NEW))
    try_out(engine, model, BOUNDS)
    engine.close()


def wrong_slot(monkeypatch):
    """Cross-attention to the neighbour's source."""
    right = attention.cross_attention

    def wrong(query, cache, batch, scale):
        return right(query, cache, dataclasses.replace(batch, active=batch.active.roll(1)), scale)

    monkeypatch.setattr(attention, "cross_attention", wrong)


def source_cut_short(monkeypatch):
    """Cross-attention that misses the source's last token."""
    right = attention.cross_attention

    def wrong(query, cache, batch, scale):
        length = (batch.source_length - 1).clamp(min=1)
        return right(query, cache, dataclasses.replace(batch, source_length=length), scale)

    monkeypatch.setattr(attention, "cross_attention", wrong)


def wrong_row(monkeypatch):
    """The beams' table is off by one row."""
    right = attention.self_attention

    def wrong(qkv, cache, batch, bias, scale):
        table = batch.table.clone()
        table[:, :, :-1] = table.roll(1, 1)[:, :, :-1]
        return right(qkv, cache, dataclasses.replace(batch, table=table), bias, scale)

    monkeypatch.setattr(attention, "self_attention", wrong)


def beams_not_reordered(monkeypatch):
    """The table keeps its order when beams change theirs."""

    def unmoved(rows, beam):
        return rows if rows.dtype == torch.int32 and rows.shape[1] == beam.shape[1] else right(rows, beam)

    right = search._pick
    monkeypatch.setattr(search, "_pick", unmoved)


def wrong_position(monkeypatch):
    """Each token is given the position after its own."""
    embed = decoder.BartFamilyDecoder.embed
    monkeypatch.setattr(
        decoder.BartFamilyDecoder,
        "embed",
        lambda self, tokens, positions: embed(self, tokens, (positions + 1).clamp(max=MAX_NEW - 1)),
    )


def no_numbers(monkeypatch):
    """Logits that are no numbers."""
    right = decoder.BartFamilyDecoder.head
    monkeypatch.setattr(
        decoder.BartFamilyDecoder, "head", lambda self, hidden: right(self, hidden) * torch.nan
    )


def second_best(monkeypatch):
    """Beam search overlooks the best continuation; its scores are honest."""
    right = search._advance_beams

    def wrong(state, step, log_probs, num_candidates):
        best = log_probs.amax(-1, keepdim=True)
        free = (log_probs.isfinite().sum(-1, keepdim=True)) > 1
        right(state, step, log_probs.masked_fill((log_probs == best) & free, -torch.inf), num_candidates)

    monkeypatch.setattr(search, "_advance_beams", wrong)


def penalty_forgotten(monkeypatch):
    """The repetition penalty does nothing."""
    monkeypatch.setattr(search, "_penalize_repetition", lambda step, scores: scores)


def ngrams_allowed(monkeypatch):
    """Repeated n-grams are not banned."""
    monkeypatch.setattr(search, "_ngram_bans", lambda step: torch.full_like(step.history, -1))


def length_forgotten(monkeypatch):
    """Scores are not divided by the length."""
    gather = search._gather

    def wrong(state, active, num_beams):
        step = gather(state, active, num_beams)
        step.length_penalty = torch.zeros_like(step.length_penalty)
        return step

    monkeypatch.setattr(search, "_gather", wrong)


def raising(monkeypatch):
    """The device gives up."""

    def wrong(*_):
        raise RuntimeError("device lost")

    monkeypatch.setattr(search, "advance", wrong)


SABOTAGE = [
    wrong_slot,
    source_cut_short,
    wrong_row,
    beams_not_reordered,
    wrong_position,
    no_numbers,
    second_best,
    penalty_forgotten,
    ngrams_allowed,
    length_forgotten,
    raising,
]


@pytest.mark.parametrize("sabotage", SABOTAGE, ids=lambda each: each.__name__)
def test_a_broken_engine_is_caught(sabotage, monkeypatch):
    """In bfloat16, where the most is allowed for."""
    sabotage(monkeypatch)
    with pytest.raises(EngineFailed, match=r"the trial failed: .") as caught:
        tried("bart" if sabotage is wrong_position else "mbart", torch.bfloat16)
    if sabotage is raising:
        assert "device lost" in caught.value.message


def test_an_engine_that_hangs_is_given_up(monkeypatch):
    let_go = threading.Event()
    monkeypatch.setattr(search, "advance", lambda *_: let_go.wait(30))
    engine = Seq2SeqEngine(tiny_model("bart"), Limits(max_slots=2, max_source_tokens=8, max_new_tokens=4))
    with pytest.raises(EngineFailed, match=r"no answer within 0\.2 seconds"):
        try_out(engine, tiny_model("bart"), Bounds(8, 4, 4, 4), time_limit_s=0.2)
    let_go.set()
    engine.close()


def test_an_engine_that_never_comes_to_an_end_can_be_closed(monkeypatch):
    """Steps go on and nothing finishes: what the trial asked for is called off."""
    monkeypatch.setattr(search, "advance", lambda *_: None)
    with pytest.raises(EngineFailed, match="no answer"):
        tried(time_limit_s=0.2)


@pytest.mark.parametrize(
    ("choice", "device", "causal", "kind"),
    [
        ("auto", "cpu", False, "ct2"),
        ("auto", "cpu", True, "ct2"),
        ("auto", "cuda", False, "native"),
        ("auto", "cuda", True, "causal"),
        ("native", "cpu", False, "native"),
        ("native", "cpu", True, "ct2"),
        ("native", "cuda", True, "causal"),
        ("generate", "cpu", False, "generate"),
        ("generate", "cuda", False, "generate"),
        ("generate", "cuda", True, "generate"),
    ],
)
def test_which_engine_is_tried_first(choice, device, causal, kind):
    assert kind_of(choice, device, causal=causal) == kind


class OnTheCpu:
    """A store whose models, asked for on a GPU, come on the CPU."""

    def __init__(self, store):
        self._store = store
        self.loads = 0
        self.folder = store.folder

    def load(self, entry, *, dtype, device):
        assert (dtype, device) == ("bfloat16", "cuda")
        self.loads += 1
        return self._store.load(entry, dtype=dtype)


@pytest.fixture
def maker(tiny_hub: TinyHub, monkeypatch):
    """An engine maker that believes in a GPU, and its store."""
    monkeypatch.setattr(EngineMaker, "_card", lambda _: Card("H100", (9, 0), 80 << 30))
    monkeypatch.setattr(EngineMaker, "_has_kernels", lambda _: True)
    store = OnTheCpu(tiny_hub.store)
    return lambda choice: (EngineMaker(store, choice=choice, trial_limit_s=60), store)


def write(engine, source=(5, 6, 7)):
    [future] = engine.submit([Generation(source, Decoding(max_new_tokens=5))])
    output = future.result(30)
    engine.close()
    return output


@pytest.mark.parametrize("choice", ["auto", "native"])
def test_on_a_gpu_the_native_engine_is_used_if_it_passes(maker, tiny_hub, choice):
    engines, store = maker(choice)
    engine = engines.make(tiny_hub.entry("m2m100", max_source_tokens=64, max_new_tokens=16))
    assert isinstance(engine, Seq2SeqEngine)
    assert write(engine).token_ids
    assert store.loads == 1


@pytest.mark.parametrize("sabotage", [wrong_slot, raising], ids=lambda each: each.__name__)
def test_where_the_trial_fails_generate_is_used(maker, tiny_hub, monkeypatch, caplog, sabotage):
    sabotage(monkeypatch)
    engines, store = maker("auto")
    with caplog.at_level(logging.WARNING):
        engine = engines.make(tiny_hub.entry("m2m100", max_source_tokens=64, max_new_tokens=16))
    assert isinstance(engine, BatchingEngine)
    assert "tiny/m2m100: the native engine cannot be used here" in caplog.text
    assert "the trial failed" in caplog.text
    assert write(engine).token_ids
    assert store.loads == 2  # the first model is the failed engine's, its weights rearranged


def test_where_the_engine_cannot_be_built_generate_is_used(maker, tiny_hub, monkeypatch, caplog):
    def full(*_, **__):
        raise torch.OutOfMemoryError("no room for the caches")

    monkeypatch.setattr(Seq2SeqEngine, "_new_loop", full)
    engines, _ = maker("auto")
    engine = engines.make(tiny_hub.entry("m2m100", max_source_tokens=64, max_new_tokens=16))
    assert isinstance(engine, BatchingEngine)
    assert "no room for the caches" in caplog.text
    engine.close()


def test_who_asks_for_the_native_engine_hears_why_it_fails(maker, tiny_hub, monkeypatch):
    wrong_slot(monkeypatch)
    engines, _ = maker("native")
    with pytest.raises(ModelUnavailable, match=r"tiny/m2m100: the native engine.*the trial failed"):
        engines.make(tiny_hub.entry("m2m100", max_source_tokens=64, max_new_tokens=16))


def test_a_gpu_that_is_lost_in_the_trial_is_told(maker, tiny_hub, monkeypatch):
    raising(monkeypatch)
    engines, store = maker("auto")
    load = store.load

    def lost(entry, **options):
        if store.loads:
            raise RuntimeError("illegal memory access")
        return load(entry, **options)

    monkeypatch.setattr(store, "load", lost)
    with pytest.raises(ModelUnavailable, match=r"illegal memory access.*start again with the engine"):
        engines.make(tiny_hub.entry("m2m100", max_source_tokens=64, max_new_tokens=16))


def test_without_a_compiler_generate_is_used_on_a_gpu(maker, tiny_hub, monkeypatch, caplog):
    monkeypatch.setattr(EngineMaker, "_has_kernels", lambda _: False)
    engines, store = maker("auto")
    with caplog.at_level(logging.WARNING):
        engine = engines.make(tiny_hub.entry("m2m100", max_source_tokens=64, max_new_tokens=16))
    assert isinstance(engine, BatchingEngine)
    assert "a C compiler for it (gcc or clang), is missing" in caplog.text
    assert write(engine).token_ids
    assert store.loads == 1, "the native engine's model is not loaded for nothing"
