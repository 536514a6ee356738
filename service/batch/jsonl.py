"""JSON lines: one record a line, and for every line one record, however bad the line is.

Knows bytes, lines and JSON; knows no task, no model and no file names.
"""

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from models.errors import InvalidInput
from service.batch.compression import BROKEN, broken
from service.batch.record import Fields, Record

MAX_LINE_BYTES = 64 * 2**20
"""Longer lines become error records: one line must never fill the memory."""

MAX_DEPTH = 100
"""Deeper JSON becomes an error record: how deep Python can write it depends on the call stack."""


def records(stream: BinaryIO) -> Iterator[Record]:
    """The records of a stream's lines. Raises InvalidInput if the stream is damaged."""
    number = 0
    try:
        while raw := _line(stream):
            number += 1
            yield _parse(raw, number)
    except BROKEN as error:
        raise broken(error) from error


def dumps(value: Any) -> str:
    """JSON as the output has it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def encode(fields: Fields, name: str | None = None, result: str = "null") -> bytes:
    """One output line: the fields, and perhaps one more whose value is JSON already.

    Lone surrogates, which UTF-8 can't hold, stay escaped as they were in the input.
    """
    own = dumps(fields)
    try:
        own.encode()
    except UnicodeEncodeError:
        own = json.dumps(fields)
    if name is not None:
        own = own[:-1] + (", " if fields else "") + f"{dumps(name)}: {result}}}"
    return own.encode() + b"\n"


def _line(stream: BinaryIO) -> bytes:
    """The next line with its end; of a line over the limit only so much that it is seen to be."""
    line = stream.readline(MAX_LINE_BYTES + 1)
    piece = line
    while len(piece) > MAX_LINE_BYTES and not piece.endswith(b"\n"):
        piece = stream.readline(MAX_LINE_BYTES + 1)
    return line


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
