"""The attention and norm functions of `attention`, as Triton kernels.

Same names, arguments and results; the plain functions are the reference. Without Triton the module can still
be imported, and `usable_on` says no.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

import shutil

import torch
from torch import Tensor

from models.engine.seq2seq.attention import Batch, Norm

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None


def usable_on(device: torch.device) -> bool:
    """Return whether the kernels can run: on CUDA with Triton and a C compiler, or in Triton's interpreter.

    Triton builds each kernel's launcher with the machine's own compiler, which a slim image may lack.
    """
    if triton is None:
        return False
    if hasattr(triton, "knobs") and triton.knobs.runtime.interpret:
        return True
    return device.type == "cuda" and any(map(shutil.which, ("cc", "gcc", "clang")))


def self_attention(qkv: Tensor, cache: Tensor, batch: Batch, bias: Tensor | None, scale: float) -> Tensor:
    """`attention.self_attention`: one program a row and head, the keys found through the table."""
    rows, _, heads, width = qkv.shape
    out = torch.empty(rows, heads * width, dtype=qkv.dtype, device=qkv.device)
    _self_attention[(rows, heads)](
        qkv, cache[0], cache[1], batch.active, batch.position, batch.table, qkv if bias is None else bias,
        out, scale, batch.table.shape[1], T=batch.table.shape[2], H=heads, D=width,
        D_PADDED=triton.next_power_of_2(width), BEAMS=batch.num_beams, HAS_BIAS=bias is not None, BLOCK=32,
        num_warps=2,
    )  # fmt: skip
    return out


def cross_attention(query: Tensor, cache: Tensor, batch: Batch, scale: float) -> Tensor:
    """`attention.cross_attention`: one program a slot, head and part of the source.

    The beams of a slot go through the matrix units together. With few slots the source is split, so that
    enough programs read it at the same time, and a second kernel joins the parts.
    """
    rows, heads, width = query.shape
    slots = batch.active.shape[0]
    splits = _splits(slots * heads, cache.shape[3])
    out = torch.empty(rows, heads * width, dtype=query.dtype, device=query.device)
    padded, precision = triton.next_power_of_2(width), "ieee" if query.dtype == torch.float32 else "tf32"
    parts = torch.empty(splits, rows, heads, width + 2, dtype=torch.float32, device=query.device)
    _cross_attention[(slots, heads, splits)](
        query, cache[0], cache[1], batch.active, batch.source_length, out, parts, scale, rows,
        S=cache.shape[3], H=heads, D=width, D_PADDED=max(16, padded), BEAMS=batch.num_beams,
        BEAMS_PADDED=max(16, triton.next_power_of_2(batch.num_beams)), BLOCK=64, SPLITS=splits,
        PRECISION=precision, num_warps=4,
    )  # fmt: skip
    if splits > 1:
        join = _join_parts[(rows, heads)]
        join(parts, out, rows, H=heads, D=width, D_PADDED=padded, SPLITS=splits, num_warps=1)
    return out


def _splits(num_programs: int, longest: int) -> int:
    """Enough parts for two programs on each of a large GPU's 132 processors, none under 128 tokens."""
    splits = 1
    while splits * num_programs < 264 and longest // (2 * splits) >= 128:
        splits *= 2
    return splits


def add_norm(residual: Tensor, update: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
    """`attention.add_norm` in one pass over the rows."""
    summed, normed = torch.empty_like(residual), torch.empty_like(residual)
    rows, width = residual.shape
    _add_norm[(rows,)](
        residual, update, norm.weight, norm.weight if norm.bias is None else norm.bias, summed, normed,
        norm.eps, WIDTH=width, BLOCK=triton.next_power_of_2(width), HAS_BIAS=norm.bias is not None,
        RMS=norm.rms, num_warps=4 if width >= 512 else 2,
    )  # fmt: skip
    return summed, normed


if triton is not None:

    @triton.jit
    def _self_attention(
        qkv, keys, values, active, position, table, bias, out, scale, table_beams,
        T: tl.constexpr, H: tl.constexpr, D: tl.constexpr, D_PADDED: tl.constexpr, BEAMS: tl.constexpr,
        HAS_BIAS: tl.constexpr, BLOCK: tl.constexpr,
    ):  # fmt: skip
        n, h = tl.program_id(0), tl.program_id(1)
        d = tl.arange(0, D_PADDED)
        inside = d < D
        slot = tl.load(active + n // BEAMS)
        rows = table + (slot * table_beams + n % BEAMS) * T
        p = tl.minimum(tl.load(position + slot), T - 1)

        here = ((tl.load(rows + p).to(tl.int64) * T + p) * H + h) * D + d
        new = (n * 3 * H + h) * D + d
        q = tl.load(qkv + new, mask=inside, other=0.0).to(tl.float32) * scale
        new_k = tl.load(qkv + new + H * D, mask=inside, other=0.0)
        new_v = tl.load(qkv + new + 2 * H * D, mask=inside, other=0.0)
        tl.store(keys + here, new_k, mask=inside)
        tl.store(values + here, new_v, mask=inside)

        # The newest key starts the running softmax from registers; the loop reads those before it.
        top = tl.sum(q * new_k.to(tl.float32))
        if HAS_BIAS:
            top += tl.load(bias + h * T).to(tl.float32)
        total = 1.0
        acc = new_v.to(tl.float32)
        for start in range(0, p, BLOCK):
            t = start + tl.arange(0, BLOCK)
            past = t < p
            row = tl.load(rows + t, mask=past, other=0).to(tl.int64)
            where = (((row * T + t) * H + h) * D)[:, None] + d[None]
            both = past[:, None] & inside[None]
            k = tl.load(keys + where, mask=both, other=0.0).to(tl.float32)
            v = tl.load(values + where, mask=both, other=0.0).to(tl.float32)
            score = tl.sum(k * q[None], 1)
            if HAS_BIAS:
                score += tl.load(bias + h * T + p - t, mask=past, other=0.0).to(tl.float32)
            score = tl.where(past, score, -float("inf"))
            higher = tl.maximum(top, tl.max(score, 0))
            weight = tl.exp(score - higher)
            old = tl.exp(top - higher)
            acc = acc * old + tl.sum(weight[:, None] * v, 0)
            total = total * old + tl.sum(weight, 0)
            top = higher
        tl.store(out + (n * H + h) * D + d, (acc / total).to(out.dtype.element_ty), mask=inside)

    @triton.jit
    def _cross_attention(
        query, keys, values, active, source_length, out, parts, scale, num_rows,
        S: tl.constexpr, H: tl.constexpr, D: tl.constexpr, D_PADDED: tl.constexpr, BEAMS: tl.constexpr,
        BEAMS_PADDED: tl.constexpr, BLOCK: tl.constexpr, SPLITS: tl.constexpr, PRECISION: tl.constexpr,
    ):  # fmt: skip
        b, h, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
        d = tl.arange(0, D_PADDED)
        beam = tl.arange(0, BEAMS_PADDED)
        inside = d < D
        n = b * BEAMS + beam
        mine = (beam < BEAMS)[:, None] & inside[None]
        place = (n[:, None] * H + h) * D + d[None]
        q = tl.load(query + place, mask=mine, other=0.0)
        slot = tl.load(active + b).to(tl.int64)
        length = tl.load(source_length + slot)
        base = (slot * H + h) * S * D
        blocks = tl.cdiv(length, BLOCK)
        first = part * tl.cdiv(blocks, SPLITS) * BLOCK
        end = tl.minimum(first + tl.cdiv(blocks, SPLITS) * BLOCK, length)

        # A finite lowest score, so that a part that no token falls into joins with weight zero and no NaN.
        top = tl.full([BEAMS_PADDED], -1.0e30, tl.float32)
        total = tl.zeros([BEAMS_PADDED], tl.float32)
        acc = tl.zeros([BEAMS_PADDED, D_PADDED], tl.float32)
        for start in range(first, end, BLOCK):
            s = start + tl.arange(0, BLOCK)
            there = (s < end)[:, None] & inside[None]
            where = base + s[:, None] * D + d[None]
            k = tl.load(keys + where, mask=there, other=0.0)
            score = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
            score = tl.where((s < end)[None], score, -float("inf"))
            higher = tl.maximum(top, tl.max(score, 1))
            weight = tl.exp(score - higher[:, None])
            old = tl.exp(top - higher)
            v = tl.load(values + where, mask=there, other=0.0)
            acc = acc * old[:, None] + tl.dot(weight.to(v.dtype), v, input_precision=PRECISION)
            total = total * old + tl.sum(weight, 1)
            top = higher
        if SPLITS == 1:
            tl.store(out + place, (acc / total[:, None]).to(out.dtype.element_ty), mask=mine)
        else:
            record = ((part * num_rows + n) * H + h) * (D + 2)
            tl.store(parts + record[:, None] + d[None], acc, mask=mine)
            tl.store(parts + record + D, top, mask=beam < BEAMS)
            tl.store(parts + record + D + 1, total, mask=beam < BEAMS)

    @triton.jit
    def _join_parts(
        parts, out, num_rows, H: tl.constexpr, D: tl.constexpr, D_PADDED: tl.constexpr, SPLITS: tl.constexpr
    ):
        n, h = tl.program_id(0), tl.program_id(1)
        d = tl.arange(0, D_PADDED)
        part = tl.arange(0, SPLITS)
        record = ((part * num_rows + n) * H + h) * (D + 2)
        top = tl.load(parts + record + D)
        weight = tl.exp(top - tl.max(top, 0))
        total = tl.sum(tl.load(parts + record + D + 1) * weight, 0)
        acc = tl.load(parts + record[:, None] + d[None], mask=(d < D)[None], other=0.0)
        joined = tl.sum(acc * weight[:, None], 0) / total
        tl.store(out + (n * H + h) * D + d, joined.to(out.dtype.element_ty), mask=d < D)

    @triton.jit
    def _add_norm(
        residual, update, weight, bias, summed, normed, eps,
        WIDTH: tl.constexpr, BLOCK: tl.constexpr, HAS_BIAS: tl.constexpr, RMS: tl.constexpr,
    ):  # fmt: skip
        i = tl.arange(0, BLOCK)
        inside = i < WIDTH
        place = tl.program_id(0) * WIDTH + i
        x = tl.load(residual + place, mask=inside, other=0.0).to(tl.float32)
        x += tl.load(update + place, mask=inside, other=0.0).to(tl.float32)
        # Rounded as a sum of two tensors would be, before anything is made of it.
        rounded = x.to(summed.dtype.element_ty)
        tl.store(summed + place, rounded, mask=inside)
        x = rounded.to(tl.float32)
        w = tl.load(weight + i, mask=inside, other=0.0).to(tl.float32)
        if not RMS:
            x = tl.where(inside, x - tl.sum(x, 0) / WIDTH, 0.0)
        x = x * tl.rsqrt(tl.sum(x * x, 0) / WIDTH + eps)
        if RMS:
            x = x.to(normed.dtype.element_ty).to(tl.float32)
        x = x * w
        if HAS_BIAS:
            x += tl.load(bias + i, mask=inside, other=0.0).to(tl.float32)
        tl.store(normed + place, x.to(normed.dtype.element_ty), mask=inside)
