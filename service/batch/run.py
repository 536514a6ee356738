"""Runs a batch: reads windows, executes units, writes rows in input order, tracks progress and reports.

At most two windows are open: while the last units of the older one finish, those of the younger one wait, so
the engine is never idle. Cached results are not computed again.
"""

import datetime
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from models.errors import DragomanError
from models.text.detect import LanguageDetector
from service.batch import writers
from service.batch.executor import Executor, LocalExecutor, Unit, UnitResult
from service.batch.options import BatchOptions
from service.batch.progress import PlainProgress, Tally, described, progress, summary
from service.batch.readers import FolderReader, LineReader, Reader, open_reader
from service.batch.record import FieldNames, Row, name_of
from service.batch.remote import shown
from service.batch.survey import Survey, survey
from service.batch.task import BatchWork
from service.batch.windows import UNIT_SIZES, WINDOW_SIZES, Size, Window, windows
from service.store.batch_cache import BatchCache
from service.store.results import StoredResult

WINDOWS_IN_WORK = 2

LOOK_EVERY_S = 0.5


class TooManyErrors(DragomanError):
    """More than --max-errors records failed."""


MakeExecutor = Callable[[BatchCache | None], AbstractContextManager[Executor]]
"""Makes what does a batch's units, with the cache of their outputs, if anything is to be recalled."""


class BatchRun:
    """One task over one input. `told` describes it as JSON: its task, its models, its options.

    Units are done in this process unless `make_executor` has them done elsewhere; the output is the same.
    `marks` are names of numbers that the cache keeps as 1, for the runs that go on from this one. `device` is
    where the models run; `cpu` also if other machines do the units, which share them out however few there
    are.
    """

    def __init__(
        self,
        options: BatchOptions,
        work: BatchWork,
        told: Mapping[str, Any],
        make_executor: MakeExecutor | None = None,
        marks: Sequence[str] = (),
        *,
        device: str = "cpu",
    ):
        self._options = options
        self._names = options.field_names()
        self._device = device
        self._work = work
        self._told = told
        self._marks = marks
        self._make_executor = make_executor or self._local
        decisive = {name: told[name] for name in ("dragoman", "task", "models")}
        self._key = work.keys(decisive)
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
        self._rate_name = f"characters_per_s {digest[:16]}"

    def run(self) -> Tally:
        """Run the batch to its end. Raises TooManyErrors and InvalidInput."""
        options = self._options
        with ExitStack() as stack:
            found = stack.enter_context(open_reader(options.infile, self._names, options.input_format))
            own_windows = self._windows(found)
            cache = stack.enter_context(BatchCache(options.cache_path))
            cache.begin(restart=options.restart, retry_failed=options.retry_failed)
            for name in self._marks:
                cache.keep_number(name, 1)
            standard_output = nullcontext(writers.JsonlWriter(sys.stdout.buffer))
            columns = found.columns if isinstance(found, LineReader) else ()
            out = stack.enter_context(
                standard_output
                if options.out == "-"
                else writers.open_writer(Path(options.out), self._names, columns)
            )
            executor = stack.enter_context(self._make_executor(cache if options.reuse else None))
            log = stack.enter_context(_log(options.log))
            view = progress()
            stack.enter_context(view)
            tally = Tally(found.size, unit=found.unit)

            def update() -> None:
                tally.sample()
                view.update(tally)
                if log is not None:
                    log.update(tally)

            run = _Run(
                cache, executor, out, self._names, UNIT_SIZES[self._device], options.max_errors, tally, update
            )
            with self._told_at_the_end(tally, log):
                run.go(own_windows)
                tally.left_out = found.left_out if isinstance(found, FolderReader) else {}
                if tally.made:
                    cache.keep_number(self._rate_name, tally.characters / tally.seconds)
        if options.forget and options.cache_path is not None:
            options.cache_path.unlink()
        return tally

    def survey(self, detector: LanguageDetector) -> Survey:
        """Look through the input, and run a sample if no earlier run tells the rate."""
        options = self._options
        path = options.cache_path if options.cache_path and options.cache_path.exists() else None
        reader = open_reader(options.infile, self._names, options.input_format)
        with reader as found, BatchCache(path) as cache:
            seen = survey(self._windows(found), cache, detector)
            seen.characters_per_s = cache.number(self._rate_name) or None
        if seen.characters_per_s is None:
            seen.measure(self._local(None))
        return seen

    def _local(self, cache: BatchCache | None) -> LocalExecutor:
        return LocalExecutor(self._work, cache, self._options.record_timeout_s, self._device)

    def _windows(self, found: Reader) -> Iterator[Window]:
        """Return the input's windows, once the first one is read, so that a wrong field is told at once."""
        every = windows(found, self._names, self._key, WINDOW_SIZES[self._device])
        first = next(every, None)
        if first is None:
            return iter(())
        self._names.require_any(first.records)
        return chain((first,), every)

    @contextmanager
    def _told_at_the_end(self, tally: Tally, log: PlainProgress | None) -> Iterator[None]:
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
            if log is not None:
                log.say(f"{end}: {described(tally)}")
            told = summary(self._told, tally, end)
            told["ended_at"] = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            if self._options.summary is not None:
                text = json.dumps(told, ensure_ascii=False, indent=2)
                Path(self._options.summary).write_text(f"{text}\n", "utf-8")
            if self._options.report is not None:
                from service.batch.report import page

                Path(self._options.report).write_text(page(told, tally), "utf-8")


@contextmanager
def _log(path: str | None) -> Iterator[PlainProgress | None]:
    if path is None:
        yield None
        return
    with Path(path).open("a", encoding="utf-8") as file:
        log = PlainProgress(file, stamped=True)
        log.say("begins: " + " ".join(map(shown, sys.argv[1:])))
        yield log


@dataclass(slots=True)
class _ActiveWindow:
    """A window and its units."""

    window: Window
    pending: "dict[Future[UnitResult], tuple[Unit, tuple[int, ...]]]" = field(default_factory=dict)
    errors: int = 0
    """Known so far, of those that are not written yet."""


@dataclass(slots=True)
class _Run:
    """One run over the windows of an input."""

    cache: BatchCache
    executor: Executor
    out: writers.Writer
    names: FieldNames
    unit_size: Size
    max_errors: int | None
    tally: Tally
    update: Callable[[], None]
    in_work: list[_ActiveWindow] = field(default_factory=list)
    written_errors: int = 0

    def go(self, windows: Iterator[Window]) -> None:
        """Do all windows. Raises TooManyErrors; results made until then are kept."""
        try:
            for window in windows:
                self.in_work.append(self._begin(window))
                self._check_errors()
                while len(self.in_work) >= WINDOWS_IN_WORK:
                    self._end_oldest()
            while self.in_work:
                self._end_oldest()
        except BaseException:
            self.executor.stop()
            raise
        self.cache.finish()

    def _begin(self, window: Window) -> _ActiveWindow:
        own = _ActiveWindow(window, errors=len(window.problems))
        known = self.cache.known(window.wanted())
        elsewhere = {
            each.window.keys[place] or b""
            for each in self.in_work
            for _, places in each.pending.values()
            for place in places
        }
        done = known.keys() | elsewhere
        plan = self.cache.plan(window.digest(), lambda: window.units(done, self.unit_size))
        left: list[int] = []
        for number, places in enumerate(plan.units, start=plan.first):
            if all(window.keys[place] in known for place in places):
                continue  # committed before the run was cut off
            left += places
            contents = tuple(content for place in places if (content := window.contents[place]) is not None)
            unit = Unit(number, plan.cache_horizon, contents)
            own.pending[self.executor.submit(unit)] = unit, places
        self.tally.found += sum(known.values())
        self.tally.position += window.extent * (1 - window.share(left))
        return own

    def _end_oldest(self) -> None:
        oldest = self.in_work[0]
        while oldest.pending:
            futures = [future for each in self.in_work for future in each.pending]
            done, _ = wait(futures, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
            for future in done:
                self._commit(future)
            self.tally.tokens = self.executor.tokens()
            self._note_in_work(self.executor.shares())
            self.update()
        self._write(oldest.window)
        self.in_work.pop(0)
        self._check_errors()
        self.update()

    def _note_in_work(self, shares: Mapping[int, float]) -> None:
        begun = [
            (shares[unit.number], each.window, places)
            for each in self.in_work
            for unit, places in each.pending.values()
            if unit.number in shares
        ]
        self.tally.in_work = sum(
            part * window.extent * window.share(places) for part, window, places in begun
        )
        self.tally.made_in_work = sum(part * len(places) for part, _, places in begun)

    def _commit(self, future: "Future[UnitResult]") -> None:
        own = next(each for each in self.in_work if future in each.pending)
        unit, places = own.pending[future]
        done = future.result()
        keys = [own.window.keys[place] or b"" for place in places]
        self.cache.commit(unit.number, dict(zip(keys, done.results, strict=True)), done.outputs)
        del own.pending[future]
        share = own.window.extent * own.window.share(places)
        tally = self.tally
        tally.made += len(places)
        tally.characters += sum(len(content.value) for content in unit.contents)
        tally.effort.add(done.effort)
        tally.position += share
        tally.worked += share
        own.errors += sum(result.failed for result in done.results)
        for place, result in zip(places, done.results, strict=True):
            record = own.window.records[place]
            name = name_of(record.fields, self.names.id)
            tally.made_one(result, len(own.window.value(place)), record.line, name)
        self._check_errors()

    def _check_errors(self) -> None:
        known = self.written_errors + sum(each.errors for each in self.in_work)
        self.tally.errors = known
        if self.max_errors is not None and known > self.max_errors:
            raise TooManyErrors(
                f"{known:,} records failed, more than --max-errors {self.max_errors:,}; results are stored"
            )

    def _write(self, window: Window) -> None:
        results = self.cache.results(window.wanted())
        rows = [self._row(window, place, results) for place in range(len(window.records))]
        self.out.write(rows)
        self.tally.records += len(rows)
        self.tally.problems += len(window.problems)
        for row in rows:
            if row.error is not None:
                self.written_errors += 1
                error = row.error
                self.tally.failed(error["line"], row.name, error["type"], error["message"])
        for place, key in enumerate(window.keys):
            if key is not None:
                self.tally.wrote_one(results[key], len(window.value(place)))

    def _row(self, window: Window, place: int, results: Mapping[bytes, StoredResult]) -> Row:
        record, key, names = window.records[place], window.keys[place], self.names
        omitted = names.contents if names.omit_text else ()
        fields = {name: value for name, value in record.fields.items() if name not in omitted}
        error: Mapping[str, Any]
        if key is None:
            error = window.problems[place]
        elif results[key].failed:
            error = json.loads(results[key].data)
        else:
            flags = tuple(sorted(results[key].flags))
            return Row(fields, names.id, names.result, results[key].data.decode(), flags=flags)
        return Row(fields, names.id, names.result, error={**error, "line": record.line})
