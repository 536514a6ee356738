"""Does a job's items: makes tasks of their fields, runs them in small steps, and renders their values."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from models.errors import EngineFailed, InvalidInput
from models.tasks.steps import Outcome, Steps, Timings
from models.tasks.summary import Summary, SummaryRequest
from models.tasks.translation import Translation
from service.documents import parsing
from service.documents.document import File
from service.errors import Abandoned, StoreUnavailable
from service.jobs.job import PROBLEM, Gone, Item, Job, Result
from service.jobs.outputs import Outputs
from service.jobs.pace import Kept, Pace
from service.jobs.parts import in_parts
from service.jobs.store import JobStore
from service.limits import job_limits
from service.named_terms import named_terms
from service.problems import problem
from service.schemas import parse_summarize, parse_translate, render_summary, render_translation
from service.schemas.documents import (
    SummarizeForm,
    TranslateForm,
    parse_form,
    render_document_summary,
    summary_request,
    translation_request,
)
from service.stopping import Stop

if TYPE_CHECKING:
    from service.runtime import Runtime

MOST_INTERRUPTIONS = 3
"""A job that ran each time the service died may be what it dies of."""


def item_problem(error: Exception, form: str, number: int, request_id: str) -> Result:
    """Return an item's result that tells its error."""
    document = problem(error, request_id)
    if form == "texts":
        document = document.of_item(number)
    return Result(document.model_dump_json().encode(), PROBLEM)


@dataclass(frozen=True, slots=True)
class _Planned:
    """An item's task, and the function from its value, its timings and the total seconds to the result."""

    steps: Steps[Any]
    render: Callable[[Any, Timings, float], Result]


class _JobMemory:
    """Keeps the outputs and the progress of a job that runs."""

    def __init__(self, job: Job, store: JobStore, outputs: Outputs, got_on: Callable[[], None]):
        self._job = job
        self._got_on = got_on
        self._store = store
        self._outputs = outputs
        self._begun = outputs.items_begun(job)

    def recall(self, item: int) -> Mapping[int, Kept]:
        return self._outputs.recall(self._job, item) if item in self._begun else {}

    def keep(self, item: int, outputs: Mapping[int, Kept]) -> None:
        self._outputs.keep(self._job, item, outputs)
        self._got_on()

    def progress(self, done: int, total: int) -> None:
        if self._job.form != "texts":
            self._store.progress(self._job, done, total)


class JobWork:
    """Does jobs, one at a time in each thread that asks."""

    def __init__(self, runtime: "Runtime", store: JobStore, outputs: Outputs):
        self._runtime = runtime
        self._store = store
        self._outputs = outputs
        self._size = runtime.settings.job_batch_size
        self._limits = job_limits(runtime.settings)

    def run(self, job: Job, stop: Stop, got_on: Callable[[], None] = lambda: None) -> None:
        """Do what is left of the job, and end it; `got_on` hears whenever something new of it is kept.

        Raises Abandoned when stopped, Gone when cancelled, and StoreUnavailable.
        """
        if job.interruptions >= MOST_INTERRUPTIONS:
            times = f"the service ended {job.interruptions} times while it worked on this"
            self._store.end(job, _problem(job, EngineFailed(times)))
            return
        memory = _JobMemory(job, self._store, self._outputs, got_on)
        results: Sequence[Result] = ()
        after = -1
        while items := self._store.pending(job, after=after, limit=self._size):
            results = self._run_together(job, items, stop, memory)
            stop.require()
            self._store.record(job, {item.number: r for item, r in zip(items, results, strict=True)})
            got_on()
            after = items[-1].number
        alone = results[0] if results and job.form != "texts" else None
        self._store.end(job, alone.data if alone is not None and alone.failed else None)

    def fail(self, job: Job, error: Exception) -> None:
        """End the job with a problem."""
        self._store.end(job, _problem(job, error))

    def _run_together(self, job: Job, items: Sequence[Item], stop: Stop, memory: _JobMemory) -> list[Result]:
        start = time.perf_counter()
        pace = Pace(self._size, memory)
        planned = self._plan(job, items, stop)
        outcomes = iter(
            self._runtime.run_all(
                [
                    stop.guard(pace.steps(item.number, plan.steps))
                    for item, plan in zip(items, planned, strict=True)
                    if isinstance(plan, _Planned)
                ],
                wait=True,
            )
        )
        total_s = time.perf_counter() - start
        results = []
        for item, plan in zip(items, planned, strict=True):
            if isinstance(plan, _Planned):
                results.append(self._result(job, item, plan, next(outcomes), total_s))
            else:
                results.append(self._failure(job, item, plan))
        return results

    def _result(self, job: Job, item: Item, plan: _Planned, outcome: Outcome[Any], total_s: float) -> Result:
        try:
            return plan.render(outcome.unwrap(), outcome.timings, total_s)
        except (Abandoned, Gone, StoreUnavailable):  # not the item's own
            raise
        except Exception as error:  # noqa: BLE001 - any failure is this item's alone
            return self._failure(job, item, error)

    def _failure(self, job: Job, item: Item, error: Exception) -> Result:
        return item_problem(error, job.form, item.number, job.request_id)

    # ------------------------------------------------------------------ from items to tasks

    def _plan(self, job: Job, items: Sequence[Item], stop: Stop) -> list[_Planned | InvalidInput]:
        """Plan the items. Raises InvalidInput where the whole request has become wrong since it was taken."""
        if job.form == "document":
            return [self._plan_document(job, item, stop) for item in items]
        content = [item.content for item in items]
        given = {**job.options, job.form: content if job.form == "texts" else content[0]}
        if job.task == "summarize":
            summarize = self._runtime.summarizer.steps
            return [
                each if isinstance(each, InvalidInput) else _Planned(summarize(each), _summary)
                for each in parse_summarize(given, self._limits).items
            ]
        translate = self._runtime.translator.steps
        named = partial(named_terms, self._runtime, owner=job.owner)
        asked = parse_translate(given, self._limits, named)
        return [
            each if isinstance(each, InvalidInput) else _Planned(in_parts(translate, each), _translation)
            for each in asked.items
        ]

    def _plan_document(self, job: Job, item: Item, stop: Stop) -> _Planned:
        name, data, fields = str(job.options["file"]), item.content, dict(job.options)
        read = partial(
            self._runtime.children.run,
            field="file",
            timeout_s=self._runtime.settings.request_timeout_s,
            require=stop.require,
        )
        if job.task == "summarize":
            asked = summary_request(
                parse_form(SummarizeForm, fields), read(parsing.article, name, data, self._limits)
            )
            return _Planned(self._runtime.summarizer.steps(asked), partial(_document_summary, asked))
        wanted = translation_request(
            parse_form(TranslateForm, fields), read(parsing.to_translate, name, data, self._limits)
        )
        written = partial(read, parsing.translated, name, data)
        return _Planned(self._runtime.translator.steps(wanted), partial(_document_translation, name, written))


def _problem(job: Job, error: Exception) -> bytes:
    return problem(error, job.request_id).model_dump_json().encode()


def _summary(summary: Summary, timings: Timings, total_s: float) -> Result:
    return Result(render_summary(summary, timings, total_s).model_dump_json().encode())


def _translation(translation: Translation, timings: Timings, total_s: float) -> Result:
    return Result(render_translation(translation, timings, total_s).model_dump_json().encode())


def _document_summary(asked: SummaryRequest, summary: Summary, timings: Timings, total_s: float) -> Result:
    return Result(render_document_summary(asked, summary, timings, total_s).model_dump_json().encode())


def _document_translation(
    name: str, written: Callable[[str, str], File], done: Translation, timings: Timings, total_s: float
) -> Result:
    file = written(done.translation, done.target)
    return Result(
        file.data, file.media_type, file.name(name, done.target), "; ".join((*done.notes, *done.cautions))
    )
