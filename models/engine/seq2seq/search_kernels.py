"""`search.advance` as Triton kernels: same arguments, same outcome.

Top-k in two levels: `vocabulary_kernels` finds each chunk's best tokens, then one program a slot chooses
among these winners and keeps the slot's books. Imported only where `kernels.usable_on` says yes.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from models.engine.seq2seq import checks
from models.engine.seq2seq import state as layout
from models.engine.seq2seq.beam_kernels import (
    best_continuations,
    early_end,
    final_scores,
    finished_ranks,
    finished_so_far,
    forced_token,
    keep,
    move_tokens,
    power,
    prospects,
    running_ranks,
    stop_marks,
)
from models.engine.seq2seq.scheduler import Lane
from models.engine.seq2seq.state import SearchState
from models.engine.seq2seq.vocabulary_kernels import edit, log_normalizer, normalize, take_best

MIN_CHUNK = 1024
MAX_CHUNKS = 64

_MAX_NEW = tl.constexpr(layout.MAX_NEW)
_STOP = tl.constexpr(layout.STOP)
_NUM_SETTINGS = tl.constexpr(layout.NUM_SETTINGS)
_NUM_STOPS = tl.constexpr(checks.MAX_STOP_TOKENS)


def advance(state: SearchState, active: Tensor, lane: Lane, logits: Tensor) -> None:
    """`search.advance`; the logits are edited in place."""
    rows, vocabulary = logits.shape
    chunk = max(MIN_CHUNK, triton.next_power_of_2(triton.cdiv(vocabulary, MAX_CHUNKS)))
    chunks = triton.cdiv(vocabulary, chunk)
    beams, kept = lane
    parts = torch.empty(rows, chunks, 2, dtype=torch.float32, device=logits.device)
    value = torch.empty(rows, chunks, kept, dtype=torch.float32, device=logits.device)
    token = torch.empty(rows, chunks, kept, dtype=torch.int32, device=logits.device)
    warps = 4 if chunk > 1024 else 2
    width = {"V": vocabulary, "ROOM": logits.stride(0), "CHUNK": chunk, "num_warps": warps}
    slots = {
        "BEAMS": beams, "STATE_BEAMS": state.max_beams, "T": state.max_new_tokens,
        "T_PADDED": triton.next_power_of_2(state.max_new_tokens + 1), "CHUNKS": chunks,
        "CHUNKS_PADDED": triton.next_power_of_2(chunks),
    }  # fmt: skip
    normalize[(rows, chunks)](logits, parts, **width)
    edit[(rows,)](
        logits, parts, active, state.settings, state.suppressed, state.penalties, state.position,
        state.finished, state.history, ROOM=logits.stride(0), **slots, num_warps=4,
    )  # fmt: skip
    take_best[(rows, chunks)](logits, parts, value, token, active, state.settings, beams, kept, **width)
    if beams == 1:
        _choose_greedy[(len(active),)](
            value, token, parts, active, state.settings, state.penalties, state.rows, state.position,
            state.finished, state.token, state.score, state.history, state.table, state.done_score,
            state.done_length, state.done_tokens, **slots, num_warps=1,
        )  # fmt: skip
        return
    entries = triton.next_power_of_2(beams * chunks * kept)
    _choose_beams[(len(active),)](
        value, token, parts, active, state.settings, state.penalties, state.rows, state.position,
        state.finished, state.improvable, state.token, state.score, state.history, state.table,
        state.done_score, state.done, state.done_length, state.done_tokens, CANDIDATES=kept,
        CANDIDATES_PADDED=triton.next_power_of_2(kept), BEAMS_PADDED=triton.next_power_of_2(beams),
        ENTRIES=entries, BLOCK=64, **slots, num_warps=4 if entries <= 4096 else 8,
    )  # fmt: skip


@triton.jit
def _choose_greedy(
    value, token, parts, active, settings, penalties, rows, position, finished, next_token, score, history,
    table, done_score, done_length, done_tokens,
    BEAMS: tl.constexpr, STATE_BEAMS: tl.constexpr, T: tl.constexpr, T_PADDED: tl.constexpr,
    CHUNKS: tl.constexpr, CHUNKS_PADDED: tl.constexpr,
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
        gain -= log_normalizer(parts, n, CHUNKS, CHUNKS_PADDED)
        forced = forced_token(mine, p)
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
        tl.store(done_score + first, total / power(length, length_penalty))
        tl.store(position + slot, length)
        tl.store(finished + slot, ends.to(tl.int32))


@triton.jit
def _choose_beams(
    value, token, parts, active, settings, penalties, rows, position, finished, improvable, next_token, score,
    history, table, done_score, done, done_length, done_tokens,
    CANDIDATES: tl.constexpr, CANDIDATES_PADDED: tl.constexpr, BEAMS_PADDED: tl.constexpr,
    ENTRIES: tl.constexpr, BLOCK: tl.constexpr, BEAMS: tl.constexpr, STATE_BEAMS: tl.constexpr,
    T: tl.constexpr, T_PADDED: tl.constexpr, CHUNKS: tl.constexpr, CHUNKS_PADDED: tl.constexpr,
):  # fmt: skip
    """One slot's candidates, its finished hypotheses, those that go on, and whether it is finished."""
    slot = tl.load(active + tl.program_id(0))
    if tl.load(finished + slot) == 0:
        mine = settings + slot * _NUM_SETTINGS
        first = slot * STATE_BEAMS
        p = tl.minimum(tl.load(position + slot), T - 1)
        c, k = tl.arange(0, CANDIDATES_PADDED), tl.arange(0, BEAMS_PADDED)
        found, chosen, origin = best_continuations(
            value, token, parts, score, mine, first, p,
            CANDIDATES, CANDIDATES_PADDED, ENTRIES, BEAMS, CHUNKS, CHUNKS_PADDED,
        )  # fmt: skip
        length = p + 1
        stops = stop_marks(chosen, mine, length, CANDIDATES_PADDED)
        could_improve = tl.load(improvable + slot)
        length_penalty = tl.load(penalties + slot * 2)
        old_score, old_done, old_length = finished_so_far(done_score, done, done_length, first, k, BEAMS)
        shut = (could_improve == 0) | (early_end(mine) & (tl.min(old_done, 0) > 0))
        final, ended = final_scores(found, stops, shut, length, length_penalty, c, CANDIDATES, BEAMS)
        old_rank, new_rank = finished_ranks(old_score, final, k, c, BEAMS)
        running, place = running_ranks(found, stops, c, CANDIDATES)
        goes_on = (c < CANDIDATES) & (place < BEAMS)
        stays, rises = (k < BEAMS) & (old_rank < BEAMS), (c < CANDIDATES) & (new_rank < BEAMS)
        row = tl.load(rows + first + place, mask=goes_on, other=0)

        tl.debug_barrier()  # everything above is read before anything below is written
        move_tokens(
            history, table, done_tokens, first, length, origin, chosen, place, goes_on, old_rank, stays,
            new_rank, ended & rises, BEAMS, BEAMS_PADDED, T, BLOCK,
        )  # fmt: skip
        # After the last token there is no next input; its place in the table is never read.
        tl.store(table + (first + place) * T + tl.minimum(length, T - 1), row, mask=goes_on)
        tl.store(next_token + first + place, chosen, mask=goes_on)
        tl.store(score + first + place, running, mask=goes_on)
        keep(done_score, done, done_length, first + old_rank, stays, old_score, old_done, old_length)
        keep(done_score, done, done_length, first + new_rank, rises, final, ended.to(tl.int32), length)
        improves, over = prospects(
            mine, length, length_penalty, running, stops, c < CANDIDATES, old_score, old_done, stays,
            final, ended, rises, BEAMS,
        )  # fmt: skip
        could_improve = could_improve & improves
        tl.store(improvable + slot, could_improve)
        tl.store(position + slot, length)
        tl.store(finished + slot, ((could_improve == 0) | over).to(tl.int32))
