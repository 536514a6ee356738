"""Answers that arrive while they are made: server-sent events, over the same tasks.

The request keeps its place until its last event is written; a client that goes away gives it up, and its work
is cancelled.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any, Generic, Protocol, TypeVar

from flask import Response, g, request
from pydantic import BaseModel

from models.driver import CancelToken
from models.errors import ClientDisconnected
from models.steps import Event, Outcome, Steps
from service.http.disconnect import watching
from service.http.work import RequestRunner
from service.problems import kind_of, problem
from service.schemas.events import render_event
from service.schemas.problem import Problem

T = TypeVar("T")

HEARTBEAT_S = 2.0
"""Seconds of silence before a comment is sent."""
TICKS = 4
"""Looks, in the time of one heartbeat, at whether one is due."""

Render = Callable[[Outcome[Any], float], BaseModel]


class Script(Protocol):
    """The frames of a stream, as its readers want them."""

    def event(self, event: Event) -> str:
        """Return the frames of an event; there may be none."""

    def end(self, outcome: Outcome[Any], total_s: float) -> str:
        """Return the last frames. Raises the outcome's error."""

    def error(self, problem: Problem) -> str:
        """Return the last frames where something failed."""


class OwnScript:
    """The frames of /v1: named events, last `result` or `error`."""

    def __init__(self, render: Render):
        self._render = render

    def event(self, event: Event) -> str:
        return _frame(*render_event(event))

    def end(self, outcome: Outcome[Any], total_s: float) -> str:
        return _frame("result", self._render(outcome, total_s))

    def error(self, problem: Problem) -> str:
        return _frame("error", problem)


class EventStream(Response):
    """Its `ended_as` says, once it is closed, with what status the work ended; its own status is 200."""

    ended_as: Callable[[], int]


def stream(
    work: RequestRunner,
    held: ExitStack,
    steps: Steps[T],
    script: Script,
) -> Response:
    """The answer of one item as a stream; takes over all that `held` holds, and frees it at the end.

    What goes wrong before there is anything to write is raised. After `HEARTBEAT_S` without an event a
    comment is written: it keeps proxies patient, and finds out who is gone.
    """
    cancel = CancelToken()
    held.enter_context(watching(request.environ, cancel.cancel))
    running = work.stream(steps, cancel, tick_s=HEARTBEAT_S / TICKS)
    held.callback(running.close)
    frames = _Frames(running, cancel, script, g.request_id)
    written = iter(frames)
    first = next(written)
    response = EventStream(chain((first,), written), mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold the events back
    response.ended_as = lambda: frames.ended_as
    response.call_on_close(held.pop_all().close)
    return response


class _Frames(Generic[T]):
    """The events as they are written."""

    def __init__(
        self,
        running: Generator[Event | None, None, Outcome[T]],
        cancel: CancelToken,
        script: Script,
        request_id: str,
    ):
        self._running = running
        self._cancel = cancel
        self._script = script
        self._request_id = request_id
        self._start = time.perf_counter()
        self.ended_as = kind_of(ClientDisconnected()).status
        """Until it ends otherwise."""

    def __iter__(self) -> Iterator[str]:
        last = self._start
        anything = False
        while not isinstance(step := self._next(), Outcome):
            if step is None and time.perf_counter() - last < HEARTBEAT_S:
                continue
            if frames := ": at work\n\n" if step is None else self._script.event(step):
                last = time.perf_counter()
                anything = True
                yield frames
        if step.error is not None and not anything:
            self._cancel.raise_if_cancelled()
            raise step.error
        yield self._end(step)

    def _next(self) -> Event | Outcome[T] | None:
        try:
            return next(self._running)
        except StopIteration as end:
            outcome: Outcome[T] = end.value
            return outcome

    def _end(self, outcome: Outcome[T]) -> str:
        """The last frame; what it makes of the outcome must not fail, for there is no other answer left."""
        try:
            self._cancel.raise_if_cancelled()
            frames = self._script.end(outcome, time.perf_counter() - self._start)
        except Exception as error:  # noqa: BLE001 - told in the stream, and logged by `problem`
            document = problem(error, self._request_id)
            self.ended_as = document.status
            return self._script.error(document)
        self.ended_as = 200
        return frames


def _frame(name: str, data: BaseModel) -> str:
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n"
