"""From a file's name and bytes to a document."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import PurePath

from models.choices import TEXT_SUFFIXES, TextFormat
from models.errors import InvalidInput
from service.documents.document import Document
from service.documents.formats import FORMATS, SUFFIXES
from service.documents.plain import PlainDocument, decode


def _plain(data: bytes, *, format: TextFormat, suffix: str) -> Document:
    return PlainDocument(decode(data), format, suffix)


def _read(path: str, data: bytes) -> Document:
    """Read with the class at that path. It is imported now: a server, which has others parse, saves 13 MB."""
    module, name = path.split(".")
    document: Document = getattr(import_module(f"service.documents.{module}"), name)(data)
    return document


_READERS: dict[str, Callable[[bytes], Document]] = {
    **{suffix: partial(_plain, format=form, suffix=suffix) for suffix, form in TEXT_SUFFIXES.items()},
    **{suffix: partial(_read, each.reader) for suffix, each in FORMATS.items()},
}


def read_document(name: str, data: bytes) -> Document:
    """The document in `data`, by the suffix of its name. Raises InvalidInput with field `file`."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in _READERS:
        raise InvalidInput(
            f"files like {suffix or 'one without a suffix'} cannot be read", field="file", allowed=SUFFIXES
        )
    if not data.strip():
        raise InvalidInput("the file is empty", field="file", allowed="a file with some text in it")
    return _READERS[suffix](data)
