"""The task of a batch, as a value that can be sent to another machine and becomes work over its runtime."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.better import Betters
from models.entry import ModelEntry
from models.languages import Languages
from service.batch import preflight
from service.batch.work import Work
from service.store.results import TaskName
from service.store.translation_memory import TmxPair, file_memory
from service.work.plan import Request

if TYPE_CHECKING:
    from service.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Task:
    """Summaries or translations by `request`, whose own text doesn't count; `given` is the same as JSON."""

    name: TaskName
    request: Request
    given: Mapping[str, Any]
    pairs: tuple[TmxPair, ...] = ()
    """Sentences that are translated as they are here."""

    def told(self) -> dict[str, Any]:
        """Return its `task` and `parameters` as JSON."""
        return {"task": self.name, "parameters": self.given}

    def models(self, runtime: "Runtime", *, load: bool = True) -> dict[str, str]:
        """Return its models, each with the revision that is used here, and fetch those that are missing.

        With `load` they are loaded and tried, so that a wrong option shows now. Raises what each record would
        be refused with, and ModelUnavailable.
        """
        return preflight.check(runtime, self.request, load=load)

    def writes(self, runtime: "Runtime") -> bool:
        """Tell whether one of its models writes, behind an engine. Raises UnknownModel."""
        return any(
            entry.kind not in ("extractive", "entailment")
            for entry in preflight.needed(runtime, self.request)
        )

    def work(self, runtime: "Runtime") -> Work:
        """Return the work on each content."""
        memory = file_memory(self.pairs, runtime.languages) if self.pairs else None
        return Work(runtime, self.request, self.given, memory)

    def better(self, betters: Betters, languages: Languages) -> list[tuple[ModelEntry, ...]]:
        """Return the better models that it would take: for each of its tasks, the best first."""
        return preflight.better(betters, languages, self.request)


@dataclass(frozen=True, slots=True)
class Order:
    """All that another process needs to do units of a task; it is pickled."""

    open_runtime: Callable[..., "Runtime"]
    """Called there, with settings that differ, before anything heavy is imported."""
    task: Task
    models: Mapping[str, str]
    """Those with the revisions that another machine must have too."""
    record_timeout_s: float | None
