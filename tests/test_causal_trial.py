"""The trial of the causal engine: right ones pass, broken ones don't, and what is used then."""

import logging

import pytest
import torch
from causal_models import MAKERS, MAX_NEW, MAX_SOURCE, causal_model
from conftest import TinyHub
from test_trial import OnTheCpu, write

from models.engine.batching import BatchingEngine
from models.engine.card import Card
from models.engine.causal import CausalEngine
from models.engine.rolling import RollingBatch, RollingRow
from models.engine.trial import Bounds, try_out
from models.engines import EngineMaker
from models.errors import EngineFailed


def tried(architecture, dtype):
    model = causal_model(architecture, dtype)
    engine = CausalEngine(model, max_source_tokens=MAX_SOURCE, max_batch_size=5)
    try:
        try_out(engine, model, Bounds(MAX_SOURCE, MAX_NEW, num_beams=1, most_beams=1), time_limit_s=60)
    finally:
        engine.close()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("architecture", MAKERS)
def test_a_right_engine_passes(architecture, dtype):
    tried(architecture, dtype)


def padding_seen(monkeypatch):
    """Rows attend to the columns before their first."""
    right = RollingBatch._forward

    def wrong(self, ids, mask, positions, cache):
        return right(self, ids, torch.ones_like(mask), positions, cache)

    monkeypatch.setattr(RollingBatch, "_forward", wrong)


def wrong_position(monkeypatch):
    """New tokens stand one place further on than they do."""
    right = RollingBatch._forward

    def wrong(self, ids, mask, positions, cache):
        return right(self, ids, mask, positions + (ids.shape[1] == 1), cache)

    monkeypatch.setattr(RollingBatch, "_forward", wrong)


def caches_stay(monkeypatch):
    """Rows leave, and their neighbours get their caches."""
    right = RollingBatch.keep

    def wrong(self, rows):
        if rows and len(rows) < len(self.rows):
            self._cache.batch_select_indices(torch.arange(len(self.rows)).roll(1))
        right(self, rows)

    monkeypatch.setattr(RollingBatch, "keep", wrong)


def edits_forgotten(monkeypatch):
    """Nothing is forbidden."""
    monkeypatch.setattr(RollingBatch, "_edited", lambda self, rows, logits, ids: logits)


def score_of_the_last(monkeypatch):
    """A score tells of the last token alone."""

    def take(self, token, log_probability):
        self.tokens.append(token)
        self.log_probability = log_probability

    monkeypatch.setattr(RollingRow, "take", take)


def one_too_few(monkeypatch):
    """The last token is never written."""

    def done(self):
        return self.stopped or len(self.tokens) >= self.generation.decoding.max_new_tokens - 1

    monkeypatch.setattr(RollingRow, "done", property(done))


def no_numbers(monkeypatch):
    """Logits that are no numbers."""
    right = RollingBatch._forward
    monkeypatch.setattr(RollingBatch, "_forward", lambda self, *a: right(self, *a) * torch.nan)


SABOTAGE = [
    padding_seen,
    wrong_position,
    caches_stay,
    edits_forgotten,
    score_of_the_last,
    one_too_few,
    no_numbers,
]


@pytest.mark.parametrize("sabotage", SABOTAGE, ids=lambda each: each.__name__)
def test_a_broken_engine_is_caught(sabotage, monkeypatch):
    """In bfloat16, where the most is allowed for."""
    sabotage(monkeypatch)
    with pytest.raises(EngineFailed, match=r"the trial failed: ."):
        tried("qwen3", torch.bfloat16)


@pytest.fixture
def maker(tiny_hub: TinyHub, monkeypatch):
    """An engine maker that believes in a GPU, and its store."""
    monkeypatch.setattr(EngineMaker, "_card", lambda _: Card("H100", (9, 0), 80 << 30))
    store = OnTheCpu(tiny_hub.store)
    return lambda choice: (EngineMaker(store, choice=choice, trial_limit_s=60), store)


@pytest.mark.parametrize("choice", ["auto", "native"])
@pytest.mark.parametrize("kind", ["completion", "instruct"])
def test_on_a_gpu_the_engine_is_used_if_it_passes(maker, tiny_hub, kind, choice):
    engines, store = maker(choice)
    engine = engines.make(tiny_hub.entry(kind))
    assert isinstance(engine, CausalEngine)
    assert write(engine).token_ids
    assert store.loads == 1
    assert not engines.fallbacks


@pytest.mark.parametrize("sabotage", [edits_forgotten, no_numbers], ids=lambda each: each.__name__)
def test_where_the_trial_fails_generate_takes_its_place(maker, tiny_hub, monkeypatch, caplog, sabotage):
    sabotage(monkeypatch)
    engines, store = maker("auto")
    with caplog.at_level(logging.WARNING):
        engine = engines.make(tiny_hub.entry("completion"))
    assert type(engine) is BatchingEngine
    assert "the trial failed" in caplog.text
    [told] = engines.fallbacks
    assert told.startswith("tiny/completion: ")
    assert "generate takes one batch after another" in told
    assert write(engine).token_ids
    assert store.loads == 1, "the weights that are there are used"


def test_a_model_of_another_make_is_left_to_generate(maker, tiny_hub, monkeypatch, caplog):
    """One, say, whose forward takes no positions."""

    def wrong(*_):
        raise TypeError("forward() got an unexpected keyword argument 'logits_to_keep'")

    monkeypatch.setattr(RollingBatch, "_forward", wrong)
    engines, _ = maker("auto")
    engine = engines.make(tiny_hub.entry("completion"))
    assert type(engine) is BatchingEngine
    assert "unexpected keyword argument" in caplog.text
    assert write(engine).token_ids
