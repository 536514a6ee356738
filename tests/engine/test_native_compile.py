"""The Triton kernels, compiled by the engine's own launches for GPUs that are not there.

What comes out is the code that a card would get: no error, no spilled registers, no more shared memory than a
block may have. Some models on all targets here; `COMPILE=all` takes all of them in both kinds of numbers.
Needs Triton, as on Linux with a CUDA build of torch; skipped without it, and where Triton's interpreter runs.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
import torch

from models.engine.native.attention import Batch, Norm
from models.engine.native.limits import Plan, RequestChecks, limits_for
from models.engine.native.search import SearchState

triton = pytest.importorskip("triton")
pytestmark = pytest.mark.skipif(triton.knobs.runtime.interpret, reason="the interpreter compiles nothing")

META = torch.device("meta")
SHARED_BYTES = {80: 166912, 86: 101376, 89: 101376, 90: 232448, 100: 232448, 120: 101376}
"""What a block may have, by compute capability."""
SPILLED_BYTES = 16
"""Of a thread's stack: one variant among 1,200 has these."""

# heads, head width, model width, vocabulary, beams, source tokens, new tokens, end tokens, T5
MODELS = {
    "bart": (16, 64, 1024, 50264, 4, 1024, 256, 1, False),
    "bart-greedy": (16, 64, 1024, 50264, 1, 1024, 256, 1, False),
    "marian": (8, 64, 512, 58101, 4, 512, 512, 1, False),
    "marian-6": (8, 64, 512, 65001, 6, 512, 512, 1, False),
    "pegasus": (16, 64, 1024, 96103, 8, 1024, 64, 1, False),
    "t5": (12, 64, 768, 32128, 4, 512, 256, 1, True),
    "mt5": (12, 64, 768, 250112, 4, 512, 84, 2, True),
    "mbart": (16, 64, 1024, 250027, 5, 1024, 512, 1, False),
    "nllb": (16, 64, 1024, 256206, 4, 512, 512, 1, False),
    "nllb-3.3B": (16, 128, 2048, 256206, 4, 512, 512, 1, False),
    "m2m100": (16, 64, 1024, 128112, 5, 1024, 512, 1, False),
    "head of 80": (16, 80, 1280, 50264, 4, 1024, 256, 1, False),
    "tiny": (2, 8, 16, 83, 4, 24, 16, 2, True),
}
SOME = [(90, "bart"), (80, "marian"), (100, "nllb-3.3B"), (86, "t5"), (89, "pegasus"), (120, "m2m100")]
ALL = [(sm, model) for sm in SHARED_BYTES for model in MODELS]
EVERYTHING = os.environ.get("COMPILE") == "all"


class NoDriver:
    """Enough of Triton's driver to compile for a GPU that is not there."""

    def __init__(self, sm):
        self.sm = sm

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.sm, 32)

    def get_current_device(self):
        return self.sm  # each has kernels of its own

    def get_current_stream(self, device=None):
        return 0

    def get_active_torch_device(self):
        return META


@pytest.fixture
def compiled(monkeypatch):
    """Has kernels that are called compiled instead of run: `compiled(sm)` is what came of them, by hash."""
    from triton.runtime.driver import driver
    from triton.runtime.jit import JITFunction

    run, seen = JITFunction.run, {}

    def compile_only(self, *args, grid, warmup, **options):
        kernel = run(self, *args, grid=grid, warmup=True, **options)
        seen[kernel.hash] = kernel
        return kernel

    def target(sm):
        monkeypatch.setattr(driver, "_active", NoDriver(sm))
        return seen

    monkeypatch.setattr(JITFunction, "run", compile_only)
    return target


def launch(model, dtype, buckets, vocabulary=None):
    """Call each kernel as a step of the model's engine does, for so many slots (`buckets`) of each lane."""
    from models.engine.native import kernels

    heads, head_width, width, words, beams, source, new, stops, t5 = MODELS[model]
    words = vocabulary or words
    limits = limits_for(beams, source, new, stops)
    plan = Plan(limits.max_slots, limits.max_slots * beams)
    state = SearchState(plan, limits, start_token_id=2, device=META)

    def empty(*shape):
        return torch.empty(*shape, dtype=dtype, device=META)

    self_cache = empty(2, plan.num_rows + 1, new, heads, head_width)
    cross_cache = empty(2, plan.num_slots + 1, heads, source, head_width)
    norm = Norm(empty(width), None if t5 else empty(width), 1e-5, rms=t5)
    for lane in RequestChecks(limits, words, words, (2,)).lanes():
        for slots in buckets:
            slots = min(slots, plan.num_rows // lane.num_beams)
            active = torch.empty(slots, dtype=torch.int32, device=META)
            batch = Batch(active, lane.num_beams, state.position, state.table, state.source_length)
            rows, bias = slots * lane.num_beams, empty(heads, new) if t5 else None
            kernels.self_attention(empty(rows, 3, heads, head_width), self_cache, batch, bias, 1.0)
            kernels.cross_attention(empty(rows, heads, head_width), cross_cache, batch, 1.0)
            kernels.add_norm(empty(rows, width), empty(rows, width), norm)
            kernels.advance(state, active, lane, empty(rows, -(-words // 64) * 64)[:, :words])


def stack_bytes(kernel, folder):
    """What a thread keeps on its stack: registers that were spilled, for one."""
    file = folder / "kernel.cubin"
    file.write_bytes(kernel.asm["cubin"])
    cuobjdump = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    told = subprocess.run([cuobjdump, "-res-usage", file], capture_output=True, text=True, check=True).stdout
    return max(int(found) for found in re.findall(r"STACK:(\d+)", told))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32] if EVERYTHING else [torch.bfloat16])
@pytest.mark.parametrize(("sm", "model"), ALL if EVERYTHING else SOME)
def test_kernels_compile(compiled, tmp_path, sm, model, dtype):
    kernels = compiled(sm)
    launch(model, dtype, [1, 4, 12, 128, 1024] if EVERYTHING else [1024])
    assert len({kernel.metadata.name for kernel in kernels.values()}) >= 7
    for kernel in kernels.values():
        assert kernel.metadata.shared <= SHARED_BYTES[sm], kernel.metadata.name
        assert stack_bytes(kernel, tmp_path) <= SPILLED_BYTES, kernel.metadata.name


def test_another_vocabulary_compiles_nothing_anew(compiled):
    kernels = compiled(80)
    launch("marian", torch.bfloat16, [1024])
    before = set(kernels)
    launch("marian", torch.bfloat16, [1024], vocabulary=53017)  # in fewer chunks, too
    assert set(kernels) == before
