"""The numbers of a run: counted while it runs, shown as progress, and summarized at the end.

A bar on a terminal, plain lines elsewhere and in a log. Takes the time from its caller.
"""

import heapq
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from models.driver import Effort
from service.store.results import StoredResult

LINE_EVERY_S = 10.0
SLOWEST = 10
MOST_SAMPLES = 240
MOST_CAUSES = 50
"""Errors with other causes than so many are counted by their type alone."""
_OF_ONE_RECORD = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d,.]*")
"""What differs between the messages of one cause: numbers, and what is quoted."""


@dataclass(slots=True)
class ErrorCause:
    """Errors with the same cause, and the first one as an example."""

    type: str
    message: str
    line: int
    id: str
    records: int = 0


@dataclass(slots=True)
class Tally:
    """Counts of one run, in a few numbers whatever its size."""

    size: int | None = None
    """Of the input, in the source's measure."""
    records: int = 0
    """Written, in order."""
    errors: int = 0
    """Records that are errors, as far as that is known."""
    made: int = 0
    """Different contents that this run has worked on."""
    found: int = 0
    """Contents whose results were there from an earlier run."""
    problems: int = 0
    """Records that could not be worked on."""
    characters: int = 0
    """Of what was made."""
    position: float = 0.0
    """The amount of input that is done, in the source's measure."""
    in_work: float = 0.0
    """How much of the input is done of what is in work, in the same measure."""
    made_in_work: float = 0.0
    """How many contents that is."""
    worked: float = 0.0
    """The amount of it that this run has worked on."""
    effort: Effort = field(default_factory=Effort)
    tokens: int = 0
    """Output tokens made, those of units in work too."""
    unit: str = "line"
    """What a record is in the input: a `line`, a `row`, or a `file`, which its id names."""
    causes: dict[tuple[str, str], ErrorCause] = field(default_factory=dict)
    """Of records that are written as errors, by type and by what their messages have in common."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Files of a folder that were not read, by their suffixes."""
    lengths: Counter[int] = field(default_factory=Counter)
    """Records by length: n stands for 2**(n-1) to 2**n - 1 characters."""
    languages: Counter[str] = field(default_factory=Counter)
    """Of the records that have a result."""
    flags: Counter[str] = field(default_factory=Counter)
    flagged: int = 0
    """Records with at least one flag."""
    sentences: int = 0
    """Those that have a confidence."""
    likely_right: float = 0.0
    """The sum of their confidences."""
    samples: list[tuple[float, int, int]] = field(default_factory=list)
    """Seconds since the begin, contents made until then, output tokens until then."""
    slowest: list[tuple[float, int, str, int]] = field(default_factory=list)
    """Seconds, line, id, characters; the first is the least slow."""
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    _every_s: float = 0.5

    def __post_init__(self) -> None:
        self.began = self.clock()

    def failed(self, line: int, name: str, kind: str, message: str) -> None:
        """Count a record that is written as an error, with its line and id."""
        said = " ".join(message.split())[:200]
        key = kind, _OF_ONE_RECORD.sub("…", said)
        if key not in self.causes and len(self.causes) >= MOST_CAUSES:
            key, said = (kind, ""), "other causes"
        self.causes.setdefault(key, ErrorCause(kind, said, line, name)).records += 1

    def most_frequent(self) -> list[ErrorCause]:
        """Return the causes of errors, the most frequent first."""
        return sorted(self.causes.values(), key=lambda cause: -cause.records)

    def causes_table(self) -> list[tuple[str, str, str, str]]:
        """Return the causes of errors in words: number of records, the first one, type, message."""
        return [
            (
                f"{each.records:,}",
                each.id if self.unit == "file" else f"{self.unit} {each.line:,}",
                each.type,
                each.message,
            )
            for each in self.most_frequent()
        ]

    def made_one(self, result: StoredResult, characters: int, line: int, name: str) -> None:
        """Count a content that was worked on, of the record with this line and id."""
        entry = (result.seconds, line, name, characters)
        if len(self.slowest) < SLOWEST:
            heapq.heappush(self.slowest, entry)
        else:
            heapq.heappushpop(self.slowest, entry)

    def wrote_one(self, result: StoredResult, characters: int) -> None:
        """Count a record that is written with what came of its content."""
        self.lengths[characters.bit_length()] += 1
        if not result.failed:
            self.languages[result.language] += 1
        self.flags.update(result.flags)
        self.flagged += bool(result.flags)
        self.sentences += result.sentences
        self.likely_right += result.likely_right

    def sample(self) -> None:
        """Take a sample of the pace now and then, seldom enough that they don't become many."""
        last, seconds = self.samples[-1][0] if self.samples else 0.0, self.seconds
        if seconds - last < self._every_s:
            return
        self.samples.append((seconds, self.made, self.tokens))
        if len(self.samples) > MOST_SAMPLES:
            self.samples = self.samples[1::2]
            self._every_s *= 2

    @property
    def reached(self) -> float:
        """The amount of input that is done, with the parts of what is in work."""
        return self.position + self.in_work

    @property
    def done(self) -> int:
        """Records that are done, those of units in work too; equal ones count once until they are written."""
        return max(self.records, self.problems + self.found + self.made + int(self.made_in_work))

    @property
    def repeated(self) -> int:
        """Records with the same content as another one; right when all is written."""
        return max(0, self.records - self.problems - self.made - self.found)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self.clock() - self.began

    def rate(self) -> float:
        """Contents made, a second."""
        return (self.made + self.made_in_work) / self.seconds if self.seconds > 0 else 0.0

    def rates(self) -> list[tuple[float, float]]:
        """Return (seconds since the begin, contents a second since the sample before)."""
        points, before = [], (0.0, 0, 0)
        for sample in self.samples:
            points.append((sample[0], (sample[1] - before[1]) / (sample[0] - before[0])))
            before = sample
        return points

    def tokens_per_s(self) -> float:
        """Output tokens made, a second."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    def left_s(self) -> float | None:
        """Seconds to the end at the pace so far, if all that is left has to be made; None if unknown."""
        worked = self.worked + self.in_work
        if self.size is None or worked <= 0:
            return None
        return self.seconds * max(0.0, self.size - self.reached) / worked


def summary(job: Mapping[str, Any], tally: Tally, end: str) -> dict[str, Any]:
    """Return a run in numbers, as JSON."""
    seconds, effort = tally.seconds, tally.effort
    return {
        "end": end,
        **job,
        "records": tally.records,
        "errors": tally.errors,
        "made": tally.made,
        "found": tally.found,
        "repeated": tally.repeated,
        "seconds": round(seconds, 3),
        "records_per_s": round(tally.rate(), 3),
        "characters_per_s": round(tally.characters / seconds, 1) if seconds else 0.0,
        "output_tokens_per_s": round(tally.tokens_per_s(), 1),
        "source_tokens": effort.source_tokens,
        "output_tokens": effort.output_tokens,
        "remembered_tokens": effort.remembered_tokens,
        "engine_s": round(effort.engine_s, 3),
        "text_s": round(effort.text_s, 3),
        "engine_share": round(min(1.0, effort.engine_s / seconds), 4) if seconds else 0.0,
        "languages": dict(tally.languages.most_common()),
        "flags": dict(tally.flags.most_common()),
        "flagged_records": tally.flagged,
        "sentences": tally.sentences,
        "likely_right": round(tally.likely_right, 1),
        "causes": [asdict(each) for each in tally.most_frequent()],
        "left_out": dict(tally.left_out),
        "slowest": [
            {"seconds": round(own_s, 3), "line": line, "id": name, "characters": characters}
            for own_s, line, name, characters in sorted(tally.slowest, reverse=True)
        ],
    }


# ---------------------------------------------------------------------- for whoever waits


def progress(stream: TextIO = sys.stderr) -> "PlainProgress | TerminalProgress":
    """Return the view that suits the stream; a context manager."""
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
        """Write a line, if it is time for one."""
        if self._clock() >= self._next_line:
            self._next_line = self._clock() + LINE_EVERY_S
            self.say(described(tally))

    def say(self, text: str) -> None:
        """Write a line of any kind."""
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
    """Write seconds as a person says them: `48 s`, `12 min 5 s`, `3 h 20 min`, `2 d 4 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def described(tally: Tally) -> str:
    """Return all that is known, in a line."""
    share = [f"{min(1.0, tally.reached / tally.size):.0%} of the input"] if tally.size else []
    return ", ".join([*share, _counts(tally)])


def _counts(tally: Tally) -> str:
    tokens = f", {tally.tokens_per_s():,.0f} tokens/s" if tally.tokens else ""
    parts = [f"{tally.done:,} records ({tally.rate():.1f}/s{tokens})", f"{tally.errors:,} errors"]
    if tally.found:
        parts.insert(1, f"{tally.found:,} there already")
    if (left_s := tally.left_s()) is not None:
        parts.append(f"{duration(left_s)} left")
    return ", ".join(parts)
