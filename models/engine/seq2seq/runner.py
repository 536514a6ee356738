"""All that happens on the device: caches, encoding, decoding steps, and what is read back of them.

Never waits for the device but in `Arriving.wait`, which the engine calls a step late.
Knows nothing of queues, futures or time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from models.engine.card import WORKING_BYTES
from models.engine.seq2seq import kernels, search
from models.engine.seq2seq.attention import Batch
from models.engine.seq2seq.decoder import decoder_of
from models.engine.seq2seq.encoder import Encoder
from models.engine.seq2seq.graphs import Graphs
from models.engine.seq2seq.memory import Limits, plan
from models.engine.seq2seq.scheduler import Lane
from models.engine.seq2seq.state import SearchState, Start, host_tensor, to_device


@dataclass(frozen=True, slots=True)
class Arriving:
    """Tensors on their way to the host."""

    tensors: Sequence[Tensor]
    arrived: torch.cuda.Event | None = None

    def wait(self) -> Sequence[Tensor]:
        """The tensors, once they are there."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.tensors


class Runner:
    """One model's caches and graphs on one device; used by one thread."""

    def __init__(self, model: Any, *, device: torch.device, dtype: torch.dtype, limits: Limits):
        self.device = device
        self._advance = _search_on(device)
        self.decoder = decoder_of(model, device, limits.max_new_tokens)
        layers, heads, width = len(self.decoder.layers), self.decoder.num_heads, self.decoder.head_width
        self.plan = plan(
            limits,
            token_bytes=2 * layers * heads * width * dtype.itemsize,
            logits_bytes=self.decoder.vocabulary * dtype.itemsize,
            free_bytes=_free_bytes(device, limits.memory_fraction),
        )
        # One slot and one row more than planned: padding of a step's bucket writes there.
        slots, rows = self.plan.num_slots + 1, self.plan.num_rows + 1
        # A CPU's memory is taken when it is first written to, and zeros would be written at once.
        room = partial(torch.empty if device.type == "cpu" else torch.zeros, dtype=dtype, device=device)
        self.cross_cache = room(layers, 2, slots, heads, limits.max_source_tokens, width)
        self.self_cache = room(layers, 2, rows, limits.max_new_tokens, heads, width)
        self.state = SearchState(self.plan, limits, _start_token_id(model), device)
        self.encoder = Encoder(model, self.decoder, self.cross_cache)
        self._graphs = Graphs(self._step, self.plan, device)

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

    def read_back(self) -> Arriving:
        """Start copying [2, slots + 1] to the host: whether each is finished, and its first beam's token."""
        return self._to_host(torch.stack((self.state.finished, self.state.token[:, 0])))

    def fetch(self, slots: Sequence[int], num_hypotheses: int, longest: int) -> Arriving:
        """Start copying these slots' best hypotheses to the host; the slots may be used anew at once.

        Lengths [n, k], scores [n, k], and tokens [n, k, longest], which none is longer than.
        """
        index = to_device(host_tensor(slots), self.device).long()
        state = self.state
        found = (state.done_length, state.done_score, state.done_tokens[:, :, :longest])
        return self._to_host(*(each[index, :num_hypotheses] for each in found))

    def _to_host(self, *tensors: Tensor) -> Arriving:
        if self.device.type != "cuda":
            return Arriving(tensors)
        hosts = [torch.empty_like(tensor, device="cpu", pin_memory=True) for tensor in tensors]
        for host, tensor in zip(hosts, tensors, strict=True):
            host.copy_(tensor, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        return Arriving(hosts, arrived)


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
