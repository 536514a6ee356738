"""What came of a job, or what there is of it so far."""

from collections.abc import Iterator

from flask import Response

from models.errors import InvalidInput
from service.answers import SummaryAnswer, SummaryResults, TranslationAnswer, TranslationResults
from service.errors import JobNotDone, StoreUnavailable, UnknownJob
from service.http.openapi import Example, Operation
from service.http.responses import file_response
from service.job_schemas import PartialAnswer, ResultQuery, render_job
from service.problems import Problem
from service.store.jobs import Job, JobStore
from service.store.results import JSON, PROBLEM

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
    if job.form == "texts":
        return Response(_results(store, job), mimetype=JSON)
    (result,) = store.results(job)
    return file_response(result.data, result.media_type, result.filename, result.notes)


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
