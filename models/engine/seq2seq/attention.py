"""Attention over caches, and residual plus norm, in plain PyTorch: the reference for `kernels`.

Where a key lies is looked up in a table [slots, beams, time] of rows, so that reordering beams never copies
a cache. Runs everywhere; on a GPU the Triton kernels of the same names take its place.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """The view of a decoding step: its slots, and the places of their keys."""

    active: Tensor  # [B] slots
    num_beams: int
    position: Tensor  # [slots]
    table: Tensor  # [slots, beams, T]
    source_length: Tensor  # [slots]

    @property
    def num_rows(self) -> int:
        return self.active.shape[0] * self.num_beams

    def positions(self) -> Tensor:
        """The position [B * num_beams] of each row's input token."""
        position = self.position[self.active.long()].long().clamp(max=self.table.shape[2] - 1)
        return position.repeat_interleave(self.num_beams)


@dataclass(frozen=True, slots=True)
class Norm:
    """A layer norm, or T5's root-mean-square norm where there is no bias and no mean to take off."""

    weight: Tensor
    bias: Tensor | None
    eps: float
    rms: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        if not self.rms:
            return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        variance = x.float().pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + self.eps)).to(self.weight.dtype)


def self_attention(qkv: Tensor, cache: Tensor, batch: Batch, bias: Tensor | None, scale: float) -> Tensor:
    """Store the new keys and values, then attend to all so far.

    Shapes: qkv [N, 3, H, D]; cache [2, rows, T, H, D]; bias [H, T] by distance; returns [N, H * D].
    """
    query, key, value = qkv.unbind(1)
    position = batch.positions()
    table = batch.table[batch.active.long(), : batch.num_beams].reshape(batch.num_rows, -1).long()
    times = torch.arange(table.shape[1], device=qkv.device)
    row = table.gather(1, position[:, None])[:, 0]
    cache[0, row, position] = key
    cache[1, row, position] = value
    keys, values = cache[0, table, times], cache[1, table, times]  # [N, T, H, D]
    scores = torch.einsum("nhd,nthd->nht", query, keys).float() * scale
    distance = position[:, None] - times
    # Rows keep what requests before left: zero weight would not stop a NaN.
    values = values.masked_fill((distance < 0)[:, :, None, None], 0.0)
    if bias is not None:
        scores = scores + bias[:, distance.clamp(min=0)].transpose(0, 1).float()
    weights = scores.masked_fill((distance < 0)[:, None], -torch.inf).softmax(-1).to(qkv.dtype)
    return torch.einsum("nht,nthd->nhd", weights, values).flatten(1)


def cross_attention(query: Tensor, cache: Tensor, batch: Batch, scale: float) -> Tensor:
    """Attend to each slot's source, whose keys its beams share, up to its true length.

    Shapes: query [N, H, D]; cache [2, slots, H, S, D]; returns [N, H * D].
    """
    heads, width = query.shape[1:]
    slots = batch.active.long()
    keys, values = cache[0, slots], cache[1, slots]  # [B, H, S, D]
    query = query.view(len(slots), batch.num_beams, heads, width)
    scores = torch.einsum("bkhd,bhsd->bkhs", query, keys).float() * scale
    beyond = torch.arange(keys.shape[2], device=query.device) >= batch.source_length[slots][:, None]
    # Slots keep what sources before left, as rows do.
    values = values.masked_fill(beyond[:, None, :, None], 0.0)
    weights = scores.masked_fill(beyond[:, None, None], -torch.inf).softmax(-1).to(query.dtype)
    return torch.einsum("bkhs,bhsd->bkhd", weights, values).reshape(batch.num_rows, -1)


def add_norm(residual: Tensor, update: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
    """The sum of both, and its norm."""
    summed = residual + update
    return summed, norm(summed)
