"""A step's passes over the vocabulary, as Triton kernels.

The vocabulary is cut into chunks: each gives its part of the normalizer and, after the edits that penalties
and bans ask for, its best tokens. What becomes of those is `search_kernels`' affair. Imported only where
`kernels.usable_on` says yes.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

import triton
import triton.language as tl

from models.engine.seq2seq import checks
from models.engine.seq2seq import state as layout

_MIN_NEW = tl.constexpr(layout.MIN_NEW)
_NGRAM = tl.constexpr(layout.NGRAM)
_RENORMALIZE = tl.constexpr(layout.RENORMALIZE)
_STOP = tl.constexpr(layout.STOP)
_HOW_MANY_SUPPRESSED = tl.constexpr(layout.NUM_SUPPRESSED)
_NUM_SETTINGS = tl.constexpr(layout.NUM_SETTINGS)
_NUM_STOPS = tl.constexpr(checks.MAX_STOP_TOKENS)
_MAX_SUPPRESSED = tl.constexpr(checks.MAX_SUPPRESSED_TOKENS)
_MAX_NGRAM = tl.constexpr(checks.MAX_NGRAM_SIZE)


@triton.jit
def normalize(logits, parts, V: tl.constexpr, ROOM: tl.constexpr, CHUNK: tl.constexpr):
    """A chunk's highest logit, and its sum of exponentials relative to that."""
    n, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    i = chunk * CHUNK + tl.arange(0, CHUNK)
    x = _logits(logits + n * ROOM, i, V, ROOM)
    top = tl.max(x, 0)
    record = parts + (n * tl.num_programs(1) + chunk) * 2
    tl.store(record, top)
    tl.store(record + 1, tl.sum(tl.exp(x - top), 0))


@triton.jit
def _logits(row, i, V: tl.constexpr, ROOM: tl.constexpr):
    # A mask that ends on an aligned place keeps the loads wide; what lies between V and ROOM is thrown away.
    x = tl.load(row + i, mask=i < ROOM, other=-float("inf")).to(tl.float32)
    return tl.where(i < V, x, -float("inf"))


@triton.jit
def log_normalizer(parts, n, CHUNKS: tl.constexpr, CHUNKS_PADDED: tl.constexpr):
    i = tl.arange(0, CHUNKS_PADDED)
    record = parts + (n * CHUNKS + i) * 2
    top = tl.load(record, mask=i < CHUNKS, other=-float("inf"))
    total = tl.load(record + 1, mask=i < CHUNKS, other=0.0)
    highest = tl.max(top, 0)
    return highest + tl.log(tl.sum(total * tl.exp(top - highest), 0))


@triton.jit
def edit(
    logits, parts, active, settings, suppressed, penalties, position, finished, history,
    ROOM: tl.constexpr, BEAMS: tl.constexpr, STATE_BEAMS: tl.constexpr, T: tl.constexpr,
    T_PADDED: tl.constexpr, CHUNKS: tl.constexpr, CHUNKS_PADDED: tl.constexpr,
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
                shift = log_normalizer(parts, n, CHUNKS, CHUNKS_PADDED)
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
def take_best(
    logits, parts, value, token, active, settings, BEAMS: tl.constexpr, KEPT: tl.constexpr,
    V: tl.constexpr, ROOM: tl.constexpr, CHUNK: tl.constexpr,
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
