"""Text, Markdown and HTML files, whose content is the file itself."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from charset_normalizer import from_bytes

from models.choices import TextFormat
from models.errors import InvalidInput
from service.documents.formats import Comment, DocumentArticle, DocumentText, File

_HTML = re.compile(r"<html\b[^>]*>", re.IGNORECASE)
_LANG = re.compile(r"""((?<![\w-])lang\s*=\s*["']?)[\w-]+(["'\s>])""", re.IGNORECASE)
USUAL = "cp1252"
"""Of encodings that fit as well as each other."""
MEDIA_TYPES: dict[TextFormat, str] = {
    "text": "text/plain; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class PlainDocument:
    """A file of text in one of the formats that the translator keeps. It comes back in UTF-8."""

    text: str
    format: TextFormat
    suffix: str

    def article(self) -> DocumentArticle:
        return DocumentArticle(self.text, "html" if self.format == "html" else "text", clean=True)

    def to_translate(self) -> DocumentText:
        return DocumentText(self.text, self.format)

    def translated(self, translation: str, language: str, comments: Sequence[Comment] = ()) -> File:
        if self.format == "html":
            translation = in_language(translation, language)
        return File(self.suffix, MEDIA_TYPES[self.format], translation.encode())


def in_language(page: str, language: str) -> str:
    """Return a page that names this language, if it names one: browsers and screen readers go by it."""
    return _HTML.sub(lambda tag: _LANG.sub(rf"\g<1>{language}\g<2>", tag[0]), page, count=1)


def decode(data: bytes) -> str:
    """The text of a file: UTF-8, or what its bytes look most like. Raises InvalidInput with field `file`."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        guesses = list(from_bytes(data))
    if not guesses:
        raise InvalidInput("the file is not text", field="file", allowed="text in UTF-8")
    best = guesses[0]
    equals = [g for g in guesses if (g.chaos, g.coherence) == (best.chaos, best.coherence)]
    return str(next((g for g in equals if g.encoding == USUAL), best))
