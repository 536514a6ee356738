"""Files in requests and answers."""

from typing import Any

from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

from models.errors import InvalidInput
from service.documents.reading import SUFFIXES

FORM = "multipart/form-data"


def sent_file() -> tuple[bytes, dict[str, Any]]:
    """The form's file, and all its fields, the file's name as `file` among them. Raises InvalidInput."""
    if request.mimetype != FORM:
        was = request.mimetype or "no Content-Type"
        raise UnsupportedMediaType(f"the body must be {FORM}, not {was}")
    files = request.files.getlist("file")
    if len(files) != 1 or not files[0].filename:
        raise InvalidInput("the form needs one file in its field `file`", field="file", allowed=SUFFIXES)
    fields: dict[str, Any] = {}
    for field, values in request.form.lists():
        fields[field] = values if field == "protect" else values[-1]
    return files[0].read(), {**fields, "file": files[0].filename}


def file_answer(data: bytes, media_type: str, filename: str | None = None, notes: str = "") -> Response:
    """A file to be saved under its name; notes on it go into the header `Dragoman-Notes`."""
    response = Response(data, content_type=media_type)
    if filename is not None:
        response.headers.set("Content-Disposition", "attachment", filename=filename)
    if notes:
        response.headers["Dragoman-Notes"] = notes.encode("ascii", "replace").decode()
    return response
