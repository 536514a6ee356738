"""Executes units of a batch: contents in, results out.

A unit's contents always go through the engine together and alone, because with int8 a sentence's result
depends on its batch. So a unit is executed whole or not at all, and its result depends on nothing else: it
may run in this process, in another one, or on another machine.
"""

import logging
import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from models.driver import CancelToken, Driver, Effort, PendingGeneration, Turns
from models.engine.protocol import Output
from models.errors import DeadlineExceeded, DragomanError, EngineGone, ServerUnavailable
from models.steps import Outcome
from service.batch.record import Content, row_error
from service.batch.task import BatchWork
from service.batch.writers import dumps
from service.errors import import_extra
from service.store.results import PROBLEM, OutputKeys, StoredResult
from service.tasks import PlannedTask

log = logging.getLogger(__name__)

UNITS_AT_ONCE = 2
"""Units in work at once: one in the engine, one whose text is read or restored."""

MOST_RECALLED_TOKENS = 256
"""Later units recall sentences, and not articles."""

RETRY_WAITS_S = (1.0, 4.0, 16.0)
LONGEST_WAIT_S = 60.0
"""Before a unit is done again whose engine's process ended: the next one has to load the model."""

GENERATIONS_AT_ONCE = {"cpu": 128, "cuda": 4096}
"""Generations of a round, by the engine's device: those of two rounds at most are lost by a kill. A GPU's
engine has hundreds of them in work; a CPU's does a few batches of 32 at a time."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Contents to be done together."""

    number: int
    """Counts all units of a cache, over all runs."""
    cache_horizon: int
    """The outputs of units up to this number are recalled for it; those of later ones are not."""
    contents: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class UnitResult:
    """A unit that is done: `results` are in the order of its contents."""

    results: tuple[StoredResult, ...]
    outputs: Mapping[bytes, Output]
    """For units that come later."""
    effort: Effort


class UnitOutputs(Protocol):
    """Keeps outputs of units; see `service.store.batch_cache.BatchCache`."""

    def recall(self, keys: Sequence[bytes], horizon: int) -> dict[bytes, Output]:
        """Return those that are known, from units up to the number `horizon`."""

    def begun(self, unit: int) -> dict[bytes, Output]:
        """Return those that were kept of the unit before it was cut off."""

    def keep(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep outputs of a unit that is not done yet."""


class Executor(Protocol):
    """Does units, several at a time, in the order in which they are submitted."""

    def submit(self, unit: Unit) -> "Future[UnitResult]":
        """Queue a unit."""

    def tokens(self) -> int:
        """Output tokens made so far, those of units in work too where that is known."""

    def shares(self) -> Mapping[int, float]:
        """Return the part, 0 to 1, that is done of each unit in work, by its number, where that is known."""

    def stop(self) -> None:
        """Give up what is not done."""


class LocalExecutor:
    """Does units in this process; those submitted in threads: while one is in the engine, the next is read.

    One round at a time is in the engine's queue, whoever's it is, so a unit's batches depend on the unit
    alone. A record has `record_timeout_s`, if that is not None, for itself. Without `outputs` nothing is
    recalled. `device` is where the models run. `gate` is held while a round is in the engine, by whoever uses
    the same engine elsewhere too.
    """

    def __init__(
        self,
        work: BatchWork,
        outputs: UnitOutputs | None = None,
        record_timeout_s: float | None = None,
        device: str = "cpu",
        gate: AbstractContextManager[Any] | None = None,
    ):
        self._work = work
        self._keys = OutputKeys(work.runtime.pool, work.runtime.store)
        self._outputs = outputs
        self._record_timeout_s = record_timeout_s
        self._at_most = GENERATIONS_AT_ONCE[device]
        # Another process would be told too late what waits in its engine's queue.
        self._turns = Turns(gate, overlap=gate is None and device == "cpu")
        self._cancel = CancelToken()
        self._guard = threading.Lock()
        self._drivers: dict[Driver[Any], int] = {}
        """Those at work, and the numbers of their units."""
        self._tokens = 0
        """Of the drivers that have ended."""
        self._shares: dict[int, float] = {}
        """The most that was done of each unit at work."""
        self._threads = ThreadPoolExecutor(UNITS_AT_ONCE, thread_name_prefix="unit")

    def __enter__(self) -> "LocalExecutor":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def submit(self, unit: Unit) -> "Future[UnitResult]":
        """Queue a unit."""
        return self._threads.submit(self.do, unit)

    def tokens(self) -> int:
        """See `Executor`."""
        with self._guard:
            return self._tokens + sum(driver.effort.output_tokens for driver in self._drivers)

    def shares(self) -> dict[int, float]:
        """See `Executor`."""
        with self._guard:
            for driver, number in self._drivers.items():
                done, total = driver.progress
                self._shares[number] = max(self._shares.get(number, 0.0), done / total if total else 0.0)
            return dict(self._shares)

    def stop(self) -> None:
        """Give up what is not done: units in work end with ClientDisconnected."""
        self._cancel.cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def do(self, unit: Unit) -> UnitResult:
        """Do a unit. Records that don't end in the time that all have together are tried alone.

        If the process of the engines ends meanwhile, the unit is done again from what was kept of it, so that
        its bytes are the same. Raises EngineGone if that happens again and again.
        """
        for wait_s in RETRY_WAITS_S:
            try:
                return self._do(unit)
            except EngineGone as error:
                if isinstance(error, ServerUnavailable):
                    wait_s = max(wait_s, min(error.retry_after_s, LONGEST_WAIT_S))
                log.warning("retrying unit %d in %g s: %s", unit.number, wait_s, error.message)
                self._cancel.wait(wait_s)
        return self._do(unit)

    def _do(self, unit: Unit) -> UnitResult:
        own_s = self._record_timeout_s
        outputs = None if self._outputs is None else _OutputsOfUnit(self._keys, self._outputs, unit)
        effort = Effort()
        plans = [self._work.plan(content) for content in unit.contents]
        run = partial(self._run, unit.number, outputs, effort)
        try:
            ended = run(plans, None if own_s is None else own_s * len(plans))
            if len(plans) > 1:
                for i, (outcome, _) in enumerate(ended):
                    if isinstance(outcome.error, DeadlineExceeded):
                        [ended[i]] = run([self._work.plan(unit.contents[i])], own_s)
        finally:
            with self._guard:
                self._shares.pop(unit.number, None)
        results = [
            self._result(own, outcome, seconds) for own, (outcome, seconds) in zip(plans, ended, strict=True)
        ]
        return UnitResult(tuple(results), {} if outputs is None else outputs.short, effort)

    def _run(
        self,
        unit: int,
        outputs: "_OutputsOfUnit | None",
        effort: Effort,
        plans: Sequence[PlannedTask],
        limit_s: float | None,
    ) -> list[tuple[Outcome[Any], float]]:
        """Run tasks, which share their rounds and their time; return how each ended, and its seconds."""
        driver: Driver[Any] = Driver(
            [each.steps for each in plans],
            deadline=None if limit_s is None else time.monotonic() + limit_s,
            wait=True,
            at_most=self._at_most,
            cache=outputs,
            turns=self._turns,
            cancel=self._cancel,
        )
        with self._guard:
            self._drivers[driver] = unit
        try:
            outcomes = driver.run()
        finally:
            with self._guard:
                del self._drivers[driver]
                self._tokens += driver.effort.output_tokens
        self._cancel.raise_if_cancelled()
        for outcome in outcomes:
            if isinstance(outcome.error, EngineGone):
                raise outcome.error
        effort.add(driver.effort)
        a_token_s = driver.effort.engine_s / max(1, sum(each.output_tokens for each in outcomes))
        return [(each, each.text_s + a_token_s * each.output_tokens) for each in outcomes]

    def _result(self, planned: PlannedTask, outcome: Outcome[Any], seconds: float) -> StoredResult:
        try:
            return planned.result(outcome, seconds)
        except DeadlineExceeded:
            limit = f"it was not done in {self._record_timeout_s:g} s and was given up"
            told = row_error(DeadlineExceeded(limit))
        except Exception as error:
            if not isinstance(error, DragomanError):
                log.debug("a bug", exc_info=error)
            told = row_error(error)
        return StoredResult(dumps(told).encode(), PROBLEM, seconds=seconds)


class _OutputsOfUnit:
    """The outputs that a unit may recall: those of units before it, and its own."""

    def __init__(self, keys: OutputKeys, outputs: UnitOutputs, unit: Unit):
        self.short: dict[bytes, Output] = {}
        """Its own sentences', for later units."""
        self._keys = keys
        self._outputs = outputs
        self._unit = unit
        self._own = outputs.begun(unit.number)
        self._is_whole = True

    def recall(self, wanted: Sequence[PendingGeneration]) -> dict[PendingGeneration, Output]:
        """See `models.driver.OutputCache`."""
        keys = {self._keys(each): each for each in wanted}
        known = {key: self._own[key] for key in keys if key in self._own}
        self.short |= {key: output for key, output in known.items() if _is_short(keys[key])}
        unknown = [key for key in keys if key not in known]
        known |= self._outputs.recall(unknown, self._unit.cache_horizon)
        return {keys[key]: output for key, output in known.items()}

    def keep(self, made: Mapping[PendingGeneration, Output], failed: int) -> None:
        """See `models.driver.OutputCache`.

        After a failure nothing more is kept for the time after a kill: the failed generation would be asked
        for again then, in other company.
        """
        keys = {each: self._keys(each) for each in made}
        fresh = {keys[each]: output for each, output in made.items()}
        self._is_whole = self._is_whole and not failed
        if self._is_whole:
            self._outputs.keep(self._unit.number, fresh)
        self._own |= fresh
        self.short |= {keys[each]: output for each, output in made.items() if _is_short(each)}


def _is_short(wanted: PendingGeneration) -> bool:
    return len(wanted.generation.source_ids) <= MOST_RECALLED_TOKENS


def prepare_ray(*, local: bool) -> None:
    """Import Ray, silent, and for this process alone if `local`. Raises MissingExtra.

    Ray reads its settings from the environment when it is imported. For this process alone it turns away
    callers without its token, and listens on the loopback address only, on every system.
    """
    settings = {
        "RAY_BACKEND_LOG_LEVEL": "fatal",
        "RAY_ENABLE_AUTO_CONNECT": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    if local:
        settings |= {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    import_extra("ray", what="--engine ray", extra="ray")
