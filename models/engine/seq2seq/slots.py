"""Places in the device's memory, as numbers: which slot and which rows a request holds.

A slot keeps one source (its cross-attention keys and values, its search state); a row keeps the
self-attention cache of one hypothesis. Knows nothing of tensors, tokens or time.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """One request's slot and its rows, one row a beam."""

    slot: int
    rows: tuple[int, ...]


NOWHERE = Place(-1, ())
"""The place of a request that waits or is over."""


class Slots:
    """Hands out places and takes them back; never grows."""

    def __init__(self, num_slots: int, num_rows: int):
        self.num_slots = num_slots
        self.num_rows = num_rows
        self._free_slots = list(range(num_slots - 1, -1, -1))
        self._free_rows = list(range(num_rows - 1, -1, -1))

    @property
    def used(self) -> int:
        """Slots that are held."""
        return self.num_slots - len(self._free_slots)

    @property
    def free_rows(self) -> int:
        return len(self._free_rows)

    def take(self, num_beams: int) -> Place | None:
        """A slot with `num_beams` rows, or None while too few are free."""
        if not self._free_slots or len(self._free_rows) < num_beams:
            return None
        rows = tuple(self._free_rows[-num_beams:])
        del self._free_rows[-num_beams:]
        return Place(self._free_slots.pop(), rows)

    def give_back(self, place: Place) -> None:
        self._free_slots.append(place.slot)
        self._free_rows.extend(place.rows)
