"""Answers that arrive while they are made: server-sent events, over the same tasks.

The request keeps its place until its last event is written; a client that goes away gives it up, and its work
is cancelled.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Generic, TypeVar

from flask import Response, g, request
from pydantic import BaseModel

from models.tasks.events import Event, OnEvent
from models.tasks.steps import Outcome, Steps, Timings
from service.errors import Abandoned
from service.http.abandoned import watching
from service.http.work import RequestRunner
from service.problems import kind_of, problem
from service.schemas.events import render_event
from service.stopping import Stop

T = TypeVar("T")

TICKS = 4
"""How often in the time of a heartbeat it is looked whether one is due."""

Render = Callable[[T, Timings, float], BaseModel]


class EventStream(Response):
    """Its `ended_as` says, once it is closed, with what status the work ended; its own status is 200."""

    ended_as: Callable[[], int]


def stream(
    work: RequestRunner,
    held: ExitStack,
    steps: Callable[[OnEvent], Steps[T]],
    render: Render[T],
    heartbeat_s: float,
) -> Response:
    """The answer of one item as a stream; takes over all that `held` holds, and frees it at the end.

    What goes wrong before there is anything to write is raised. After `heartbeat_s` without an event a
    comment is written: it keeps proxies patient, and finds out who is gone.
    """
    events: deque[Event] = deque()
    stop = Stop()
    held.enter_context(watching(request.environ, stop.stop))
    running = work.stream(stop.guard(steps(events.append)), tick_s=heartbeat_s / TICKS)
    held.callback(running.close)
    frames = _Frames(running, events, stop, render, g.request_id, heartbeat_s)
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
        running: Generator[None, None, Outcome[T]],
        events: deque[Event],
        stop: Stop,
        render: Render[T],
        request_id: str,
        heartbeat_s: float,
    ):
        self._running = running
        self._events = events
        self._stop = stop
        self._render = render
        self._request_id = request_id
        self._heartbeat_s = heartbeat_s
        self._start = time.perf_counter()
        self.ended_as = kind_of(Abandoned("")).status
        """Until it ends otherwise."""

    def __iter__(self) -> Iterator[str]:
        last = self._start
        anything = False
        while (outcome := self._next()) is None:
            frames = self._told()
            if not frames and time.perf_counter() - last < self._heartbeat_s:
                continue
            last = time.perf_counter()
            anything = True
            yield frames or ": at work\n\n"
        told = self._told()
        if outcome.error is not None and not anything and not told:
            self._stop.require()
            raise outcome.error
        yield told + self._end(outcome)

    def _next(self) -> Outcome[T] | None:
        try:
            next(self._running)
        except StopIteration as end:
            outcome: Outcome[T] = end.value
            return outcome
        return None

    def _told(self) -> str:
        frames = []
        while self._events:
            frames.append(_frame(*render_event(self._events.popleft())))
        return "".join(frames)

    def _end(self, outcome: Outcome[T]) -> str:
        """The last frame; what it makes of the outcome must not fail, for there is no other answer left."""
        try:
            self._stop.require()
            answer = self._render(outcome.unwrap(), outcome.timings, time.perf_counter() - self._start)
        except Exception as error:  # noqa: BLE001 - told in the stream, and logged by `problem`
            document = problem(error, self._request_id)
            self.ended_as = document.status
            return _frame("error", document)
        self.ended_as = 200
        return _frame("result", answer)


def _frame(name: str, data: BaseModel) -> str:
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n"
