"""Tiny random models of every architecture, and what transformers' own `generate` makes of a request."""

import functools

import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    MT5Config,
    MT5ForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from models.engine.native import NativeEngine
from models.engine.native.limits import Limits
from models.engine.protocol import Decoding

VOCABULARY = 83  # odd, as Marian's is
MAX_POSITIONS = 48
MAX_SOURCE = 24
MAX_NEW = 16
ARCHITECTURES = ("bart", "mbart", "pegasus", "marian", "m2m100", "t5", "mt5", "flan-t5")

_BART = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": MAX_POSITIONS,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
_T5 = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 2,
    "num_heads": 2,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 16,
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "eos_token_id": 1,
}


def tiny_model(architecture: str, seed: int = 0):
    """A random model, its weights large enough that no two logits are nearly the same."""
    torch.manual_seed(seed)
    model = _build(architecture).eval()
    # A head of its own: one tied to the embedding would mostly repeat its input.
    model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name or "embed_positions" in name:
                continue
            weight.normal_(std=0.6 if weight.dim() > 1 else 0.2)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_(std=0.5)
            model.final_logits_bias[0, model.config.eos_token_id] += 1.0
    model.generation_config.forced_eos_token_id = None  # BART's default must not leak into the comparison
    model.generation_config.eos_token_id = _likely_token(model)
    return model


@torch.inference_mode()
def _likely_token(model) -> int:
    """A token that comes up now and then: as the end token it lets random models end."""
    sources = torch.randint(3, VOCABULARY, (8, 12))
    seen = model.generate(sources, do_sample=False, max_new_tokens=10, min_new_tokens=10)[:, 4:]
    return int(seen.flatten().bincount().topk(2).indices[1])


def _build(architecture: str):
    t5 = {"scale_decoder_outputs": False, "tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"}
    builders = {
        "bart": lambda: BartForConditionalGeneration(BartConfig(**_BART)),
        "mbart": lambda: MBartForConditionalGeneration(MBartConfig(**_BART, scale_embedding=True)),
        "pegasus": lambda: PegasusForConditionalGeneration(PegasusConfig(**_BART, scale_embedding=True)),
        "marian": lambda: MarianMTModel(MarianConfig(**_BART, activation_function="swish")),
        "m2m100": lambda: M2M100ForConditionalGeneration(M2M100Config(**_BART, scale_embedding=True)),
        "t5": lambda: T5ForConditionalGeneration(T5Config(**_T5)),
        "mt5": lambda: MT5ForConditionalGeneration(MT5Config(**{**_T5, **t5})),
        "flan-t5": lambda: T5ForConditionalGeneration(T5Config(**{**_T5, **t5})),
    }
    return builders[architecture]()


@torch.inference_mode()
def reference(model, source_ids, decoding: Decoding) -> tuple[list[int], float]:
    """Token ids after the start token and their score, from `generate` with this request alone."""
    return references(model, source_ids, decoding)[0]


@torch.inference_mode()
def references(model, source_ids, decoding: Decoding) -> list[tuple[list[int], float]]:
    """The same of as many hypotheses as the decoding wants, best first."""
    stops = list(decoding.stop_token_ids) or None
    out = model.generate(
        input_ids=torch.tensor([source_ids], device=model.device),
        attention_mask=torch.ones(1, len(source_ids), dtype=torch.long, device=model.device),
        do_sample=False,
        max_new_tokens=decoding.max_new_tokens,
        min_new_tokens=decoding.min_new_tokens,
        num_beams=decoding.num_beams,
        num_return_sequences=decoding.num_return_sequences,
        length_penalty=decoding.length_penalty,
        early_stopping=decoding.early_stopping,
        no_repeat_ngram_size=decoding.no_repeat_ngram_size,
        repetition_penalty=decoding.repetition_penalty,
        forced_bos_token_id=decoding.forced_bos_token_id,
        forced_eos_token_id=decoding.forced_eos_token_id,
        suppress_tokens=list(decoding.suppressed_token_ids) or None,
        renormalize_logits=decoding.renormalize_logits,
        **({"eos_token_id": stops} if stops else {}),
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
    )
    rows = [_ended(model, row, decoding) for row in out.sequences[:, 1:].tolist()]
    if decoding.num_beams > 1:
        return list(zip(rows, out.sequences_scores.tolist(), strict=True))
    return [(rows[0], _greedy_score(out.logits, rows[0], decoding))]


def _ended(model, row: list[int], decoding: Decoding) -> list[int]:
    """The row without what pads it to the length of others."""
    stops = decoding.stop_token_ids or (model.generation_config.eos_token_id,)
    return row[: next((i + 1 for i, token in enumerate(row) if token in stops), len(row))]


def _greedy_score(logits, tokens, decoding: Decoding) -> float:
    """What beam search would say of the greedy hypothesis: forced tokens are certain."""
    log_probs = [step[0].float().log_softmax(-1) for step in logits]
    gains = [float(step[token]) for step, token in zip(log_probs, tokens, strict=True)]
    if decoding.forced_bos_token_id is not None:
        gains[0] = 0.0
    if decoding.forced_eos_token_id is not None and len(tokens) == decoding.max_new_tokens:
        gains[-1] = 0.0
    return sum(gains) / len(tokens) ** decoding.length_penalty


def content(model, tokens: list[int], decoding: Decoding) -> list[int]:
    """The tokens without what the protocol leaves out: forced first token and the end."""
    stops = decoding.stop_token_ids or (model.generation_config.eos_token_id,)
    forced_end = len(tokens) == decoding.max_new_tokens and tokens[-1] == decoding.forced_eos_token_id
    if tokens[-1] in stops or forced_end:
        tokens = tokens[:-1]
    return tokens[1:] if decoding.forced_bos_token_id is not None else tokens


def random_decoding(rng, num_beams):
    choose = rng.choice
    max_new_tokens = choose([1, 5, 10, MAX_NEW])
    return Decoding(
        max_new_tokens=max_new_tokens,
        min_new_tokens=min(choose([0, 0, 4]), max_new_tokens),
        num_beams=num_beams,
        length_penalty=choose([0.0, 0.6, 1.0, 2.0, -0.5]) if num_beams > 1 else 1.0,
        early_stopping=choose([True, False, "never"]) if num_beams > 1 else False,
        no_repeat_ngram_size=choose([0, 0, 3, 2, 1]),
        repetition_penalty=choose([1.0, 1.0, 1.4, 0.8]),
        forced_bos_token_id=choose([None, None, 7]),
        forced_eos_token_id=choose([None, None, 9]),
        suppressed_token_ids=choose([(), (), (11, 12, 30, 31)]),
        stop_token_ids=choose([(), (), (21, 40), (5,)]),
        renormalize_logits=choose([False, False, True]),
    )


def random_source(rng):
    return tuple(rng.randrange(3, VOCABULARY) for _ in range(rng.randint(1, MAX_SOURCE)))


@functools.cache
def oracle(architecture):
    return tiny_model(architecture)


@functools.cache
def expected(architecture, source_ids, decoding):
    return reference(oracle(architecture), source_ids, decoding)


def engine_of(architecture, device="cpu", dtype=torch.float32, **sizes):
    """Lanes of all widths that the tests ask for, and two stop tokens."""
    sizes = {"max_slots": 5, "max_source_tokens": MAX_SOURCE, "max_new_tokens": MAX_NEW, **sizes}
    limits = Limits(**{"beam_widths": (4, 1, 5, 8), "max_stop_tokens": 2, **sizes})
    return NativeEngine(tiny_model(architecture), limits, device=device, dtype=dtype)


def assert_as_expected(architecture, generation, output):
    tokens, score = expected(architecture, generation.source_ids, generation.decoding)
    assert list(output.token_ids) == content(oracle(architecture), tokens, generation.decoding)
    # To 1e-4 a token: other powers of the length than one make the same error larger.
    tokens_per_unit = max(1.0, len(tokens) ** (1.0 - generation.decoding.length_penalty))
    assert output.score == pytest.approx(score, abs=1e-4 * tokens_per_unit, rel=1e-5)
