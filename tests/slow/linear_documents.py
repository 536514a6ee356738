"""Arguments for the readers of documents and their parts: rows for the walker of `test_linear`."""

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

import linear_files as files
import lxml.html
from linear_texts import Fed
from lxml import etree

from models.errors import InvalidInput
from service.documents.archive import LeafParagraph, PackedFile, elements, legible
from service.documents.formats import Comment
from service.documents.office import OfficeLeaf, WordDocument, paragraphs
from service.documents.subtitles import Mark, marked_up

READERS: dict[str, Callable[[Fed], bytes]] = {
    "office.WordDocument": files.docx_of,
    "office.SlideDocument": files.slides_of,
    "office.SheetDocument": files.sheets_of,
    "opendocument.TextDocument": files.open_of,
    "opendocument.PresentationDocument": files.open_of,
    "epub.EpubDocument": files.book_of,
    "subtitles.WebSubtitles": files.vtt_of,
    "localization.MessageDocument": files.po_of,
    "localization.XliffDocument": files.xliff_of,
    "localization.XlfDocument": files.xliff_of,
}


def _root(fed: Fed) -> Any:
    return PackedFile(files.docx_of(fed), "document").xml("word/document.xml")


def _paragraph(fed: Fed) -> LeafParagraph:
    return max(paragraphs(_root(fed)), key=lambda paragraph: len(paragraph.leaves))


def _leaf(fed: Fed) -> OfficeLeaf:
    return _paragraph(fed).leaves[0]


def _open_leaf(fed: Fed) -> Any:
    leaf = etree.Element("leaf")
    leaf.text = legible(fed.text.encode("utf-8", "replace").decode())
    return leaf


def _written(fed: Fed) -> list[Any]:
    marks: list[Mark] = []
    html = marked_up(fed.text.replace("\0", ""), marks, escape)
    return [marks, str, lxml.html.fromstring(f"<p>{html}</p>")]


def _none(_: Fed) -> Iterable[Any]:
    raise InvalidInput("there are none of this class itself")


_ROWS: dict[str, Callable[[Fed], Iterable[Any]]] = {
    "archive.PartedDocument": _none,
    "archive.PartedDocument.article": lambda fed: [WordDocument(files.docx_of(fed))],
    "archive.PartedDocument.to_translate": lambda fed: [WordDocument(files.docx_of(fed))],
    "archive.PartedDocument.translated": lambda fed: [
        made := WordDocument(files.docx_of(fed)),
        made.to_translate().text,
        "fr",
    ],
    "archive.PartedDocument.paragraph_at": lambda fed: [WordDocument(files.docx_of(fed)), len(fed.text)],
    "office.OfficeDocument": _none,
    "archive.PackedFile": lambda fed: [files.docx_of(fed), "document"],
    "archive.PackedFile.replaced": lambda fed: [
        PackedFile(files.docx_of(fed), "document"),
        {"word/document.xml": files.xliff_of(fed)},
    ],
    "archive.parse_xml": lambda fed: [etree.tostring(_root(fed))],
    "archive.xml_bytes": lambda fed: [_root(fed)],
    "office.OfficeLeaf": lambda fed: [_leaf(fed).element],
    "office.OfficeLeaf.takes": lambda fed: [leaf := _leaf(fed), leaf.element],
    "office.paragraphs": lambda fed: [_root(fed)],
    "office.copy_to_fallbacks": lambda fed: [_root(fed)],
    "office.leaves_of": lambda fed: [_paragraph(fed).element],
    "opendocument.OpenLeaf": lambda fed: [_open_leaf(fed)],
    "archive.LeafParagraph": lambda fed: [(own := _paragraph(fed)).element, own.leaves],
    "archive.LeafParagraph.put": lambda fed: [own := _paragraph(fed), next(elements(own.as_html()))],
    "subtitles.marked_up": lambda fed: [fed.text, [], escape],
    "subtitles.written": _written,
    "office.commented": lambda fed: [
        files.docx_of(fed),
        [(0, Comment(0, fed.beside, fed.text))],
    ],
}
DOCUMENTS = {
    f"service.documents.{name}": row
    for name, row in {
        **{name: lambda fed, make=make: [make(fed)] for name, make in READERS.items()},
        **_ROWS,
    }.items()
}
