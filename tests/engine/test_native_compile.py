"""Triton kernels compiled for an H100 on a machine without one: types, shapes and shared memory hold.

Needs Triton, as on Linux with a CUDA build of torch; skipped without it, and where a GPU runs the kernels.
"""

import pytest
import torch

from models.engine.native.attention import Batch, Norm
from models.engine.native.limits import Lane, Limits, Plan
from models.engine.native.search import SearchState

triton = pytest.importorskip("triton")
pytestmark = [
    pytest.mark.skipif(
        torch.cuda.is_available() or triton.knobs.runtime.interpret,
        reason="the kernels themselves are tested",
    ),
    pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION"),  # Triton 3.9
]
SHARED_MEMORY_BYTES = 232448  # what a block may have on an H100


class NoDriver:
    """Enough of Triton's driver to compile for a GPU that is not there."""

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device=None):
        return 0


@pytest.fixture
def compiled(monkeypatch):
    """The kernels that were called, compiled instead of run."""
    from triton.runtime.driver import driver
    from triton.runtime.jit import JITFunction

    run, seen = JITFunction.run, {}

    def compile_only(self, *args, grid, warmup, **options):
        kernel = run(self, *args, grid=grid, warmup=True, **options)
        seen[self.__name__] = kernel.metadata
        return kernel

    monkeypatch.setattr(JITFunction, "run", compile_only)
    monkeypatch.setattr(driver, "_active", NoDriver())
    return seen


@pytest.mark.parametrize(
    ("num_beams", "num_candidates", "vocabulary", "dtype", "t5"),
    [
        (1, 1, 50264, torch.bfloat16, False),  # BART, greedy
        (4, 8, 58101, torch.bfloat16, False),  # Marian
        (5, 10, 256206, torch.float32, False),  # NLLB
        (8, 24, 250112, torch.bfloat16, True),  # mT5 with two end tokens
    ],
)
def test_kernels_compile(compiled, num_beams, num_candidates, vocabulary, dtype, t5):
    from models.engine.native import kernels

    slots, heads, width, max_new, max_source = 4, 16, 64, 144, 1024
    limits = Limits(beam_widths=(8,), max_new_tokens=max_new)
    state = SearchState(Plan(slots, slots * 8), limits, start_token_id=2, device=torch.device("cpu"))
    active = torch.arange(slots, dtype=torch.int32)
    batch = Batch(active, num_beams, state.position, state.table, state.source_length)
    rows = slots * num_beams

    def zeros(*shape):
        return torch.zeros(*shape, dtype=dtype)

    bias = zeros(heads, max_new) if t5 else None
    qkv, cache = zeros(rows, 3, heads, width), zeros(2, rows, max_new, heads, width)
    kernels.self_attention(qkv, cache, batch, bias, 1.0)
    kernels.cross_attention(zeros(rows, heads, width), zeros(2, slots, heads, max_source, width), batch, 1.0)
    norm = Norm(zeros(1024), None if t5 else zeros(1024), 1e-5, rms=t5)
    kernels.add_norm(zeros(rows, 1024), zeros(rows, 1024), norm)
    kernels.advance(
        state,
        active,
        Lane(num_beams, num_candidates),
        zeros(rows, -(-vocabulary // 64) * 64)[:, :vocabulary],
    )
    choose = "_choose_greedy" if num_beams == 1 else "_choose_beams"
    attention = {"_self_attention", "_cross_attention", "_join_parts", "_add_norm"}
    assert set(compiled) == attention | {"_normalize", "_edit", "_take_best", choose}
    assert max(metadata.shared for metadata in compiled.values()) <= SHARED_MEMORY_BYTES
