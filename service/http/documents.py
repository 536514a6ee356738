"""/v1/documents: a file is sent in, and its summary, or itself in another language, comes back."""

from typing import TYPE_CHECKING

from flask import Blueprint, Response
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from models.errors import InvalidInput
from service.documents.formats import SUFFIXES
from service.http.files import FORM, file_answer, sent_file
from service.http.openapi import WORK_ERRORS, Operation, add
from service.http.work import RequestRunner
from service.schemas.answers import SummaryAnswer
from service.schemas.documents import SummarizeForm, TranslateForm, parse_form
from service.store.results import TaskName
from service.work.plan import of_document

if TYPE_CHECKING:
    from service.runtime import Runtime

FORM_ERRORS = (InvalidInput, UnsupportedMediaType, RequestEntityTooLarge)

SUMMARIZE = Operation(
    method="POST",
    path="/documents/summarize",
    tag="documents",
    summary="Summarize a document",
    description=f"One of {', '.join(SUFFIXES)}.",
    body=SummarizeForm,
    body_type=FORM,
    answers=(SummaryAnswer,),
    errors=(*FORM_ERRORS, *WORK_ERRORS),
)
TRANSLATE = Operation(
    method="POST",
    path="/documents/translate",
    tag="documents",
    summary="Translate a document",
    description=(
        f"One of {', '.join(SUFFIXES)}. It comes back in its own format, a PDF as text. Notes on the "
        "translation are in the header `Dragoman-Notes`, and how many of its segments are flagged is in "
        "`Dragoman-Flags` (`segments=40, flagged=3, errors=1, doubtful=2`)."
    ),
    body=TranslateForm,
    body_type=FORM,
    answer_type="*/*",
    errors=(*FORM_ERRORS, *WORK_ERRORS),
)


class Documents:
    """The views of documents over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._runtime = runtime
        self._work = work

    def blueprint(self) -> Blueprint:
        routes = Blueprint("documents", __name__, url_prefix="/v1")
        add(routes, SUMMARIZE, self.summarize)
        add(routes, TRANSLATE, self.translate)
        return routes

    def summarize(self) -> Response:
        return self._done("summarize", SummarizeForm)

    def translate(self) -> Response:
        return self._done("translate", TranslateForm)

    def _done(self, task: TaskName, kind: type[SummarizeForm | TranslateForm]) -> Response:
        with self._work.place():
            data, fields = sent_file()
            form = parse_form(kind, fields)
            options = form.model_dump(exclude={"file"}, exclude_unset=True)
            plan = of_document(
                self._runtime,
                task,
                options,
                (form.file, data),
                limits=self._runtime.settings,
                apart=self._work.apart,
                recall=self._work.memory().recall,
            )
            self._work.charge([plan.text])
            done = self._work.run([plan.steps])
            (outcome,) = done.outcomes
            result = plan.result(outcome, done.total_s)
        return file_answer(result.data, result.media_type, result.filename, result.notes)
