"""/v1/jobs: what takes long is handed in, looked after, and fetched when it is done."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from flask import Blueprint, Response, g, request

from models.errors import InvalidInput, Overloaded, UnknownModel, UnsupportedLanguage
from service.documents import parsing
from service.errors import JobNotDone, StoreUnavailable, TooLong, TooManyTexts, UnknownGlossary, UnknownJob
from service.http.admission import Gate, Shares
from service.http.allowance import Allowance
from service.http.body import max_body_bytes, read_json
from service.http.files import file_answer, sent_file
from service.http.forms import FORM
from service.http.openapi import Example, Operation, add
from service.jobs.desk import Desk
from service.jobs.job import PROBLEM, Job, NewJob
from service.jobs.schemas import (
    INPUTS,
    JobAnswer,
    JobList,
    ListQuery,
    SummarizeJobBody,
    SummarizeJobForm,
    TranslateJobBody,
    TranslateJobForm,
    options,
    render_job,
    render_jobs,
    task_of,
)
from service.jobs.work import item_problem
from service.limits import job_limits
from service.named_terms import named_terms
from service.schemas import Problem, SummaryAnswer, TranslationAnswer, parse_summarize, parse_translate
from service.schemas.documents import parse_form
from service.schemas.requests import given_field, validated
from service.schemas.results import SummaryResults, TranslationResults

if TYPE_CHECKING:
    from service.runtime import Runtime

V = TypeVar("V")

BODIES_AT_ONCE = 2
"""Bodies of the greatest length that are taken in at the same time, or more that are shorter: each may be
hundreds of megabytes. A caller has a share of this."""
LOOKED_UP_AT_ONCE = 8
"""Callbacks whose hosts are looked up: a slow name server keeps so many threads, and no place of the gate."""

_TRANSLATE = {"task": "translate", "texts": ["Good morning.", "Good night."], "target": "fr"}
_QUEUED = {
    "id": "0d4c8f6f2b7f4d07a2f0f4b9a4a1d6a3",
    "task": "translate",
    "status": "queued",
    "progress": {"done": 0, "total": 2},
    "created": "2026-11-24T03:00:00.000001Z",
}
_RUNNING = {**_QUEUED, "status": "running", "started": "2026-11-24T03:00:01Z"}

CREATE = Operation(
    method="POST",
    path="/jobs",
    tag="jobs",
    summary="Hand in many texts, a long one or a document, to be done in the background",
    description=(
        "What /v1/summarize and /v1/translate take, with a `task`; or a form, as /v1/documents takes, with a "
        "`task`. Limits are higher than there."
    ),
    body=(SummarizeJobBody, TranslateJobBody),
    forms=(SummarizeJobForm, TranslateJobForm),
    limits=job_limits,
    status=202,
    answers=(JobAnswer,),
    headers={"Location": "The job's address."},
    errors=(
        TooLong,
        TooManyTexts,
        UnknownModel,
        UnsupportedLanguage,
        UnknownGlossary,
        Overloaded,
        StoreUnavailable,
    ),
    examples={"two texts": Example(_TRANSLATE, _QUEUED)},
)
LIST = Operation(
    method="GET",
    path="/jobs",
    tag="jobs",
    summary="The jobs, the newest first",
    parameters=ListQuery,
    answers=(JobList,),
    errors=(InvalidInput, StoreUnavailable),
    examples={"one of them": Example(answer={"jobs": [_RUNNING], "next": 17})},
)
GET = Operation(
    method="GET",
    path="/jobs/<job_id>",
    tag="jobs",
    summary="How a job stands",
    answers=(JobAnswer,),
    errors=(UnknownJob, StoreUnavailable),
    examples={"at work": Example(answer=_RUNNING)},
)
RESULT = Operation(
    method="GET",
    path="/jobs/<job_id>/result",
    tag="jobs",
    summary="What came of a job",
    description="What the direct route would have answered; of a job that failed, its problem.",
    answers=(SummaryAnswer, TranslationAnswer, SummaryResults, TranslationResults),
    file="The translated document.",
    errors=(UnknownJob, JobNotDone, StoreUnavailable),
)
DELETE = Operation(
    method="DELETE",
    path="/jobs/<job_id>",
    tag="jobs",
    summary="Cancel a job that has not ended; forget one that has",
    status=204,
    errors=(UnknownJob, StoreUnavailable),
)


class Jobs:
    """The views of a desk."""

    def __init__(self, runtime: "Runtime", desk: Desk, allowance: Allowance):
        self._runtime = runtime
        self._desk = desk
        self._allowance = allowance
        self._limits = job_limits(runtime.settings)
        self._retention_s = runtime.settings.job_retention_s
        self._longest = max_body_bytes(self._limits)
        self._gate = Shares(BODIES_AT_ONCE * self._longest)
        self._looking_up = Gate(LOOKED_UP_AT_ONCE)

    def blueprint(self) -> Blueprint:
        routes = Blueprint("jobs", __name__, url_prefix="/v1")
        add(routes, CREATE, self.create)
        add(routes, LIST, self.list)
        add(routes, GET, self.get)
        add(routes, RESULT, self.result)
        add(routes, DELETE, self.delete)
        return routes

    def create(self) -> Response:
        length = request.content_length
        with self._gate.enter(g.caller.name, self._longest if length is None else length):
            new = self._document() if request.mimetype == FORM else self._texts()
            self._check_names(new)
            job = self._desk.take(new)
        if job.callback is not None:
            self._look_up_callback(job)
        response = self._shown(job)
        response.status_code = 202
        response.headers["Location"] = f"{request.script_root}/v1/jobs/{job.id}"
        return response

    def _look_up_callback(self, job: Job) -> None:
        """Raise InvalidInput where it may not go. Beyond so many at once that is seen when it is sent."""
        try:
            with self._looking_up.enter():
                self._desk.look_up_callback(job)
        except Overloaded:
            return

    def list(self) -> Response:
        asked = parse_form(ListQuery, request.args.to_dict())
        jobs = self._desk.store.page(_owner(), limit=asked.limit + 1, before=asked.before)
        page = render_jobs(jobs, asked.limit, self._retention_s)
        return Response(page.model_dump_json(), mimetype="application/json")

    def get(self, job_id: str) -> Response:
        return self._shown(self._desk.store.get(job_id, _owner()))

    def result(self, job_id: str) -> Response:
        job = self._desk.store.get(job_id, _owner())
        if job.problem is not None:
            status = Problem.model_validate_json(job.problem).status
            return Response(job.problem, status=status, mimetype=PROBLEM)
        if job.status != "done":
            raise JobNotDone(f"the job is {job.status}")
        if job.form == "texts":
            return Response(self._results(job), mimetype="application/json")
        (result,) = self._desk.store.results(job)
        return file_answer(result.data, result.media_type, result.filename, result.notes)

    def delete(self, job_id: str) -> Response:
        self._desk.remove(job_id, _owner())
        return Response(status=204)

    # ------------------------------------------------------------------ from requests to jobs

    def _texts(self) -> NewJob:
        data = read_json(request)
        task, given = task_of(data), options(data)
        body: SummarizeJobBody | TranslateJobBody
        items: Sequence[object]
        if task == "summarize":
            body = validated(SummarizeJobBody, data)
            items = parse_summarize(given, self._limits).items
        else:
            body = validated(TranslateJobBody, data)
            named = partial(named_terms, self._runtime, owner=_owner())
            items = parse_translate(given, self._limits, named).items
        form = given_field(body)
        sent = getattr(body, form) if form == "texts" else [getattr(body, form)]
        read = zip(items, sent, strict=True)
        self._allowance.charge(text for item, text in read if not isinstance(item, InvalidInput))
        return NewJob(
            task=task,
            form=form,  # type: ignore[arg-type]  # one of INPUTS
            options=options(data, *INPUTS),
            contents=[
                item_problem(item, form, i, g.request_id) if isinstance(item, InvalidInput) else content
                for i, (item, content) in enumerate(zip(items, sent, strict=True))
            ],
            request_id=g.request_id,
            owner=_owner(),
            caller=g.caller.name,
            callback=body.callback,
        )

    def _document(self) -> NewJob:
        data, fields = sent_file()
        task = task_of(fields)
        form: SummarizeJobForm | TranslateJobForm
        if task == "summarize":
            form = parse_form(SummarizeJobForm, fields)
            text = self._read(parsing.article, form.file, data).text
        else:
            form = parse_form(TranslateJobForm, fields)
            text = self._read(parsing.to_translate, form.file, data).text
        self._allowance.charge([text])
        return NewJob(
            task=task,
            form="document",
            options=options(fields),
            contents=[data],
            request_id=g.request_id,
            owner=_owner(),
            caller=g.caller.name,
            callback=form.callback,
        )

    def _read(self, function: Callable[..., V], name: str, data: bytes) -> V:
        timeout_s = self._runtime.settings.request_timeout_s
        return self._runtime.children.run(
            function, name, data, self._limits, field="file", timeout_s=timeout_s
        )

    def _check_names(self, new: NewJob) -> None:
        """Raise for a model or a language that no text could be done with."""
        if model := new.options.get("model"):
            self._runtime.catalog.get(model, new.task)
        for field in ("source", "target"):
            if (language := new.options.get(field)) and language != "auto":
                self._runtime.languages.normalize(language, field)

    # ------------------------------------------------------------------ from jobs to answers

    def _shown(self, job: Job) -> Response:
        return Response(render_job(job, self._retention_s).model_dump_json(), mimetype="application/json")

    def _results(self, job: Job) -> Iterator[bytes]:
        """The results as JSON, one after another as they are read."""
        yield b'{"results":['
        for i, result in enumerate(self._desk.store.results(job)):
            yield b"," + result.data if i else result.data
        yield b"]}"


def _owner() -> str | None:
    """Whose jobs these are: the API key's that the request came with, if it came with one."""
    owner: str | None = g.key_id
    return owner
