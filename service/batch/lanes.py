"""Does units on this machine: while one is in the engine, the next one's texts are made ready."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from models.driver import CancelToken, Driver, Effort, PendingGeneration, Turns
from models.engine.protocol import Output
from models.errors import DeadlineExceeded, DragomanError, EngineGone, ServerUnavailable
from service.batch.record import Content
from service.batch.unit import Done, Kept, Unit, UnitMemory
from service.batch.work import Result, Work, row_error
from service.batch.writers import dumps
from service.work.outputs import OutputKeys

log = logging.getLogger(__name__)

LANES = 2
"""Units in work at once: one in the engine, one whose text is read or restored."""

MOST_REMEMBERED_TOKENS = 256
"""Later units recall sentences, and not articles."""

PAUSES_S = (1.0, 4.0, 16.0)
LONGEST_PAUSE_S = 60.0
"""Before a unit is done again whose engine's process ended: the next one has to load the model."""

AT_ONCE = {"cpu": 128, "cuda": 4096}
"""Generations of a round, by the engine's device: those of two rounds at most are lost by a kill. A GPU's
engine has hundreds of them in work; a CPU's does a few batches of 32 at a time."""


class UnitWork:
    """Does units, for as many threads as ask: one round at a time is in the engine's queue, whoever's it is.

    So a unit's batches depend on the unit alone. A record has `record_timeout_s`, if that is not None, for
    itself alone. Without a memory nothing is remembered. `device` is where the models run. `gate` is held
    while a round is in the engine, by whoever uses the same engine elsewhere too.
    """

    def __init__(
        self,
        work: Work,
        keys: OutputKeys,
        memory: UnitMemory | None = None,
        record_timeout_s: float | None = None,
        device: str = "cpu",
        gate: AbstractContextManager[Any] | None = None,
    ):
        self._work = work
        self._keys = keys
        self._memory = memory
        self._record_timeout_s = record_timeout_s
        self._at_most = AT_ONCE[device]
        # Another process would be told too late what waits in its engine's queue.
        self._turns = Turns(gate, overlap=gate is None and device == "cpu")
        self._cancel = CancelToken()
        self._guard = threading.Lock()
        self._drivers: set[Driver[Result]] = set()
        self._tokens = 0
        """Of the drivers that have ended."""
        self._shares: dict[int, float] = {}

    def tokens(self) -> int:
        """Return the output tokens made so far, those of units in work too."""
        with self._guard:
            return self._tokens + sum(driver.effort.output_tokens for driver in self._drivers)

    def shares(self) -> dict[int, float]:
        """Return the part that is done of each unit in work, by its number."""
        return dict(self._shares)

    def stop(self) -> None:
        """Give up: units in work end with ClientDisconnected."""
        self._cancel.cancel()

    def do(self, unit: Unit) -> Done:
        """Do a unit. Records that don't end in the time that all have together are tried alone.

        If the process of the engines ends meanwhile, the unit is done again from what was kept of it, so that
        its bytes are the same. Raises EngineGone if that happens again and again.
        """
        for pause_s in PAUSES_S:
            try:
                return self._done(unit)
            except EngineGone as error:
                if isinstance(error, ServerUnavailable):
                    pause_s = max(pause_s, min(error.retry_after_s, LONGEST_PAUSE_S))
                log.warning("unit %d is done again in %g s: %s", unit.number, pause_s, error.message)
                time.sleep(pause_s)
        return self._done(unit)

    def _done(self, unit: Unit) -> Done:
        contents, own_s = unit.contents, self._record_timeout_s
        memory = None if self._memory is None else _Recent(self._keys, self._memory, unit)
        effort = Effort()
        try:
            limit_s = None if own_s is None else own_s * len(contents)
            ran = self._run(contents, memory, limit_s, effort, partial(self._note, unit.number))
        finally:
            self._shares.pop(unit.number, None)
        if len(contents) > 1:
            for i, each in enumerate(ran):
                if isinstance(each.error, DeadlineExceeded):
                    [ran[i]] = self._run([contents[i]], memory, own_s, effort)
        kept = [_kept(each, own_s) for each in ran]
        return Done(tuple(kept), {} if memory is None else memory.brief, effort)

    def _note(self, unit: int, done: int, total: int) -> None:
        self._shares[unit] = done / total

    def _run(
        self,
        contents: Sequence[Content],
        memory: "_Recent | None",
        limit_s: float | None,
        effort: Effort,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> "list[_Ran]":
        """Return the ends of the contents' tasks, which share their rounds and their time."""
        driver = Driver(
            [self._work.steps(content) for content in contents],
            deadline=None if limit_s is None else time.monotonic() + limit_s,
            wait=True,
            at_most=self._at_most,
            on_progress=on_progress,
            cache=memory,
            turns=self._turns,
            cancel=self._cancel,
        )
        with self._guard:
            self._drivers.add(driver)
        try:
            outcomes = driver.run()
        finally:
            with self._guard:
                self._drivers.remove(driver)
                self._tokens += driver.effort.output_tokens
        self._cancel.raise_if_cancelled()
        for outcome in outcomes:
            if isinstance(outcome.error, EngineGone):
                raise outcome.error
        effort.add(driver.effort)
        a_token_s = driver.effort.engine_s / max(1, sum(each.output_tokens for each in outcomes))
        return [
            _Ran(each.value, each.error, each.timings.text_s + a_token_s * each.output_tokens)
            for each in outcomes
        ]


class _Recent:
    """The outputs that a unit may recall: those of units before it, and its own."""

    def __init__(self, keys: OutputKeys, memory: UnitMemory, unit: Unit):
        self.brief: dict[bytes, Output] = {}
        """Its own, for later units."""
        self._keys = keys
        self._memory = memory
        self._unit = unit
        self._fresh = memory.begun(unit.number)
        self._is_whole = True

    def recall(self, wanted: Sequence[PendingGeneration]) -> dict[PendingGeneration, Output]:
        """See `models.driver.OutputCache`."""
        keys = {self._keys(each): each for each in wanted}
        known = {key: self._fresh[key] for key in keys if key in self._fresh}
        self.brief |= {key: output for key, output in known.items() if _is_brief(keys[key])}
        unknown = [key for key in keys if key not in known]
        known |= self._memory.recall(unknown, self._unit.sees)
        return {keys[key]: output for key, output in known.items()}

    def keep(self, made: Mapping[PendingGeneration, Output], failed: int) -> None:
        """See `models.driver.OutputCache`.

        After a failure nothing more is kept for the time after a kill: the failed generation would be asked
        for again then, in other company.
        """
        fresh = {self._keys(each): output for each, output in made.items()}
        self._is_whole = self._is_whole and not failed
        if self._is_whole:
            self._memory.keep(self._unit.number, fresh)
        self._fresh |= fresh
        self.brief |= {self._keys(each): output for each, output in made.items() if _is_brief(each)}


def _is_brief(wanted: PendingGeneration) -> bool:
    return len(wanted.generation.source_ids) <= MOST_REMEMBERED_TOKENS


class Lanes:
    """Threads that do units."""

    def __init__(self, work: UnitWork, *, lanes: int = LANES):
        self._work = work
        self._threads = ThreadPoolExecutor(lanes, thread_name_prefix="unit")

    def __enter__(self) -> "Lanes":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def submit(self, unit: Unit) -> "Future[Done]":
        """Queue a unit."""
        return self._threads.submit(self._work.do, unit)

    def tokens(self) -> int:
        """See `Doer`."""
        return self._work.tokens()

    def shares(self) -> Mapping[int, float]:
        """See `Doer`."""
        return self._work.shares()

    def stop(self) -> None:
        """Give up what is not done."""
        self._work.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Ran:
    """A content's task that has ended."""

    value: Result | None
    error: Exception | None
    seconds: float


def _kept(ran: _Ran, record_timeout_s: float | None) -> Kept:
    if ran.error is None and ran.value is not None:
        language = _find(ran.value, ("detected", "language")) or _find(ran.value, ("source", "language"))
        return Kept(dumps(ran.value), False, language or "und", _flags(ran.value), ran.seconds)
    error = ran.error or RuntimeError("the task gave nothing")
    if not isinstance(error, DragomanError):
        log.debug("a bug", exc_info=error)
    if isinstance(error, DeadlineExceeded):
        error = DeadlineExceeded(f"it was not done in {record_timeout_s:g} s and was given up")
    return Kept(dumps(row_error(error)), True, "und", {}, ran.seconds)


def _find(result: Mapping[str, Any], path: tuple[str, ...]) -> str | None:
    value: Any = result
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


def _flags(result: Mapping[str, Any]) -> dict[str, int]:
    """Count a result's flags by kind, in its sentences or segments."""
    parts = (*result.get("sentences", ()), *result.get("segments", ()))
    return dict(Counter(flag["kind"] for part in parts for flag in part.get("flags") or ()))
