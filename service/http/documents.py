"""/v1/documents: a file is sent in, and its summary, or itself in another language, comes back."""

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from models.errors import InvalidInput
from service.documents.document import Document
from service.documents.reading import SUFFIXES, read_document
from service.http.openapi import WORK_ERRORS, Operation, add
from service.http.work import Work
from service.schemas import SummaryAnswer, render_summary
from service.schemas.documents import (
    SummarizeForm,
    TranslateForm,
    parse_form,
    summary_request,
    translation_request,
)

if TYPE_CHECKING:
    from service.runtime import Runtime

FORM = "multipart/form-data"
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

    def __init__(self, runtime: "Runtime", work: Work):
        self._settings = runtime.settings
        self._work = work

    def blueprint(self) -> Blueprint:
        routes = Blueprint("documents", __name__, url_prefix="/v1")
        add(routes, SUMMARIZE, self.summarize)
        add(routes, TRANSLATE, self.translate)
        return routes

    def summarize(self) -> Response:
        with self._work.place():
            _name, document, fields = _sent()
            asked = summary_request(parse_form(SummarizeForm, fields), document, self._settings)
            done = self._work.summarize([asked])
        (outcome,) = done.outcomes
        answer = render_summary(outcome.unwrap(), outcome.timings, done.total_s)
        answer.source.text = answer.source.text or asked.text  # what spans refer to, the caller has not
        return Response(answer.model_dump_json(), mimetype="application/json")

    def translate(self) -> Response:
        with self._work.place():
            name, document, fields = _sent()
            asked = translation_request(parse_form(TranslateForm, fields), document, self._settings)
            (outcome,) = self._work.translate([asked]).outcomes
            done = outcome.unwrap()
            file = document.translated(done.translation)
        response = Response(file.data, content_type=file.media_type)
        filename = f"{PurePath(name).stem}.{done.target}{file.suffix}"
        response.headers.set("Content-Disposition", "attachment", filename=filename)
        if done.notes:
            response.headers["Dragoman-Notes"] = "; ".join(done.notes).encode("ascii", "replace").decode()
        return response


def _sent() -> tuple[str, Document, dict[str, Any]]:
    """The file's name, the document, and all the form's fields. Raises InvalidInput."""
    if request.mimetype != FORM:
        was = request.mimetype or "no Content-Type"
        raise UnsupportedMediaType(f"the body must be {FORM}, not {was}")
    files = request.files.getlist("file")
    if len(files) != 1 or not files[0].filename:
        raise InvalidInput("the form needs one file in its field `file`", field="file", allowed=SUFFIXES)
    fields: dict[str, Any] = {}
    for field, values in request.form.lists():
        fields[field] = values if field == "protect" else values[-1]
    name = files[0].filename
    return name, read_document(name, files[0].read()), {**fields, "file": name}
