"""`search.advance` as Triton kernels: same arguments, same outcome.

Top-k in two levels: `vocabulary_kernels` finds each chunk's best tokens, then one program a slot chooses
among these winners and keeps the slot's books. Imported only where `kernels.usable_on` says yes.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from models.engine.seq2seq import checks
from models.engine.seq2seq import state as layout
from models.engine.seq2seq.scheduler import Lane
from models.engine.seq2seq.state import SearchState
from models.engine.seq2seq.vocabulary_kernels import edit, log_normalizer, normalize, take_best

MIN_CHUNK = 1024
MAX_CHUNKS = 64

_MAX_NEW = tl.constexpr(layout.MAX_NEW)
_FORCED_FIRST = tl.constexpr(layout.FORCED_FIRST)
_FORCED_LAST = tl.constexpr(layout.FORCED_LAST)
_EARLY_STOPPING = tl.constexpr(layout.EARLY_STOPPING)
_STOP = tl.constexpr(layout.STOP)
_NUM_SETTINGS = tl.constexpr(layout.NUM_SETTINGS)
_NUM_STOPS = tl.constexpr(checks.MAX_STOP_TOKENS)
_STOP_EARLY = tl.constexpr(layout.STOP_EARLY)
_STOP_NEVER = tl.constexpr(layout.STOP_NEVER)
_NEVER = tl.constexpr(layout.NEVER)


def advance(state: SearchState, active: Tensor, lane: Lane, logits: Tensor) -> None:
    """`search.advance`; the logits are edited in place."""
    rows, vocabulary = logits.shape
    chunk = max(MIN_CHUNK, triton.next_power_of_2(triton.cdiv(vocabulary, MAX_CHUNKS)))
    chunks = triton.cdiv(vocabulary, chunk)
    kept = lane.num_candidates
    parts = torch.empty(rows, chunks, 2, dtype=torch.float32, device=logits.device)
    value = torch.empty(rows, chunks, kept, dtype=torch.float32, device=logits.device)
    token = torch.empty(rows, chunks, kept, dtype=torch.int32, device=logits.device)
    width: dict[str, Any] = {
        "V": vocabulary,
        "ROOM": logits.stride(0),
        "CHUNK": chunk,
        "num_warps": 4 if chunk > 1024 else 2,
    }
    slots: dict[str, Any] = {
        "BEAMS": lane.num_beams,
        "STATE_BEAMS": state.max_beams,
        "T": state.max_new_tokens,
        "T_PADDED": triton.next_power_of_2(state.max_new_tokens + 1),
        "CHUNKS": chunks,
        "CHUNKS_PADDED": triton.next_power_of_2(chunks),
    }
    normalize[(rows, chunks)](logits, parts, **width)
    edit[(rows,)](
        logits, parts, active, state.settings, state.suppressed, state.penalties, state.position,
        state.finished, state.history, ROOM=logits.stride(0), **slots, num_warps=4,
    )  # fmt: skip
    take_best[(rows, chunks)](logits, parts, value, token, KEPT=kept, RENORMALIZED=lane.renormalized, **width)
    if lane.num_beams == 1:
        _choose_greedy[(len(active),)](
            value, token, parts, active, state.settings, state.penalties, state.rows, state.position,
            state.finished, state.token, state.score, state.history, state.table, state.done_score,
            state.done_length, state.done_tokens, **slots, num_warps=1,
        )  # fmt: skip
        return
    entries = triton.next_power_of_2(lane.num_beams * chunks * kept)
    _choose_beams[(len(active),)](
        value, token, parts, active, state.settings, state.penalties, state.rows, state.position,
        state.finished, state.improvable, state.token, state.score, state.history, state.table,
        state.done_score, state.done, state.done_length, state.done_tokens,
        CANDIDATES=kept,
        CANDIDATES_PADDED=triton.next_power_of_2(kept),
        BEAMS_PADDED=triton.next_power_of_2(lane.num_beams),
        ENTRIES=entries,
        BLOCK=64,
        **slots,
        num_warps=4 if entries <= 4096 else 8,
    )  # fmt: skip


@triton.jit
def _forced_token(mine, p):
    """The token that must come now, or -1."""
    token = tl.where(p == 0, tl.load(mine + _FORCED_FIRST), -1)
    last = tl.where(p == tl.load(mine + _MAX_NEW) - 1, tl.load(mine + _FORCED_LAST), -1)
    return tl.where(last >= 0, last, token)


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
    history, table, done_score, done, done_length, done_tokens,
    CANDIDATES: tl.constexpr, CANDIDATES_PADDED: tl.constexpr, BEAMS_PADDED: tl.constexpr,
    ENTRIES: tl.constexpr, BLOCK: tl.constexpr, BEAMS: tl.constexpr, STATE_BEAMS: tl.constexpr,
    T: tl.constexpr, T_PADDED: tl.constexpr, CHUNKS: tl.constexpr, CHUNKS_PADDED: tl.constexpr,
):  # fmt: skip
    """One slot's candidates, its finished hypotheses, those that go on, and whether it is finished."""
    b = tl.program_id(0)
    slot = tl.load(active + b)
    if tl.load(finished + slot) == 0:
        mine = settings + slot * _NUM_SETTINGS
        first = slot * STATE_BEAMS
        p = tl.minimum(tl.load(position + slot), T - 1)
        c = tl.arange(0, CANDIDATES_PADDED)
        k = tl.arange(0, BEAMS_PADDED)
        is_beam = k < BEAMS
        is_candidate = c < CANDIDATES

        found, chosen, origin = _best_continuations(
            value, token, parts, score, mine, first, p,
            CANDIDATES, CANDIDATES_PADDED, ENTRIES, BEAMS, CHUNKS, CHUNKS_PADDED,
        )  # fmt: skip
        length = p + 1
        most = tl.load(mine + _MAX_NEW)
        stops = tl.zeros([CANDIDATES_PADDED], tl.int32) + (length >= most).to(tl.int32)
        for place in tl.static_range(_NUM_STOPS):
            stops = stops | (chosen == tl.load(mine + _STOP + place)).to(tl.int32)

        # The finished hypotheses, old and new, by rank (`_update_finished_beams`).
        early_stopping = tl.load(mine + _EARLY_STOPPING)
        length_penalty = tl.load(penalties + slot * 2)
        could_improve = tl.load(improvable + slot)
        old_score = tl.load(done_score + first + k, mask=is_beam, other=-float("inf"))
        old_done = tl.load(done + first + k, mask=is_beam, other=1)
        old_length = tl.load(done_length + first + k, mask=is_beam, other=0)
        full = (tl.min(old_done, 0) > 0) & (early_stopping == _STOP_EARLY)
        shut = full | (could_improve == 0)
        ended = (stops > 0) & (c < BEAMS)
        final = found / _power(length, length_penalty)
        final = tl.where(shut | (ended == 0), final + _NEVER, final)
        final = tl.where(is_candidate, final, -float("inf"))
        old_rank = _rank(old_score, old_score, k, k) + tl.sum(
            (final[None, :] > old_score[:, None]).to(tl.int32), 1
        )
        new_rank = _rank(final, final, c, c) + tl.sum(
            (is_beam[None, :] & (old_score[None, :] >= final[:, None])).to(tl.int32), 1
        )

        # Those that go on, by rank (`_get_running_beams_for_next_iteration`).
        running = tl.where(is_candidate, found + stops * _NEVER, -float("inf"))
        rank = _rank(running, running, c, c)
        goes_on = is_candidate & (rank < BEAMS)
        stays = is_beam & (old_rank < BEAMS)
        enters = ended & is_candidate & (new_rank < BEAMS)
        row = tl.load(rows + first + rank, mask=goes_on, other=0)

        tl.debug_barrier()  # everything above is read before anything below is written
        _move_tokens(
            history, table, done_tokens, first, length, origin, chosen, rank, goes_on, old_rank, stays,
            new_rank, enters, BEAMS, BEAMS_PADDED, T, BLOCK,
        )  # fmt: skip
        # After the last token there is no next input; its place in the table is never read.
        tl.store(table + (first + rank) * T + tl.minimum(length, T - 1), row, mask=goes_on)
        tl.store(next_token + first + rank, chosen, mask=goes_on)
        tl.store(score + first + rank, running, mask=goes_on)
        tl.store(done_score + first + old_rank, old_score, mask=stays)
        tl.store(done + first + old_rank, old_done, mask=stays)
        tl.store(done_length + first + old_rank, old_length, mask=stays)
        rises = is_candidate & (new_rank < BEAMS)
        tl.store(done_score + first + new_rank, final, mask=rises)
        tl.store(done + first + new_rank, ended.to(tl.int32), mask=rises)
        tl.store(done_length + first + new_rank, tl.zeros([CANDIDATES_PADDED], tl.int32) + length, mask=rises)

        # Whether to go on at all (`_check_early_stop_heuristic`, `_beam_search_has_unfinished_sequences`).
        to_the_end = (early_stopping == _STOP_NEVER) & (length_penalty > 0)
        hopeful_length = tl.where(to_the_end, most, length)
        hope = tl.max(running, 0) / _power(hopeful_length, length_penalty)
        worst_old = tl.min(tl.where(stays, old_score, float("inf")), 0)
        worst = tl.minimum(worst_old, tl.min(tl.where(rises, final, float("inf")), 0))
        num_done = tl.sum(tl.where(stays, old_done, 0), 0) + tl.sum((rises & ended).to(tl.int32), 0)
        better = ((num_done > 0) & (hope > worst)) | ((num_done < BEAMS) & (hope > _NEVER))
        now_full = (num_done == BEAMS) & (early_stopping == _STOP_EARLY)
        all_stop = tl.min(tl.where(is_candidate, stops, 1), 0) > 0
        could_improve = could_improve & better.to(tl.int32)
        tl.store(improvable + slot, could_improve)
        tl.store(position + slot, length)
        tl.store(finished + slot, ((could_improve == 0) | now_full | all_stop).to(tl.int32))


@triton.jit
def _best_continuations(
    value, token, parts, score, mine, first, p,
    CANDIDATES: tl.constexpr, CANDIDATES_PADDED: tl.constexpr, ENTRIES: tl.constexpr, BEAMS: tl.constexpr,
    CHUNKS: tl.constexpr, CHUNKS_PADDED: tl.constexpr,
):  # fmt: skip
    """Score, token and beam of the best continuations of all beams (`_get_top_k_continuations`)."""
    b = tl.program_id(0)
    c = tl.arange(0, CANDIDATES_PADDED)
    e = tl.arange(0, ENTRIES)
    entry = b * BEAMS * CHUNKS * CANDIDATES + e
    x = tl.load(value + entry, mask=e < BEAMS * CHUNKS * CANDIDATES, other=-float("inf"))
    for beam in tl.static_range(BEAMS):
        so_far = tl.load(score + first + beam)
        so_far -= log_normalizer(parts, b * BEAMS + beam, CHUNKS, CHUNKS_PADDED)
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
    return found, chosen, origin


@triton.jit
def _move_tokens(
    history, table, done_tokens, first, length, origin, chosen, rank, goes_on, old_rank, stays,
    new_rank, enters,
    BEAMS: tl.constexpr, BEAMS_PADDED: tl.constexpr, T: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Give each hypothesis, running or finished, the tokens of the one that takes its rank."""
    k = tl.arange(0, BEAMS_PADDED)
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
        to_beam = (first + rank)[:, None]
        tl.store(history + to_beam * (T + 1) + t[None] + 1, tokens, mask=goes_on[:, None] & before)
        tl.store(table + to_beam * T + t[None], where, mask=goes_on[:, None] & before)
        to_old = (first + old_rank)[:, None] * T + t[None]
        tl.store(done_tokens + to_old, finished_tokens, mask=stays[:, None] & before)
        to_new = (first + new_rank)[:, None] * T + t[None]
        tl.store(done_tokens + to_new, tokens, mask=enters[:, None] & before)


@triton.jit
def _rank(values, others, i, j):
    """How many come before each value; of equal ones the first."""
    equal = (others[None, :] == values[:, None]) & (j[None, :] < i[:, None])
    return tl.sum(((others[None, :] > values[:, None]) | equal).to(tl.int32), 1)


@triton.jit
def _power(length, exponent):
    return tl.exp(exponent * tl.log(length.to(tl.float32)))
