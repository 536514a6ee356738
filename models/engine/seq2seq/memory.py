"""The sizes that an engine is built for, and how many slots and rows the device's memory has room for.

Plain arithmetic on numbers; knows nothing of tensors or devices.
"""

from dataclasses import dataclass
from typing import NamedTuple

from models.errors import EngineFailed

ROWS = 1024
"""Hypotheses that an engine has room for. More bring little: on an H100 a step for 128 articles of four beams
took 4.55 ms, for 256 of four 8.3 ms."""
MOST_BEAMS = 8
"""The widest search that is captured: the kernels' registers hold no more candidates."""
RETRY_BEAMS = 4
"""The least that a search which is to be wider asks for (`models.summarize`)."""


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
    they are and once as room to work in. `free_bytes` None asks no question. EngineFailed where not even one
    request fits.
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
