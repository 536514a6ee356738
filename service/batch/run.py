"""A batch run: records in, one output line for each, in order, a chunk at a time.

Which records share a chunk is decided by their index alone, and a chunk is run by itself; so a run that was
interrupted and goes on at the last whole chunk writes what an unbroken one writes. Knows no files.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from models.errors import DragomanError, InvalidInput
from models.tasks.steps import Outcome, Steps
from service.batch.formats import Reader, Record, encode
from service.batch.part import Checkpoint, Sink
from service.batch.work import Result, Work

log = logging.getLogger(__name__)

CHUNK_RECORDS = 32

RunAll = Callable[[Sequence[Steps[Result]]], list[Outcome[Result]]]


class Watcher(Protocol):
    """Who is told how the run goes."""

    def update(self, done: Checkpoint) -> None:
        """A chunk is finished."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a run did, over all its interruptions, but for the time."""

    records: int
    errors: int
    resumed_at: int
    """How many records an earlier run had done."""
    seconds: float
    """Of this run."""

    @property
    def rate(self) -> float:
        """Records a second, of this run."""
        return (self.records - self.resumed_at) / self.seconds if self.seconds else 0.0


def run(reader: Reader, sink: Sink, work: Work, run_all: RunAll, watcher: Watcher) -> Totals:
    """Run every record that the sink has not yet, and finish the sink.

    Raises InvalidInput if the input changed since the sink's checkpoint.
    """
    start = time.monotonic()
    resumed_at = sink.checkpoint.position.records
    if resumed_at:
        reader.skip(sink.checkpoint.position)
    while chunk := reader.chunk(CHUNK_RECORDS):
        outcomes = run_all([_steps(work, record) for record in chunk])
        pairs = zip(chunk, outcomes, strict=True)
        lines = b"".join(encode(_output(work, record, outcome)) for record, outcome in pairs)
        sink.append(lines, reader.position(), sum(outcome.error is not None for outcome in outcomes))
        watcher.update(sink.checkpoint)
    sink.finish()
    done = sink.checkpoint
    return Totals(done.position.records, done.errors, resumed_at, time.monotonic() - start)


def _steps(work: Work, record: Record) -> Steps[Result]:
    """The record's task. What is wrong with the record is raised in it, and so is the record's alone."""
    if record.problem is not None:
        raise record.problem
    for name in (work.result_field, "error"):
        if name in record.fields:
            raise InvalidInput(
                f"the record has a field {name!r} of its own, a name that the output needs", field=name
            )
    return (yield from work.steps(record.fields))


def _output(work: Work, record: Record, outcome: Outcome[Result]) -> Result:
    if outcome.error is None:
        return {**record.fields, work.result_field: outcome.unwrap()}
    error = _described(outcome.error, record.line)
    if "error" not in record.fields:
        return {**record.fields, "error": error}
    own_id = {"id": record.fields["id"]} if "id" in record.fields else {}
    return {**own_id, "record": record.fields, "error": error}


def _described(error: Exception, line: int) -> Mapping[str, Any]:
    """As in HTTP's problem documents: `unsupported-language` is what UnsupportedLanguage is called there."""
    if not isinstance(error, DragomanError):
        log.debug("line %d: a bug", line, exc_info=error)
        return {"type": "unexpected-error", "message": f"{type(error).__name__}: {error}", "line": line}
    kind = re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
    described: dict[str, Any] = {"type": kind, "message": error.message}
    if error.field is not None:
        described["field"] = error.field
    if error.allowed is not None:
        described["allowed"] = error.allowed
    return {**described, "line": line}
