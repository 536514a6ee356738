"""The sizes that an engine is built for, how many slots and rows fit in memory, and which requests are valid.

Plain arithmetic: knows no tensors, devices or meaning of tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from models.engine.protocol import Decoding, Generation
from models.errors import EngineFailed, InvalidInput

ROWS = 1024
"""Hypotheses that an engine has room for. More bring little: on an H100 a step for 128 articles of four beams
took 4.55 ms, for 256 of four 8.3 ms."""
MOST_BEAMS = 8
"""The widest search that is captured: the kernels' registers hold no more candidates."""
RETRY_BEAMS = 4
"""The least that a search which is to be wider asks for (`models.summarize`)."""

MAX_STOP_TOKENS = 4
MAX_SUPPRESSED_TOKENS = 64
MAX_NGRAM_SIZE = 8
MAX_REMEMBERED_DECODINGS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The sizes that an engine is built for, and the limits of its requests."""

    max_slots: int = 512
    """Requests that run at a time, if memory has room for them."""
    beam_widths: tuple[int, ...] = (4, 1)
    """The model's own first, and one among them; searches run with these and no others."""
    max_stop_tokens: int = 1
    max_source_tokens: int = 512
    max_new_tokens: int = 256
    memory_fraction: float = 1 / 3
    """The share of the device's memory that caches may take."""


def limits_for(
    num_beams: int, max_source_tokens: int, max_new_tokens: int, max_stop_tokens: int = 1
) -> Limits:
    """Return the limits of an engine for a model whose searches mostly have so many beams.

    The product and the benchmark both ask here.
    """
    return Limits(
        max_slots=max(1, ROWS // num_beams),
        beam_widths=beam_widths(num_beams),
        max_stop_tokens=max_stop_tokens,
        max_source_tokens=max_source_tokens,
        max_new_tokens=max_new_tokens,
    )


def beam_widths(num_beams: int) -> tuple[int, ...]:
    """Return the widths of an engine's searches: the model's own, one, and for retries twice its own."""
    double = max(RETRY_BEAMS, 2 * num_beams)
    return tuple(dict.fromkeys((num_beams, 1, double if double <= MOST_BEAMS else 1)))


class Plan(NamedTuple):
    """The numbers of slots and rows."""

    num_slots: int
    num_rows: int


def plan(limits: Limits, token_bytes: int, logits_bytes: int, free_bytes: int | None) -> Plan:
    """The most slots that fit, each with as many rows as the first of the beam widths.

    A token's keys and values in all layers take `token_bytes`, a hypothesis' logits `logits_bytes`, once as
    they are and once as room to work in. With `free_bytes=None` the size is not checked. EngineFailed where
    not even one request fits.
    """
    own, most_beams = limits.beam_widths[0], max(limits.beam_widths)
    search = 4 * 4 * most_beams * limits.max_new_tokens  # four tables of 32-bit numbers
    row = limits.max_new_tokens * token_bytes + 2 * logits_bytes
    need = limits.max_source_tokens * token_bytes + search + own * row
    slots = limits.max_slots if free_bytes is None else min(limits.max_slots, free_bytes // need)
    if slots < 1:
        raise EngineFailed(
            f"the device has {free_bytes} bytes free for caches, but one request of "
            f"{limits.max_source_tokens} source tokens with {own} beams takes {need}"
        )
    return Plan(slots, max(slots * own, most_beams))


class Lane(NamedTuple):
    """Requests that share a decoding step."""

    num_beams: int
    num_candidates: int
    """Continuations looked at in a step: enough that `num_beams` stay even if the others all end."""


@dataclass(frozen=True, slots=True)
class RequestChecks:
    """Checks for one model in one engine, before anything is queued."""

    limits: Limits
    source_vocabulary: int
    target_vocabulary: int
    end_token_ids: tuple[int, ...]
    _checked: dict[Decoding, tuple[Lane, tuple[int, ...]]] = field(
        default_factory=dict, init=False, compare=False
    )

    def check(self, generation: Generation) -> tuple[Lane, tuple[int, ...]]:
        """Return the lane that this generation runs in, and the tokens that end it.

        Raises InvalidInput, with the field and what it may be, if it cannot run here.
        """
        source, decoding = generation.source_ids, generation.decoding
        _between("source_ids", len(source), 1, self.limits.max_source_tokens, what="number of source tokens")
        _all_below("source_ids", source, self.source_vocabulary)
        checked = self._checked.get(decoding)
        if checked is None:
            if len(self._checked) >= MAX_REMEMBERED_DECODINGS:
                self._checked.clear()
            checked = self._checked[decoding] = self._check_decoding(decoding)
        if generation.on_token is not None and decoding.num_beams > 1:
            raise InvalidInput("tokens are streamed in greedy search only", field="num_beams", allowed="1")
        return checked

    def _check_decoding(self, decoding: Decoding) -> tuple[Lane, tuple[int, ...]]:
        _between("max_new_tokens", decoding.max_new_tokens, 1, self.limits.max_new_tokens)
        _between("min_new_tokens", decoding.min_new_tokens, 0, decoding.max_new_tokens)
        if decoding.num_beams < 1:
            raise InvalidInput(f"num_beams is {decoding.num_beams}", field="num_beams", allowed="1 or more")
        _between("num_return_sequences", decoding.num_return_sequences, 1, decoding.num_beams)
        _between("no_repeat_ngram_size", decoding.no_repeat_ngram_size, 0, MAX_NGRAM_SIZE)
        if not decoding.repetition_penalty > 0:
            raise InvalidInput(
                f"repetition_penalty is {decoding.repetition_penalty}",
                field="repetition_penalty",
                allowed="above 0",
            )
        stops, suppressed = decoding.stop_token_ids or self.end_token_ids, decoding.suppressed_token_ids
        _between("stop_token_ids", len(stops), 0, self.limits.max_stop_tokens, what="number of tokens")
        _between("suppressed_token_ids", len(suppressed), 0, MAX_SUPPRESSED_TOKENS, what="number of tokens")
        _all_below("stop_token_ids", decoding.stop_token_ids, self.target_vocabulary)
        _all_below("suppressed_token_ids", suppressed, self.target_vocabulary)
        for name in ("forced_bos_token_id", "forced_eos_token_id"):
            token = getattr(decoding, name)
            if token is not None:
                _all_below(name, (token,), self.target_vocabulary)
                if token in suppressed:
                    raise InvalidInput(f"token {token} is both forced and suppressed", field=name)
        return self._lane(decoding.num_beams), stops

    def lanes(self) -> list[Lane]:
        """All lanes of the engine: as many as the beam widths, so no request brings a new one with it."""
        return [self._lane(width) for width in self.limits.beam_widths]

    def _lane(self, wish: int) -> Lane:
        """The widest lane of the engine's that is no wider than this wish."""
        num_beams = max(width for width in self.limits.beam_widths if width <= wish)
        if num_beams == 1:
            return Lane(1, 1)  # the same token is the best either way
        # As many as transformers' beam search keeps where each stop token is used; more change nothing.
        return Lane(num_beams, max(2, 1 + self.limits.max_stop_tokens) * num_beams)


def _between(field: str, value: int, low: int, high: int, *, what: str | None = None) -> None:
    if not low <= value <= high:
        raise InvalidInput(f"{what or field} is {value}", field=field, allowed=f"{low} to {high}")


def _all_below(field: str, token_ids: Sequence[int], vocabulary: int) -> None:
    if token_ids and not (min(token_ids) >= 0 and max(token_ids) < vocabulary):
        wrong = next(token for token in token_ids if not 0 <= token < vocabulary)
        raise InvalidInput(
            f"token id {wrong} is not in the model's vocabulary",
            field=field,
            allowed=f"0 to {vocabulary - 1}",
        )
