"""The engine's Triton kernels: attention and norms as in `attention`, and `search.advance`.

Same names, arguments and results; the plain functions are the reference. Imported only if `runner.kernels_on`
allows it. Top-k has two levels: each chunk of the vocabulary yields its best tokens, then one program per
slot chooses among them and updates the slot.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from models.engine.native import search as layout
from models.engine.native.attention import Batch, Norm
from models.engine.native.limits import MAX_NGRAM_SIZE, MAX_STOP_TOKENS, MAX_SUPPRESSED_TOKENS, Lane
from models.engine.native.search import SearchState

MIN_CHUNK = 1024
MAX_CHUNKS = 64

_MAX_NEW = tl.constexpr(layout.MAX_NEW)
_MIN_NEW = tl.constexpr(layout.MIN_NEW)
_NGRAM = tl.constexpr(layout.NGRAM)
_FORCED_FIRST = tl.constexpr(layout.FORCED_FIRST)
_FORCED_LAST = tl.constexpr(layout.FORCED_LAST)
_EARLY_STOPPING = tl.constexpr(layout.EARLY_STOPPING)
_HOW_MANY_SUPPRESSED = tl.constexpr(layout.NUM_SUPPRESSED)
_RENORMALIZE = tl.constexpr(layout.RENORMALIZE)
_STOP = tl.constexpr(layout.STOP)
_NUM_SETTINGS = tl.constexpr(layout.NUM_SETTINGS)
_STOP_EARLY = tl.constexpr(layout.STOP_EARLY)
_STOP_NEVER = tl.constexpr(layout.STOP_NEVER)
_NEVER = tl.constexpr(layout.NEVER)
_NUM_STOPS = tl.constexpr(MAX_STOP_TOKENS)
_MAX_SUPPRESSED = tl.constexpr(MAX_SUPPRESSED_TOKENS)
_MAX_NGRAM = tl.constexpr(MAX_NGRAM_SIZE)

# ------------------------------------------------------------------------------------- attention and norms


def self_attention(qkv: Tensor, cache: Tensor, batch: Batch, bias: Tensor | None, scale: float) -> Tensor:
    """`attention.self_attention`: one program a row and head, the keys found through the table."""
    rows, _, heads, width = qkv.shape
    out = torch.empty(rows, heads * width, dtype=qkv.dtype, device=qkv.device)
    _self_attention[(rows, heads)](
        qkv, cache[0], cache[1], batch.active, batch.position, batch.table, qkv if bias is None else bias,
        out, scale, batch.table.shape[1], T=batch.table.shape[2], H=heads, D=width,
        D_PADDED=triton.next_power_of_2(width), BEAMS=batch.num_beams, HAS_BIAS=bias is not None, BLOCK=32,
        num_warps=2, enable_fp_fusion=True,
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
        PRECISION=precision, num_warps=4, enable_fp_fusion=True,
    )  # fmt: skip
    if splits > 1:
        join = _join_parts[(rows, heads)]
        join(
            parts, out, rows, H=heads, D=width, D_PADDED=padded, SPLITS=splits, num_warps=1,
            enable_fp_fusion=True,
        )  # fmt: skip
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
        RMS=norm.rms, num_warps=4 if width >= 512 else 2, enable_fp_fusion=True,
    )  # fmt: skip
    return summed, normed


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


# ------------------------------------------------------------------------------------- a step of search


def advance(state: SearchState, active: Tensor, lane: Lane, logits: Tensor) -> None:
    """`search.advance`; the logits are edited in place."""
    rows, vocabulary = logits.shape
    chunk = max(MIN_CHUNK, triton.next_power_of_2(triton.cdiv(vocabulary, MAX_CHUNKS)))
    chunks = triton.cdiv(vocabulary, chunk)
    beams, kept = lane
    parts = torch.empty(rows, chunks, 2, dtype=torch.float32, device=logits.device)
    value = torch.empty(rows, chunks, kept, dtype=torch.float32, device=logits.device)
    token = torch.empty(rows, chunks, kept, dtype=torch.int32, device=logits.device)
    # The vocabulary's sizes are known when a kernel runs, so that models of all vocabularies share it.
    sizes, chunks_padded = (vocabulary, logits.stride(0)), triton.next_power_of_2(chunks)
    width = {"CHUNK": chunk, "num_warps": 4 if chunk > 1024 else 2, "enable_fp_fusion": True}
    slots = {
        "BEAMS": beams, "STATE_BEAMS": state.max_beams, "T": state.max_new_tokens,
        "T_PADDED": triton.next_power_of_2(state.max_new_tokens + 1), "CHUNKS_PADDED": chunks_padded,
        "enable_fp_fusion": True,
    }  # fmt: skip
    _normalize[(rows, chunks)](logits, parts, *sizes, **width)
    _edit[(rows,)](
        logits, parts, active, state.settings, state.suppressed, state.penalties, state.position,
        state.finished, state.history, logits.stride(0), chunks, **slots, num_warps=4,
    )  # fmt: skip
    _take_best[(rows, chunks)](
        logits, parts, value, token, active, state.settings, *sizes, BEAMS=beams, KEPT=kept, **width
    )
    if beams == 1:
        _choose_greedy[(len(active),)](
            value, token, parts, active, state.settings, state.penalties, state.rows, state.position,
            state.finished, state.token, state.score, state.history, state.table, state.done_score,
            state.done_length, state.done_tokens, chunks, **slots, num_warps=1,
        )  # fmt: skip
        return
    entries = triton.next_power_of_2(beams * chunks_padded * kept)
    _choose_beams[(len(active),)](
        value, token, parts, active, state.settings, state.penalties, state.rows, state.position,
        state.finished, state.improvable, state.token, state.score, state.history, state.table,
        state.done_score, state.done, state.done_length, state.done_tokens, chunks, CANDIDATES=kept,
        CANDIDATES_PADDED=triton.next_power_of_2(kept), BEAMS_PADDED=triton.next_power_of_2(beams),
        ENTRIES=entries, BLOCK=64, **slots, num_warps=4 if entries <= 4096 else 8,
    )  # fmt: skip


@triton.jit
def _normalize(logits, parts, V, ROOM, CHUNK: tl.constexpr):
    """A chunk's highest logit, and its sum of exponentials relative to that."""
    n, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    i = chunk * CHUNK + tl.arange(0, CHUNK)
    x = _logits(logits + n * ROOM, i, V, ROOM)
    top = tl.max(x, 0)
    record = parts + (n * tl.num_programs(1) + chunk) * 2
    tl.store(record, top)
    tl.store(record + 1, tl.sum(tl.exp(x - top), 0))


@triton.jit
def _logits(row, i, V, ROOM):
    # A mask that ends on an aligned place keeps the loads wide; what lies between V and ROOM is thrown away.
    x = tl.load(row + i, mask=i < ROOM, other=-float("inf")).to(tl.float32)
    return tl.where(i < V, x, -float("inf"))


@triton.jit
def _log_normalizer(parts, n, CHUNKS, CHUNKS_PADDED: tl.constexpr):
    i = tl.arange(0, CHUNKS_PADDED)
    record = parts + (n * CHUNKS + i) * 2
    top = tl.load(record, mask=i < CHUNKS, other=-float("inf"))
    total = tl.load(record + 1, mask=i < CHUNKS, other=0.0)
    highest = tl.max(top, 0)
    return highest + tl.log(tl.sum(total * tl.exp(top - highest), 0))


@triton.jit
def _edit(
    logits, parts, active, settings, suppressed, penalties, position, finished, history, ROOM, CHUNKS,
    BEAMS: tl.constexpr, STATE_BEAMS: tl.constexpr, T: tl.constexpr, T_PADDED: tl.constexpr,
    CHUNKS_PADDED: tl.constexpr,
):  # fmt: skip
    """Repetition penalty, n-gram bans, the end's ban before the minimum, suppressed tokens: in place."""
    n = tl.program_id(0)
    slot = tl.load(active + n // BEAMS)
    mine = settings + slot * _NUM_SETTINGS
    penalty = tl.load(penalties + slot * 2 + 1)
    ngram = tl.load(mine + _NGRAM)
    p = tl.minimum(tl.load(position + slot), T - 1)
    too_early = p < tl.load(mine + _MIN_NEW)
    num_suppressed = tl.load(mine + _HOW_MANY_SUPPRESSED)
    if tl.load(finished + slot) == 0:
        row = logits + n.to(tl.int64) * ROOM
        past = history + (slot * STATE_BEAMS + n % BEAMS) * (T + 1)
        t = tl.arange(0, T_PADDED)
        seen = t <= p
        token = tl.load(past + t, mask=seen, other=0)
        if penalty != 1.0:
            # Beam search penalizes log probabilities, greedy search the logits themselves.
            shift = 0.0
            if BEAMS > 1:
                shift = _log_normalizer(parts, n, CHUNKS, CHUNKS_PADDED)
            x = tl.load(row + token, mask=seen, other=0.0).to(tl.float32) - shift
            x = tl.where(x < 0, x * penalty, x / penalty) + shift
            tl.debug_barrier()  # a token seen twice must be read twice before it is written
            tl.store(row + token, x.to(logits.dtype.element_ty), mask=seen)
            tl.debug_barrier()
        if ngram > 0:
            banned = seen & (t >= ngram - 1)
            for back in tl.static_range(1, _MAX_NGRAM):
                if back < ngram:
                    tail = tl.load(past + tl.maximum(p + 1 - back, 0))
                    before = tl.load(past + t - back, mask=seen & (t >= back), other=-1)
                    banned = banned & (before == tail)
            tl.store(row + token, tl.full([T_PADDED], -float("inf"), logits.dtype.element_ty), mask=banned)
        if too_early:
            i = tl.arange(0, _NUM_STOPS)
            stop = tl.load(mine + _STOP + i)
            never = tl.full([_NUM_STOPS], -float("inf"), logits.dtype.element_ty)
            tl.store(row + stop, never, mask=stop >= 0)
        if num_suppressed > 0:
            i = tl.arange(0, _MAX_SUPPRESSED)
            gone = tl.load(suppressed + slot * _MAX_SUPPRESSED + i, mask=i < num_suppressed, other=-1)
            nevermore = tl.full([_MAX_SUPPRESSED], -float("inf"), logits.dtype.element_ty)
            tl.store(row + gone, nevermore, mask=gone >= 0)


@triton.jit
def _take_best(
    logits, parts, value, token, active, settings, V, ROOM, BEAMS: tl.constexpr, KEPT: tl.constexpr,
    CHUNK: tl.constexpr,
):  # fmt: skip
    """The chunk's best tokens, best first; its part of the normalizer anew where that counts the edits."""
    n, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    i = chunk * CHUNK + tl.arange(0, CHUNK)
    x = _logits(logits + n * ROOM, i, V, ROOM)
    slot = tl.load(active + n // BEAMS)
    if (BEAMS > 1) & (tl.load(settings + slot * _NUM_SETTINGS + _RENORMALIZE) > 0):
        part = parts + (n * tl.num_programs(1) + chunk) * 2
        top = tl.maximum(tl.max(x, 0), -1.0e30)  # finite even where all is forbidden
        tl.store(part, top)
        tl.store(part + 1, tl.sum(tl.exp(x - top), 0))
    record = (n * tl.num_programs(1) + chunk) * KEPT
    for place in tl.static_range(KEPT):
        best, at = tl.max(x, 0, return_indices=True)
        tl.store(value + record + place, best)
        tl.store(token + record + place, tl.minimum(chunk * CHUNK + at, V - 1))
        x = tl.where(i == chunk * CHUNK + at, -float("inf"), x)


@triton.jit
def _choose_greedy(
    value, token, parts, active, settings, penalties, rows, position, finished, next_token, score, history,
    table, done_score, done_length, done_tokens, CHUNKS,
    BEAMS: tl.constexpr, STATE_BEAMS: tl.constexpr, T: tl.constexpr, T_PADDED: tl.constexpr,
    CHUNKS_PADDED: tl.constexpr,
):  # fmt: skip
    """One slot's next token and its books."""
    n = tl.program_id(0)
    slot = tl.load(active + n)
    if tl.load(finished + slot) == 0:
        mine = settings + slot * _NUM_SETTINGS
        first = slot * STATE_BEAMS  # greedy search lives in the slot's first beam
        p = tl.minimum(tl.load(position + slot), T - 1)
        i = tl.arange(0, CHUNKS_PADDED)
        x = tl.load(value + n * CHUNKS + i, mask=i < CHUNKS, other=-float("inf"))
        best, at = tl.max(x, 0, return_indices=True)
        chosen = tl.load(token + n * CHUNKS + tl.minimum(at, CHUNKS - 1))

        # The score is the model's own: undo the penalty that a repeated token had.
        t = tl.arange(0, T_PADDED)
        past = tl.load(history + first * (T + 1) + t, mask=t <= p, other=-1)
        repeated = tl.max((past == chosen).to(tl.int32), 0) > 0
        penalty = tl.where(repeated, tl.load(penalties + slot * 2 + 1), 1.0)
        gain = tl.where(best < 0, best / penalty, best * penalty)
        gain -= _log_normalizer(parts, n, CHUNKS, CHUNKS_PADDED)
        forced = _forced_token(mine, p)
        chosen = tl.where(forced >= 0, forced, chosen)
        total = tl.load(score + first) + tl.where(forced >= 0, 0.0, gain)

        length = p + 1
        stop = tl.load(mine + _STOP + tl.arange(0, _NUM_STOPS))
        ends = (tl.max((stop == chosen).to(tl.int32), 0) > 0) | (length >= tl.load(mine + _MAX_NEW))
        tl.store(next_token + first, chosen)
        tl.store(score + first, total)
        tl.store(history + first * (T + 1) + length, chosen)
        tl.store(table + first * T + length, tl.load(rows + first), mask=length < T)
        tl.store(done_tokens + first * T + p, chosen)
        tl.store(done_length + first, length)
        length_penalty = tl.load(penalties + slot * 2)
        tl.store(done_score + first, total / _power(length, length_penalty))
        tl.store(position + slot, length)
        tl.store(finished + slot, ends.to(tl.int32))


@triton.jit
def _choose_beams(
    value, token, parts, active, settings, penalties, rows, position, finished, improvable, next_token, score,
    history, table, done_score, done, done_length, done_tokens, CHUNKS,
    CANDIDATES: tl.constexpr, CANDIDATES_PADDED: tl.constexpr, BEAMS_PADDED: tl.constexpr,
    ENTRIES: tl.constexpr, BLOCK: tl.constexpr, BEAMS: tl.constexpr, STATE_BEAMS: tl.constexpr,
    T: tl.constexpr, T_PADDED: tl.constexpr, CHUNKS_PADDED: tl.constexpr,
):  # fmt: skip
    """One slot's candidates, its finished hypotheses, those that go on, and whether it is finished.

    `c` are the candidates, the best continuations of the slot's beams; `k` the finished hypotheses so far.
    """
    b = tl.program_id(0)
    slot = tl.load(active + b)
    if tl.load(finished + slot) == 0:
        mine = settings + slot * _NUM_SETTINGS
        first = slot * STATE_BEAMS
        p = tl.minimum(tl.load(position + slot), T - 1)
        length = p + 1
        c, k = tl.arange(0, CANDIDATES_PADDED), tl.arange(0, BEAMS_PADDED)

        # Score, token and beam of the best continuations of all beams (`_get_top_k_continuations`).
        e = tl.arange(0, ENTRIES)
        entry = b * BEAMS * CHUNKS * CANDIDATES + e
        x = tl.load(value + entry, mask=e < BEAMS * CHUNKS * CANDIDATES, other=-float("inf"))
        for beam in tl.static_range(BEAMS):
            so_far = tl.load(score + first + beam)
            so_far -= _log_normalizer(parts, b * BEAMS + beam, CHUNKS, CHUNKS_PADDED)
            x = tl.where(e // (CHUNKS * CANDIDATES) == beam, x + so_far, x)
        found = tl.full([CANDIDATES_PADDED], -float("inf"), tl.float32)
        source = tl.zeros([CANDIDATES_PADDED], tl.int32)
        for place in tl.static_range(CANDIDATES):
            best, at = tl.max(x, 0, return_indices=True)
            found = tl.where(c == place, best, found)
            source = tl.where(c == place, tl.minimum(at, BEAMS * CHUNKS * CANDIDATES - 1), source)
            x = tl.where(e == at, -float("inf"), x)
        chosen = tl.load(token + b * BEAMS * CHUNKS * CANDIDATES + source)
        origin = source // (CHUNKS * CANDIDATES)
        forced = _forced_token(mine, p)
        if forced >= 0:
            # Each beam has this one continuation, which is certain; beams are in the order of their scores.
            found = tl.load(score + first + c, mask=c < BEAMS, other=-float("inf"))
            origin = tl.minimum(c, BEAMS - 1)
            chosen = tl.zeros([CANDIDATES_PADDED], tl.int32) + forced

        # Which candidates end their hypothesis, by their token or by the limit of new tokens.
        stops = tl.zeros([CANDIDATES_PADDED], tl.int32) + (length >= tl.load(mine + _MAX_NEW)).to(tl.int32)
        for place in tl.static_range(_NUM_STOPS):
            stops = stops | (chosen == tl.load(mine + _STOP + place)).to(tl.int32)

        # The finished hypotheses, old and new, by their ranks among both (`_update_finished_beams`).
        old_score = tl.load(done_score + first + k, mask=k < BEAMS, other=-float("inf"))
        old_done = tl.load(done + first + k, mask=k < BEAMS, other=1)
        old_length = tl.load(done_length + first + k, mask=k < BEAMS, other=0)
        could_improve = tl.load(improvable + slot)
        early_stopping = tl.load(mine + _EARLY_STOPPING)
        shut = (could_improve == 0) | ((early_stopping == _STOP_EARLY) & (tl.min(old_done, 0) > 0))
        length_penalty = tl.load(penalties + slot * 2)
        ended = (stops > 0) & (c < BEAMS)
        final = found / _power(length, length_penalty)
        final = tl.where(shut | (ended == 0), final + _NEVER, final)
        final = tl.where(c < CANDIDATES, final, -float("inf"))
        better = (final[None, :] > old_score[:, None]).to(tl.int32)
        at_least = ((k < BEAMS)[None, :] & (old_score[None, :] >= final[:, None])).to(tl.int32)
        old_rank = _rank(old_score, k) + tl.sum(better, 1)
        new_rank = _rank(final, c) + tl.sum(at_least, 1)
        stays, rises = (k < BEAMS) & (old_rank < BEAMS), (c < CANDIDATES) & (new_rank < BEAMS)
        enters = ended & rises

        # The candidates that go on, by their ranks (`_get_running_beams_for_next_iteration`).
        running = tl.where(c < CANDIDATES, found + stops * _NEVER, -float("inf"))
        running_rank = _rank(running, c)
        goes_on = (c < CANDIDATES) & (running_rank < BEAMS)
        row = tl.load(rows + first + running_rank, mask=goes_on, other=0)

        tl.debug_barrier()  # everything above is read before anything below is written
        # Give each hypothesis, running or finished, the tokens of the one that takes its rank.
        for start in range(0, length, BLOCK):
            t = start + tl.arange(0, BLOCK)
            before = (t < length)[None]
            from_beam = (first + origin)[:, None]
            past = history + from_beam * (T + 1) + t[None] + 1
            tokens = tl.load(past, mask=before & (t < length - 1)[None], other=0)
            tokens = tl.where((t == length - 1)[None], chosen[:, None], tokens)
            where = tl.load(table + from_beam * T + t[None], mask=before, other=0)
            from_old = done_tokens + (first + k)[:, None] * T + t[None]
            finished_tokens = tl.load(from_old, mask=(k < BEAMS)[:, None] & before, other=0)
            tl.debug_barrier()
            to_beam = (first + running_rank)[:, None]
            tl.store(history + to_beam * (T + 1) + t[None] + 1, tokens, mask=goes_on[:, None] & before)
            tl.store(table + to_beam * T + t[None], where, mask=goes_on[:, None] & before)
            to_old = (first + old_rank)[:, None] * T + t[None]
            tl.store(done_tokens + to_old, finished_tokens, mask=stays[:, None] & before)
            to_new = (first + new_rank)[:, None] * T + t[None]
            tl.store(done_tokens + to_new, tokens, mask=enters[:, None] & before)
        # After the last token there is no next input; its place in the table is never read.
        tl.store(table + (first + running_rank) * T + tl.minimum(length, T - 1), row, mask=goes_on)
        tl.store(next_token + first + running_rank, chosen, mask=goes_on)
        tl.store(score + first + running_rank, running, mask=goes_on)
        tl.store(done_score + first + old_rank, old_score, mask=stays)
        tl.store(done + first + old_rank, old_done, mask=stays)
        tl.store(done_length + first + old_rank, old_length, mask=stays)
        tl.store(done_score + first + new_rank, final, mask=rises)
        tl.store(done + first + new_rank, ended.to(tl.int32), mask=rises)
        tl.store(done_length + first + new_rank, length, mask=rises)

        # Whether a better hypothesis may yet come, and whether the search is over all the same, as
        # `_check_early_stop_heuristic` and `_beam_search_has_unfinished_sequences` have it.
        to_the_end = (early_stopping == _STOP_NEVER) & (length_penalty > 0)
        hopeful_length = tl.where(to_the_end, tl.load(mine + _MAX_NEW), length)
        hope = tl.max(running, 0) / _power(hopeful_length, length_penalty)
        worst_old = tl.min(tl.where(stays, old_score, float("inf")), 0)
        worst = tl.minimum(worst_old, tl.min(tl.where(rises, final, float("inf")), 0))
        num_done = tl.sum(tl.where(stays, old_done, 0), 0) + tl.sum(enters.to(tl.int32), 0)
        improves = ((num_done > 0) & (hope > worst)) | ((num_done < BEAMS) & (hope > _NEVER))
        now_full = (num_done == BEAMS) & (early_stopping == _STOP_EARLY)
        all_stop = tl.min(tl.where(c < CANDIDATES, stops, 1), 0) > 0
        could_improve = could_improve & improves.to(tl.int32)
        tl.store(improvable + slot, could_improve)
        tl.store(position + slot, length)
        tl.store(finished + slot, ((could_improve == 0) | now_full | all_stop).to(tl.int32))


@triton.jit
def _forced_token(mine, p):
    """The token that must come now, or -1."""
    token = tl.where(p == 0, tl.load(mine + _FORCED_FIRST), -1)
    last = tl.where(p == tl.load(mine + _MAX_NEW) - 1, tl.load(mine + _FORCED_LAST), -1)
    return tl.where(last >= 0, last, token)


@triton.jit
def _rank(values, i):
    """The number of values before each; of equal ones the first comes first."""
    equal = (values[None, :] == values[:, None]) & (i[None, :] < i[:, None])
    return tl.sum(((values[None, :] > values[:, None]) | equal).to(tl.int32), 1)


@triton.jit
def _power(length, exponent):
    return tl.exp(exponent * tl.log(length.to(tl.float32)))
