"""The plan of the caches' share of the device's memory: made once, from what is free and the model's shapes.

Plain arithmetic on bytes; knows nothing of tensors or devices.
"""

from dataclasses import dataclass
from typing import TypedDict

from models.errors import EngineFailed

ROWS = 1024
"""Hypotheses that an engine has room for. More bring little: on an H100 a step for 128 articles of four beams
took 4.55 ms, for 256 of four 8.3 ms."""
MOST_BEAMS = 8
"""The widest search that is captured: the kernels' registers hold no more candidates."""
RETRY_BEAMS = 4
"""The least that a search which is to be wider asks for (`models.tasks`)."""


class Sizes(TypedDict):
    """What `Seq2SeqEngine` is told of its model's size."""

    max_slots: int
    beam_widths: tuple[int, ...]
    max_source_tokens: int
    max_new_tokens: int


def sizes_for(num_beams: int, max_source_tokens: int, max_new_tokens: int) -> Sizes:
    """Return the sizes of the engine for a model whose searches mostly have so many beams.

    The product and the benchmark both ask here. Memory may hold less, and then there are fewer slots.
    """
    return {
        "max_slots": max(1, ROWS // num_beams),
        "beam_widths": beam_widths(num_beams),
        "max_source_tokens": max_source_tokens,
        "max_new_tokens": max_new_tokens,
    }


def beam_widths(num_beams: int) -> tuple[int, ...]:
    """Return the widths of an engine's searches: the model's own, one, and for retries twice its own."""
    double = max(RETRY_BEAMS, 2 * num_beams)
    return tuple(dict.fromkeys((num_beams, 1, double if double <= MOST_BEAMS else 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """The numbers that decide how large a slot and a row are."""

    num_layers: int
    num_heads: int
    head_width: int
    max_source_tokens: int
    max_new_tokens: int
    vocabulary: int
    bytes_per_value: int
    max_beams: int

    @property
    def bytes_per_token(self) -> int:
        """Keys and values of one token in all layers."""
        return 2 * self.num_layers * self.num_heads * self.head_width * self.bytes_per_value

    @property
    def bytes_per_slot(self) -> int:
        """A source's keys and values, and its search: four tables of 32-bit numbers."""
        search = 4 * 4 * self.max_beams * self.max_new_tokens
        return self.max_source_tokens * self.bytes_per_token + search

    @property
    def bytes_per_row(self) -> int:
        """A hypothesis' keys and values, and its logits, once as they are and once as room to work in."""
        return self.max_new_tokens * self.bytes_per_token + 2 * self.vocabulary * self.bytes_per_value


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of slots and rows."""

    num_slots: int
    num_rows: int


def plan(shapes: Shapes, *, max_slots: int, beams_per_slot: int, free_bytes: int | None) -> Plan:
    """The most slots, up to `max_slots`, that fit with `beams_per_slot` rows each.

    `free_bytes` None asks no question. EngineFailed where not even one request fits.
    """
    most = max_slots
    if free_bytes is not None:
        most = min(most, free_bytes // (shapes.bytes_per_slot + beams_per_slot * shapes.bytes_per_row))
    if most < 1:
        need = shapes.bytes_per_slot + beams_per_slot * shapes.bytes_per_row
        raise EngineFailed(
            f"the device has {free_bytes} bytes free for caches, but one request of "
            f"{shapes.max_source_tokens} source tokens with {beams_per_slot} beams takes {need}"
        )
    return Plan(most, max(most * beams_per_slot, shapes.max_beams))
