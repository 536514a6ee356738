"""The trial at load: right engines pass, and broken ones don't."""

import dataclasses
import threading

import pytest
import torch
from seq2seq_models import ARCHITECTURES, tiny_model
from wrong_engines import raising, wrong_slot

from models.engine.native import NativeEngine, attention, search
from models.engine.native import model as decoder
from models.engine.native.limits import Limits
from models.engine.trial import Bounds, try_out
from models.errors import EngineFailed

MAX_SOURCE, MAX_NEW = 40, 16
BOUNDS = Bounds(MAX_SOURCE, MAX_NEW, num_beams=4, most_beams=4)


def tried(architecture="bart", dtype=torch.float32, time_limit_s=60.0, engine=None):
    model = tiny_model(architecture)
    if architecture == "bart":
        with torch.no_grad():
            model.get_decoder().embed_positions.weight.normal_(std=0.6)  # so that a position matters
    model = model.to(dtype)
    engine = engine or NativeEngine(
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
    engine = NativeEngine(model, Limits(max_slots=3, max_source_tokens=MAX_SOURCE, max_new_tokens=MAX_NEW))
    try_out(engine, model, BOUNDS)
    engine.close()


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
    engine = NativeEngine(tiny_model("bart"), Limits(max_slots=2, max_source_tokens=8, max_new_tokens=4))
    with pytest.raises(EngineFailed, match=r"no answer within 0\.2 seconds"):
        try_out(engine, tiny_model("bart"), Bounds(8, 4, 4, 4), time_limit_s=0.2)
    let_go.set()
    engine.close()


def test_an_engine_that_never_comes_to_an_end_can_be_closed(monkeypatch):
    """Steps go on and nothing finishes: what the trial asked for is called off."""
    monkeypatch.setattr(search, "advance", lambda *_: None)
    with pytest.raises(EngineFailed, match="no answer"):
        tried(time_limit_s=0.2)
