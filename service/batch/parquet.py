"""Parquet, in and out, a few rows at a time. Needs pyarrow, which is an extra."""

import base64
import datetime
import decimal
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from models.errors import InvalidInput
from service.batch.extra import needed
from service.batch.jsonl import dumps, encode
from service.batch.record import Record, Row

ROWS_AT_ONCE = 256
ROWS_A_GROUP = 1024

COLUMNS = ("id", "record", "text", "result", "error")
"""Of the output: the record's own fields, the result and the error as JSON; `text` is the summary or the
translation itself. They are the same whatever the input is."""


def _pyarrow(part: str) -> Any:
    return needed(f"pyarrow{part}", what="Parquet", extra="parquet")


class ParquetInput:
    """Reads a Parquet file's rows."""

    def __init__(self, path: Path):
        lib, parquet = _pyarrow(""), _pyarrow(".parquet")
        try:
            self._file = parquet.ParquetFile(path, memory_map=False, pre_buffer=False)
        except (lib.ArrowException, ValueError) as error:
            raise InvalidInput(f"{path} is no Parquet file: {error}") from error
        self._seen = 0

    @property
    def size(self) -> int | None:
        """Rows."""
        return int(self._file.metadata.num_rows)

    def position(self) -> int:
        """Rows read."""
        return self._seen

    def records(self) -> Iterator[Record]:
        """The rows. What JSON has no type for is written as text: dates in ISO 8601, bytes in Base64."""
        for batch in self._file.iter_batches(batch_size=ROWS_AT_ONCE, use_threads=False):
            for row in batch.to_pylist():
                self._seen += 1
                yield Record(self._seen, {name: _plain(value) for name, value in row.items()})


class ParquetOutput:
    """Writes rows with the columns `COLUMNS`; a context manager."""

    def __init__(self, stream: BinaryIO):
        self._arrow = _pyarrow("")
        self._schema = self._arrow.schema([(name, self._arrow.string()) for name in COLUMNS])
        self._writer = _pyarrow(".parquet").ParquetWriter(stream, self._schema, compression="zstd")
        self._rows: list[dict[str, str | None]] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        for row in rows:
            self._rows.append(_columns(row))
            if len(self._rows) == ROWS_A_GROUP:
                self._flush()

    def __enter__(self) -> "ParquetOutput":
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
        "record": encode(row.fields).decode().rstrip("\n"),
        "text": row.text(),
        "result": row.result,
        "error": None if row.error is None else dumps(row.error),
    }


def _plain(value: Any) -> Any:
    """As JSON can hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | datetime.timedelta):
        return str(value)
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
