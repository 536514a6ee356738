"""A batch run: windows in, units done, rows out in the input's order.

Two windows are in work at most: while the older one's last units are done, the younger one's wait already, so
the engine never does. What is in the store is not done again. Knows no files and no formats.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from models.errors import DragomanError
from service.batch.record import Record
from service.batch.row import Row, RowOutput
from service.batch.store import ResultStore
from service.batch.tally import Tally
from service.batch.unit import Doer, Done, Kept, Unit
from service.batch.window import Size, Window

WINDOWS_IN_WORK = 2

LOOK_EVERY_S = 0.5


class TooManyErrors(DragomanError):
    """More than --max-errors records failed."""


class RunWatcher(Protocol):
    """Hears how the run goes."""

    def update(self, tally: Tally) -> None:
        """Something is done, or some time has passed."""

    def made(self, characters: int, kept: Kept, record: Record) -> None:
        """A content was worked on."""

    def wrote(self, characters: int, kept: Kept | None) -> None:
        """A record is written, with what was kept of its content, if it had any."""


@dataclass(frozen=True, slots=True)
class RowNames:
    """The names that a row has beside the record's own fields."""

    result: str = "result"
    id: str = "id"
    omitted: tuple[str, ...] = ()
    """Fields of the record that are left out."""

    @property
    def taken(self) -> tuple[str, ...]:
        """The names that no record may use itself."""
        return (self.result, "error")


@dataclass(slots=True)
class _InWork:
    """A window and its units."""

    window: Window
    pending: dict["Future[Done]", tuple[Unit, tuple[int, ...]]] = field(default_factory=dict)
    errors: int = 0
    """Known so far, of those that are not written yet."""

    def being_done(self) -> set[bytes]:
        """Return the keys of the contents in work."""
        places = [place for _, own in self.pending.values() for place in own]
        return {key for place in places if (key := self.window.keys[place]) is not None}


class BatchRun:
    """One run over the windows of an input."""

    def __init__(
        self,
        store: ResultStore,
        doer: Doer,
        output: RowOutput,
        watcher: RunWatcher,
        *,
        names: RowNames,
        units: Size,
        size: int | None = None,
        max_errors: int | None = None,
    ):
        self.tally = Tally(size)
        self._store = store
        self._doer = doer
        self._output = output
        self._watcher = watcher
        self._names = names
        self._units = units
        self._max_errors = max_errors
        self._in_work: list[_InWork] = []
        self._written_errors = 0

    def go(self, windows: Iterator[Window]) -> Tally:
        """Do all windows. Raises TooManyErrors; results made until then are kept."""
        try:
            for window in windows:
                self._in_work.append(self._begin(window))
                self._check_errors()
                while len(self._in_work) >= WINDOWS_IN_WORK:
                    self._end_oldest()
            while self._in_work:
                self._end_oldest()
        except BaseException:
            self._doer.stop()
            raise
        self._store.finish()
        return self.tally

    # ------------------------------------------------------------------ a window's begin

    def _begin(self, window: Window) -> _InWork:
        own = _InWork(window, errors=len(window.problems))
        wanted = window.wanted()
        known = self._store.known(wanted)
        elsewhere = {key for each in self._in_work for key in each.being_done()}
        done = known.keys() | elsewhere
        plan = self._store.plan(window.digest(), lambda: window.units(done, self._units))
        left: list[int] = []
        for number, places in enumerate(plan.units if plan else (), start=plan.first if plan else 0):
            if all(window.keys[place] in known for place in places):
                continue  # committed before the run was cut off
            left += places
            contents = tuple(content for place in places if (content := window.contents[place]) is not None)
            unit = Unit(number, plan.sees if plan else 0, contents)
            own.pending[self._doer.submit(unit)] = unit, places
        self.tally.found += sum(known.values())
        self.tally.position += window.extent * (1 - window.share(left))
        return own

    # ------------------------------------------------------------------ units

    def _end_oldest(self) -> None:
        oldest = self._in_work[0]
        while oldest.pending:
            futures = [future for each in self._in_work for future in each.pending]
            done, _ = wait(futures, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
            for future in done:
                self._commit(future)
            self.tally.tokens = self._doer.tokens()
            self.tally.in_work = self._amount_in_work()
            self._watcher.update(self.tally)
        self._write(oldest.window)
        self._in_work.pop(0)
        self._check_errors()
        self._watcher.update(self.tally)

    def _amount_in_work(self) -> float:
        shares = self._doer.shares()
        return sum(
            shares[unit.number] * each.window.extent * each.window.share(places)
            for each in self._in_work
            for unit, places in each.pending.values()
            if unit.number in shares
        )

    def _commit(self, future: "Future[Done]") -> None:
        own = next(each for each in self._in_work if future in each.pending)
        unit, places = own.pending[future]
        done = future.result()
        self._store.commit(unit.number, [own.window.keys[place] or b"" for place in places], done)
        del own.pending[future]
        share = own.window.extent * own.window.share(places)
        tally = self.tally
        tally.made += len(places)
        tally.characters += sum(len(content.value) for content in unit.contents)
        tally.effort.add(done.effort)
        tally.position += share
        tally.worked += share
        own.errors += sum(kept.failed for kept in done.kept)
        for place, kept in zip(places, done.kept, strict=True):
            self._watcher.made(len(own.window.value(place)), kept, own.window.records[place])
        self._check_errors()

    def _check_errors(self) -> None:
        known = self._written_errors + sum(each.errors for each in self._in_work)
        self.tally.errors = known
        if self._max_errors is not None and known > self._max_errors:
            raise TooManyErrors(
                f"{known:,} records are errors, and {self._max_errors:,} may be (--max-errors); "
                "what is done is kept"
            )

    # ------------------------------------------------------------------ rows

    def _write(self, window: Window) -> None:
        kept = self._store.results(window.wanted())
        rows = [self._row(window, place, kept) for place in range(len(window.records))]
        self._output.write(rows)
        self.tally.records += len(rows)
        self.tally.problems += len(window.problems)
        errors = [row.error for row in rows if row.error is not None]
        self._written_errors += len(errors)
        for error in errors:
            self.tally.failed(error["line"], error["type"], error["message"])
        for place, key in enumerate(window.keys):
            self._watcher.wrote(len(window.value(place)), kept[key] if key is not None else None)

    def _row(self, window: Window, place: int, kept: Mapping[bytes, Kept]) -> Row:
        record, key = window.records[place], window.keys[place]
        fields = {name: value for name, value in record.fields.items() if name not in self._names.omitted}
        error: Mapping[str, Any]
        if key is None:
            error = window.problems[place]
        elif not kept[key].failed:
            return Row(fields, self._names.id, self._names.result, kept[key].body)
        else:
            error = json.loads(kept[key].body)
        return Row(fields, self._names.id, self._names.result, error={**error, "line": record.line})
