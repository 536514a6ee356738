"""The plan of the caches' share of the device's memory: made once, from what is free and the model's shapes.

Plain arithmetic on bytes; knows nothing of tensors or devices.
"""

from dataclasses import dataclass

from models.errors import EngineFailed


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
