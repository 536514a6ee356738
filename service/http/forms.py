"""Bounded form parsing: checks the number of fields and the size of part headers first; reads one file.

werkzeug limits the number of multipart parts, but neither the lines in their headers nor the fields of an
urlencoded form, whose text takes thirty times its size while urllib decodes it.
"""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from flask import Request, request
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.formparser import FormDataParser

from models.errors import InvalidInput
from service.documents.formats import SUFFIXES
from service.options import REPEATED

URLENCODED = "application/x-www-form-urlencoded"
FORM = "multipart/form-data"
PART_HEAD_BYTES = 8192
"""Of a part's headers, its name and its file's name among them."""
PIECE_BYTES = 1 << 16
KEY_BYTES = 1 << 16
"""A longer body is not searched for its sender's key: parsing is work, which a stranger may not ask for."""

_FIELD = re.compile(rb"([^&=]*+)(=?)([^&]*+)&?")
_BLANK_LINE = re.compile(rb"\r\n\r\n|\r\r|\n\n")

Parsed = tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]


class BoundedForms(FormDataParser):
    """werkzeug's parser, for forms within bounds. Raises RequestEntityTooLarge, which says of what."""

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> Parsed:
        if mimetype == URLENCODED:
            return stream, MultiDict(self._fields(stream.read())), MultiDict()
        if mimetype == FORM:
            data = stream.read()
            self._require_few_parts(data, (options or {}).get("boundary", "").encode("ascii", "replace"))
            stream = BytesIO(data)
        return super().parse(stream, mimetype, content_length, options)

    def _fields(self, data: bytes) -> Iterator[tuple[str, str]]:
        self._require_few(data.count(b"&") + 1)
        for found in _FIELD.finditer(data):
            if found[1] or found[2]:
                yield _decoded(found[1]), _decoded(found[3])

    def _require_few_parts(self, data: bytes, boundary: bytes) -> None:
        starts = re.finditer(rb"(?:^|[\r\n])--%s(?=[^\S\r\n]{0,99}[\r\n])" % re.escape(boundary), data)
        for number, start in enumerate(starts, 1):
            self._require_few(number)
            end = start.end() + PART_HEAD_BYTES
            if end < len(data) and not _BLANK_LINE.search(data, start.end(), end):
                raise RequestEntityTooLarge(f"a part's headers are over {PART_HEAD_BYTES} bytes")

    def _require_few(self, fields: int) -> None:
        if self.max_form_parts is not None and fields > self.max_form_parts:
            raise RequestEntityTooLarge(f"the form has more than {self.max_form_parts} fields")


class BoundedRequest(Request):
    """A request whose forms are within bounds."""

    form_data_parser_class = BoundedForms

    @property
    def is_short(self) -> bool:
        """True for a body that a stranger's key may be looked for in."""
        return (self.content_length or 0) <= KEY_BYTES

    def field(self, name: str) -> str | None:
        """A field of a short form; nothing of a longer one is read."""
        if not self.is_short:
            return None
        self.get_data()  # first, or the form would be all that is left of it
        return self.form.get(name)


def _decoded(text: bytes) -> str:
    """Of %XX and + what they stand for; piece by piece, since urllib makes an object of each."""
    decoded = bytearray()
    start = 0
    while start < len(text):
        end = start + PIECE_BYTES
        if (cut := text.rfind(b"%", end - 2, end)) >= 0:
            end = cut + 3
        decoded += unquote_to_bytes(text[start:end].replace(b"+", b" "))
        start = end
    return decoded.decode("utf-8", "werkzeug.url_quote")


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
