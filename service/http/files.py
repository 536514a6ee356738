"""Files in requests and answers."""

import re
import unicodedata
from typing import Any
from urllib.parse import quote

from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

from models.errors import InvalidInput
from service.documents.formats import SUFFIXES
from service.http.forms import FORM as FORM
from service.options import REPEATED

NAMELESS = "document"
NOTES_CHARACTERS = 4000
"""Of notes in a header: clients and proxies refuse longer ones."""
_COUNTS = re.compile(r"(segments=\d+(?:, [a-z]+=\d+)*+)\n")


def sent_file() -> tuple[bytes, dict[str, Any]]:
    """The form's file, and all its fields, the file's name as `file` among them. Raises InvalidInput."""
    if request.mimetype != FORM:
        was = request.mimetype or "no Content-Type"
        raise UnsupportedMediaType(f"the body must be {FORM}, not {was}")
    files = request.files.getlist("file")
    if len(files) != 1 or not files[0].filename:
        raise InvalidInput("the form needs one file in its field `file`", field="file", allowed=SUFFIXES)
    fields = {field: values if field in REPEATED else values[-1] for field, values in request.form.lists()}
    return files[0].read(), {**fields, "file": files[0].filename}


def file_answer(data: bytes, media_type: str, filename: str | None = None, notes: str = "") -> Response:
    """A file to be saved under its name.

    Of its notes, counts of flags go into the header `Dragoman-Flags` and the others into `Dragoman-Notes`.
    """
    response = Response(data, content_type=media_type)
    if filename is not None:
        response.headers.set("Content-Disposition", "attachment", **_names(filename))
    if counted := _COUNTS.match(notes):
        response.headers["Dragoman-Flags"] = counted[1]
        notes = notes[counted.end() :]
    if notes:
        shown = without_controls(notes[:NOTES_CHARACTERS])
        response.headers["Dragoman-Notes"] = shown.encode("ascii", "replace").decode()
    return response


def without_controls(text: str) -> str:
    """The text with a space in place of each control character, none of which a header may hold."""
    return "".join(" " if unicodedata.category(char) == "Cc" else char for char in text)


def _names(filename: str) -> dict[str, str]:
    """The file's name as headers hold it: in ASCII, and in UTF-8 beside it (RFC 6266) where that is more."""
    name = without_controls(filename)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    if plain == name:
        return {"filename": name}
    if not plain or plain[0] in ". ":  # the suffix is all that was in ASCII
        plain = f"{NAMELESS}.{plain.lstrip('. ')}".rstrip(".")
    return {"filename": plain, "filename*": f"UTF-8''{quote(name, safe='', errors='replace')}"}
