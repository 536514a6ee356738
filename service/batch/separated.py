"""CSV and TSV: the first row has the names of the fields, every further row is a record."""

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from models.errors import InvalidInput
from service.batch.compression import BROKEN, broken
from service.batch.record import Record

MAX_FIELD_CHARACTERS = 16 * 2**20
"""A quotation mark that is never closed makes one field of all that follows it."""


def records(stream: BinaryIO, *, delimiter: str = ",") -> Iterator[Record]:
    """The rows as records, all values strings. Raises InvalidInput if it is no such table."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    rows = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        header = next(rows, None)
        if header is None:
            return
        _check(header)
        yield from _rows(rows, header)
    except csv.Error as error:
        raise InvalidInput(f"the table's first row cannot be read: {error}") from error
    except BROKEN as error:
        raise broken(error) from error
    finally:
        text.detach()


def _rows(rows: "Iterator[list[str]]", header: list[str]) -> Iterator[Record]:
    number = 0
    while True:
        number += 1
        try:
            yield _record(number, header, next(rows))
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(number, problem=InvalidInput(f"the row is not CSV: {error}"))


def _check(header: list[str]) -> None:
    if twice := {name for name in header if header.count(name) > 1}:
        raise InvalidInput(f"the table has two columns called {sorted(twice)[0]!r}")
    if any(_undecoded(name) for name in header):
        raise InvalidInput("the table's first row is not UTF-8")


def _record(number: int, header: list[str], row: list[str]) -> Record:
    if len(row) != len(header):
        what = "is empty" if not row else f"has {len(row)} fields for {len(header)} columns"
        return Record(number, problem=InvalidInput(f"the row {what}"))
    if any(map(_undecoded, row)):
        return Record(number, problem=InvalidInput("the row is not UTF-8"))
    return Record(number, dict(zip(header, row, strict=True)))


def _undecoded(value: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in value)
