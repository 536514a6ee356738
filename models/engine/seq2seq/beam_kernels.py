"""The parts of a step of beam search, as Triton functions that `search_kernels` makes its kernels of.

Each knows one slot: its candidates `c`, the best continuations of its beams, and its finished hypotheses `k`.
Imported only where `kernels.usable_on` says yes.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

import triton
import triton.language as tl

from models.engine.seq2seq import checks
from models.engine.seq2seq import state as layout
from models.engine.seq2seq.vocabulary_kernels import log_normalizer

_MAX_NEW = tl.constexpr(layout.MAX_NEW)
_FORCED_FIRST = tl.constexpr(layout.FORCED_FIRST)
_FORCED_LAST = tl.constexpr(layout.FORCED_LAST)
_EARLY_STOPPING = tl.constexpr(layout.EARLY_STOPPING)
_STOP = tl.constexpr(layout.STOP)
_NUM_STOPS = tl.constexpr(checks.MAX_STOP_TOKENS)
_STOP_EARLY = tl.constexpr(layout.STOP_EARLY)
_STOP_NEVER = tl.constexpr(layout.STOP_NEVER)
_NEVER = tl.constexpr(layout.NEVER)


@triton.jit
def forced_token(mine, p):
    """The token that must come now, or -1."""
    token = tl.where(p == 0, tl.load(mine + _FORCED_FIRST), -1)
    last = tl.where(p == tl.load(mine + _MAX_NEW) - 1, tl.load(mine + _FORCED_LAST), -1)
    return tl.where(last >= 0, last, token)


@triton.jit
def best_continuations(
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
    forced = forced_token(mine, p)
    if forced >= 0:
        # Each beam has this one continuation, which is certain; beams are in the order of their scores.
        found = tl.load(score + first + c, mask=c < BEAMS, other=-float("inf"))
        origin = tl.minimum(c, BEAMS - 1)
        chosen = tl.zeros([CANDIDATES_PADDED], tl.int32) + forced
    return found, chosen, origin


@triton.jit
def stop_marks(chosen, mine, length, CANDIDATES_PADDED: tl.constexpr):
    """1 for each candidate that ends its hypothesis, by its token or by the limit of new tokens."""
    stops = tl.zeros([CANDIDATES_PADDED], tl.int32) + (length >= tl.load(mine + _MAX_NEW)).to(tl.int32)
    for place in tl.static_range(_NUM_STOPS):
        stops = stops | (chosen == tl.load(mine + _STOP + place)).to(tl.int32)
    return stops


@triton.jit
def final_scores(
    found, stops, shut, length, length_penalty, c, CANDIDATES: tl.constexpr, BEAMS: tl.constexpr
):  # fmt: skip
    """The candidates' scores as finished hypotheses, and which may become one."""
    ended = (stops > 0) & (c < BEAMS)
    final = found / power(length, length_penalty)
    final = tl.where(shut | (ended == 0), final + _NEVER, final)
    return tl.where(c < CANDIDATES, final, -float("inf")), ended


@triton.jit
def finished_ranks(old_score, final, k, c, BEAMS: tl.constexpr):
    """The ranks of the finished hypotheses, old and new, among both (`_update_finished_beams`)."""
    better = (final[None, :] > old_score[:, None]).to(tl.int32)
    at_least = ((k < BEAMS)[None, :] & (old_score[None, :] >= final[:, None])).to(tl.int32)
    old_rank = rank(old_score, old_score, k, k) + tl.sum(better, 1)
    return old_rank, rank(final, final, c, c) + tl.sum(at_least, 1)


@triton.jit
def running_ranks(found, stops, c, CANDIDATES: tl.constexpr):
    """The candidates' scores and ranks as those that go on (`_get_running_beams_for_next_iteration`)."""
    running = tl.where(c < CANDIDATES, found + stops * _NEVER, -float("inf"))
    return running, rank(running, running, c, c)


@triton.jit
def keep(done_score, done, done_length, place, kept, new_score, new_done, new_length):
    """Write finished hypotheses' books to their places."""
    tl.store(done_score + place, new_score, mask=kept)
    tl.store(done + place, new_done, mask=kept)
    tl.store(done_length + place, new_length, mask=kept)


@triton.jit
def finished_so_far(done_score, done, done_length, first, k, BEAMS: tl.constexpr):
    """The books of the finished hypotheses: score, whether there is one, length."""
    old_score = tl.load(done_score + first + k, mask=k < BEAMS, other=-float("inf"))
    old_done = tl.load(done + first + k, mask=k < BEAMS, other=1)
    return old_score, old_done, tl.load(done_length + first + k, mask=k < BEAMS, other=0)


@triton.jit
def early_end(mine):
    """Return whether the search is over once it has as many finished hypotheses as beams."""
    return tl.load(mine + _EARLY_STOPPING) == _STOP_EARLY


@triton.jit
def prospects(
    mine, length, length_penalty, running, stops, is_candidate, old_score, old_done, stays, final, ended,
    rises, BEAMS: tl.constexpr,
):  # fmt: skip
    """Return whether a better hypothesis may yet come, and whether the search is over all the same.

    As `_check_early_stop_heuristic` and `_beam_search_has_unfinished_sequences` have it.
    """
    early_stopping = tl.load(mine + _EARLY_STOPPING)
    to_the_end = (early_stopping == _STOP_NEVER) & (length_penalty > 0)
    hopeful_length = tl.where(to_the_end, tl.load(mine + _MAX_NEW), length)
    hope = tl.max(running, 0) / power(hopeful_length, length_penalty)
    worst_old = tl.min(tl.where(stays, old_score, float("inf")), 0)
    worst = tl.minimum(worst_old, tl.min(tl.where(rises, final, float("inf")), 0))
    num_done = tl.sum(tl.where(stays, old_done, 0), 0) + tl.sum((rises & ended).to(tl.int32), 0)
    better = ((num_done > 0) & (hope > worst)) | ((num_done < BEAMS) & (hope > _NEVER))
    now_full = (num_done == BEAMS) & (early_stopping == _STOP_EARLY)
    all_stop = tl.min(tl.where(is_candidate, stops, 1), 0) > 0
    return better.to(tl.int32), now_full | all_stop


@triton.jit
def move_tokens(
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
def rank(values, others, i, j):
    """Return the number of values before each; of equal ones the first comes first."""
    equal = (others[None, :] == values[:, None]) & (j[None, :] < i[:, None])
    return tl.sum(((others[None, :] > values[:, None]) | equal).to(tl.int32), 1)


@triton.jit
def power(length, exponent):
    return tl.exp(exponent * tl.log(length.to(tl.float32)))
