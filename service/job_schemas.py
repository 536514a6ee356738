"""The JSON and forms of /v1/jobs, and how a job is rendered."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from models.errors import InvalidInput
from service.answers import SegmentEvent, SummaryAnswer, TranslationAnswer
from service.options import BODIES, FORMS, SummarizeBody, SummarizeForm, TranslateBody, TranslateForm
from service.problems import Problem
from service.store.jobs import CallbackStatus, Job, Status
from service.store.results import TaskName
from service.validation import absent

CALLBACK = "POSTed the job's status when it has ended, with the header `Dragoman-Signature`."

Url = Annotated[
    str,
    Field(min_length=1, max_length=2000),
    WithJsonSchema({"type": "string", "format": "uri", "maxLength": 2000}),
]
_STREAM = "A job is not streamed."


class _JobFields(BaseModel):
    callback: Url | None = Field(None, description=CALLBACK)


class SummarizeJobBody(SummarizeBody, _JobFields):
    """The fields of /v1/summarize, and its higher limits."""

    task: Literal["summarize"]
    stream: Literal[False] = Field(False, description=_STREAM)


class TranslateJobBody(TranslateBody, _JobFields):
    """The fields of /v1/translate."""

    task: Literal["translate"]
    stream: Literal[False] = Field(False, description=_STREAM)


class SummarizeJobForm(SummarizeForm, _JobFields):
    """The fields of /v1/documents/summarize."""

    task: Literal["summarize"]


class TranslateJobForm(TranslateForm, _JobFields):
    """The fields of /v1/documents/translate."""

    task: Literal["translate"]


JOB_BODIES: dict[TaskName, type[SummarizeJobBody | TranslateJobBody]] = {
    "summarize": SummarizeJobBody,
    "translate": TranslateJobBody,
}
JOB_FORMS: dict[TaskName, type[SummarizeJobForm | TranslateJobForm]] = {
    "summarize": SummarizeJobForm,
    "translate": TranslateJobForm,
}
NO_OPTIONS = {"task", "callback", "stream", "text", "html", "texts"}


class ListQuery(BaseModel):
    """The query of /v1/jobs: a page of the list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(20, ge=1, le=100, description="At most so many.")
    before: int | None = Field(None, ge=1, le=2**63 - 1, description="`next` of the page before.")


class ResultQuery(BaseModel):
    """The query of a job's result."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partial: bool = Field(
        False,
        description="What there is so far, of a job that is not done, that failed or was cancelled; of a "
        "translated document that is done its segments, beside the file.",
    )
    after: int = Field(
        0, ge=0, le=2**63 - 1, description="`next` of the answer before: only segments that are new since."
    )


class ProgressPart(BaseModel):
    done: int
    total: int = Field(
        description="Texts; for a single one its sentences, or for a summary the pieces in which it is read."
    )


class CallbackPart(BaseModel):
    status: CallbackStatus
    tries: int


class JobAnswer(BaseModel):
    """A job as it stands."""

    id: str
    task: TaskName
    status: Status
    progress: ProgressPart
    created: datetime
    started: datetime | None = absent("When work on it began.")
    finished: datetime | None = absent("When it ended, one way or the other.")
    expires: datetime | None = absent("When it and its result will be forgotten.")
    problem: Problem | None = absent("Why it failed.")
    callback: CallbackPart | None = absent("What became of the callback, once it is due.")


class PartialAnswer(JobAnswer):
    """A job that is not done, or whose result is a file, as it stands, with what there is of its result."""

    partial: Literal[True]
    segments: list[SegmentEvent] | None = absent(
        "Of a single translation: those that are there, as a stream tells them; each replaces one of the "
        "same `index`. Of a document each has its `original`."
    )
    next: int | None = absent("What to give as `after`, to be told only of what is new.")
    results: list[SummaryAnswer | TranslationAnswer | Problem | None] | None = absent(
        "Of `texts`: an answer or a problem for each, null where there is none yet."
    )


class JobList(BaseModel):
    """A page of jobs, the newest first."""

    jobs: list[JobAnswer]
    next: int | None = absent("What to give as `before` for the next page, where there is one.")


def task_of(fields: object) -> TaskName:
    """Return the task that the fields ask for. Raises InvalidInput."""
    task = fields.get("task") if isinstance(fields, dict) else None
    if task != "summarize" and task != "translate":
        was = "is required" if task is None else "must be summarize or translate"
        raise InvalidInput(f"task {was}", field="task", allowed=["summarize", "translate"])
    return "summarize" if task == "summarize" else "translate"


def options(fields: BaseModel) -> dict[str, Any]:
    """Return the fields that say how the work is to be done, of those that were given."""
    return fields.model_dump(exclude=NO_OPTIONS, exclude_unset=True)


def stored_options(job: Job) -> SummarizeBody | TranslateBody | SummarizeForm | TranslateForm:
    """Return the options that a job was stored with, which were checked before."""
    models = FORMS if job.form == "document" else BODIES
    return models[job.task].model_construct(**job.options)


def render_job(job: Job, retention_s: float) -> JobAnswer:
    """Return the job as clients and callbacks get it."""
    ended = job.finished is not None
    return JobAnswer(
        id=job.id,
        task=job.task,
        status=job.status,
        progress=ProgressPart(done=job.done, total=job.total),
        created=_time(job.created),
        started=None if job.started is None else _time(job.started),
        finished=None if job.finished is None else _time(job.finished),
        expires=_time(job.finished + retention_s) if ended and job.finished is not None else None,
        problem=None if job.problem is None else Problem(**json.loads(job.problem)),
        callback=None
        if job.callback_status is None
        else CallbackPart(status=job.callback_status, tries=job.callback_tries),
    )


def render_jobs(jobs: Sequence[Job], limit: int, retention_s: float) -> JobList:
    """Return a page of at most `limit` jobs; `jobs` holds one more than that if there are more."""
    shown = jobs[:limit]
    return JobList(
        jobs=[render_job(job, retention_s) for job in shown],
        next=shown[-1].number if len(jobs) > limit else None,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
