"""DeepL's documents, /v2/document, over the service's jobs: sent in, asked after, downloaded once.

A document's key says nothing that its id does not; it is asked for as DeepL asks for it.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol

from flask import Blueprint, Response, g, request

from models.errors import InvalidInput
from service.errors import UnknownJob
from service.http.body import read_json
from service.http.compat.family import ClientFields, answer, has_json, message
from service.http.files import file_answer, sent_file
from service.jobs.job import Job, NewJob
from service.schemas.problem import Problem
from service.schemas.requests import validated
from service.work.plan import BILLED

if TYPE_CHECKING:
    from service.http.jobs import Jobs

NOT_READY = 503
"""What DeepL's clients take as `not yet`."""
_STATUSES = {"queued": "queued", "running": "translating", "done": "done", "failed": "error"}


class DocumentKey(ClientFields):
    """The body of a question after a document."""

    document_key: str


class Upload(Protocol):
    """The fields that say how a document is to be translated."""

    target_lang: str
    source_lang: str
    output_format: str


class DeepLDocuments:
    """The views of documents. `read` checks an upload's fields and gives its terms for a text."""

    def __init__(
        self, jobs: "Jobs", read: Callable[[Any], tuple[Upload, Callable[[str], Mapping[str, str]]]]
    ):
        self._jobs = jobs
        self._read = read

    def add_to(self, routes: Blueprint) -> None:
        """Add the addresses. `quotas.py` and `app.py` know their names."""
        routes.post("/v2/document")(self.upload_document)
        routes.post("/v2/document/<document_id>")(self.document_status)
        routes.post("/v2/document/<document_id>/result")(self.document_result)

    def upload_document(self) -> Response:
        job = self._jobs.take(self._new_job)
        return answer({"document_id": job.id, "document_key": _key(job)})

    def document_status(self, document_id: str) -> Response:
        job = self._job(document_id)
        told: dict[str, Any] = {"document_id": job.id, "status": _STATUSES.get(job.status, "error")}
        if job.status == "running" and job.started is not None and job.done:
            each_s = (time.time() - job.started) / job.done
            told["seconds_remaining"] = max(1, round(each_s * (job.total - job.done)))
        elif job.status == "done":
            told["billed_characters"] = job.options.get(BILLED, 0)
        elif job.problem is not None:
            told["error_message"] = message(Problem.model_validate_json(job.problem))
        return answer(told)

    def document_result(self, document_id: str) -> Response:
        job = self._job(document_id)
        if job.status != "done" and job.ended:
            raise UnknownJob(f"there is no translation of the document: it is {job.status}")
        if job.status != "done":
            return answer({"message": f"the document is not ready: it is {job.status}"}, NOT_READY)
        (result,) = self._jobs.desk.store.results(job)
        response = file_answer(result.data, result.media_type, result.filename, result.notes)
        response.response = self._downloaded(job, g.key_id, result.data)
        response.headers["Content-Length"] = str(len(result.data))
        return response

    def _downloaded(self, job: Job, owner: str | None, data: bytes) -> Iterator[bytes]:
        """The file; once all of it was sent, nothing is kept. A client that was cut off may ask again."""
        yield data
        self._jobs.desk.remove(job.id, owner)

    def _job(self, document_id: str) -> Job:
        fields = read_json(request) if has_json(request) else request.form.to_dict()
        given = validated(DocumentKey, fields)
        job = self._jobs.find(document_id)
        if job.form != "document" or BILLED not in job.options:
            raise UnknownJob("there is no such document")
        key = given.document_key.encode("utf-8", "replace")
        if not secrets.compare_digest(key, _key(job).encode()):
            raise UnknownJob("there is no document with this id and key")
        return job

    def _new_job(self) -> NewJob:
        data, fields = sent_file()
        name = str(fields.pop("file"))
        given, terms = self._read(fields)
        name = _named(name, fields.get("filename"))
        _check_output(name, given.output_format)
        text = self._jobs.read_document("translate", name, data)
        options: dict[str, Any] = {"file": name, "target": given.target_lang, BILLED: len(text)}
        if given.source_lang:
            options["source"] = given.source_lang
        if entries := dict(terms(text)):
            options["glossary"] = entries
        return self._jobs.new_document("translate", options, data)


def _named(name: str, given: object) -> str:
    """The file's name: a field of its own counts for more, as DeepL says."""
    return PurePath(str(given or name).replace("\\", "/")).name


def _check_output(name: str, output_format: str) -> None:
    """Raise InvalidInput for a format that the document does not come back in."""
    suffix = PurePath(name).suffix.lower()
    back = ".txt" if suffix == ".pdf" else suffix
    if f".{output_format.lower().lstrip('.')}" != back and (output_format or back != suffix):
        raise InvalidInput(
            f"a document like {suffix} comes back as {back}", field="output_format", allowed=back.lstrip(".")
        )


def _key(job: Job) -> str:
    return sha256(f"{job.id} {job.created!r}".encode()).hexdigest().upper()
