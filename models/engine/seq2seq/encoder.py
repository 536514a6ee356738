"""Sources through transformers' encoder into the cross-attention cache.

Batches are sorted by length and bounded in tokens, so that little is padding and running requests do not wait
long. A batch that fails is halved until the source at fault stands alone. Knows nothing of search.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from models.engine.seq2seq.decoder import Decoder
from models.engine.seq2seq.state import Start, host_tensor, to_device

MAX_BATCH_TOKENS = 16384


class Encoder:
    """Fills the cross cache [layers, 2, slots, H, S, D]."""

    def __init__(self, model: Any, decoder: Decoder, cross_cache: Tensor):
        if cross_cache.is_cuda:
            # cuDNN makes a plan for each new shape, and almost every batch of sources has one. Left: flash,
            # efficient and plain attention; for the whole process, as PyTorch's choice is.
            torch.backends.cuda.enable_cudnn_sdp(False)
        self._encode = model.get_encoder()
        self._decoder = decoder
        self._cache = cross_cache
        self._padding = model.config.pad_token_id or 0
        self.max_batch_tokens = MAX_BATCH_TOKENS
        """Padding counted in; halved when the device's memory does not suffice."""

    def encode(self, sources: Sequence[Start]) -> dict[int, Exception]:
        """Encode all sources; returns the slots whose source could not be encoded, and why."""
        failed: dict[int, Exception] = {}
        groups = list(self._groups(sources))[::-1]
        while groups:
            group = groups.pop()
            error = self._error_of(group)
            if error is None:
                continue
            if len(group) == 1:
                failed[group[0].slot] = error
                continue
            if isinstance(error, torch.OutOfMemoryError):
                self._halve_batches(group)
            middle = len(group) // 2
            groups += [group[middle:], group[:middle]]
        return failed

    def _error_of(self, group: Sequence[Start]) -> Exception | None:
        """Encode the group; what went wrong, without the frames that hold on to the device's memory."""
        try:
            self._encode_group(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must hit the source at fault alone
            return error.with_traceback(None)
        return None

    def _halve_batches(self, group: Sequence[Start]) -> None:
        self.max_batch_tokens = max(1, len(group) * len(group[0].token_ids) // 2)
        if self._cache.is_cuda:
            torch.cuda.empty_cache()

    def _groups(self, sources: Sequence[Start]) -> Iterator[list[Start]]:
        """The longest sources first, as many as `max_batch_tokens` allows together."""
        left = sorted(sources, key=lambda source: -len(source.token_ids))
        while left:
            most = max(1, self.max_batch_tokens // len(left[0].token_ids))
            yield left[:most]
            left = left[most:]

    def _encode_group(self, group: Sequence[Start]) -> None:
        ids, mask = self._padded(group)
        slots = to_device(host_tensor(source.slot for source in group), self._cache.device).long()
        encoded = self._encode(input_ids=ids, attention_mask=mask).last_hidden_state
        for index, cache in enumerate(self._cache):
            fresh = self._decoder.cross_keys_values(index, encoded)
            cache[:, :, :, : ids.shape[1]].index_copy_(1, slots, fresh)

    def _padded(self, group: Sequence[Start]) -> tuple[Tensor, Tensor | None]:
        """Ids [b, s], and where some of them are padding an additive mask [b, 1, s, s].

        Four dimensions, because transformers inspects a mask of two, and the host would wait for the device.
        """
        longest = len(group[0].token_ids)
        if self._cache.is_cuda and len(group) > 1:
            # Fused attention with a mask wants lengths in steps of 8.
            longest = min(-(-longest // 8) * 8, self._cache.shape[4])
        together = array("i")
        for source in group:
            together.extend(source.token_ids)
        lengths = host_tensor(len(source.token_ids) for source in group)
        there = torch.arange(longest) < lengths[:, None]
        flat = torch.frombuffer(together, dtype=torch.int32).long()
        ids = torch.full(there.shape, self._padding).masked_scatter_(there, flat)
        device, dtype = self._cache.device, self._cache.dtype
        if len(together) == ids.numel():
            return to_device(ids, device), None
        mask = torch.zeros(there.shape, dtype=dtype).masked_fill_(~there, torch.finfo(dtype).min)
        return to_device(ids, device), to_device(mask, device)[:, None, None].expand(-1, 1, longest, -1)
