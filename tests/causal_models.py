"""Tiny random decoder-only models for tests, and what `generate` writes with them, one request at a time."""

import functools
from collections.abc import Sequence

import torch
from transformers import (
    Gemma3Config,
    Gemma3ForCausalLM,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    HunYuanDenseV1Config,
    HunYuanDenseV1ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from models.engine.generate import GenerateBackend
from models.engine.protocol import Generation, Output

VOCABULARY, END, OTHER_END = 89, 1, 7
WINDOW = 8
"""Of the layers that attend to no more than so many tokens; most sources of the tests are longer."""
MAX_SOURCE, MAX_NEW = 30, 14

SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.6,  # wide, so that two tokens are never nearly as likely
    "bos_token_id": 2,
    "eos_token_id": END,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
SLIDING = ["sliding_attention", "sliding_attention", "full_attention"]
GEMMA3 = {"num_hidden_layers": 3, "head_dim": 8, "sliding_window": WINDOW, "layer_types": SLIDING}
EYES = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
MAKERS = {
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SHAPE, **GEMMA3, query_pre_attn_scalar=8)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, num_hidden_layers=2)),
    "mistral": lambda: MistralForCausalLM(
        MistralConfig(**SHAPE, num_hidden_layers=2, sliding_window=WINDOW, head_dim=8)
    ),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, num_hidden_layers=2, head_dim=8)),
}
ARCHITECTURES = tuple(MAKERS)

MAKERS |= {
    "gemma3-with-eyes": lambda: Gemma3ForConditionalGeneration(
        Gemma3Config(
            text_config=Gemma3TextConfig(**SHAPE, **GEMMA3, query_pre_attn_scalar=8),
            vision_config=EYES,
            mm_tokens_per_image=4,
            image_token_index=88,
            boi_token_index=87,
            eoi_token_index=86,
        )
    ),
    "hunyuan": lambda: HunYuanDenseV1ForCausalLM(
        HunYuanDenseV1Config(**SHAPE, num_hidden_layers=2, head_dim=8)
    ),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE, num_hidden_layers=2)),
}
"""The catalog's other decoder-only models are of these."""


@functools.cache
def causal_model(architecture: str, dtype: torch.dtype = torch.float32):
    """The same model each time. Its generation_config asks for things that no decoding here does."""
    torch.manual_seed(3)
    model = MAKERS[architecture]().eval().to(dtype)
    model.generation_config.eos_token_id = [END, OTHER_END]
    model.generation_config.repetition_penalty = 5.0
    return model


def generated(architecture: str, generations: Sequence[Generation], device: str = "cpu") -> list[Output]:
    """The outputs of `generate`, without padding and without neighbours."""
    backend = GenerateBackend(
        causal_model(architecture).to(device), causal=True, max_source_tokens=MAX_SOURCE
    )
    return [backend.run([generation], lambda _: False)[0] for generation in generations]
