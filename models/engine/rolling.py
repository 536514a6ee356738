"""Greedy searches of a decoder-only model that join and leave a batch between its steps.

The rows share the columns of their ids and caches, as in a batch of `generate` that is padded on the left:
the newest token stands in the last column, and a shorter row begins later. Rows that join are prefilled by
themselves, then both are padded to one length; when a long row leaves, its columns alone go with it. All
caches are as long as the text: where a layer has a sliding window, transformers' mask keeps to it. It knows
no queue, no futures and no time.
"""

import inspect
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache, LogitsProcessorList

from models.engine.generate import output_of, processors_for, stops_of
from models.engine.protocol import Decoding, Generation, Output


def takes(decoding: Decoding) -> bool:
    """Return True for a search that can join: greedy, with any edits but a forced first token."""
    return decoding.num_beams == 1 and decoding.forced_bos_token_id is None


@dataclass(eq=False, slots=True)
class RollingRow:
    """One search: its new tokens so far, the last of which may be a stop token."""

    generation: Generation
    stops: tuple[int, ...]
    processors: LogitsProcessorList
    tokens: list[int] = field(default_factory=list)
    log_probability: float = 0.0
    """Of the tokens as the model has it, before edits; a forced token is certain."""

    @property
    def length(self) -> int:
        """Tokens of the source and new ones."""
        return len(self.generation.source_ids) + len(self.tokens)

    @property
    def longest(self) -> int:
        """The most tokens that it may come to."""
        return len(self.generation.source_ids) + self.generation.decoding.max_new_tokens

    @property
    def stopped(self) -> bool:
        return bool(self.tokens) and self.tokens[-1] in self.stops

    @property
    def done(self) -> bool:
        return self.stopped or len(self.tokens) >= self.generation.decoding.max_new_tokens

    def take(self, token: int, log_probability: float) -> None:
        self.tokens.append(token)
        self.log_probability += log_probability

    def output(self) -> Output:
        decoding = self.generation.decoding
        score = self.log_probability / len(self.tokens) ** decoding.length_penalty
        return output_of(self.tokens, score, decoding, self.stops)


class RollingBatch:
    """The rows that run, over a loaded transformers model. One thread may use it."""

    def __init__(self, model: Any):
        self._model = model
        self._device = model.device
        if self._device.type == "cuda":
            # cuDNN makes a plan for each new shape, and each step has one; see `seq2seq.encoder`.
            torch.backends.cuda.enable_cudnn_sdp(False)
        named = inspect.signature(model.forward).parameters
        self._cache_argument = "cache" if "cache" in named else "past_key_values"  # before transformers 5.24
        self.clear()

    def clear(self) -> None:
        """Let go of all rows and of their caches; asks nothing of the device, which may be lost."""
        self.rows: list[RollingRow] = []
        self._cache = DynamicCache()
        self._ids = self._mask = torch.empty((0, 0), dtype=torch.long)

    def row_of(self, generation: Generation) -> RollingRow:
        """Return a row that has not begun; `takes` has to be true of its decoding."""
        decoding = generation.decoding
        stops = stops_of(decoding, self._model)
        processors = processors_for(decoding, len(generation.source_ids), stops, self._device)
        return RollingRow(generation, stops, processors)

    @torch.inference_mode()
    def join(self, rows: Sequence[RollingRow]) -> None:
        """Prefill the rows' sources, write each row's first token and put them beside those that run."""
        width = max(len(row.generation.source_ids) for row in rows)
        sources = [row.generation.source_ids for row in rows]
        ids = torch.tensor([(*[source[0]] * (width - len(source)), *source) for source in sources])
        mask = torch.tensor([[0] * (width - len(source)) + [1] * len(source) for source in sources])
        ids, mask, cache = ids.to(self._device), mask.to(self._device), DynamicCache()
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        logits = self._forward(ids, mask, positions, cache)
        ids, mask = self._written(rows, logits, ids, mask)
        if self.rows:
            self._merge(ids, mask, cache)
        else:
            self._ids, self._mask, self._cache = ids, mask, cache
        self.rows = [*self.rows, *rows]

    @torch.inference_mode()
    def step(self) -> None:
        """Write one more token of each row."""
        positions = self._mask.sum(-1, keepdim=True) - 1
        logits = self._forward(self._ids[:, -1:], self._mask, positions, self._cache)
        self._ids, self._mask = self._written(self.rows, logits, self._ids, self._mask)

    @torch.inference_mode()
    def keep(self, rows: Sequence[RollingRow]) -> None:
        """Let go of all rows but these, and of the columns in which none of these has a token."""
        if len(rows) == len(self.rows):
            return
        if not rows:
            self.clear()
            return
        kept = set(map(id, rows))
        places = [place for place, row in enumerate(self.rows) if id(row) in kept]
        self.rows = [self.rows[place] for place in places]
        chosen = torch.tensor(places, device=self._device)
        first = self._ids.shape[1] - max(row.length for row in self.rows)
        self._ids, self._mask = self._ids[chosen, first:], self._mask[chosen, first:]
        self._cache.batch_select_indices(chosen)
        for layer in self._layers(self._cache):
            layer.keys, layer.values = layer.keys[:, :, first:], layer.values[:, :, first:]

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        """The logits [rows, V] after the last column, in float32 as `generate` has them."""
        output = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=1,
            **{self._cache_argument: cache},
        )
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def _written(
        self, rows: Sequence[RollingRow], logits: Tensor, ids: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Choose each row's next token; ids and mask with the tokens' column."""
        scores = self._edited(rows, logits, ids)
        tokens = scores.argmax(-1)
        gains = logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(-1)
        if scores is not logits:
            gains = gains.masked_fill(scores.isfinite().sum(-1) == 1, 0.0)
        for row, token, gain in zip(rows, tokens.tolist(), gains.tolist(), strict=True):
            row.take(token, gain)
        return torch.cat([ids, tokens[:, None]], -1), pad(mask, (0, 1), value=1)

    def _edited(self, rows: Sequence[RollingRow], logits: Tensor, ids: Tensor) -> Tensor:
        """The values that tokens are chosen by."""
        alike: dict[Decoding, list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            if row.processors:
                alike[row.generation.decoding].append(place)
        scores = logits.clone() if alike else logits
        for decoding, places in alike.items():
            for part in [places] if _blind_to_place(decoding) else [[place] for place in places]:
                first = ids.shape[1] - max(rows[place].length for place in part)
                so_far: Any = ids[part, first:]
                edited: Any = scores[part]
                scores[part] = rows[part[0]].processors(so_far, edited)
        return scores

    def _merge(self, ids: Tensor, mask: Tensor, cache: DynamicCache) -> None:
        """Put the columns of rows that join below those of the rows that run."""
        width = max(ids.shape[1], self._ids.shape[1])
        old, new = width - self._ids.shape[1], width - ids.shape[1]
        self._ids = torch.cat([_led_in(self._ids, old), _led_in(ids, new)])
        self._mask = torch.cat([pad(self._mask, (old, 0)), pad(mask, (new, 0))])
        pairs = zip(self._layers(self._cache), self._layers(cache), strict=True)
        for layer, joining in pairs:
            layer.keys = _below(layer.keys, old, joining.keys, new)
            layer.values = _below(layer.values, old, joining.values, new)

    @staticmethod
    def _layers(cache: DynamicCache) -> Sequence[Any]:
        layers: Sequence[Any] = cache.layers
        return layers


def _led_in(ids: Tensor, columns: int) -> Tensor:
    """The ids with as many columns before them, which repeat what is there and so forbid nothing new."""
    return torch.cat([ids[:, :1].expand(-1, columns), ids], -1)


def _below(old: Tensor, before_old: int, new: Tensor, before_new: int) -> Tensor:
    """Caches [rows, heads, columns, d], each with columns put before it, one below the other."""
    return torch.cat([pad(old, (0, 0, before_old, 0)), pad(new, (0, 0, before_new, 0))])


def _blind_to_place(decoding: Decoding) -> bool:
    """Return True if the edits depend on which tokens there were, and not on where or how many."""
    return not (
        decoding.no_repeat_ngram_size or decoding.min_new_tokens or decoding.forced_eos_token_id is not None
    )
