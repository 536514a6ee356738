"""The state of every search on the device, one slot each.

One slot more than asked for takes the writes that nobody wants. Knows what a search has to remember, not how
it moves on: that is `search` and `search_kernels`.
"""

import functools
import itertools
import struct
from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.engine.protocol import Decoding
from models.engine.seq2seq.checks import MAX_STOP_TOKENS, MAX_SUPPRESSED_TOKENS
from models.engine.seq2seq.memory import Limits, Plan

NEVER = -1.0e9
"""transformers' score of a hypothesis that must not win (`_beam_search`)."""

# Columns of `SearchState.settings`.
MAX_NEW, MIN_NEW, NGRAM, FORCED_FIRST, FORCED_LAST, EARLY_STOPPING, NUM_SUPPRESSED, RENORMALIZE, STOP = range(
    9
)
NUM_SETTINGS = STOP + MAX_STOP_TOKENS
STOP_EARLY, STOP_NEVER = 1, 2


class Start(NamedTuple):
    """The needs of a slot that begins."""

    slot: int
    rows: tuple[int, ...]
    token_ids: Sequence[int]
    """The source's."""
    decoding: Decoding
    stop_token_ids: tuple[int, ...]


class SearchState:
    """All searches; S slots, K beams at most, T new tokens at most."""

    def __init__(self, plan: Plan, limits: Limits, start_token_id: int, device: torch.device):
        num_slots, num_rows = plan
        max_beams, max_new_tokens = max(limits.beam_widths), limits.max_new_tokens

        def whole(*shape: int, fill: int = 0) -> Tensor:
            return torch.full((num_slots + 1, *shape), fill, dtype=torch.int32, device=device)

        def real(*shape: int, fill: float = 0.0) -> Tensor:
            return torch.full((num_slots + 1, *shape), fill, dtype=torch.float32, device=device)

        self.device = device
        self.spare_slot = num_slots
        self.max_beams = max_beams
        self.max_new_tokens = max_new_tokens
        self.start_token_id = start_token_id
        self.settings = whole(NUM_SETTINGS, fill=-1)  # [S, NUM_SETTINGS]
        self.penalties = real(2, fill=1.0)  # [S, 2]: length penalty, repetition penalty
        self.suppressed = whole(MAX_SUPPRESSED_TOKENS, fill=-1)  # [S, n], as many as the setting says
        self.rows = whole(max_beams, fill=num_rows)  # [S, K]: each beam's row of the cache
        self.source_length = whole(fill=1)  # [S]
        self.position = whole()  # [S]: new tokens so far
        self.finished = whole(fill=1)  # [S]
        self.improvable = whole(fill=1)  # [S]: whether running hypotheses may beat the finished ones
        self.token = whole(max_beams)  # [S, K]: the decoder's next input
        self.score = real(max_beams)  # [S, K]: log probability of each running hypothesis
        self.history = whole(max_beams, max_new_tokens + 1)  # [S, K, T + 1], the start token first
        self.table = whole(max_beams, max_new_tokens, fill=num_rows)  # [S, K, T]: where each key is
        self.done_score = real(max_beams, fill=NEVER)  # [S, K], best first
        self.done = whole(max_beams)  # [S, K]: whether there is a finished hypothesis at all
        self.done_length = whole(max_beams)  # [S, K]
        self.done_tokens = whole(max_beams, max_new_tokens)  # [S, K, T]
        # Only the first beam counts at first, or all beams would hold the same tokens.
        self._first_scores = torch.full((max_beams,), NEVER, device=device)
        self._first_scores[0] = 0.0

    def begin(self, starts: Sequence[Start]) -> None:
        """Reset these slots for new requests; the host does not wait."""
        told = self._table(
            (s.slot, len(s.token_ids), *_settings(s.decoding, s.stop_token_ids), *s.rows)
            + s.rows[:1] * (self.max_beams - len(s.rows))
            for s in starts
        )
        slots, rows = told[:, 0].long(), told[:, -self.max_beams :]
        self.source_length.index_copy_(0, slots, told[:, 1])
        self.penalties.index_copy_(0, slots, told[:, 2:4].view(torch.float32))
        self.settings.index_copy_(0, slots, told[:, 4 : 4 + NUM_SETTINGS])
        self.rows.index_copy_(0, slots, rows)
        self.table[:, :, 0].index_copy_(0, slots, rows)
        self.history[:, :, 0].index_fill_(0, slots, self.start_token_id)
        self.token.index_fill_(0, slots, self.start_token_id)
        self.score.index_copy_(0, slots, self._first_scores.expand(len(starts), -1))
        self.done_score.index_fill_(0, slots, NEVER)
        self.improvable.index_fill_(0, slots, 1)
        for zeroed in (self.position, self.finished, self.done, self.done_length):
            zeroed.index_fill_(0, slots, 0)
        self._suppress(starts)

    def _suppress(self, starts: Sequence[Start]) -> None:
        some = [start for start in starts if start.decoding.suppressed_token_ids]
        if some:
            lists = (_padded(s.decoding.suppressed_token_ids, MAX_SUPPRESSED_TOKENS) for s in some)
            slots = to_device(host_tensor(start.slot for start in some), self.device).long()
            self.suppressed.index_copy_(0, slots, self._table(lists))

    def _table(self, rows: Iterable[Iterable[int]]) -> Tensor:
        """Equally long rows as one tensor."""
        lists = list(rows)
        flat = host_tensor(itertools.chain.from_iterable(lists))
        return to_device(flat.view(len(lists), -1), self.device)


def host_tensor(values: Iterable[int]) -> Tensor:
    """A 32-bit tensor on the host: through an array, ten times as fast as `torch.tensor` of a list."""
    return torch.frombuffer(array("i", values), dtype=torch.int32)


def to_device(host: Tensor, device: torch.device) -> Tensor:
    """Copy without making the host wait for the device."""
    if device.type == "cuda":
        return host.pin_memory().to(device, non_blocking=True)
    return host.to(device)


def _padded(values: Sequence[int], length: int) -> list[int]:
    return [*values, *[-1] * (length - len(values))]


@functools.lru_cache(maxsize=256)
def _settings(decoding: Decoding, stop_token_ids: tuple[int, ...]) -> tuple[int, ...]:
    """The two penalties' bits, and the settings."""
    first, last = decoding.forced_bos_token_id, decoding.forced_eos_token_id
    return (
        *struct.unpack("ii", struct.pack("ff", decoding.length_penalty, decoding.repetition_penalty)),
        decoding.max_new_tokens,
        decoding.min_new_tokens,
        decoding.no_repeat_ngram_size,
        -1 if first is None else first,
        -1 if last is None else last,
        {True: STOP_EARLY, "never": STOP_NEVER}.get(decoding.early_stopping, 0),
        len(decoding.suppressed_token_ids),
        decoding.renormalize_logits,
        *_padded(stop_token_ids, MAX_STOP_TOKENS),
    )
