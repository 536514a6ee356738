"""Greedy and beam search over all running requests at once, equal to transformers' `generate`.

`SearchState` holds the searches on the device, one per slot; an extra slot takes discarded writes. `advance`
takes a step's logits and advances the searches without a transfer to the host: the plain PyTorch path, and
the reference for the one in `kernels`. Knows no models.
"""

import functools
import itertools
import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.engine.native.limits import (
    MAX_NGRAM_SIZE,
    MAX_STOP_TOKENS,
    MAX_SUPPRESSED_TOKENS,
    Lane,
    Limits,
    Plan,
)
from models.engine.native.scheduler import Request
from models.engine.protocol import Decoding

NEVER = -1.0e9
"""transformers' score of a hypothesis that must not win (`_beam_search`)."""

# Columns of `SearchState.settings`.
MAX_NEW, MIN_NEW, NGRAM, FORCED_FIRST, FORCED_LAST, EARLY_STOPPING, NUM_SUPPRESSED, RENORMALIZE, STOP = range(
    9
)
NUM_SETTINGS = STOP + MAX_STOP_TOKENS
STOP_EARLY, STOP_NEVER = 1, 2


class SearchState:
    """All searches; S slots, K beams at most, T new tokens at most."""

    def __init__(self, plan: Plan, limits: Limits, start_token_id: int, device: torch.device):
        num_slots, num_rows = plan
        max_beams, max_new_tokens = max(limits.beam_widths), limits.max_new_tokens

        def whole(*shape: int, fill: int = 0) -> Tensor:
            return torch.full((num_slots + 1, *shape), fill, dtype=torch.int32, device=device)

        def real(*shape: int, fill: float = 0.0) -> Tensor:
            return torch.full((num_slots + 1, *shape), fill, dtype=torch.float32, device=device)

        self.device = device
        self.spare_slot = num_slots
        self.max_beams = max_beams
        self.max_new_tokens = max_new_tokens
        self.start_token_id = start_token_id
        self.settings = whole(NUM_SETTINGS, fill=-1)  # [S, NUM_SETTINGS]
        self.penalties = real(2, fill=1.0)  # [S, 2]: length penalty, repetition penalty
        self.suppressed = whole(MAX_SUPPRESSED_TOKENS, fill=-1)  # [S, n], as many as the setting says
        self.rows = whole(max_beams, fill=num_rows)  # [S, K]: each beam's row of the cache
        self.source_length = whole(fill=1)  # [S]
        self.position = whole()  # [S]: new tokens so far
        self.finished = whole(fill=1)  # [S]
        self.improvable = whole(fill=1)  # [S]: whether running hypotheses may beat the finished ones
        self.token = whole(max_beams)  # [S, K]: the decoder's next input
        self.score = real(max_beams)  # [S, K]: log probability of each running hypothesis
        self.history = whole(max_beams, max_new_tokens + 1)  # [S, K, T + 1], the start token first
        self.table = whole(max_beams, max_new_tokens, fill=num_rows)  # [S, K, T]: where each key is
        self.done_score = real(max_beams, fill=NEVER)  # [S, K], best first
        self.done = whole(max_beams)  # [S, K]: whether there is a finished hypothesis at all
        self.done_length = whole(max_beams)  # [S, K]
        self.done_tokens = whole(max_beams, max_new_tokens)  # [S, K, T]
        # Only the first beam counts at first, or all beams would hold the same tokens.
        self._first_scores = torch.full((max_beams,), NEVER, device=device)
        self._first_scores[0] = 0.0

    def begin(self, requests: Sequence[Request]) -> None:
        """Reset these requests' slots for them; the host does not wait."""
        values = self._table(
            (slot, len(r.generation.source_ids), *_settings(r.generation.decoding, r.stop_token_ids), *rows)
            + rows[:1] * (self.max_beams - len(rows))
            for r in requests
            for slot, rows in [r.place]
        )
        slots, rows = values[:, 0].long(), values[:, -self.max_beams :]
        self.source_length.index_copy_(0, slots, values[:, 1])
        self.penalties.index_copy_(0, slots, values[:, 2:4].view(torch.float32))
        self.settings.index_copy_(0, slots, values[:, 4 : 4 + NUM_SETTINGS])
        self.rows.index_copy_(0, slots, rows)
        self.table[:, :, 0].index_copy_(0, slots, rows)
        self.history[:, :, 0].index_fill_(0, slots, self.start_token_id)
        self.token.index_fill_(0, slots, self.start_token_id)
        self.score.index_copy_(0, slots, self._first_scores.expand(len(requests), -1))
        self.done_score.index_fill_(0, slots, NEVER)
        self.improvable.index_fill_(0, slots, 1)
        for zeroed in (self.position, self.finished, self.done, self.done_length):
            zeroed.index_fill_(0, slots, 0)
        some = [request for request in requests if request.generation.decoding.suppressed_token_ids]
        if some:
            tokens = (request.generation.decoding.suppressed_token_ids for request in some)
            slots = to_device(host_tensor(request.place.slot for request in some), self.device).long()
            self.suppressed.index_copy_(
                0, slots, self._table(_padded(t, MAX_SUPPRESSED_TOKENS) for t in tokens)
            )

    def _table(self, rows: Iterable[Iterable[int]]) -> Tensor:
        """Equally long rows as one tensor."""
        lists = list(rows)
        flat = host_tensor(itertools.chain.from_iterable(lists))
        return to_device(flat.view(len(lists), -1), self.device)


def host_tensor(values: Iterable[int]) -> Tensor:
    """A 32-bit tensor on the host: through an array, ten times as fast as `torch.tensor` of a list."""
    return torch.frombuffer(array("i", values), dtype=torch.int32)


def to_device(host: Tensor, device: torch.device) -> Tensor:
    """Copy without making the host wait for the device."""
    if device.type == "cuda":
        return host.pin_memory().to(device, non_blocking=True)
    return host.to(device)


def _padded(values: Sequence[int], length: int) -> list[int]:
    return [*values, *[-1] * (length - len(values))]


@functools.lru_cache(maxsize=256)
def _settings(decoding: Decoding, stop_token_ids: tuple[int, ...]) -> tuple[int, ...]:
    """The two penalties' bits, and the settings."""
    first, last = decoding.forced_bos_token_id, decoding.forced_eos_token_id
    return (
        *struct.unpack("ii", struct.pack("ff", decoding.length_penalty, decoding.repetition_penalty)),
        decoding.max_new_tokens,
        decoding.min_new_tokens,
        decoding.no_repeat_ngram_size,
        -1 if first is None else first,
        -1 if last is None else last,
        {True: STOP_EARLY, "never": STOP_NEVER}.get(decoding.early_stopping, 0),
        len(decoding.suppressed_token_ids),
        decoding.renormalize_logits,
        *_padded(stop_token_ids, MAX_STOP_TOKENS),
    )


# ------------------------------------------------------------------------------------- a step


@dataclass(slots=True)
class _Step:
    """The active slots' settings and positions, gathered for one step."""

    slots: Tensor  # [B]
    target: Tensor  # [B]: where to write; the spare slot for those that had finished
    position: Tensor  # [B]
    settings: Tensor  # [B, NUM_SETTINGS]
    suppressed: Tensor  # [B, 1, n], -1 where there is none
    history: Tensor  # [B, K, T + 1]
    length_penalty: Tensor  # [B, 1]
    repetition_penalty: Tensor  # [B, 1, 1]

    def setting(self, column: int) -> Tensor:
        return self.settings[:, column]

    def stops(self, tokens: Tensor) -> Tensor:
        """Return whether each of the tokens [B, n] ends its hypothesis."""
        stop = self.settings[:, STOP : STOP + MAX_STOP_TOKENS]
        at_limit = self.position + 1 >= self.setting(MAX_NEW)
        return (tokens[:, :, None] == stop[:, None]).any(-1) | at_limit[:, None]


def advance(state: SearchState, active: Tensor, lane: Lane, logits: Tensor) -> None:
    """Take one step in the slots `active` [B] with the logits [B * num_beams, vocabulary] of their tokens."""
    num_beams = lane.num_beams
    step = _gather(state, active, num_beams)
    raw = logits.float().reshape(len(active), num_beams, -1)
    log_probs = raw.log_softmax(-1)
    if num_beams == 1:
        _advance_greedy(state, step, log_probs, _process(step, raw.clone()))
    else:
        scores = _process(step, log_probs)
        renormalized = step.setting(RENORMALIZE).bool()[:, None, None]
        scores = torch.where(renormalized, scores.log_softmax(-1), scores)
        _advance_beams(state, step, scores, lane.num_candidates)


def _gather(state: SearchState, active: Tensor, num_beams: int) -> _Step:
    slots = active.long()
    settings, penalties = state.settings[slots], state.penalties[slots]
    suppressed = state.suppressed[slots]
    counts = torch.arange(suppressed.shape[1], device=slots.device)
    return _Step(
        slots=slots,
        target=torch.where(state.finished[slots].bool(), state.spare_slot, slots),
        # A slot that has finished stays where it is; the clamp keeps its idle writes inside the arrays.
        position=state.position[slots].long().clamp(max=state.max_new_tokens - 1),
        settings=settings,
        suppressed=torch.where(counts < settings[:, NUM_SUPPRESSED, None], suppressed, -1)[:, None].long(),
        history=state.history[slots, :num_beams].long(),
        length_penalty=penalties[:, :1],
        repetition_penalty=penalties[:, 1:, None],
    )


def _process(step: _Step, scores: Tensor) -> Tensor:
    """Bend the scores [B, K, V], perhaps in place, as transformers' logits processors do, in their order."""
    scores = _penalize_repetition(step, scores)
    _forbid(scores, _ngram_bans(step))
    early = (step.position < step.setting(MIN_NEW))[:, None]
    stop = step.settings[:, STOP : STOP + MAX_STOP_TOKENS].long()
    _forbid(scores, torch.where(early, stop, -1)[:, None])
    scores = _force(scores, step.setting(FORCED_FIRST), step.position == 0)
    scores = _force(scores, step.setting(FORCED_LAST), step.position == step.setting(MAX_NEW) - 1)
    _forbid(scores, step.suppressed)
    return scores


def _marks(scores: Tensor, tokens: Tensor) -> Tensor:
    """True in [B, K, V] at the tokens [B, 1 or K, n]; negative ones mark nothing."""
    vocabulary = scores.shape[-1]
    tokens = torch.where(tokens < 0, vocabulary, tokens).expand(-1, scores.shape[1], -1)
    marks = torch.zeros(*scores.shape[:2], vocabulary + 1, dtype=torch.bool, device=scores.device)
    return marks.scatter_(2, tokens, True)[..., :vocabulary]


def _forbid(scores: Tensor, tokens: Tensor) -> None:
    """Forbid the tokens [B, 1 or K, n] in the scores, in place; negative ones forbid nothing."""
    tokens = tokens.expand(-1, scores.shape[1], -1)
    most = torch.full_like(tokens, torch.inf, dtype=scores.dtype).masked_fill_(tokens >= 0, -torch.inf)
    scores.scatter_reduce_(2, tokens.clamp(min=0), most, "amin")


def _force(scores: Tensor, token: Tensor, where: Tensor) -> Tensor:
    only = torch.full_like(scores, -torch.inf).masked_fill_(_marks(scores, token.long()[:, None, None]), 0.0)
    return torch.where(((token >= 0) & where)[:, None, None], only, scores)


def _penalize_repetition(step: _Step, scores: Tensor) -> Tensor:
    times = torch.arange(step.history.shape[-1], device=scores.device)
    past = torch.where(times <= step.position[:, None, None], step.history, -1)
    penalty = step.repetition_penalty
    penalized = torch.where(scores < 0, scores * penalty, scores / penalty)
    return torch.where(_marks(scores, past), penalized, scores)


def _ngram_bans(step: _Step) -> Tensor:
    """The tokens [B, K, T + 1] that would complete an n-gram a second time, -1 elsewhere.

    The token at time t is banned if the n - 1 tokens before it are also the last n - 1 of the hypothesis.
    """
    history, size = step.history, step.setting(NGRAM)[:, None, None]
    last = step.position[:, None, None]
    times = torch.arange(history.shape[-1], device=history.device)
    banned = (size > 0) & (times >= size - 1) & (times <= last)
    for back in range(1, MAX_NGRAM_SIZE):
        tail = history.gather(2, (last + 1 - back).clamp(min=0).expand(-1, history.shape[1], 1))
        banned = banned & ((back >= size) | (history.roll(back, -1) == tail))
    return torch.where(banned, history, -1)


def _advance_greedy(state: SearchState, step: _Step, log_probs: Tensor, scores: Tensor) -> None:
    token = scores[:, 0].argmax(-1, keepdim=True)  # [B, 1]
    gain = log_probs[:, 0].gather(1, token)
    first = (step.setting(FORCED_FIRST) >= 0) & (step.position == 0)
    last = (step.setting(FORCED_LAST) >= 0) & (step.position == step.setting(MAX_NEW) - 1)
    score = state.score[step.slots, :1] + torch.where((first | last)[:, None], 0.0, gain)
    length = step.position + 1
    state.done_tokens[step.target, 0, step.position] = token[:, 0].int()
    state.done_length[step.target, 0] = length.int()
    state.done_score[step.target, 0] = (score / length[:, None].float() ** step.length_penalty)[:, 0]
    state.finished[step.target] = step.stops(token)[:, 0].int()
    row = state.rows[step.slots, :1]
    _go_on(state, step, score, token, step.history, state.table[step.slots, :1], row)


def _advance_beams(state: SearchState, step: _Step, log_probs: Tensor, num_candidates: int) -> None:
    num_beams, vocabulary = log_probs.shape[1:]
    total = log_probs + state.score[step.slots, :num_beams, None]
    value, index = total.flatten(1).topk(num_candidates)  # [B, C]
    beam, token = index // vocabulary, index % vocabulary
    stops = step.stops(token)
    _keep_finished(state, step, value, beam, token, stops)

    score, best = (value + stops * NEVER).topk(num_beams)
    beam, token = beam.gather(1, best), token.gather(1, best)
    table = _pick(state.table[step.slots, :num_beams], beam)
    rows = state.rows[step.slots, :num_beams]
    _go_on(state, step, score, token, _pick(step.history, beam), table, rows)
    _judge(state, step, score, stops, num_beams)


def _pick(rows: Tensor, beam: Tensor) -> Tensor:
    """Rows [B, K, n] in the order of the beams [B, m]."""
    return rows.gather(1, beam[:, :, None].expand(-1, -1, rows.shape[2]))


def _keep_finished(
    state: SearchState, step: _Step, value: Tensor, beam: Tensor, token: Tensor, stops: Tensor
) -> None:
    """Merge the candidates that just ended among the best finished hypotheses (`_update_finished_beams`)."""
    num_beams, num_candidates = step.history.shape[1], value.shape[1]
    done = state.done[step.slots, :num_beams].bool()
    full = done.all(-1) & (step.setting(EARLY_STOPPING) == STOP_EARLY)
    shut = full | ~state.improvable[step.slots].bool()
    rank = torch.arange(num_candidates, device=value.device)
    ended = stops & (rank < num_beams)  # a candidate below the best `num_beams` is only a reserve
    length = step.position[:, None] + 1
    value = value / length.float() ** step.length_penalty + (shut[:, None] | ~ended) * NEVER
    tokens = _pick(step.history[:, :, 1:], beam).scatter(
        2, step.position[:, None, None].expand_as(beam[..., None]), token[..., None]
    )

    merged = torch.cat((state.done_score[step.slots, :num_beams], value), 1)
    score, best = merged.topk(num_beams)
    lengths = torch.cat((state.done_length[step.slots, :num_beams], length.int().expand_as(value)), 1)
    everything = torch.cat((state.done_tokens[step.slots, :num_beams], tokens.int()), 1)
    state.done_score[step.target, :num_beams] = score
    state.done[step.target, :num_beams] = torch.cat((done, ended), 1).gather(1, best).int()
    state.done_length[step.target, :num_beams] = lengths.gather(1, best)
    state.done_tokens[step.target, :num_beams] = _pick(everything, best)


def _go_on(
    state: SearchState,
    step: _Step,
    score: Tensor,
    token: Tensor,
    history: Tensor,
    table: Tensor,
    rows: Tensor,
) -> None:
    """Write the hypotheses that go on, one token longer; only the table says where their keys lie."""
    num_beams = token.shape[1]
    after = (step.position + 1)[:, None, None].expand(-1, num_beams, 1)
    history = history.scatter(2, after, token[..., None])
    # After the last token there is no next input; its place in the table is never read.
    table = table.scatter(2, after.clamp(max=table.shape[2] - 1), rows[..., None])
    state.position[step.target] = (step.position + 1).int()
    state.score[step.target, :num_beams] = score
    state.token[step.target, :num_beams] = token.int()
    state.history[step.target, :num_beams] = history.int()
    state.table[step.target, :num_beams] = table


def _judge(state: SearchState, step: _Step, score: Tensor, stops: Tensor, num_beams: int) -> None:
    """Mark finished requests, as `_check_early_stop_heuristic` and the end of `_beam_search` do."""
    early_stopping = step.setting(EARLY_STOPPING)
    length_penalty = step.length_penalty[:, 0]
    slots = step.target  # just written; the spare slot's answer goes back to the spare slot
    done = state.done[slots, :num_beams].bool()
    to_the_end = (early_stopping == STOP_NEVER) & (length_penalty > 0)
    length = torch.where(to_the_end, step.setting(MAX_NEW), step.position + 1)
    hope = score[:, :1] / (length.float() ** length_penalty)[:, None]
    worst = torch.where(done, state.done_score[slots, :num_beams].amin(1, keepdim=True), NEVER)
    improvable = state.improvable[slots].bool() & (hope > worst).any(-1)
    full = done.all(-1) & (early_stopping == STOP_EARLY)
    state.improvable[slots] = improvable.int()
    state.finished[slots] = (~improvable | full | stops.all(-1)).int()
