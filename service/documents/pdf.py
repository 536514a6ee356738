"""PDF files: their text, by pdfminer. The result is plain text; the layout is lost."""

import re
from collections.abc import Sequence
from io import BytesIO

from pdfminer.high_level import extract_text
from pdfminer.layout import LAParams
from pdfminer.pdfdocument import PDFPasswordIncorrect

from models.errors import InvalidInput, at_fault
from service.documents.formats import Comment, DocumentArticle, DocumentText, File

_HYPHENATED = re.compile(r"(?<=[^\W\d_])[-\u00ad]\n(?=[a-zß-ÿ])")
_ENDS = re.compile(r"[.!?:;…][\"'”’»)]*$")
_PARAGRAPH = re.compile(r"\n\s*\n|\f")


class PdfDocument:
    """One .pdf file. Raises InvalidInput with field `file` if there is no text to be had from it."""

    def __init__(self, data: bytes):
        with at_fault("file", "the file is not a readable PDF"):
            try:
                raw = extract_text(BytesIO(data), laparams=LAParams())
            except PDFPasswordIncorrect as error:
                raise InvalidInput("the PDF is locked with a password", field="file") from error
        self._text = _paragraphs(raw)
        if not any(character.isalpha() for character in self._text):
            raise InvalidInput(
                "the PDF holds no text; it may be a scan", field="file", allowed="a PDF with text in it"
            )

    def article(self) -> DocumentArticle:
        return DocumentArticle(self._text)

    def to_translate(self) -> DocumentText:
        return DocumentText(self._text, "text")

    def translated(self, translation: str, language: str, comments: Sequence[Comment] = ()) -> File:
        return File(".txt", "text/plain; charset=utf-8", translation.encode())


def _paragraphs(raw: str) -> str:
    """Text boxes as paragraphs of one line each, words broken at line ends put together."""
    boxes = (" ".join(_HYPHENATED.sub("", box).split()) for box in _PARAGRAPH.split(raw))
    paragraphs: list[str] = []
    for box in filter(None, boxes):
        if paragraphs and box[0].islower() and not _ENDS.search(paragraphs[-1]):
            paragraphs[-1] += " " + box  # a paragraph over two columns or pages
        else:
            paragraphs.append(box)
    return "\n\n".join(paragraphs)
