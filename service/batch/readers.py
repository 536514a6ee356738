"""Readers of records: JSON Lines, CSV, TSV and Parquet, compressed or not, and folders of articles.

Every line, row or file yields one record, even if invalid. Knows no task and no model.
"""

import base64
import codecs
import csv
import datetime
import decimal
import gzip
import io
import json
import math
import os
import stat
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, BinaryIO, NoReturn, cast

import zstandard

from models.choices import TEXT_SUFFIXES
from models.errors import DragomanError, InvalidInput
from service.batch.options import Format
from service.batch.record import FieldNames, Record
from service.children import Children
from service.documents import read_document
from service.documents.formats import SUFFIXES, DocumentArticle
from service.errors import import_extra

COMPRESSED = (".gz", ".zst")

MAX_LINE_BYTES = 64 * 2**20
"""Longer lines become error records: one line must never fill the memory."""

MAX_DEPTH = 100
"""Deeper JSON becomes an error record: how deep Python can write it depends on the call stack."""

MAX_FIELD_CHARACTERS = 16 * 2**20
"""Of CSV: a quotation mark that is never closed makes one field of all that follows it."""

MAX_FILE_BYTES = 64 * 2**20
"""Of a file in a folder."""

READ_DOCUMENT_S = 120.0
"""The longest that reading one document may take, in a process of its own."""

PARQUET_ROWS_AT_ONCE = 256


@contextmanager
def open_reader(path: str, names: FieldNames, format_: Format | None = None) -> Iterator["Reader"]:
    """Open a path; `-` is standard input. Raises InvalidInput if it is not in that format."""
    format_ = format_ or format_of(path)
    if format_ == "folder":
        yield FolderReader(Path(path), names)
    elif format_ == "parquet":
        yield ParquetReader(Path(path))
    elif path == "-":
        yield LineReader(sys.stdin.buffer, path, format_)
    else:
        with Path(path).open("rb") as stream:
            yield LineReader(stream, path, format_)


def format_of(path: str) -> Format:
    """Return the format that a path tells, or JSON Lines."""
    if path != "-" and Path(path).is_dir():
        return "folder"
    suffix = inner_suffix(path)
    return {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}.get(suffix, "jsonl")  # type: ignore[return-value]


def inner_suffix(name: str) -> str:
    """Return a name's suffix before that of the compression, in lower case: `.jsonl` of `a.jsonl.gz`."""
    path = PurePath(name.lower())
    return path.with_suffix("").suffix if path.suffix in COMPRESSED else path.suffix


# ---------------------------------------------------------------------- lines, perhaps compressed


class LineReader:
    """Reads JSON Lines, CSV or TSV from a stream, which needn't be seekable.

    `columns` are the names of a table's fields, once its first row is read.
    """

    def __init__(self, stream: BinaryIO, name: str, format_: Format):
        self._counted = _CountedStream(stream)
        self._plain = _decompressed(self._counted, name)
        self._format = format_
        self.size = _file_size(stream)
        self.unit = "line" if format_ == "jsonl" else "row"
        self.columns: list[str] = []

    def position(self) -> int:
        """Return the bytes read, compressed as they are."""
        return self._counted.count

    def records(self) -> Iterator[Record]:
        """Yield the lines or rows. Raises InvalidInput if the stream is damaged, or its header is."""
        try:
            if self._format == "jsonl":
                yield from json_records(self._plain)
            else:
                delimiter = "\t" if self._format == "tsv" else ","
                yield from csv_records(self._plain, delimiter=delimiter, columns=self.columns)
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise InvalidInput(f"the input is damaged or cut off: {error}") from error


class _CountedStream(io.RawIOBase):
    """A binary stream that counts the bytes read of it."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)


class _ZstandardStream(io.RawIOBase):
    """The plain bytes of one or more frames; the library's own reader takes half a frame for a whole one."""

    def __init__(self, stream: io.RawIOBase):
        self._stream = stream
        self._frame: Any = None
        self._plain = io.BytesIO()
        self._packed = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        while not (count := self._plain.readinto(buffer)):
            self._packed = self._packed or self._stream.read(2**14) or b""
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("it ends before its last frame does")
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._plain, self._packed = io.BytesIO(self._frame.decompress(self._packed)), b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        return count


def _decompressed(stream: io.RawIOBase, name: str) -> BinaryIO:
    suffix = PurePath(name.lower()).suffix
    if suffix == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=io.BufferedReader(stream), mode="rb"))
    return io.BufferedReader(_ZstandardStream(stream) if suffix == ".zst" else stream)


def _file_size(stream: BinaryIO) -> int | None:
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


# ---------------------------------------------------------------------- JSON Lines


def json_records(stream: BinaryIO) -> Iterator[Record]:
    """Yield a record for each of the stream's lines."""
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        piece = raw
        while len(piece) > MAX_LINE_BYTES and not piece.endswith(b"\n"):  # the rest of a line over the limit
            piece = stream.readline(MAX_LINE_BYTES + 1)
        yield _json_record(raw, number)


def _json_record(raw: bytes, line: int) -> Record:
    if len(raw) > MAX_LINE_BYTES:
        return Record(line, problem=InvalidInput(f"the line is longer than {MAX_LINE_BYTES:,} bytes"))
    if line == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse_constant, parse_float=_finite)
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


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number} is too large")
    return value


# ---------------------------------------------------------------------- CSV and TSV


def csv_records(
    stream: BinaryIO, *, delimiter: str = ",", columns: list[str] | None = None
) -> Iterator[Record]:
    """Yield the rows, all values strings; the first one names the fields, or InvalidInput is raised.

    The names are added to `columns`.
    """
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    rows = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        header = next(rows, None)
        if header is None:
            return
        if twice := {name for name in header if header.count(name) > 1}:
            raise InvalidInput(f"the table has two columns called {sorted(twice)[0]!r}")
        if any(map(_has_undecoded, header)):
            raise InvalidInput("the table's first row is not UTF-8")
        if columns is not None:
            columns += header
        number = 0
        while True:
            number += 1
            try:
                yield _csv_record(number, header, next(rows))
            except StopIteration:
                return
            except csv.Error as error:
                yield Record(number, problem=InvalidInput(f"the row is not CSV: {error}"))
    except csv.Error as error:
        raise InvalidInput(f"the table's first row cannot be read: {error}") from error
    finally:
        text.detach()


def _csv_record(number: int, header: list[str], row: list[str]) -> Record:
    if len(row) != len(header):
        what = "is empty" if not row else f"has {len(row)} fields for {len(header)} columns"
        return Record(number, problem=InvalidInput(f"the row {what}"))
    if any(map(_has_undecoded, row)):
        return Record(number, problem=InvalidInput("the row is not UTF-8"))
    return Record(number, dict(zip(header, row, strict=True)))


def _has_undecoded(value: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in value)


# ---------------------------------------------------------------------- Parquet


class ParquetReader:
    """Reads a Parquet file's rows. Needs the extra `parquet`."""

    unit = "row"

    def __init__(self, path: Path):
        arrow = import_extra("pyarrow", what="Parquet", extra="parquet")
        parquet = import_extra("pyarrow.parquet", what="Parquet", extra="parquet")
        try:
            self._file = parquet.ParquetFile(path, memory_map=False, pre_buffer=False)
        except (arrow.ArrowException, ValueError) as error:
            raise InvalidInput(f"{path} is not a Parquet file: {error}") from error
        self.size: int | None = self._file.metadata.num_rows
        self._seen = 0

    def position(self) -> int:
        """Return the rows read."""
        return self._seen

    def records(self) -> Iterator[Record]:
        """Yield the rows. What JSON has no type for becomes text: dates in ISO 8601, bytes in Base64."""
        for batch in self._file.iter_batches(batch_size=PARQUET_ROWS_AT_ONCE, use_threads=False):
            for row in batch.to_pylist():
                self._seen += 1
                yield Record(self._seen, {name: _json_value(value) for name, value in row.items()})


def _json_value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | datetime.timedelta):
        return str(value)
    if isinstance(value, dict):
        return {str(name): _json_value(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(each) for each in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


# ---------------------------------------------------------------------- folders


class FolderReader:
    """Reads every text, page and document of a folder, in the order of names, folders in it included.

    Text, Markdown and HTML are records as they are; of other documents the text is.
    """

    size = None
    unit = "file"

    def __init__(self, path: Path, names: FieldNames):
        self.left_out: Counter[str] = Counter()
        """Files that are no articles, by their suffixes."""
        self._path = path
        self._names = names
        self._seen = 0
        self._children = Children()

    def position(self) -> int:
        """Return the number of files read."""
        return self._seen

    def records(self) -> Iterator[Record]:
        """Yield the files' texts, with the paths inside the folder as ids."""
        for path in _files(self._path):
            if path.suffix.lower() not in SUFFIXES:
                self.left_out[path.suffix.lower() or "without a suffix"] += 1
                continue
            self._seen += 1
            yield self._record(path, self._seen)

    def _record(self, path: Path, number: int) -> Record:
        own = {self._names.id: path.relative_to(self._path).as_posix()}
        form = TEXT_SUFFIXES.get(path.suffix.lower())
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                return Record(number, own, InvalidInput(f"the file is longer than {MAX_FILE_BYTES:,} bytes"))
            if form is None:
                article = self._children.run(
                    _document_article, path.name, data, field="file", timeout_s=READ_DOCUMENT_S
                )
            else:
                article = DocumentArticle(data.decode("utf-8-sig"), "html" if form == "html" else "text")
        except UnicodeDecodeError as error:
            return Record(number, own, InvalidInput(f"the file is not UTF-8 (byte {error.start + 1})"))
        except DragomanError as error:
            return Record(number, own, InvalidInput(error.message))
        except OSError as error:
            return Record(number, own, InvalidInput(f"the file cannot be read: {error.strerror}"))
        name = (self._names.html if article.field == "html" else self._names.text) or article.field
        return Record(number, {**own, name: article.text}, is_markdown=form == "markdown")


def _document_article(name: str, data: bytes) -> DocumentArticle:
    return read_document(name, data).article()


def _files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file() and not entry.name.startswith("."):
            yield Path(entry.path)


Reader = LineReader | ParquetReader | FolderReader
"""Reads records, once; `unit` is what they are called. Its `position` tells how far it is, up to its `size`:
in bytes, rows or files."""
