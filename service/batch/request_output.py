"""Rows as OpenAI's batch files have them: the answers in one file, what failed in another."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from service.batch.jsonl import encode
from service.batch.output import whole
from service.batch.requests import content_of, request_id
from service.batch.row import Row, RowOutput


class RequestOutput:
    """A line for each row, in the file for its kind. Every line of the input has a row, in order."""

    def __init__(self, answers: BinaryIO, errors: BinaryIO):
        self._answers = answers
        self._errors = errors
        self._line = 0

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        for row in rows:
            self._line += 1
            stream = self._answers if row.error is None else self._errors
            told = {"id": _id(self._line, row), "custom_id": row.fields.get("custom_id"), **_told(row)}
            stream.write(encode(told))
        self._answers.flush()
        self._errors.flush()


@contextmanager
def opened(out: Path | None, errors: Path | None) -> Iterator[RowOutput]:
    """Both files under other names until all is written; None is standard output.

    OUT gets its name last. Raises InvalidInput if another run writes one.
    """
    if errors is None:
        yield RequestOutput(sys.stdout.buffer, sys.stdout.buffer)
    elif out is None:
        with whole(errors) as failed:
            yield RequestOutput(sys.stdout.buffer, failed)
    else:
        with whole(out) as answered, whole(errors) as failed:
            yield RequestOutput(answered, failed)


def _told(row: Row) -> dict[str, Any]:
    if row.error is None:
        own_id, body = request_id(content_of(row.fields)), json.loads(row.result or "null")
        return {"response": {"status_code": 200, "request_id": own_id, "body": body}, "error": None}
    error = row.error["error"]
    return {
        "response": row.error["response"],
        "error": None if error is None else {**error, "line": row.error["line"]},
    }


def _id(line: int, row: Row) -> str:
    own = json.dumps([line, row.fields]).encode()
    return f"batch_req_{blake2b(own, digest_size=16).hexdigest()}"
