"""A decoder's weights as the engine uses them: projections side by side, an aligned head, norms.

Made from transformers' modules, whose weights become views of these. Knows nothing of any one architecture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.engine.seq2seq.attention import Norm


@dataclass(frozen=True, slots=True)
class Linear:
    """One matrix product, of one projection or of several side by side."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    @classmethod
    def side_by_side(cls, *modules: nn.Linear) -> "Linear":
        """The modules' outputs concatenated; the modules' weights become views, so nothing is held twice."""
        if len(modules) == 1:
            return cls(modules[0].weight.data, modules[0].bias)
        weight = torch.cat([module.weight.data for module in modules])
        start = 0
        for module in modules:
            module.weight.data = weight[start : start + module.out_features]
            start += module.out_features
        biases = [module.bias.data for module in modules if module.bias is not None]
        return cls(weight, torch.cat(biases) if biases else None)


class Head:
    """The product with the vocabulary, its rows padded so that each row of logits starts aligned.

    Marian's 58,101 words would send the largest product of a step to the GPU's slow, unaligned kernels.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self._vocabulary = weight.shape[0]
        missing = -self._vocabulary % 64
        if missing:
            weight = F.pad(weight, (0, 0, 0, missing))
            bias = None if bias is None else F.pad(bias, (0, missing))
        self._linear = Linear(weight, bias)

    def __call__(self, hidden: Tensor) -> Tensor:
        return self._linear(hidden)[:, : self._vocabulary]


@dataclass(frozen=True, slots=True)
class Layer:
    """A decoder layer's weights; the norms in the order of the sublayers."""

    self_qkv: Linear
    self_out: Linear
    cross_query: Linear
    cross_kv: Linear
    cross_out: Linear
    feed_forward: Callable[[Tensor], Tensor]
    norms: tuple[Norm, Norm, Norm]


def norm_of(module: Any) -> Norm:
    """A layer norm of PyTorch, or T5's."""
    if isinstance(module, nn.LayerNorm):
        return Norm(module.weight.data, module.bias.data, module.eps)
    return Norm(module.weight.data, None, module.variance_epsilon, rms=True)
