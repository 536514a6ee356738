"""The task of a batch, as a value that can be sent to another machine and becomes work over its runtime."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from models.better import Betters
from models.entry import ModelEntry
from models.languages import Languages
from service.batch import preflight
from service.batch.request_work import RequestWork
from service.batch.text_work import TextWork
from service.batch.work import Work
from service.recollection import FileMemory
from service.tmx import TmxPair
from service.work.plan import Request, TaskName

if TYPE_CHECKING:
    from service.runtime import Runtime


class Task(Protocol):
    """One task with its options."""

    def told(self) -> dict[str, Any]:
        """Return its `task` and `parameters` as JSON."""

    def models(self, runtime: "Runtime", *, load: bool = True) -> dict[str, str]:
        """Return its models, each with the revision that is used here, and fetch those that are missing.

        With `load` they are loaded and tried, so that a wrong option shows now. Raises what each record would
        be refused with, and ModelUnavailable.
        """

    def writes(self, runtime: "Runtime") -> bool:
        """Tell whether one of its models writes, behind an engine. Raises UnknownModel."""

    def work(self, runtime: "Runtime") -> Work:
        """Return the work on each content."""

    def better(self, betters: Betters, languages: Languages) -> list[tuple[ModelEntry, ...]]:
        """Return the better models that it would take: for each of its tasks, the best first."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Summaries or translations by `request`, whose own text doesn't count; `given` is the same as JSON."""

    task: TaskName
    request: Request
    given: Mapping[str, Any]
    pairs: tuple[TmxPair, ...] = ()
    """Sentences that are translated as they are here."""

    def told(self) -> dict[str, Any]:
        """See `Task`."""
        return {"task": self.task, "parameters": self.given}

    def models(self, runtime: "Runtime", *, load: bool = True) -> dict[str, str]:
        """See `Task`."""
        return preflight.check(runtime, self.request, load=load)

    def writes(self, runtime: "Runtime") -> bool:
        """See `Task`."""
        return any(
            entry.kind not in ("extractive", "entailment")
            for entry in preflight.needed(runtime, self.request)
        )

    def work(self, runtime: "Runtime") -> Work:
        """See `Task`."""
        memory = FileMemory.of(self.pairs, runtime.languages) if self.pairs else None
        return TextWork(runtime, self.request, self.given, memory)

    def better(self, betters: Betters, languages: Languages) -> list[tuple[ModelEntry, ...]]:
        """See `Task`."""
        return preflight.better(betters, languages, self.request)


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of an OpenAI batch file, each with its options."""

    needed: dict[str, str] = field(default_factory=dict)
    """The models that this machine's work has come upon so far, with their revisions."""

    def told(self) -> dict[str, Any]:
        """See `Task`."""
        return {"task": "requests"}

    def models(self, runtime: "Runtime", *, load: bool = True) -> dict[str, str]:
        """See `Task`; which are needed, only the requests tell."""
        return self.needed

    def writes(self, runtime: "Runtime") -> bool:
        """See `Task`; which do, only the requests tell."""
        return True

    def work(self, runtime: "Runtime") -> Work:
        """See `Task`."""
        return RequestWork(runtime, self.needed)

    def better(self, betters: Betters, languages: Languages) -> list[tuple[ModelEntry, ...]]:
        """See `Task`; before they are read, nothing is known of them."""
        return []


@dataclass(frozen=True, slots=True)
class Order:
    """All that another process needs to do units of a task; it is pickled."""

    open_runtime: Callable[..., "Runtime"]
    """Called there, with settings that differ, before anything heavy is imported."""
    task: Task
    models: Mapping[str, str]
    """Those known so far, with the revisions that another machine must have too."""
    record_timeout_s: float | None
