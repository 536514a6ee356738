"""JSONL in and out: one record a line, and for every line one record, however bad the line is.

Knows bytes, lines and JSON; knows no task, no model and no file names. Another format is another class with
`chunk`, `skip` and `position`.
"""

import codecs
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NoReturn, Protocol

from models.errors import InvalidInput

MAX_LINE_BYTES = 64 * 2**20
"""Longer lines become error records: one line must never fill the memory."""

MAX_DEPTH = 100
"""Deeper JSON becomes an error record: how deep Python can write it depends on the call stack."""

_SKIP_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the input."""

    line: int
    """Counted from 1."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    problem: InvalidInput | None = None
    """Why it could not be read; `fields` are then empty."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far an input is read, between two records."""

    records: int
    offset: int
    """In bytes."""
    sha256: str
    """Of all bytes before `offset`."""


class Reader(Protocol):
    """Where records come from."""

    def chunk(self, records: int) -> list[Record]:
        """The next records, at most so many; empty at the end."""

    def position(self) -> Position:
        """Behind the last record that was read."""

    def skip(self, position: Position) -> None:
        """Go on from `position`. Raises InvalidInput if what lies before it is no longer the same."""


class JsonlReader:
    """Reads JSON objects from the lines of a binary stream, which needn't be seekable."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._records = 0
        self._offset = 0
        self._sha256 = hashlib.sha256()

    def chunk(self, records: int) -> list[Record]:
        chunk: list[Record] = []
        while len(chunk) < records and (raw := self._line()):
            self._records += 1
            chunk.append(_parse(raw, self._records))
        return chunk

    def position(self) -> Position:
        return Position(self._records, self._offset, self._sha256.hexdigest())

    def skip(self, position: Position) -> None:
        while self._offset < position.offset:
            if not self._read(self._stream.read(min(_SKIP_BYTES, position.offset - self._offset))):
                break
        self._records = position.records
        if self.position() != position:
            raise InvalidInput(
                "the input is no longer the one that the interrupted run read; --restart begins anew"
            )

    def _line(self) -> bytes:
        """The next line with its end; of a line over the limit only so much that it is seen to be."""
        line = self._read(self._stream.readline(MAX_LINE_BYTES + 1))
        piece = line
        while len(piece) > MAX_LINE_BYTES and not piece.endswith(b"\n"):
            piece = self._read(self._stream.readline(MAX_LINE_BYTES + 1))
        return line

    def _read(self, data: bytes) -> bytes:
        self._offset += len(data)
        self._sha256.update(data)
        return data


def encode(fields: Mapping[str, Any]) -> bytes:
    """One output line. Lone surrogates, which UTF-8 can't hold, stay escaped as they were in the input."""
    line = json.dumps(fields, ensure_ascii=False, allow_nan=False)
    try:
        return line.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(fields).encode() + b"\n"


def _parse(raw: bytes, line: int) -> Record:
    if len(raw) > MAX_LINE_BYTES:
        return Record(line, problem=InvalidInput(f"the line is longer than {MAX_LINE_BYTES:,} bytes"))
    if line == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse, parse_float=_finite)
    except UnicodeDecodeError as error:
        return Record(line, problem=InvalidInput(f"the line is not UTF-8 (byte {error.start + 1})"))
    except json.JSONDecodeError as error:
        what = f"not JSON: {error.msg} (column {error.colno})" if raw.strip() else "empty"
        return Record(line, problem=InvalidInput(f"the line is {what}"))
    except (ValueError, RecursionError) as error:
        return Record(line, problem=InvalidInput(f"the line is not JSON that can be kept: {error}"))
    if not isinstance(value, dict):
        return Record(line, problem=InvalidInput("the line is JSON, but not an object", allowed="an object"))
    if _depth(value) > MAX_DEPTH:
        return Record(line, problem=InvalidInput(f"the line is nested deeper than {MAX_DEPTH} levels"))
    return Record(line, value)


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    return depth


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _finite(number: str) -> float:
    value = float(number)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{number} is too large")
    return value
