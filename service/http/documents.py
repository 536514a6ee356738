"""/v1/documents: send a file, get its summary or the translated file."""

from typing import TYPE_CHECKING

from flask import Blueprint, Response
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from models.errors import InvalidInput
from service.answers import SummaryAnswer
from service.documents.formats import SUFFIXES
from service.http.forms import sent_file
from service.http.idempotency import DESCRIPTION, ERRORS, HEADER, Idempotency
from service.http.openapi import WORK_ERRORS, Operation, add
from service.http.responses import file_response
from service.http.run_request import RequestRunner
from service.options import SummarizeForm, TranslateForm
from service.tasks import of_document
from service.validation import validated

if TYPE_CHECKING:
    from service.runtime import Runtime

FORM_ERRORS = (InvalidInput, UnsupportedMediaType, RequestEntityTooLarge)

SUMMARIZE = Operation(
    method="POST",
    path="/documents/summarize",
    tag="documents",
    summary="Summarize a document",
    description=f"One of {', '.join(SUFFIXES)}.",
    bodies=(SummarizeForm,),
    answers=(SummaryAnswer,),
    request_headers={HEADER: DESCRIPTION},
    errors=(*FORM_ERRORS, *WORK_ERRORS, *ERRORS),
)
TRANSLATE = Operation(
    method="POST",
    path="/documents/translate",
    tag="documents",
    summary="Translate a document",
    description=(
        f"One of {', '.join(SUFFIXES)}. It comes back in its own format, a PDF as text. Notes on the "
        "translation are in the header `Dragoman-Notes`, and how many of its segments are flagged is in "
        "`Dragoman-Flags` (`segments=40, flagged=3, errors=1, doubtful=2, likely_right=17`)."
    ),
    bodies=(TranslateForm,),
    answer_type="*/*",
    request_headers={HEADER: DESCRIPTION},
    errors=(*FORM_ERRORS, *WORK_ERRORS, *ERRORS),
)


class Documents:
    """The views of documents over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner, idempotency: Idempotency):
        self._runtime = runtime
        self._work = work
        self._idempotency = idempotency

    def blueprint(self) -> Blueprint:
        routes = Blueprint("documents", __name__, url_prefix="/v1")
        add(routes, SUMMARIZE, self.summarize)
        add(routes, TRANSLATE, self.translate)
        return routes

    def summarize(self) -> Response:
        return self._idempotency.once(lambda _: self._done(SummarizeForm))

    def translate(self) -> Response:
        return self._idempotency.once(lambda _: self._done(TranslateForm))

    def _done(self, form: type[SummarizeForm | TranslateForm]) -> Response:
        with self._work.place():
            data, fields = sent_file()
            task = of_document(
                self._runtime,
                validated(form, fields),
                data,
                self._work.glossaries(),
                limits=self._runtime.settings,
                in_child=self._work.in_child,
                recall=self._work.recall(),
            )
            self._work.charge([task.text])
            done = self._work.run([task.steps])
            (outcome,) = done.outcomes
            result = task.result(outcome, done.total_s)
        return file_response(result.data, result.media_type, result.filename, result.notes)
