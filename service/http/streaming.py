"""Server-sent events: responses that arrive while the task runs.

The request counts as running until its last event is written. If the client disconnects, the work is
cancelled.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any, Protocol, TypeVar

from flask import Response, g, request
from pydantic import BaseModel

from models.driver import CancelToken
from models.errors import ClientDisconnected
from models.steps import Event, Outcome, Steps
from service.answers import render_event
from service.http.disconnect import watching
from service.http.run_request import RequestRunner
from service.problems import Problem, kind_of, problem
from service.tasks import answer

T = TypeVar("T")

HEARTBEAT_S = 2.0
"""Seconds of silence before a comment is sent."""
TICKS = 4
"""Looks, in the time of one heartbeat, at whether one is due."""


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

    def event(self, event: Event) -> str:
        return _frame(*render_event(event))

    def end(self, outcome: Outcome[Any], total_s: float) -> str:
        return _frame("result", answer(outcome, total_s))

    def error(self, problem: Problem) -> str:
        return _frame("error", problem)


class EventStream(Response):
    """Its `ended_as` says, once it is closed, with what status the work ended; its own status is 200."""

    ended_as: Callable[[], int]


def stream(work: RequestRunner, held: ExitStack, steps: Steps[T], script: Script) -> Response:
    """The answer of one item as a stream; takes over all that `held` holds, and frees it at the end.

    What goes wrong before there is anything to write is raised. After `HEARTBEAT_S` without an event a
    comment is written: it keeps proxies patient, and finds out who is gone.
    """
    cancel = CancelToken()
    held.enter_context(watching(request.environ, cancel.cancel))
    running = work.stream(steps, cancel, tick_s=HEARTBEAT_S / TICKS)
    held.callback(running.close)
    request_id = g.request_id
    ended_as = kind_of(ClientDisconnected()).status  # until it ends otherwise
    start = time.perf_counter()

    def frames() -> Iterator[str]:
        last, anything = start, False
        while not isinstance(step := _next(running), Outcome):
            if step is None and time.perf_counter() - last < HEARTBEAT_S:
                continue
            if told := ": at work\n\n" if step is None else script.event(step):
                last, anything = time.perf_counter(), True
                yield told
        if step.error is not None and not anything:
            cancel.raise_if_cancelled()
            raise step.error
        yield end(step)

    def end(outcome: Outcome[T]) -> str:
        """The last frame; what it makes of the outcome must not fail, for there is no other answer left."""
        nonlocal ended_as
        try:
            cancel.raise_if_cancelled()
            told = script.end(outcome, time.perf_counter() - start)
        except Exception as error:  # noqa: BLE001 - told in the stream, and logged by `problem`
            document = problem(error, request_id)
            ended_as = document.status
            return script.error(document)
        ended_as = 200
        return told

    written = frames()
    response = EventStream(chain((next(written),), written), mimetype="text/event-stream")
    response.ended_as = lambda: ended_as
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold the events back
    response.call_on_close(held.pop_all().close)
    return response


def _next(running: Generator[Event | None, None, Outcome[T]]) -> Event | Outcome[T] | None:
    try:
        return next(running)
    except StopIteration as end:
        outcome: Outcome[T] = end.value
        return outcome


def _frame(name: str, data: BaseModel) -> str:
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n"
