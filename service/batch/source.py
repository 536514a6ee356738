"""Sources of records: a file in one of several formats, a folder, or standard input."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from service.batch import jsonl, separated
from service.batch.compression import Counted, decompressed, inner_suffix
from service.batch.folder import Folder
from service.batch.parquet import ParquetInput
from service.batch.record import FieldNames, Record

Format = Literal["jsonl", "csv", "tsv", "parquet", "folder"]


class RecordSource(Protocol):
    """Reads records, and tells how far it is."""

    @property
    def size(self) -> int | None:
        """The `position` at the end, in bytes, rows or files; None if it isn't known."""

    def position(self) -> int:
        """Return how far it is read."""

    def records(self) -> Iterator[Record]:
        """Yield the records; once only."""


class LineSource:
    """JSON lines, CSV or TSV from a stream, which needn't be seekable."""

    def __init__(self, stream: BinaryIO, name: str, format_: Format):
        self._counted = Counted(stream)
        self._plain = decompressed(self._counted, name)
        self._format = format_
        self.size = _size(stream)

    def position(self) -> int:
        """Return the bytes read, compressed as they are."""
        return self._counted.count

    def records(self) -> Iterator[Record]:
        """Yield the lines or rows."""
        if self._format == "jsonl":
            return jsonl.records(self._plain)
        return separated.records(self._plain, delimiter="\t" if self._format == "tsv" else ",")


def format_of(path: str) -> Format:
    """Return the format that a path tells, or JSON lines."""
    if path != "-" and Path(path).is_dir():
        return "folder"
    suffix = inner_suffix(path)
    return {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}.get(suffix, "jsonl")  # type: ignore[return-value]


@contextmanager
def opened(path: str, names: FieldNames, format_: Format | None = None) -> Iterator[RecordSource]:
    """Open the source of a path; `-` is standard input. Raises InvalidInput if it is not in that format."""
    format_ = format_ or format_of(path)
    if format_ == "folder":
        yield Folder(Path(path), names)
    elif format_ == "parquet":
        yield ParquetInput(Path(path))
    elif path == "-":
        yield LineSource(sys.stdin.buffer, path, format_)
    else:
        with Path(path).open("rb") as stream:
            yield LineSource(stream, path, format_)


def _size(stream: BinaryIO) -> int | None:
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
