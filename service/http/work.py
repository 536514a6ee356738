"""Requests' work, for every interface alike: a place, models that are loaded, a deadline."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from flask import has_request_context, request

from models.errors import DeadlineExceeded, Overloaded
from models.tasks.checker import Checked, CheckRequest
from models.tasks.listening import stream
from models.tasks.steps import Outcome, Steps
from models.tasks.summary import Summary, SummaryRequest
from models.tasks.translation import Translation, TranslationRequest
from service.http.abandoned import Stop, watching
from service.http.admission import Gate
from service.http.allowance import Allowance
from service.http.readiness import Readiness

if TYPE_CHECKING:
    from service.runtime import Runtime

R = TypeVar("R")
T = TypeVar("T", Summary, Translation, Checked)
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What became of the items of one request, in order, and how long they took together."""

    outcomes: list[Outcome[T]]
    total_s: float


class Work:
    """Runs the items of one HTTP request together.

    Where the queue is full, or the time is up, for every item, that is the whole request's affair:
    Overloaded and DeadlineExceeded are raised, and NotReady while the models are loaded for the first time.
    All other failures are in the outcomes. Once the client is gone, or `stop` is stopped, the work ends with
    Abandoned.
    """

    def __init__(self, runtime: "Runtime", gate: Gate, readiness: Readiness, allowance: Allowance):
        self._runtime = runtime
        self._gate = gate
        self._readiness = readiness
        self._allowance = allowance

    def place(self) -> AbstractContextManager[None]:
        """To be held from before the body is read until the answer is made; raises Overloaded."""
        return self._gate.enter()

    def charge(self, texts: Iterable[str | None]) -> None:
        """To be called with all that is to be read, before it is; raises CharactersSpent."""
        self._allowance.charge(texts)

    def usage(self) -> tuple[int, int | None]:
        """The caller's characters today, and how many there are for a day."""
        return self._allowance.usage()

    def summarize(self, requests: Sequence[SummaryRequest], stop: Stop | None = None) -> Done[Summary]:
        return self._run(self._runtime.summarizer.steps, requests, stop or Stop())

    def translate(
        self, requests: Sequence[TranslationRequest], stop: Stop | None = None
    ) -> Done[Translation]:
        return self._run(self._runtime.translator.steps, requests, stop or Stop())

    def check(self, requests: Sequence[CheckRequest], stop: Stop | None = None) -> Done[Checked]:
        """Checks need none of the models that are loaded first."""
        return self._run(self._runtime.checker.steps, requests, stop or Stop(), needs_models=False)

    def stream(self, task: Steps[A], *, tick_s: float) -> Generator[None, None, Outcome[A]]:
        """One item's work, to be gone on with; see `models.tasks.listening.stream`."""
        self._readiness.require()
        deadline = time.monotonic() + self._runtime.settings.request_timeout_s
        return stream(task, deadline=deadline, tick_s=tick_s)

    def _run(
        self,
        steps: Callable[[R], Steps[T]],
        requests: Sequence[R],
        stop: Stop,
        *,
        needs_models: bool = True,
    ) -> Done[T]:
        if needs_models:
            self._readiness.require()
        start = time.perf_counter()
        with watching(request.environ if has_request_context() else {}, stop.stop):
            outcomes = self._runtime.run_all(
                [stop.guard(steps(each)) for each in requests],
                timeout_s=self._runtime.settings.request_timeout_s,
            )
        total_s = time.perf_counter() - start
        stop.require()
        _raise_if_all([outcome.error for outcome in outcomes])
        return Done(outcomes, total_s)


def _raise_if_all(errors: Sequence[Exception | None]) -> None:
    for kind in (Overloaded, DeadlineExceeded):
        if errors and errors[0] is not None and all(isinstance(error, kind) for error in errors):
            raise errors[0]
