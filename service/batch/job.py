"""Puts a batch together: source, store, lanes and output, its progress and its report."""

import datetime
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from models.text.detect import LanguageDetector
from service.batch import writers
from service.batch.findings import Findings, summary
from service.batch.lanes import Lanes, UnitWork
from service.batch.preflight import Survey, measured_rate, survey
from service.batch.progress import PlainProgress, described, progress
from service.batch.readers import FolderReader, Format, Reader, open_reader
from service.batch.record import FieldNames, Record
from service.batch.remote import shown
from service.batch.row import RowOutput
from service.batch.run import BatchRun, RowNames, TooManyErrors
from service.batch.store import ResultStore
from service.batch.tally import Tally
from service.batch.unit import Doer, Kept, UnitMemory
from service.batch.window import UNIT_SIZES, WINDOW_SIZES, Window, windows
from service.batch.work import ResultKeys, Work
from service.work.outputs import OutputKeys


@dataclass(frozen=True, slots=True)
class Where:
    """The files that a batch reads and writes."""

    infile: str
    out: str
    format: Format | None = None
    cache: Path | None = None
    log: Path | None = None
    summary: Path | None = None
    report: Path | None = None


@dataclass(frozen=True, slots=True)
class How:
    """The options of a run."""

    fields: FieldNames = field(default_factory=FieldNames)
    rows: RowNames = field(default_factory=RowNames)
    restart: bool = False
    forget: bool = False
    retry_failed: bool = False
    max_errors: int | None = None
    record_timeout_s: float | None = None
    memory: bool = True
    device: str = "cpu"
    """Where the models run; `cpu` also if other machines do the units, which share them out however few
    records there are."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The time that a run would take."""

    survey: Survey
    characters_per_s: float | None
    measured: bool
    """True if the rate is that of a sample; False if it is that of the last run."""

    @property
    def seconds(self) -> float | None:
        """Seconds for what is left; None if no rate is known."""
        if not self.characters_per_s:
            return None
        return self.survey.left_characters / self.characters_per_s


MakeDoer = Callable[[ResultStore | None], AbstractContextManager[Doer]]
"""Makes what does a job's units, with the store that remembers, if anything is to be remembered."""


class BatchJob:
    """One task over one input. `told` describes the job as JSON: its task, its models, its options.

    `outputs` makes the keys of what engines give. Units are done in this process unless `make_doer` has them
    done elsewhere; the output is the same. `marks` are names of numbers that the store keeps as 1, for
    the runs that go on from this one.
    """

    def __init__(
        self,
        where: Where,
        how: How,
        work: Work,
        told: Mapping[str, Any],
        outputs: OutputKeys,
        make_doer: MakeDoer | None = None,
        marks: Sequence[str] = (),
    ):
        self._where = where
        self._how = how
        self._work = work
        self._told = dict(told)
        self._outputs = outputs
        self._marks = marks
        self._make_doer = make_doer or self._lanes
        decisive = {name: told[name] for name in ("dragoman", "task", "models")}
        self._keys = ResultKeys(work, decisive)
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
        self._rate_name = f"characters_per_s {digest[:16]}"

    def run(self) -> Tally:
        """Run the batch to its end. Raises TooManyErrors and InvalidInput."""
        where, how = self._where, self._how
        with ExitStack() as stack:
            found = stack.enter_context(open_reader(where.infile, how.fields, where.format))
            own_windows = self._windows(found)
            store = stack.enter_context(self._store(where.cache))
            out = stack.enter_context(_output(where.out))
            doer = stack.enter_context(self._make_doer(store if how.memory else None))
            watcher = stack.enter_context(_RunWatchers(where.log, how.rows.id))
            run = BatchRun(
                store,
                doer,
                out,
                watcher,
                names=how.rows,
                units=UNIT_SIZES[how.device],
                size=found.size,
                max_errors=how.max_errors,
            )
            with self._told_at_the_end(run.tally, watcher):
                run.go(own_windows)
                run.tally.left_out = found.left_out if isinstance(found, FolderReader) else {}
                if run.tally.made:
                    store.keep_number(self._rate_name, run.tally.characters / run.tally.seconds)
        if how.forget and where.cache is not None:
            where.cache.unlink()
        return run.tally

    def estimate(self, detector: LanguageDetector) -> Estimate:
        """Look through the input, and run a sample if no earlier run tells the rate."""
        where, how = self._where, self._how
        cache = where.cache if where.cache is not None and where.cache.exists() else None
        with (
            open_reader(where.infile, how.fields, where.format) as found,
            ResultStore(cache) as store,
        ):
            seen = survey(self._windows(found), store, detector)
            rate = store.number(self._rate_name) or None
        if rate is not None:
            return Estimate(seen, rate, measured=False)
        return Estimate(seen, measured_rate(seen.sample, UnitWork(self._work, self._outputs)), measured=True)

    def _lanes(self, memory: UnitMemory | None) -> Lanes:
        how = self._how
        return Lanes(UnitWork(self._work, self._outputs, memory, how.record_timeout_s, how.device))

    def _windows(self, found: Reader) -> Iterator[Window]:
        """Return the input's windows, once the first one is read, so that a wrong field is told at once."""
        how = self._how
        every = windows(found, how.fields, self._keys, how.rows.taken, WINDOW_SIZES[how.device])
        first = next(every, None)
        if first is None:
            return iter(())
        how.fields.require_any(first.records)
        return chain((first,), every)

    def _store(self, path: Path | None) -> ResultStore:
        store = ResultStore(path)
        try:
            if self._how.restart:
                store.clear()
            store.begin(retry_failed=self._how.retry_failed)
            for name in self._marks:
                store.keep_number(name, 1)
        except BaseException:
            store.close()
            raise
        return store

    @contextmanager
    def _told_at_the_end(self, tally: Tally, watcher: "_RunWatchers") -> Iterator[None]:
        end = "failed"
        try:
            yield
            end = "done"
        except TooManyErrors:
            end = "stopped"
            raise
        except KeyboardInterrupt:
            end = "interrupted"
            raise
        finally:
            watcher.end(tally, end)
            self._tell(summary(self._told, tally, watcher.findings, end), watcher.findings)

    def _tell(self, told: dict[str, Any], findings: Findings) -> None:
        told["ended_at"] = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        if self._where.summary is not None:
            self._where.summary.write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", "utf-8")
        if self._where.report is not None:
            from service.batch.report import page

            self._where.report.write_text(page(told, findings), "utf-8")


class _RunWatchers:
    """The progress view, the log and the findings of a run; a context manager."""

    def __init__(self, log: Path | None, id_field: str):
        self.findings = Findings(id_field)
        self._stack = ExitStack()
        self._view = progress()
        self._log: PlainProgress | None = None
        if log is not None:
            file = self._stack.enter_context(log.open("a", encoding="utf-8"))
            self._log = PlainProgress(file, stamped=True)

    def __enter__(self) -> "_RunWatchers":
        if self._log is not None:
            self._log.say("begins: " + " ".join(map(shown, sys.argv[1:])))
        self._stack.enter_context(self._view)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def update(self, tally: Tally) -> None:
        """See `RunWatcher`."""
        self.findings.update(tally)
        self._view.update(tally)
        if self._log is not None:
            self._log.update(tally)

    def made(self, characters: int, kept: Kept, record: Record) -> None:
        """See `RunWatcher`."""
        self.findings.made(characters, kept, record)

    def wrote(self, characters: int, kept: Kept | None) -> None:
        """See `RunWatcher`."""
        self.findings.wrote(characters, kept)

    def end(self, tally: Tally, end: str) -> None:
        """Write the last line of the log."""
        if self._log is not None:
            self._log.say(f"{end}: {described(tally)}")


@contextmanager
def _output(out: str) -> Iterator[RowOutput]:
    if out == "-":
        yield writers.JsonlWriter(sys.stdout.buffer)
        return
    with writers.open_writer(Path(out)) as file:
        yield file
