"""Writes the rows of records to OUT.part, which is renamed OUT when it is whole."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from models.errors import InvalidInput
from service.batch.compression import compressed, inner_suffix
from service.batch.jsonl import dumps, encode
from service.batch.parquet import ParquetOutput
from service.batch.record import Row, RowOutput


class JsonlOutput:
    """Writes a line for each row."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._stream.write(b"".join(map(_line, rows)))
        self._stream.flush()


def _line(row: Row) -> bytes:
    if row.error is None:
        return encode(row.fields, row.result_field, row.result or "null")
    if "error" not in row.fields:
        return encode(row.fields, "error", dumps(row.error))
    own_id = {row.id_field: row.fields[row.id_field]} if row.id_field in row.fields else {}
    return encode({**own_id, "record": row.fields}, "error", dumps(row.error))


@contextmanager
def opened(out: Path) -> Iterator[RowOutput]:
    """Open the file `out` for rows, in the format that its name tells.

    It has another name until all is written. Raises InvalidInput if another run writes it.
    """
    part = out.with_name(out.name + ".part")
    with part.open("ab") as file:
        lock(file, part, f"another run is writing {part}")
        file.truncate(0)
        with compressed(file, out.name) as stream:
            if inner_suffix(out.name) == ".parquet":
                with ParquetOutput(stream) as output:
                    yield output
            else:
                yield JsonlOutput(stream)
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
