"""Responses: JSON, and file downloads."""

import re
import unicodedata
from typing import IO, Protocol, cast
from urllib.parse import quote

from flask import Response, request
from pydantic import BaseModel
from werkzeug.wsgi import wrap_file

NAMELESS = "document"
NOTES_CHARACTERS = 4000
"""Of notes in a header: clients and proxies refuse longer ones."""
_COUNTS = re.compile(r"(segments=\d+(?:, [a-z_]+=\d+)*+)\n")


def json_response(answer: BaseModel, status: int = 200) -> Response:
    return Response(answer.model_dump_json(), status=status, mimetype="application/json")


class SizedFile(Protocol):
    """A file that is read as it is sent; `size` is in bytes."""

    size: int

    def read(self, size: int = -1) -> bytes: ...


def file_response(
    data: bytes | SizedFile, media_type: str, filename: str | None = None, notes: str = ""
) -> Response:
    """A file to be saved under its name.

    Of its notes, counts of flags go into the header `Dragoman-Flags` and the others into `Dragoman-Notes`.
    """
    if isinstance(data, bytes):
        response = Response(data, content_type=media_type)
    else:
        sent = wrap_file(request.environ, cast(IO[bytes], data))
        response = Response(sent, content_type=media_type, direct_passthrough=True)
        response.content_length = data.size
    response.headers["X-Content-Type-Options"] = "nosniff"  # it is whatever its sender wrote
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
