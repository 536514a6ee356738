"""An output in the making: OUT.part, beside it OUT.part.json that says how far it is and of which job.

A chunk is appended and on the disk before the sidecar counts it, so after a kill at any moment the sidecar
is right and what lies behind its count is cut off. Knows bytes and paths; knows no format and no task.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from models.errors import InvalidInput
from service.batch.formats import Position

START = Position(0, 0, "")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is done: so much of the input, in so many bytes of the output."""

    position: Position = START
    output_bytes: int = 0
    errors: int = 0


class Sink(Protocol):
    """Where output lines go, a chunk at a time."""

    @property
    def checkpoint(self) -> Checkpoint:
        """What is done."""

    def append(self, lines: bytes, position: Position, errors: int) -> None:
        """Add a chunk's lines. `position` is behind the chunk, `errors` are those within it."""

    def finish(self) -> None:
        """All is written."""


class Stream:
    """Standard output: nothing to go on with after a kill."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.checkpoint = Checkpoint()

    def append(self, lines: bytes, position: Position, errors: int) -> None:
        self._stream.write(lines)
        self._stream.flush()
        self.checkpoint = _next(self.checkpoint, lines, position, errors)

    def finish(self) -> None:
        self._stream.flush()


class Part:
    """OUT.part and its sidecar, locked against a second run; a context manager."""

    def __init__(self, out: Path, job: Mapping[str, Any], *, restart: bool = False):
        """Begin, or go on where an interrupted run of the same `job` stopped.

        `job` is JSON: all that decides the output. Raises InvalidInput if OUT.part is of another job
        (unless `restart`), is not ours, or is being written by another process.
        """
        self._out, self._job = out, job
        self._part = out.with_name(out.name + ".part")
        self._sidecar = out.with_name(out.name + ".part.json")
        self._file = self._part.open("ab")
        try:
            self._lock()
            self.checkpoint = Checkpoint() if restart else self._resumed()
            self._record()
            self._file.truncate(self.checkpoint.output_bytes)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Part":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def append(self, lines: bytes, position: Position, errors: int) -> None:
        self._file.write(lines)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.checkpoint = _next(self.checkpoint, lines, position, errors)
        self._record()

    def finish(self) -> None:
        """Give the output its name. It replaces a file of that name in one step."""
        os.fsync(self._file.fileno())
        self._part.replace(self._out)
        self._sidecar.unlink()

    def _lock(self) -> None:
        other = InvalidInput(f"another run is writing {self._part}")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise other from error
        if not self._part.exists() or not os.path.samestat(self._part.stat(), os.fstat(self._file.fileno())):
            raise other  # it came to its end, and what we opened is OUT by now

    def _resumed(self) -> Checkpoint:
        """Where to go on. A sidecar beside an empty part may be what a kill just after the end left."""
        written = self._file.tell()
        if not written:
            return Checkpoint()
        try:
            saved = json.loads(self._sidecar.read_text("utf-8"))
            job, done = saved["job"], saved["done"]
            checkpoint = Checkpoint(Position(**done.pop("position")), **done)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInput(
                f"{self._part} exists, but not the {self._sidecar.name} that says what it is; "
                "--restart writes over it"
            ) from error
        if checkpoint == Checkpoint():
            return checkpoint
        if written < checkpoint.output_bytes:
            raise InvalidInput(f"{self._part} is shorter than {self._sidecar} says; --restart begins anew")
        if changes := _changes(job, self._job):
            raise InvalidInput(
                f"{self._part} is of another run ({'; '.join(changes)}); --restart begins anew"
            )
        return checkpoint

    def _record(self) -> None:
        saved = {"job": self._job, "done": asdict(self.checkpoint)}
        fresh = self._sidecar.with_name(self._sidecar.name + ".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(saved, file, ensure_ascii=False, indent=2)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._sidecar)


def _next(done: Checkpoint, lines: bytes, position: Position, errors: int) -> Checkpoint:
    return Checkpoint(position, done.output_bytes + len(lines), done.errors + errors)


def _changes(then: Mapping[str, Any], now: Mapping[str, Any], inside: str = "") -> list[str]:
    """What differs between two jobs, in words; both are JSON objects."""
    changes: list[str] = []
    for key in dict.fromkeys([*then, *now]):
        before, after = then.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            changes += _changes(before, after, f"{inside}{key} ")
        elif before != after:
            changes.append(f"{inside}{key} was {before!r}, is {after!r}")
    return changes
