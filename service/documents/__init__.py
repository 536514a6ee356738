"""Document formats: extracts the text to summarize or translate, and writes the translation back.

Libraries parse the files. Knows no HTTP, task or model.
"""

from importlib import import_module
from pathlib import PurePath

from models.choices import TEXT_SUFFIXES
from models.errors import InvalidInput
from service.documents.formats import FORMATS, SUFFIXES, Document


def read_document(name: str, data: bytes) -> Document:
    """The document in `data`, by the suffix of its name. Raises InvalidInput with field `file`.

    Its reader is imported now: a server, which has others parse, saves 13 MB.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidInput(f"unsupported file type: {suffix or 'no suffix'}", field="file", allowed=SUFFIXES)
    if not data.strip():
        raise InvalidInput("the file is empty", field="file", allowed="a file with some text in it")
    if suffix in TEXT_SUFFIXES:
        from service.documents.plain import PlainDocument, decode

        return PlainDocument(decode(data), TEXT_SUFFIXES[suffix], suffix)
    module, _, reader = FORMATS[suffix].reader.partition(".")
    document: Document = getattr(import_module(f"service.documents.{module}"), reader)(data)
    return document
