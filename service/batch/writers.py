"""Writers of rows: JSON Lines, CSV, TSV or Parquet, compressed or not. OUT is OUT.part until complete."""

import csv
import fcntl
import gzip
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, BinaryIO, cast

import zstandard

from models.errors import InvalidInput
from service.batch.readers import inner_suffix
from service.batch.record import FieldNames, Fields, Row
from service.errors import import_extra

PARQUET_GROUP_ROWS = 1024

COLUMNS = ("id", "record", "text", "result", "error")
"""Of Parquet: the record's own fields, the result and the error as JSON; `text` is the summary or the
translation itself. They are the same whatever the input is."""

DELIMITERS = {".csv": ",", ".tsv": "\t"}
"""Of tables, by the suffixes of their names."""


@contextmanager
def open_writer(
    out: Path, names: FieldNames | None = None, columns: Sequence[str] = ()
) -> Iterator["Writer"]:
    """Open the file `out` for rows, in the format that its name tells; a table has the input's `columns`.

    It has another name until all is written. Raises InvalidInput if another run writes it.
    """
    names = names or FieldNames()
    suffix = inner_suffix(out.name)
    if suffix in DELIMITERS:
        columns = table_columns(names, columns)
    part = out.with_name(out.name + ".part")
    with part.open("ab") as file:
        lock(file, part, f"another run is writing {part}")
        file.truncate(0)
        with _compressed(file, out.name) as stream:
            if suffix == ".parquet":
                with ParquetWriter(stream) as writer:
                    yield writer
            elif suffix in DELIMITERS:
                yield TableWriter(stream, columns, DELIMITERS[suffix])
            else:
                yield JsonlWriter(stream)
        file.flush()
        os.fsync(file.fileno())
        part.replace(out)


def lock(file: BinaryIO, path: Path, taken: str) -> None:
    """Have a file to ourselves until it is closed. Raises InvalidInput with the words `taken` if we can't."""
    other = InvalidInput(taken)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise other from error
    if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
        raise other  # it came to its end, and what we opened is OUT by now


@contextmanager
def _compressed(stream: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """A stream to write plain bytes to; the same bytes always give the same file."""
    suffix = PurePath(name.lower()).suffix
    if suffix == ".gz":
        with gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=6, mtime=0) as file:
            yield cast(BinaryIO, file)
    elif suffix == ".zst":
        with zstandard.ZstdCompressor(level=6).stream_writer(stream, closefd=False) as writer:
            yield cast(BinaryIO, writer)
    else:
        yield stream


def dumps(value: Any) -> str:
    """JSON as the output has it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


class JsonlWriter:
    """Writes a line for each row."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._stream.write(b"".join(map(_line, rows)))
        self._stream.flush()


def _line(row: Row) -> bytes:
    if row.error is None:
        return _encoded(row.fields, row.result_field, row.result or "null")
    if "error" not in row.fields:
        return _encoded(row.fields, "error", dumps(row.error))
    own_id = {row.id_field: row.fields[row.id_field]} if row.id_field in row.fields else {}
    return _encoded({**own_id, "record": row.fields}, "error", dumps(row.error))


def _encoded(fields: Fields, name: str, value: str) -> bytes:
    """One output line: the fields, and one more whose value is JSON already."""
    own = _fields_json(fields)
    return (own[:-1] + (", " if fields else "") + f"{dumps(name)}: {value}}}").encode() + b"\n"


def _fields_json(fields: Fields) -> str:
    """Lone surrogates, which UTF-8 can't hold, stay escaped as they were in the input."""
    own = dumps(fields)
    try:
        own.encode()
    except UnicodeEncodeError:
        return json.dumps(fields)
    return own


def table_columns(names: FieldNames, columns: Sequence[str]) -> list[str]:
    """Return the columns of a table that is written for one with `columns`. Raises InvalidInput."""
    added = [names.result, "flags", "error"]
    if taken := [name for name in added if name in columns]:
        raise InvalidInput(f"IN has a column {taken[0]!r}, a name that a table OUT needs for itself")
    omitted = names.contents if names.omit_text else ()
    return [*(name for name in columns if name not in omitted), *added]


class TableWriter:
    """Writes a row of CSV or TSV for each row, and the names first: the input's columns, then three more.

    These are the summary or translation itself, the kinds of its flags, and the message of an error.
    """

    def __init__(self, stream: BinaryIO, columns: Sequence[str], delimiter: str):
        self._stream = stream
        self._columns = columns
        self._delimiter = delimiter
        self._put([list(columns)])

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        own = self._columns[:-3]
        self._put(
            [
                *(row.fields.get(name, "") for name in own),
                row.text() or "",
                " ".join(row.flags),
                "" if row.error is None else row.error["message"],
            ]
            for row in rows
        )

    def _put(self, rows: Iterable[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._delimiter, lineterminator="\n").writerows(rows)
        self._stream.write(text.getvalue().encode())
        self._stream.flush()


class ParquetWriter:
    """Writes rows with the columns `COLUMNS`; a context manager. Needs the extra `parquet`."""

    def __init__(self, stream: BinaryIO):
        self._arrow = import_extra("pyarrow", what="Parquet", extra="parquet")
        parquet = import_extra("pyarrow.parquet", what="Parquet", extra="parquet")
        self._schema = self._arrow.schema([(name, self._arrow.string()) for name in COLUMNS])
        self._writer = parquet.ParquetWriter(stream, self._schema, compression="zstd")
        self._rows: list[dict[str, str | None]] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        for row in rows:
            self._rows.append(_columns(row))
            if len(self._rows) == PARQUET_GROUP_ROWS:
                self._flush()

    def __enter__(self) -> "ParquetWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the file's end; after an error, without the rows that are left."""
        if kind is None:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []


def _columns(row: Row) -> dict[str, str | None]:
    own_id = row.fields.get(row.id_field)
    return {
        "id": own_id if own_id is None or isinstance(own_id, str) else dumps(own_id),
        "record": _fields_json(row.fields),
        "text": row.text(),
        "result": row.result,
        "error": None if row.error is None else dumps(row.error),
    }


Writer = JsonlWriter | TableWriter | ParquetWriter
"""Writes rows in order."""
