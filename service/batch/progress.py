"""Progress of a run, for the person who waits: a bar on a terminal, plain lines elsewhere and in a log."""

import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from service.batch.tally import Tally

LINE_EVERY_S = 10.0


class ProgressView(Protocol):
    """Shows a run; a context manager around it."""

    def __enter__(self) -> "ProgressView": ...

    def __exit__(self, *exception: object) -> None: ...

    def update(self, tally: Tally) -> None:
        """Something is done, or some time has passed."""


def progress(stream: TextIO = sys.stderr) -> ProgressView:
    """The view that suits the stream."""
    return TerminalProgress(stream) if stream.isatty() else PlainProgress(stream)


class PlainProgress:
    """A line every ten seconds; with the time of day for a log file."""

    def __init__(self, stream: TextIO, *, stamped: bool = False, clock: Callable[[], float] = time.monotonic):
        self._stream = stream
        self._stamped = stamped
        self._clock = clock
        self._next_line = clock() + LINE_EVERY_S

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(self, *exception: object) -> None:
        return

    def update(self, tally: Tally) -> None:
        """A line, if it is time for one."""
        if self._clock() >= self._next_line:
            self._next_line = self._clock() + LINE_EVERY_S
            self.say(described(tally))

    def say(self, text: str) -> None:
        """A line of any kind."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S ") if self._stamped else ""
        self._stream.write(f"{stamp}{text}\n")
        self._stream.flush()


class TerminalProgress:
    """A bar over the input, with records, rates, errors and time left."""

    def __init__(self, stream: TextIO):
        self._bar = Progress(
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.description}"),
            console=Console(file=stream),
            transient=True,
            redirect_stdout=False,  # Ray's words go where `--engine ray` sends them
        )
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> "TerminalProgress":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def update(self, tally: Tally) -> None:
        """Show how it is now."""
        self._bar.update(self._task, total=tally.size, completed=tally.reached, description=_counts(tally))


def duration(seconds: float) -> str:
    """Seconds as a person says them: `48 s`, `12 min 5 s`, `3 h 20 min`, `2 d 4 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def described(tally: Tally) -> str:
    """All that is known, in a line."""
    share = [f"{min(1.0, tally.reached / tally.size):.0%} of the input"] if tally.size else []
    return ", ".join([*share, _counts(tally)])


def _counts(tally: Tally) -> str:
    parts = [
        f"{tally.records:,} written",
        f"{tally.made:,} made ({tally.rate():.1f}/s, {tally.tokens_per_s():,.0f} tokens/s)",
        f"{tally.errors:,} errors",
    ]
    if tally.found:
        parts.insert(1, f"{tally.found:,} there already")
    if (left_s := tally.left_s()) is not None:
        parts.append(f"{duration(left_s)} left")
    return ", ".join(parts)
