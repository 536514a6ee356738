"""Splits an input into windows of a fixed number of records, and each window into units by length.

Only the input, and what is cached of it, decides which records share a window or a unit; never timing.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.errors import InvalidInput
from service.batch.readers import Reader
from service.batch.record import Content, FieldNames, Record, row_error


@dataclass(frozen=True, slots=True)
class Size:
    """The most that a unit or a window has. A window ends with the record that fills it."""

    records: int
    characters: int


WINDOW_SIZES = {"cpu": Size(1024, 16 * 2**20), "cuda": Size(4096, 16 * 2**20)}
"""By where the models run: enough units for each process that reads texts to have one, and no more, so that
memory stays flat."""

UNIT_SIZES = {"cpu": Size(256, 100_000), "cuda": Size(512, 1_600_000)}
"""By where the models run. On a CPU that is some 25 batches of 32 sentences, or for records of one sentence 4
of 64: the last one, which is seldom full, costs little. A GPU's engine has room for 256 articles, runs half
empty while a unit comes to its end, and has nothing then until the next one's texts are submitted."""


@dataclass(slots=True)
class Window:
    """Consecutive records of the input."""

    records: list[Record] = field(default_factory=list)
    contents: list[Content | None] = field(default_factory=list)
    """None for a record with a problem."""
    keys: list[bytes | None] = field(default_factory=list)
    problems: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """Their descriptions, by the record's place."""
    extent: int = 0
    """The amount of input that was read for it, in the source's own measure."""

    def digest(self) -> bytes:
        """Return a digest that is equal for equal work."""
        return hashlib.blake2b(b"".join(key or b"-" for key in self.keys), digest_size=16).digest()

    def wanted(self) -> list[bytes]:
        """Return the keys, each once."""
        return list(dict.fromkeys(key for key in self.keys if key is not None))

    def units(self, known: Collection[bytes], most: Size) -> list[list[int]]:
        """Return the places of records without a result, equal ones once, in units of about one length."""
        todo: dict[bytes, int] = {}
        for place, key in enumerate(self.keys):
            if key is not None and key not in known:
                todo.setdefault(key, place)
        units: list[list[int]] = []
        characters = 0
        for length, place in sorted((len(self.value(place)), place) for place in todo.values()):
            if not units or len(units[-1]) == most.records or characters + length > most.characters:
                units.append([])
                characters = 0
            units[-1].append(place)
            characters += length
        return units

    def share(self, places: Iterable[int]) -> float:
        """Return the part of the window's characters that these records have, 0 to 1."""
        whole = sum(len(self.value(place)) for place in range(len(self.records)))
        return sum(len(self.value(place)) for place in places) / whole if whole else 0.0

    def value(self, place: int) -> str:
        """Return the text of a record, or an empty one."""
        content = self.contents[place]
        return "" if content is None else content.value


def windows(
    source: Reader, names: FieldNames, key: Callable[[Content], bytes], most: Size
) -> Iterator[Window]:
    """Yield the input's windows, in order; `key` makes the key of a content's result."""
    window, characters, start = Window(), 0, source.position()
    for record in source.records():
        content = None
        try:
            content = names.content(record)
        except InvalidInput as problem:
            window.problems[len(window.records)] = row_error(problem)
        window.records.append(record)
        window.contents.append(content)
        window.keys.append(None if content is None else key(content))
        characters += _characters(record.fields)
        if len(window.records) == most.records or characters >= most.characters:
            window.extent = source.position() - start
            yield window
            window, characters, start = Window(), 0, source.position()
    if window.records:
        window.extent = source.position() - start
        yield window


def _characters(value: object) -> int:
    """Return the characters of all strings in a JSON value."""
    if isinstance(value, Mapping):
        return sum(map(_characters, value.values()))
    if isinstance(value, list):
        return sum(map(_characters, value))
    return len(value) if isinstance(value, str) else 0
