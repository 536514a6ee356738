"""All that happens on the device: caches, encoding, decoding steps, and what is read back of them.

Never waits for the device but in `Readback.wait` and `Results.wait`, which the engine calls a step late.
Knows nothing of queues, futures or time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.engine.card import WORKING_BYTES
from models.engine.seq2seq import kernels, search
from models.engine.seq2seq.attention import Batch
from models.engine.seq2seq.decoder import decoder_of
from models.engine.seq2seq.encoder import Encoder
from models.engine.seq2seq.graphs import Graphs
from models.engine.seq2seq.memory import Shapes, plan
from models.engine.seq2seq.scheduler import Lane
from models.engine.seq2seq.state import SearchState, Start, host_tensor, to_device


@dataclass(frozen=True, slots=True)
class Readback:
    """Every slot's state after a step, on its way to the host."""

    step: int
    numbers: Tensor  # [2, slots + 1]: finished, the token just chosen
    arrived: torch.cuda.Event | None

    def wait(self) -> tuple[list[int], Tensor]:
        """The slots that are finished, and each slot's last token (of its first beam)."""
        if self.arrived is not None:
            self.arrived.synchronize()
        finished, tokens = self.numbers
        return finished[:-1].nonzero()[:, 0].tolist(), tokens


@dataclass(frozen=True, slots=True)
class Results:
    """The best `k` hypotheses of some slots, best first, on their way to the host."""

    lengths: Tensor  # [n, k]
    scores: Tensor  # [n, k]
    tokens: Tensor  # [n, k, t], as long as the longest may be
    arrived: torch.cuda.Event | None

    def wait(self) -> list[list[tuple[list[int], float]]]:
        """Token ids and score of each hypothesis, slot by slot."""
        if self.arrived is not None:
            self.arrived.synchronize()
        rows = zip(self.lengths.tolist(), self.scores.tolist(), self.tokens.numpy(), strict=True)
        return [
            [(tokens[:length].tolist(), score) for length, score, tokens in zip(*each, strict=True)]
            for each in rows
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The sizes that the engine was built for."""

    max_slots: int
    beam_widths: tuple[int, ...]
    """The model's own first; searches run with these and no others."""
    max_stop_tokens: int
    max_source_tokens: int
    max_new_tokens: int
    max_encoder_tokens: int
    memory_fraction: float


class Runner:
    """One model's caches and graphs on one device; used by one thread."""

    def __init__(self, model: Any, *, device: torch.device, dtype: torch.dtype, limits: Limits):
        self.device = device
        self._advance = _search_on(device)
        self.decoder = decoder_of(model, device, limits.max_new_tokens)
        shapes = Shapes(
            num_layers=len(self.decoder.layers),
            num_heads=self.decoder.num_heads,
            head_width=self.decoder.head_width,
            max_source_tokens=limits.max_source_tokens,
            max_new_tokens=limits.max_new_tokens,
            vocabulary=self.decoder.vocabulary,
            bytes_per_value=dtype.itemsize,
            max_beams=max(limits.beam_widths),
        )
        self.plan = plan(
            shapes,
            max_slots=limits.max_slots,
            beams_per_slot=limits.beam_widths[0],
            free_bytes=_free_bytes(device, limits.memory_fraction),
        )
        self._allocate(model, shapes, dtype, limits)
        slots, rows = self.plan.num_slots, self.plan.num_rows
        self._graphs = Graphs(self._step, num_slots=slots, num_rows=rows, device=device)

    def _allocate(self, model: Any, shapes: Shapes, dtype: torch.dtype, limits: Limits) -> None:
        # One slot and one row more than planned: padding of a step's bucket writes there.
        slots, rows = self.plan.num_slots + 1, self.plan.num_rows + 1
        layers, heads, width = shapes.num_layers, shapes.num_heads, shapes.head_width
        self.cross_cache = torch.zeros(
            layers, 2, slots, heads, shapes.max_source_tokens, width, dtype=dtype, device=self.device
        )
        self.self_cache = torch.zeros(
            layers, 2, rows, shapes.max_new_tokens, heads, width, dtype=dtype, device=self.device
        )
        self.state = SearchState(
            num_slots=self.plan.num_slots,
            num_rows=self.plan.num_rows,
            max_beams=shapes.max_beams,
            max_new_tokens=shapes.max_new_tokens,
            start_token_id=_start_token_id(model),
            device=self.device,
        )
        most = limits.max_encoder_tokens
        self.encoder = Encoder(model, self.decoder, self.cross_cache, max_batch_tokens=most)

    def capture(self, lanes: Sequence[Lane]) -> None:
        """Capture the graphs of these lanes; no others may run."""
        for lane in lanes:
            self._graphs.capture_all(lane)

    def begin(self, starts: Sequence[Start]) -> dict[int, Exception]:
        """Encode the sources and reset their slots; returns the slots that failed, and why."""
        failed = self.encoder.encode(starts)
        well = [start for start in starts if start.slot not in failed]
        if well:
            self.state.begin(well)
        return failed

    def set_active(self, lane: Lane, slots: Sequence[int]) -> float:
        return self._graphs.set_active(lane, slots)

    def step(self, lane: Lane) -> None:
        """One decoding step of the lane's active slots."""
        self._graphs.run(lane)

    def _step(self, active: Tensor, lane: Lane) -> None:
        state = self.state
        batch = Batch(active, lane.num_beams, state.position, state.table, state.source_length)
        tokens = state.token[active.long(), : lane.num_beams].reshape(-1)
        logits = self.decoder.logits(tokens, batch, self.self_cache, self.cross_cache)
        self._advance(state, active, lane, logits)

    def read_back(self, step: int) -> Readback:
        """Start copying every slot's state to the host."""
        numbers = torch.stack((self.state.finished, self.state.token[:, 0]))
        (host,), arrived = self._to_host(numbers)
        return Readback(step, host, arrived)

    def fetch(self, slots: Sequence[int], num_hypotheses: int, longest: int) -> Results:
        """Start copying these slots' best hypotheses to the host; the slots may be used anew at once.

        None of them is longer than `longest`.
        """
        index = to_device(host_tensor(slots), self.device).long()
        state = self.state
        found = (state.done_length, state.done_score, state.done_tokens[:, :, :longest])
        (lengths, scores, tokens), arrived = self._to_host(*(each[index, :num_hypotheses] for each in found))
        return Results(lengths, scores, tokens, arrived)

    def _to_host(self, *tensors: Tensor) -> tuple[list[Tensor], torch.cuda.Event | None]:
        if self.device.type != "cuda":
            return list(tensors), None
        hosts = [torch.empty_like(tensor, device="cpu", pin_memory=True) for tensor in tensors]
        for host, tensor in zip(hosts, tensors, strict=True):
            host.copy_(tensor, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        return hosts, arrived


def _search_on(device: torch.device) -> Callable[[SearchState, Tensor, Lane, Tensor], None]:
    """`search.advance`, as Triton kernels where they can run."""
    if kernels.usable_on(device):
        from models.engine.seq2seq import search_kernels

        return search_kernels.advance
    return search.advance


def _start_token_id(model: Any) -> int:
    start = model.generation_config.decoder_start_token_id
    return int(model.config.decoder_start_token_id if start is None else start)


def _free_bytes(device: torch.device, fraction: float) -> int | None:
    """Return the bytes of the device's memory for caches; encoder and steps work in the rest.

    The share is that of the whole memory, so that the first model to be loaded gets no more than the last.
    """
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()  # what loading the model left behind is free as well
    free, whole = torch.cuda.mem_get_info(device)
    return max(0, min(int(whole * fraction), free - WORKING_BYTES))
