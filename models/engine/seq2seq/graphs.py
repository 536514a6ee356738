"""Decoding steps, replayed from CUDA graphs: one graph for each lane and bucket of slots.

A bucket is a number of slots that a step is padded to; all graphs share one pool of memory, and all are
captured before the first step runs. Off CUDA the steps simply run. Knows nothing of what a step does.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import torch
from torch import Tensor

from models.engine.seq2seq.memory import Plan
from models.engine.seq2seq.scheduler import Lane
from models.engine.seq2seq.state import host_tensor, to_device

Step = Callable[[Tensor, Lane], None]


class Graphs:
    """Runs `step(active, lane)` for the slots that are active in a lane."""

    # CUDA allows one capture at a time in a process, and a model may be loaded while another one runs.
    _capturing: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, step: Step, plan: Plan, device: torch.device):
        self._step = step
        self._plan = plan
        self._device = device
        self._sizes: dict[Lane, list[int]] = {}
        self._graphs: dict[tuple[Lane, int], tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        on_cuda = device.type == "cuda"
        self._pool: Any = torch.cuda.graph_pool_handle() if on_cuda else None
        # The same for each warm-up and capture: matrix products keep 32 MiB of workspace for each stream.
        self._stream: Any = torch.cuda.Stream(device) if on_cuda else None
        self._replay: dict[Lane, Callable[[], None]] = {}

    def set_active(self, lane: Lane, slots: Sequence[int]) -> float:
        """From the next step on the lane runs these slots; returns which part of the bucket they fill."""
        bucket = self._bucket(lane, len(slots))
        # The slot after the last is the spare one: what it computes is thrown away.
        padded = [*slots, *[self._plan.num_slots] * (bucket - len(slots))]
        active = to_device(host_tensor(padded), self._device)
        if self._device.type != "cuda":
            self._replay[lane] = lambda: self._step(active, lane)
        else:
            graph, graph_active = self._graphs[lane, bucket]
            graph_active.copy_(active)
            self._replay[lane] = graph.replay
        return len(slots) / bucket

    def run(self, lane: Lane) -> None:
        """One step of the lane's active slots."""
        self._replay[lane]()

    def capture_all(self, lane: Lane) -> None:
        """Capture the lane's graph for every bucket, the largest first: the others fit into its memory.

        Raises whatever the step or CUDA raises; others may go on using the device then.
        """
        if self._device.type == "cuda":
            for bucket in reversed(self.buckets(lane)):
                self._graphs[lane, bucket] = self._capture(lane, bucket)

    def buckets(self, lane: Lane) -> list[int]:
        """1, 2, 4, 8, 12, then in steps of about an eighth up to all that the lane can hold."""
        if lane not in self._sizes:
            most = min(self._plan.num_slots, self._plan.num_rows // lane.num_beams)
            buckets, size = [1, 2, 4, 8, 12], 16
            while size < most:
                buckets.append(size)
                size += max(8, 1 << (size.bit_length() - 3))
            self._sizes[lane] = [*(bucket for bucket in buckets if bucket < most), most]
        return self._sizes[lane]

    def _bucket(self, lane: Lane, num_active: int) -> int:
        if self._device.type != "cuda":
            return num_active  # nothing is captured, so nothing need be padded
        buckets = self.buckets(lane)
        return buckets[bisect_left(buckets, num_active)]

    def _capture(self, lane: Lane, bucket: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        active = torch.full((bucket,), self._plan.num_slots, dtype=torch.int32, device=self._device)
        stream = self._stream
        with self._capturing:
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):  # libraries and Triton set themselves up outside the capture
                self._step(active, lane)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with (
                self._undone_on_failure(),
                torch.cuda.graph(graph, self._pool, stream, capture_error_mode="thread_local"),
            ):
                self._step(active, lane)
        return graph, active

    @contextmanager
    def _undone_on_failure(self) -> Iterator[None]:
        """Give the thread its stream and the allocator its peace again where a capture fails.

        `torch.cuda.graph` leaves its stream current if the capture cannot be ended, and PyTorch before 2.12
        (pull request 180395) then goes on allocating from the graph's pool and frees nothing any more.
        """
        before = torch.cuda.current_stream()
        try:
            yield
        except BaseException:
            torch.cuda.set_stream(before)
            with suppress(RuntimeError):  # it was closed
                torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), self._pool)
            raise
