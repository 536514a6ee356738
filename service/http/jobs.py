"""/v1/jobs: submit long work, check its progress, and fetch its result, or the part that is done."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from flask import Blueprint, Response, g, request

from models.errors import InvalidInput, Overloaded, UnknownModel, UnsupportedLanguage
from service.answers import SummaryAnswer, SummaryResults, TranslationAnswer, TranslationResults
from service.documents import sandbox
from service.documents.formats import DocumentArticle, DocumentText
from service.errors import JobNotDone, StoreUnavailable, TooLong, TooManyTexts, UnknownGlossary, UnknownJob
from service.http.body import read_json
from service.http.forms import FORM, sent_file
from service.http.idempotency import DESCRIPTION, ERRORS, HEADER, Idempotency
from service.http.openapi import Example, Operation, add
from service.http.quotas import require_known
from service.http.responses import file_response, json_response
from service.http.run_request import RequestRunner
from service.job_schemas import (
    JOB_BODIES,
    JOB_FORMS,
    JobAnswer,
    JobList,
    ListQuery,
    PartialAnswer,
    ResultQuery,
    options,
    render_job,
    render_jobs,
    task_of,
)
from service.jobs import JobService
from service.limits import job_limits
from service.options import inputs
from service.problems import Problem
from service.shared import SharedState
from service.shares import CALLER, LOOKUP, LOOKUPS, Shares, idle
from service.store.jobs import Form, Job, JobStore, NewJob
from service.store.results import JSON, PROBLEM, StoredResult, TaskName
from service.tasks import failure, request_maker
from service.validation import validated

if TYPE_CHECKING:
    from service.runtime import Runtime

_SO_FAR = {
    "id": "0d4c8f6f2b7f4d07a2f0f4b9a4a1d6a3",
    "task": "translate",
    "status": "running",
    "progress": {"done": 1, "total": 2},
    "created": "2026-11-24T03:00:00.000001Z",
    "started": "2026-11-24T03:00:01Z",
    "partial": True,
    "segments": [
        {
            "source": {"start": 0, "end": 13},
            "text": "Bonjour.",
            "complete": True,
            "confidence": 0.81,
            "abstained": False,
            "flags": [],
            "index": 0,
            "total": 2,
        }
    ],
    "next": 17,
}

RESULT = Operation(
    method="GET",
    path="/jobs/<job_id>/result",
    tag="jobs",
    summary="What came of a job, or what there is so far",
    description=(
        "What the direct route would have answered; of a job that failed, its problem. With `partial` a "
        "job that is not done, or never will be, is answered with how it stands and what there is of its "
        "result: so its progress can be shown, and nothing is lost when it fails or is cancelled."
    ),
    parameters=ResultQuery,
    answers=(SummaryAnswer, TranslationAnswer, SummaryResults, TranslationResults, PartialAnswer),
    file="The translated document.",
    errors=(UnknownJob, JobNotDone, InvalidInput, StoreUnavailable),
    examples={"so far": Example(answer=_SO_FAR)},
)


def answer(store: JobStore, job: Job, query: ResultQuery, retention_s: float) -> Response:
    """Return the job's result. Raises JobNotDone, and UnknownJob if it is forgotten meanwhile."""
    is_file = job.form == "document" and job.task == "translate"
    if query.partial and (job.status != "done" or is_file):
        return Response(_so_far(store, job, query.after, retention_s), mimetype=JSON)
    if job.problem is not None:
        status = Problem.model_validate_json(job.problem).status
        return Response(job.problem, status=status, mimetype=PROBLEM)
    if job.status != "done":
        raise JobNotDone(f"the job is {job.status}")
    result = store.open(job)
    return file_response(result, result.media_type, result.filename, result.notes)


def _results(store: JobStore, job: Job) -> Iterator[bytes]:
    """Yield the results as JSON, one after another as they are read."""
    yield b'{"results":['
    for i, result in enumerate(store.results(job)):
        yield (b"," if i else b"") + (result.data or b"null")
    yield b"]}"


def _so_far(store: JobStore, job: Job, after: int, retention_s: float) -> Iterator[bytes]:
    """Yield a `PartialAnswer` as JSON, as it is read."""
    yield render_job(job, retention_s).model_dump_json().encode().removesuffix(b"}") + b',"partial":true'
    if job.form == "texts":
        results = _results(store, job)
        yield next(results).replace(b"{", b",")
        yield from results
    elif job.task == "translate":
        yield b',"segments":['
        last, comma = after, b""
        for told, body in store.segments(job, after):
            yield comma + body
            last, comma = told, b","
        yield b'],"next":%d}' % last
    else:
        yield b"}"


_READ: Mapping[TaskName, Callable[..., DocumentArticle | DocumentText]] = {
    "summarize": sandbox.article,
    "translate": sandbox.to_translate,
}

_TRANSLATE = {
    "task": "translate",
    "texts": ["The ministers met in Vienna.", "They signed nothing."],
    "target": "fr",
}
QUEUED = {
    "id": "0d4c8f6f2b7f4d07a2f0f4b9a4a1d6a3",
    "task": "translate",
    "status": "queued",
    "progress": {"done": 0, "total": 2},
    "created": "2026-11-24T03:00:00.000001Z",
}
RUNNING = {**QUEUED, "status": "running", "started": "2026-11-24T03:00:01Z"}
CREATE = Operation(
    method="POST",
    path="/jobs",
    tag="jobs",
    summary="Hand in many texts, a long one or a document, to be done in the background",
    description=(
        "What /v1/summarize and /v1/translate take, with a `task`; or a form, as /v1/documents takes, with a "
        "`task`. Limits are higher than there."
    ),
    bodies=(*JOB_BODIES.values(), *JOB_FORMS.values()),
    limits=job_limits,
    status=202,
    answers=(JobAnswer,),
    request_headers={HEADER: DESCRIPTION},
    headers={"Location": "The job's address."},
    errors=(
        TooLong,
        TooManyTexts,
        UnknownModel,
        UnsupportedLanguage,
        UnknownGlossary,
        Overloaded,
        StoreUnavailable,
        *ERRORS,
    ),
    examples={"two texts": Example(_TRANSLATE, QUEUED)},
)
LIST = Operation(
    method="GET",
    path="/jobs",
    tag="jobs",
    summary="The jobs, the newest first",
    description="Not without an API key, except for callers on the server's own machine.",
    parameters=ListQuery,
    answers=(JobList,),
    errors=(InvalidInput, StoreUnavailable),
    examples={"one of them": Example(answer={"jobs": [RUNNING], "next": 17})},
)
GET = Operation(
    method="GET",
    path="/jobs/<job_id>",
    tag="jobs",
    summary="How a job stands",
    answers=(JobAnswer,),
    errors=(UnknownJob, StoreUnavailable),
    examples={"at work": Example(answer=RUNNING)},
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
    """The views of /v1/jobs."""

    def __init__(
        self,
        runtime: "Runtime",
        service: JobService,
        work: RequestRunner,
        idempotency: Idempotency,
        shared: SharedState,
    ):
        self._runtime = runtime
        self.service = service
        self._work = work
        self._limits = job_limits(runtime.settings)
        self._retention_s = runtime.settings.job_retention_s
        self._idempotency = idempotency
        self._looking_up = Shares(LOOKUP, LOOKUPS, counts=shared)

    def blueprint(self) -> Blueprint:
        routes = Blueprint("jobs", __name__, url_prefix="/v1")
        add(routes, CREATE, self.create)
        add(routes, LIST, self.list)
        add(routes, GET, self.get)
        add(routes, RESULT, self.result)
        add(routes, DELETE, self.delete)
        return routes

    def create(self) -> Response:
        return self._idempotency.once(self._create)

    def _create(self, job_id: str | None) -> Response:
        job = self.take(self._document if request.mimetype == FORM else self._texts, job_id)
        if job.callback is not None:
            self._look_up_callback(job)
        response = self._shown(job)
        response.status_code = 202
        response.headers["Location"] = f"{request.script_root}/v1/jobs/{job.id}"
        return response

    def take(self, read: Callable[[], NewJob], job_id: str | None = None) -> Job:
        """Keep the job that is read from the body. Raises Overloaded, and what is wrong with it."""
        with self._work.place():
            new = replace(read(), id=job_id)
            self._check_names(new)
            return self.service.take(new)

    def _look_up_callback(self, job: Job) -> None:
        """Raise InvalidInput where it may not go. Beyond so many at once that is seen when it is sent."""
        try:
            with self._looking_up.hold(CALLER.get()), idle():
                self.service.look_up_callback(job)
        except Overloaded:
            return

    def list(self) -> Response:
        require_known("jobs are not listed: ask for one by its id")
        query = validated(ListQuery, request.args.to_dict())
        jobs = self.service.store.page(_owner(), limit=query.limit + 1, before=query.before)
        page = render_jobs(jobs, query.limit, self._retention_s)
        return json_response(page)

    def find(self, job_id: str) -> Job:
        """Return the caller's job. Raises UnknownJob."""
        return self.service.store.get(job_id, _owner())

    def get(self, job_id: str) -> Response:
        return self._shown(self.find(job_id))

    def result(self, job_id: str) -> Response:
        query = validated(ResultQuery, request.args.to_dict())
        return answer(self.service.store, self.find(job_id), query, self._retention_s)

    def delete(self, job_id: str) -> Response:
        self.service.remove(job_id, _owner())
        return Response(status=204)

    # ------------------------------------------------------------------ from requests to jobs

    def _texts(self) -> NewJob:
        data = read_json(request)
        task = task_of(data)
        body = validated(JOB_BODIES[task], data)
        sent = inputs(body, self._limits)
        # A glossary that is not there is told now.
        request_maker(body, self._runtime, self._work.glossaries())
        self._work.charge(sent.good)
        contents = [
            failure(item, g.request_id, i) if isinstance(item, InvalidInput) else item
            for i, item in enumerate(sent.items)
        ]
        return self._new_job(task, cast(Form, sent.field), options(body), contents, body.callback)

    def read_document(self, task: TaskName, name: str, data: bytes) -> str:
        """Return the text of a document, and charge for it. Raises InvalidInput, TooLong, CharactersSpent."""
        found = self._work.in_child(_READ[task], name, data, self._limits, field="file")
        self._work.charge([found.text])
        return found.text

    def new_document(
        self, task: TaskName, own: Mapping[str, Any], data: bytes, callback: str | None = None
    ) -> NewJob:
        """Return the job of a document; `own` are its options, and its name as `file`."""
        return self._new_job(task, "document", own, [data], callback)

    def _document(self) -> NewJob:
        data, fields = sent_file()
        task = task_of(fields)
        form = validated(JOB_FORMS[task], fields)
        request_maker(form, self._runtime, self._work.glossaries())
        self.read_document(task, form.file, data)
        return self.new_document(task, options(form), data, form.callback)

    def _new_job(
        self,
        task: TaskName,
        form: Form,
        own: Mapping[str, Any],
        contents: Sequence[str | bytes | StoredResult],
        callback: str | None,
    ) -> NewJob:
        if not g.caller.is_known:
            own = {**own, "memory": False}
        return NewJob(
            task=task,
            form=form,
            options=own,
            contents=contents,
            request_id=g.request_id,
            owner=_owner(),
            caller=g.caller.name,
            callback=callback,
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
        return json_response(render_job(job, self._retention_s))


def _owner() -> str | None:
    """Whose jobs these are: the API key's that the request came with, if it came with one."""
    owner: str | None = g.key_id
    return owner
