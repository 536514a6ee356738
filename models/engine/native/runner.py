"""Everything on the device: caches, encoding, decoding steps and their CUDA graphs, and reading results back.

Waits for the device only in `Arriving.wait`, which the engine calls a step late. Knows no queues, futures or
time.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor

from models.engine.gpu import WORKING_BYTES, lack_of_triton
from models.engine.native import attention, search
from models.engine.native.attention import Batch
from models.engine.native.limits import Lane, Limits, Plan, plan
from models.engine.native.model import Encoder, decoder_of, start_token_id
from models.engine.native.scheduler import Request
from models.engine.native.search import SearchState, host_tensor, to_device

Step = Callable[[Tensor, Lane], None]


def kernels_on(device: torch.device) -> ModuleType | None:
    """Return `kernels` if they can run: on CUDA where Triton can build them, or in Triton's interpreter."""
    try:
        import triton
    except ImportError:
        return None
    interpreted = hasattr(triton, "knobs") and triton.knobs.runtime.interpret
    if interpreted or (device.type == "cuda" and not lack_of_triton()):
        from models.engine.native import kernels

        return kernels
    return None


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
        kernels = kernels_on(device)
        self._advance = (kernels or search).advance
        self.decoder = decoder_of(model, kernels or attention, limits.max_new_tokens)
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
        self.state = SearchState(self.plan, limits, start_token_id(model), device)
        self.encoder = Encoder(model, self.decoder, self.cross_cache)
        self._graphs = Graphs(self.plan, device)

    def capture(self, lanes: Sequence[Lane]) -> None:
        """Capture the graphs of these lanes; no others may run."""
        for lane in lanes:
            self._graphs.capture_all(lane, self._step)

    def begin(self, requests: Sequence[Request]) -> dict[int, Exception]:
        """Encode the requests' sources and reset their slots; returns the slots that failed, and why."""
        failed = self.encoder.encode(requests)
        well = [request for request in requests if request.place.slot not in failed]
        if well:
            self.state.begin(well)
        return failed

    def set_active(self, lane: Lane, slots: Sequence[int]) -> None:
        """From the next step on the lane runs these slots."""
        self._graphs.set_active(lane, slots)

    def step(self, lane: Lane) -> None:
        """One decoding step of the lane's active slots."""
        self._graphs.run(lane, self._step)

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


class Graphs:
    """Decoding steps, replayed from CUDA graphs: one graph for each lane and bucket of slots.

    A bucket is a number of slots that a step is padded to; all graphs share one pool of memory, and all are
    captured before the first step runs. Off CUDA the steps simply run. The step, `step(active, lane)`, is
    given and never kept: whatever held the runner in a circle would keep its memory where the collector is
    frozen.
    """

    # CUDA allows one capture at a time in a process, and a model may be loaded while another one runs.
    _capturing: ClassVar[threading.Lock] = threading.Lock()
    # One a device for all warm-ups and captures: matrix products keep 32 MiB of workspace for each stream,
    # for good. Graphs may share it, as all are replayed on the same stream, the default one.
    _streams: ClassVar[dict[int | None, Any]] = {}

    def __init__(self, plan: Plan, device: torch.device):
        self._plan = plan
        self._device = device
        self._on_cuda = device.type == "cuda"
        self._graphs: dict[tuple[Lane, int], tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self._active: dict[Lane, tuple[torch.cuda.CUDAGraph | None, Tensor]] = {}
        """The graph that a lane replays, if any, and its slots."""
        self._pool: Any = torch.cuda.graph_pool_handle() if self._on_cuda else None
        if self._on_cuda and device.index not in self._streams:
            self._streams[device.index] = torch.cuda.Stream(device)
        self._stream: Any = self._streams.get(device.index)

    def set_active(self, lane: Lane, slots: Sequence[int]) -> None:
        """See `Runner.set_active`."""
        if not self._on_cuda:  # nothing is captured, so nothing need be padded
            self._active[lane] = None, host_tensor(slots).to(self._device)
            return
        buckets = self._buckets(lane)
        bucket = buckets[bisect_left(buckets, len(slots))]
        graph, active = self._graphs[lane, bucket]
        # The slot after the last is the spare one: what it computes is thrown away.
        padded = [*slots, *[self._plan.num_slots] * (bucket - len(slots))]
        active.copy_(to_device(host_tensor(padded), self._device))
        self._active[lane] = graph, active

    def run(self, lane: Lane, step: Step) -> None:
        """One step of the lane's active slots."""
        graph, active = self._active[lane]
        if graph is None:
            step(active, lane)
        else:
            graph.replay()

    def capture_all(self, lane: Lane, step: Step) -> None:
        """Capture the lane's graph for every bucket, the largest first: the others fit into its memory.

        Raises whatever the step or CUDA raises; others may go on using the device then.
        """
        if self._on_cuda:
            for bucket in reversed(self._buckets(lane)):
                self._graphs[lane, bucket] = self._capture(lane, bucket, step)

    def _buckets(self, lane: Lane) -> list[int]:
        """1, 2, 4, 8, 12, then in steps of about an eighth up to all that the lane can hold."""
        most = min(self._plan.num_slots, self._plan.num_rows // lane.num_beams)
        buckets, size = [1, 2, 4, 8, 12], 16
        while size < most:
            buckets.append(size)
            size += max(8, 1 << (size.bit_length() - 3))
        return [*(bucket for bucket in buckets if bucket < most), most]

    def _capture(self, lane: Lane, bucket: int, step: Step) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        active = torch.full((bucket,), self._plan.num_slots, dtype=torch.int32, device=self._device)
        stream = self._stream
        with self._capturing:
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):  # libraries and Triton set themselves up outside the capture
                step(active, lane)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with (
                self._undone_on_failure(),
                torch.cuda.graph(graph, self._pool, stream, capture_error_mode="thread_local"),
            ):
                step(active, lane)
        return graph, active

    @contextmanager
    def _undone_on_failure(self) -> Iterator[None]:
        """Give the thread its stream again where a capture fails, which `torch.cuda.graph` may not do."""
        before = torch.cuda.current_stream()
        try:
            yield
        except BaseException:
            torch.cuda.set_stream(before)
            raise


def _free_bytes(device: torch.device, fraction: float) -> int | None:
    """Return the bytes of the device's memory for caches; encoder and steps work in the rest.

    The share is that of the whole memory, so that the first model to be loaded gets no more than the last.
    """
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()  # what loading the model left behind is free as well
    free, whole = torch.cuda.mem_get_info(device)
    return max(0, min(int(whole * fraction), free - WORKING_BYTES))
