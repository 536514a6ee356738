"""/v1/documents: a file is sent in, and its summary, or itself in another language, comes back."""

from typing import TYPE_CHECKING

from flask import Blueprint, Response
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from models.errors import InvalidInput
from service.documents import parsing
from service.documents.reading import SUFFIXES
from service.http.files import FORM, file_answer, sent_file
from service.http.openapi import WORK_ERRORS, Operation, add
from service.http.work import RequestRunner
from service.schemas import SummaryAnswer
from service.schemas.documents import (
    SummarizeForm,
    TranslateForm,
    parse_form,
    render_document_summary,
    summary_request,
    translation_request,
)

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
        "translation are in the header `Dragoman-Notes`."
    ),
    body=TranslateForm,
    body_type=FORM,
    answer_type="*/*",
    errors=(*FORM_ERRORS, *WORK_ERRORS),
)


class Documents:
    """The views of documents over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._settings = runtime.settings
        self._work = work

    def blueprint(self) -> Blueprint:
        routes = Blueprint("documents", __name__, url_prefix="/v1")
        add(routes, SUMMARIZE, self.summarize)
        add(routes, TRANSLATE, self.translate)
        return routes

    def summarize(self) -> Response:
        with self._work.place():
            data, fields = sent_file()
            form = parse_form(SummarizeForm, fields)
            reading = self._work.apart(parsing.article, form.file, data, self._settings, field="file")
            asked = summary_request(form, reading)
            self._work.charge([asked.text or asked.html])
            done = self._work.summarize([asked])
        (outcome,) = done.outcomes
        answer = render_document_summary(asked, outcome.unwrap(), outcome.timings, done.total_s)
        return Response(answer.model_dump_json(), mimetype="application/json")

    def translate(self) -> Response:
        with self._work.place():
            data, fields = sent_file()
            form = parse_form(TranslateForm, fields)
            part = self._work.apart(parsing.to_translate, form.file, data, self._settings, field="file")
            asked = translation_request(form, part)
            self._work.charge([asked.text])
            (outcome,) = self._work.translate([asked]).outcomes
            done = outcome.unwrap()
            file = self._work.apart(
                parsing.translated, form.file, data, done.translation, done.target, field="file"
            )
        filename = file.name(form.file, done.target)
        return file_answer(file.data, file.media_type, filename, "; ".join((*done.notes, *done.cautions)))
