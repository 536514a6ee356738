"""Attention over caches, and residual plus norm, in plain PyTorch: the reference for `kernels`.

Where a key lies is looked up in a table [slots, beams, time] of rows, so that reordering beams never copies
a cache. Runs everywhere, and reads whole caches; on a GPU the Triton kernels of the same names replace it.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
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

    @cached_property
    def slots(self) -> Tensor:
        """`active` as an index."""
        return self.active.long()

    @cached_property
    def positions(self) -> Tensor:
        """The position [N] of each row's input token."""
        position = self.position[self.slots].long().clamp(max=self.table.shape[2] - 1)
        return position.repeat_interleave(self.num_beams)

    @cached_property
    def distance(self) -> Tensor:
        """How far back each time is from each row's input token [N, T]; less than 0 where nothing is yet."""
        return self.positions[:, None] - torch.arange(self.table.shape[2], device=self.table.device)

    @cached_property
    def places(self) -> Tensor:
        """Where the rows' keys are [N, T], in a cache [rows * T].

        Rows keep what earlier requests left, and zero weight would not stop a NaN: so beyond a row's newest
        key that key is read again.
        """
        most = self.table.shape[2]
        rows = self.table[self.slots, : self.num_beams].reshape(self.num_rows, most).long()
        places = rows * most + torch.arange(most, device=rows.device)
        return torch.where(self.distance < 0, places.gather(1, self.positions[:, None]), places)


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
    query, *fresh = qkv.unbind(1)
    newest = batch.places.gather(1, batch.positions[:, None])[:, 0]
    kept = cache.view(2, -1, *query.shape[1:])
    for kind, new in zip(kept, fresh, strict=True):
        kind.index_copy_(0, newest, new)
    keys, values = (kind.index_select(0, batch.places.flatten()) for kind in kept)
    shape = (*batch.places.shape, *query.shape[1:])
    scores = torch.einsum("nhd,nthd->nht", query, keys.view(shape)).float() * scale
    if bias is not None:
        scores += bias[:, batch.distance.clamp(min=0)].transpose(0, 1)
    weights = scores.masked_fill_((batch.distance < 0)[:, None], -torch.inf).softmax(-1).to(qkv.dtype)
    return torch.einsum("nht,nthd->nhd", weights, values.view(shape)).flatten(1)


def cross_attention(query: Tensor, cache: Tensor, batch: Batch, scale: float) -> Tensor:
    """Attend to each slot's source, whose keys its beams share, up to its true length.

    Shapes: query [N, H, D]; cache [2, slots, H, S, D]; returns [N, H * D].
    """
    lengths = batch.source_length[batch.slots]
    keys, values = (kind[batch.slots] for kind in cache)  # [B, H, S, D]
    query = query.unflatten(0, (-1, batch.num_beams))
    scores = torch.einsum("bkhd,bhsd->bkhs", query, keys).float() * scale
    beyond = torch.arange(cache.shape[3], device=query.device) >= lengths[:, None]
    # Slots keep what earlier sources left: zero weight would not stop a NaN.
    values.masked_fill_(beyond[:, None, :, None], 0.0)
    weights = scores.masked_fill_(beyond[:, None, None], -torch.inf).softmax(-1).to(query.dtype)
    return torch.einsum("bkhs,bhsd->bkhd", weights, values).reshape(batch.num_rows, -1)


def add_norm(residual: Tensor, update: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
    """The sum of both, and its norm."""
    summed = residual + update
    return summed, norm(summed)
