"""Runs a request's tasks within the concurrency limit and the deadline, for every interface alike."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flask import g, request

from models.checker import Checked, CheckRequest
from models.driver import CancelToken, stream
from models.errors import DeadlineExceeded, Overloaded
from models.steps import Event, Outcome, Steps
from models.translate.translator import MemoryLookup
from service.http.body import SHORT_BYTES
from service.http.disconnect import watching
from service.http.quotas import Caller, Quotas, require_known
from service.http.status import Readiness
from service.shares import CALLER, Shares, idle
from service.store.glossaries import Glossaries
from service.store.translation_memory import TranslationMemory
from service.tasks import Request, best_of_few, steps

if TYPE_CHECKING:
    from service.runtime import Runtime

T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Outcomes(Generic[T]):
    """The outcomes of the items of one request, in order, and the seconds that they took together."""

    outcomes: list[Outcome[T]]
    total_s: float


class RequestRunner:
    """Runs the items of one HTTP request together.

    Where the queue is full, or the time is up, for every item, that is the whole request's affair:
    Overloaded and DeadlineExceeded are raised, and NotReady while the models are loaded for the first time.
    All other failures are in the outcomes. Once the client is gone, or `cancel` is cancelled, the work ends
    with ClientDisconnected.
    """

    def __init__(
        self, runtime: "Runtime", places: Shares, bodies: Shares, readiness: Readiness, quotas: Quotas
    ):
        self._runtime = runtime
        self._places = places
        self._bodies = bodies
        self._readiness = readiness
        self._quotas = quotas

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place, from before the body is read until the answer is made. Raises Overloaded.

        The request's time runs from here, over all that is done for it.
        """
        with self._places.hold(CALLER.get()), ExitStack() as held:
            g.deadline = time.monotonic() + self._runtime.settings.request_timeout_s
            g.held = held
            yield

    def left_s(self) -> float:
        """Return what is left of the request's time, in seconds."""
        deadline: float = g.deadline
        return max(0.0, deadline - time.monotonic())

    def charge(self, texts: Iterable[str | None]) -> None:
        """Count the characters of these texts, before they are read. Raises CharactersSpent."""
        self._quotas.charge(texts)

    def usage(self) -> tuple[int, int | None]:
        """Return the caller's characters of today, and the number allowed a day."""
        return self._quotas.usage()

    def do(self, requests: Sequence[Request], cancel: CancelToken | None = None) -> Outcomes[Any]:
        """Summarize or translate. Whoever gives `cancel` cancels it when the client has gone."""
        return self.run(self.steps(requests), cancel)

    def steps(self, requests: Sequence[Request]) -> list[Steps[Any]]:
        """Return the tasks of one caller's requests, with the caller's translation memory."""
        return [steps(self._runtime, each, self.recall()) for each in best_of_few(requests)]

    def memory(self) -> TranslationMemory:
        """Return the caller's translation memory. Raises KeyRequired: a stranger has none."""
        require_known("there is no translation memory")
        return self._runtime.translation_memory.of(g.key_id, g.caller.name)

    def recall(self) -> MemoryLookup | None:
        """Return what looks sentences up in the caller's translation memory, if there is one."""
        return self.memory().recall if g.caller.is_known else None

    def glossaries(self) -> Glossaries:
        """Return the caller's glossaries. Read in a place, they count like a body while it is held."""
        caller: Caller = g.caller
        return self._runtime.glossaries.of(
            g.key_id, caller.name, by_name=caller.is_known, take=self._take_bytes
        )

    def _take_bytes(self, size: int) -> None:
        held: ExitStack = g.held
        if size > SHORT_BYTES:
            held.enter_context(self._bodies.hold(CALLER.get(), size))

    def run(self, tasks: Sequence[Steps[Any]], cancel: CancelToken | None = None) -> Outcomes[Any]:
        """Run tasks with the models that are loaded first."""
        self._readiness.require()
        return self._run(tasks, cancel)

    def in_child(self, function: Callable[..., V], *arguments: object, field: str) -> V:
        """Run the function in a child process; see `Children.run`. It ends with the request."""
        cancel = CancelToken()
        with watching(request.environ, cancel.cancel):
            return self._runtime.children.run(
                function,
                *arguments,
                field=field,
                timeout_s=self.left_s(),
                require=cancel.raise_if_cancelled,
            )

    def check(self, requests: Sequence[CheckRequest]) -> Outcomes[Checked]:
        """Check. That needs none of the models that are loaded first."""
        return self._run([self._runtime.checker.steps(each) for each in requests], None)

    def stream(
        self, task: Steps[T], cancel: CancelToken, *, tick_s: float
    ) -> Generator[Event | None, None, Outcome[T]]:
        """Run one item for a reader who watches; see `models.driver.stream`."""
        self._readiness.require()
        return stream(task, deadline=g.deadline, tick_s=tick_s, cancel=cancel, flow=CALLER.get(), idle=idle)

    def _run(self, tasks: Sequence[Steps[T]], given: CancelToken | None) -> Outcomes[T]:
        start = time.perf_counter()
        cancel = given or CancelToken()
        with nullcontext() if given else watching(request.environ, cancel.cancel):
            outcomes = self._runtime.run_all(tasks, timeout_s=self.left_s(), cancel=cancel)
        total_s = time.perf_counter() - start
        cancel.raise_if_cancelled()
        _raise_if_all([outcome.error for outcome in outcomes])
        return Outcomes(outcomes, total_s)


def _raise_if_all(errors: Sequence[Exception | None]) -> None:
    for kind in (Overloaded, DeadlineExceeded):
        if errors and errors[0] is not None and all(isinstance(error, kind) for error in errors):
            raise errors[0]
