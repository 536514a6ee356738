"""Does units on this machine: while one is in the engine, the next one's texts are made ready."""

import logging
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from models.errors import DeadlineExceeded
from service.batch.jsonl import dumps
from service.batch.output import described
from service.batch.record import Content
from service.batch.rounds import Ran, Rounds
from service.batch.unit import Done, Kept, Unit
from service.batch.work import Work

log = logging.getLogger(__name__)

LANES = 2
"""Units in work at once: one in the engine, one whose text is read or restored."""


class Lanes:
    """Threads that do units. A record has `record_timeout_s`, if that is not None, for itself alone."""

    def __init__(
        self, work: Work, rounds: Rounds, *, lanes: int = LANES, record_timeout_s: float | None = None
    ):
        self._work = work
        self._rounds = rounds
        self._record_timeout_s = record_timeout_s
        self._threads = ThreadPoolExecutor(lanes, thread_name_prefix="unit")

    def __enter__(self) -> "Lanes":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def submit(self, unit: Unit) -> "Future[Done]":
        """Queue a unit."""
        return self._threads.submit(do, unit, self._work, self._rounds, self._record_timeout_s)

    def tokens(self) -> int:
        """See `Doer`."""
        return self._rounds.tokens

    def stop(self) -> None:
        """Give up what is not done."""
        self._rounds.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)


def do(unit: Unit, work: Work, rounds: Rounds, record_timeout_s: float | None) -> Done:
    """Do a unit. Records that don't end in the time that all have together are tried alone."""
    contents = unit.contents
    limit_s = None if record_timeout_s is None else record_timeout_s * len(contents)
    ran, remember, effort = rounds.run([work.steps(content) for content in contents], unit.sees, limit_s)
    if len(contents) > 1:
        for i, each in enumerate(ran):
            if isinstance(each.error, DeadlineExceeded):
                [ran[i]], more, further = rounds.run([work.steps(contents[i])], unit.sees, record_timeout_s)
                remember.update(more)
                effort += further
    kept = [_kept(each, content, record_timeout_s) for each, content in zip(ran, contents, strict=True)]
    return Done(tuple(kept), remember, effort)


def _kept(ran: Ran, content: Content, record_timeout_s: float | None) -> Kept:
    if ran.error is None and ran.value is not None:
        language = _find(ran.value, ("detected", "language")) or _find(ran.value, ("source", "language"))
        return Kept(dumps(ran.value), False, language or "und", _flags(ran.value), ran.seconds)
    error = ran.error or RuntimeError("the task gave nothing")
    told = described(error)
    if told["type"] == "unexpected-error":
        log.debug("a bug", exc_info=error)
    if isinstance(error, DeadlineExceeded):
        told["message"] = f"it was not done in {record_timeout_s:g} s and was given up"
    return Kept(dumps(told), True, "und", {}, ran.seconds)


def _find(result: Mapping[str, Any], path: tuple[str, ...]) -> str | None:
    value: Any = result
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


def _flags(result: Mapping[str, Any]) -> dict[str, int]:
    """How many flags of each kind a result has, in its sentences or segments."""
    parts = [*result.get("sentences", ()), *result.get("segments", ())]
    return dict(Counter(flag["kind"] for part in parts for flag in part.get("flags") or ()))
