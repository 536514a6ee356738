"""How a run goes, for the person who waits: a bar on a terminal, a plain line now and then elsewhere.

Knows counts and clocks; writes to stderr only.
"""

import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from service.batch.part import Checkpoint

LINE_EVERY_S = 10.0


class ProgressView(Protocol):
    """Shows a run; a context manager around it."""

    def __enter__(self) -> "ProgressView": ...

    def __exit__(self, *exception: object) -> None: ...

    def update(self, done: Checkpoint) -> None:
        """A chunk is finished."""


def progress(start: Checkpoint, total_bytes: int | None, stream: TextIO = sys.stderr) -> ProgressView:
    """The view that suits the stream. `total_bytes` is the input's size, None if it isn't known."""
    view = TerminalProgress if stream.isatty() else PlainProgress
    return view(start, total_bytes, stream)


class Pace:
    """Rate and time left, from what was done since `start`."""

    def __init__(
        self, start: Checkpoint, total_bytes: int | None, clock: Callable[[], float] = time.monotonic
    ):
        self._start = start
        self._total_bytes = total_bytes
        self._clock = clock
        self._began = clock()

    def rate(self, done: Checkpoint) -> float:
        """Records a second."""
        seconds = self._clock() - self._began
        return (done.position.records - self._start.position.records) / seconds if seconds > 0 else 0.0

    def left_s(self, done: Checkpoint) -> float | None:
        """Seconds to the end at the pace so far; None if it can't be told."""
        read = done.position.offset - self._start.position.offset
        if self._total_bytes is None or read <= 0:
            return None
        return (self._clock() - self._began) * (self._total_bytes - done.position.offset) / read


class PlainProgress:
    """A line every ten seconds, for a log."""

    def __init__(
        self,
        start: Checkpoint,
        total_bytes: int | None,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._pace = Pace(start, total_bytes, clock)
        self._total_bytes = total_bytes
        self._stream = stream
        self._clock = clock
        self._next_line = clock() + LINE_EVERY_S

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(self, *exception: object) -> None:
        return

    def update(self, done: Checkpoint) -> None:
        if self._clock() < self._next_line:
            return
        self._next_line = self._clock() + LINE_EVERY_S
        self._stream.write(self._line(done) + "\n")
        self._stream.flush()

    def _line(self, done: Checkpoint) -> str:
        parts = [_counts(done, self._pace)]
        if self._total_bytes:
            parts.append(f"{done.position.offset / self._total_bytes:.0%} read")
        if (left_s := self._pace.left_s(done)) is not None:
            parts.append(f"{duration(left_s)} left")
        return ", ".join(parts)


class TerminalProgress:
    """A bar over the input's bytes, with records, rate, errors and time left."""

    def __init__(self, start: Checkpoint, total_bytes: int | None, stream: TextIO):
        self._pace = Pace(start, total_bytes)
        self._bar = Progress(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=total_bytes, completed=start.position.offset)

    def __enter__(self) -> "TerminalProgress":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def update(self, done: Checkpoint) -> None:
        self._bar.update(self._task, completed=done.position.offset, description=_counts(done, self._pace))


def duration(seconds: float) -> str:
    """Seconds as a person says them: `48 s`, `12 min 5 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _counts(done: Checkpoint, pace: Pace) -> str:
    return f"{done.position.records:,} records, {pace.rate(done):.1f} a second, {done.errors:,} failed"
