"""Three functions over a document's bytes, each of which can run in a child process.

None keeps the parsed document: parsing it again on the way back costs less than holding it.
"""

from collections.abc import Sequence

from service.documents import read_document
from service.documents.formats import Comment, DocumentArticle, DocumentText, File
from service.limits import check_length
from service.settings import Settings


def article(name: str, data: bytes, limits: Settings) -> DocumentArticle:
    """Return what a summary reads. Raises InvalidInput with field `file`, and TooLong."""
    reading = read_document(name, data).article()
    check_length(reading.field, reading.text, limits)
    return reading


def to_translate(name: str, data: bytes, limits: Settings) -> DocumentText:
    """Return what a translation reads. Raises InvalidInput with field `file`, and TooLong."""
    part = read_document(name, data).to_translate()
    check_length("html" if part.format == "html" else "text", part.text, limits)
    return part


def translated(
    name: str, data: bytes, translation: str, language: str, comments: Sequence[Comment] = ()
) -> File:
    """Return the document with the translation of what `to_translate` gave in its place, and the comments."""
    return read_document(name, data).translated(translation, language, comments)
