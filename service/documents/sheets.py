"""Spreadsheets (.xlsx): texts of cells, comments and drawings. Numbers, formulas and names stay as they are.

So do texts that something else goes by: headings of tables and pivots, which must be what their cells say,
and what a formula or a list of allowed values compares a cell with.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from service.documents.office_document import DRAWN, OfficeDocument
from service.documents.paragraphs import LeafParagraph

_FORMULA = re.compile(r"<(?:\w++:)?(?:f|formula[12])(?:\s[^<>]*+)?>([^<]++)<")
_LITERAL = re.compile(r'"((?:[^"]|"")*+)"')
_NAMING = re.compile(r"xl/(?:tables/.*|pivotCache/pivotCacheDefinition\d*)\.xml\Z")


class SheetDocument(OfficeDocument):
    """One .xlsx file."""

    suffix = ".xlsx"
    kind = "Excel workbook"
    article_parts = ("sharedStrings+xml", "worksheet+xml")
    other_parts = ("comments+xml", "drawing+xml", *DRAWN)

    def _names(self) -> tuple[list[str], list[str]]:
        article, others = super()._names()
        self._needed = {_plain(text) for text in self._compared(article)} | set(map(_plain, self._headings()))
        return [name for name in article if _has_texts(name, self._file.read(name))], others

    def _paragraphs_in(self, root: Any) -> Iterator[LeafParagraph]:
        return (each for each in super()._paragraphs_in(root) if _plain(each.text) not in self._needed)

    def _compared(self, names: list[str]) -> Iterator[str]:
        for name in names:
            for formula in _FORMULA.finditer(self._file.read(name).decode("utf-8", "replace")):
                for literal in _LITERAL.finditer(unescape(formula[1])):
                    text = literal[1].replace('""', '"')
                    yield text
                    yield from text.split(",")

    def _headings(self) -> Iterator[str]:
        for name in self._file.names:
            if _NAMING.match(name):
                for element in self._file.xml(name).iter("{*}tableColumn", "{*}cacheField"):
                    yield (element.get("name") or "").replace("_x000a_", "\n")


def _has_texts(name: str, part: bytes) -> bool:
    return b"inlineStr" in part or "sharedStrings" in name


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
