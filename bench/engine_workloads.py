"""Shapes of two models, with random weights, and lengths of texts, for the engine's benchmark."""

import random
from dataclasses import dataclass

import torch
from transformers import BartConfig, BartForConditionalGeneration, MarianConfig, MarianMTModel

from models.engine.protocol import Decoding, Generation


@dataclass(frozen=True)
class Workload:
    """A model's shape and the lengths of what goes in and out."""

    name: str
    source_mean: float
    source_spread: float
    source_range: tuple[int, int]
    target_range: tuple[int, int]
    num_requests: int
    static_batch: int
    max_source_tokens: int
    """As the model's entry in the catalog has it, and so the next."""
    max_new_tokens: int

    def model(self, tiny: bool):
        torch.manual_seed(0)
        return _bart(tiny) if self.name == "bart-large" else _marian(tiny)

    def lengths(self, count: int, seed: int = 0):
        """(source tokens, new tokens) of each request."""
        rng = random.Random(seed)
        low, high = self.source_range
        sources = [int(rng.gauss(self.source_mean, self.source_spread)) for _ in range(count)]
        return [(min(high, max(low, source)), rng.randint(*self.target_range)) for source in sources]

    def generations(self, count: int, num_beams: int, seed: int = 0):
        rng = random.Random(seed + 1)
        return [
            Generation(
                tuple(rng.randrange(5, 1000) for _ in range(source)),
                Decoding(max_new_tokens=target, min_new_tokens=target, num_beams=num_beams),
            )
            for source, target in self.lengths(count, seed)
        ]


WORKLOADS = (
    Workload("bart-large", 750, 180, (200, 1024), (40, 140), 512, 64, 1024, 256),
    Workload("marian", 32, 14, (4, 128), (10, 64), 4096, 256, 512, 512),
)
TINY = (
    Workload("bart-large", 30, 8, (8, 48), (4, 12), 24, 8, 64, 16),
    Workload("marian", 10, 4, (2, 20), (3, 10), 24, 8, 64, 16),
)


def simulated_model(workload: Workload):
    """A model with the layers and positions of the workload's, and next to no width."""
    torch.manual_seed(0)
    layers, positions = (12, 1024) if workload.name == "bart-large" else (6, 512)
    sizes = {"vocab_size": 1100, "d_model": 1, "layers": layers, "heads": 1, "ffn": 1, "positions": positions}
    return BartForConditionalGeneration(BartConfig(**_shape(sizes), pad_token_id=1)).eval()


def _bart(tiny: bool):
    small = {"vocab_size": 1000, "d_model": 32, "layers": 2, "heads": 2, "ffn": 64, "positions": 64}
    large = {"vocab_size": 50264, "d_model": 1024, "layers": 12, "heads": 16, "ffn": 4096, "positions": 1024}
    config = BartConfig(**_shape(small if tiny else large))
    return BartForConditionalGeneration(config).eval()


def _marian(tiny: bool):
    small = {"vocab_size": 1100, "d_model": 32, "layers": 2, "heads": 2, "ffn": 64, "positions": 64}
    large = {"vocab_size": 58101, "d_model": 512, "layers": 6, "heads": 8, "ffn": 2048, "positions": 512}
    shape = _shape(small if tiny else large)
    pad = shape["vocab_size"] - 1
    config = MarianConfig(
        **shape,
        scale_embedding=True,
        activation_function="swish",
        pad_token_id=pad,
        eos_token_id=0,
        decoder_start_token_id=pad,
        forced_eos_token_id=None,
    )
    return MarianMTModel(config).eval()


def _shape(sizes):
    shape = {"vocab_size": sizes["vocab_size"], "d_model": sizes["d_model"]}
    for side in ("encoder", "decoder"):
        shape[f"{side}_layers"] = sizes["layers"]
        shape[f"{side}_attention_heads"] = sizes["heads"]
        shape[f"{side}_ffn_dim"] = sizes["ffn"]
    return {**shape, "max_position_embeddings": sizes["positions"]}
