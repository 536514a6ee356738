"""Does units on this machine: while one is in the engine, the next one's texts are made ready."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from models.engine.protocol import Output
from models.errors import DeadlineExceeded, DragomanError
from service.batch.jsonl import dumps
from service.batch.record import Content
from service.batch.rounds import Rounds
from service.batch.unit import Done, Effort, Kept, Unit
from service.batch.work import Ran, Work

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
    ran, remember, effort = _run(contents, work, rounds, unit.sees, limit_s)
    if len(contents) > 1:
        for i, each in enumerate(ran):
            if isinstance(each.error, DeadlineExceeded):
                [ran[i]], more, further = _run([contents[i]], work, rounds, unit.sees, record_timeout_s)
                remember.update(more)
                effort += further
    kept = [_kept(each, content, work, record_timeout_s) for each, content in zip(ran, contents, strict=True)]
    return Done(tuple(kept), remember, effort)


def _run(
    contents: Sequence[Content], work: Work, rounds: Rounds, sees: int, limit_s: float | None
) -> tuple[list[Ran], dict[bytes, Output], Effort]:
    """See `Rounds.run`; the ends are those of the contents."""
    tasks = [work.tasks(content) for content in contents]
    ran, remember, effort = rounds.run([each for own in tasks for each in own.steps], sees, limit_s)
    left = iter(ran)
    return [own.join(list(islice(left, len(own.steps)))) for own in tasks], remember, effort


def _kept(ran: Ran, content: Content, work: Work, record_timeout_s: float | None) -> Kept:
    if ran.error is None and ran.value is not None:
        language = _find(ran.value, ("detected", "language")) or _find(ran.value, ("source", "language"))
        return Kept(dumps(ran.value), False, language or "und", _flags(ran.value), ran.seconds)
    error = ran.error or RuntimeError("the task gave nothing")
    if not isinstance(error, DragomanError):
        log.debug("a bug", exc_info=error)
    if isinstance(error, DeadlineExceeded):
        error = DeadlineExceeded(f"it was not done in {record_timeout_s:g} s and was given up")
    return Kept(dumps(work.describe(error, content)), True, "und", {}, ran.seconds)


def _find(result: Mapping[str, Any], path: tuple[str, ...]) -> str | None:
    value: Any = result
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


def _flags(result: Mapping[str, Any]) -> dict[str, int]:
    """How many flags of each kind a result has, in its sentences or segments, or those of its `results`."""
    parts = [
        part
        for each in (result, *result.get("results", ()))
        for part in (*each.get("sentences", ()), *each.get("segments", ()))
    ]
    return dict(Counter(flag["kind"] for part in parts for flag in part.get("flags") or ()))
