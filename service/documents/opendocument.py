"""OpenDocument texts, presentations and spreadsheets: all paragraphs, also in notes, comments and frames.

Text may stand beside elements there. While a document is processed, each piece of text is wrapped in its own
element, a leaf; the wrappers are removed when it is written.
"""

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from service.documents.archive import LeafParagraph, PartedDocument, legible

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_VALUE_TYPE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}value-type"
_MANIFEST = "META-INF/manifest.xml"
_PARAGRAPHS = (f"{_TEXT}p", f"{_TEXT}h")
_CHARACTERS = {f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n", f"{_TEXT}soft-page-break": ""}
_SPACES = f"{_TEXT}s"
_COUNT = f"{_TEXT}c"
_INSIDE = frozenset(f"{_TEXT}{name}" for name in ("span", "a", "meta", "ruby", "ruby-base"))
_LEAF = "leaf"
_WHITE = re.compile(r"[ \t\r\n]+")
_PIECE = re.compile(r"\n|\t| {2,}|(?:[^\n\t ]| (?! ))++")
_MOST_SPACES = 1000


class OpenLeaf:
    """A piece of text between other elements."""

    def __init__(self, element: Any):
        self.element = element

    @property
    def text(self) -> str:
        parts = [_WHITE.sub(" ", self.element.text or "")]
        for child in self.element:
            if child.tag == _SPACES:
                count = child.get(_COUNT, "1")
                parts.append(" " * min(_MOST_SPACES, int(count) if count.isdecimal() else 1))
            parts += [_CHARACTERS.get(child.tag, ""), _WHITE.sub(" ", child.tail or "")]
        return "".join(parts)

    def put(self, text: str) -> None:
        leaf = self.element
        del leaf[:]
        leaf.text = ""
        last = None
        for piece in _PIECE.findall(legible(text)):
            if piece == "\n":
                last = etree.SubElement(leaf, f"{_TEXT}line-break")
            elif piece == "\t":
                last = etree.SubElement(leaf, f"{_TEXT}tab")
            elif piece.startswith("  "):
                last = etree.SubElement(leaf, _SPACES, {_COUNT: str(len(piece))})
            elif last is not None:
                last.tail = piece
            else:
                leaf.text = piece


class _OpenDocument(PartedDocument):
    def _names(self) -> tuple[list[str], list[str]]:
        if _MANIFEST in self._file and b"encryption-data" in self._file.read(_MANIFEST):
            raise self._file.wrong("it is locked with a password")
        return ["content.xml"], [name for name in ("styles.xml",) if name in self._file]

    def _paragraphs_in(self, root: Any) -> Iterator[LeafParagraph]:
        changed = {each for old in root.iter(f"{_TEXT}tracked-changes") for each in old.iter(*_PARAGRAPHS)}
        for element in list(root.iter(*_PARAGRAPHS)):
            if element in changed:
                continue
            leaves = [leaf for leaf in map(OpenLeaf, _wrapped(element)) if leaf.text]
            if any(leaf.text.strip() for leaf in leaves):
                yield LeafParagraph(element, leaves)

    def _finish(self, root: Any) -> None:
        etree.strip_tags(root, _LEAF)


class TextDocument(_OpenDocument):
    """One .odt file."""

    suffix = ".odt"
    kind = "OpenDocument text"


class PresentationDocument(_OpenDocument):
    """One .odp file."""

    suffix = ".odp"
    kind = "OpenDocument presentation"


class SpreadsheetDocument(_OpenDocument):
    """One .ods file. What a cell shows of a number, a date or a formula is computed, and stays."""

    suffix = ".ods"
    kind = "OpenDocument spreadsheet"

    def _paragraphs_in(self, root: Any) -> Iterator[LeafParagraph]:
        for each in super()._paragraphs_in(root):
            cell = each.element.getparent()
            is_computed = cell.get(_VALUE_TYPE, "string") != "string" or cell.get(f"{_TABLE}formula")
            if not is_computed and next(each.element.iterancestors(f"{_TABLE}tracked-changes"), None) is None:
                yield each


def _wrapped(parent: Any) -> Iterator[Any]:
    """Put each piece of text in a leaf of its own; yield the leaves."""
    children = list(parent)
    leaf = etree.Element(_LEAF)
    leaf.text, parent.text = parent.text, None
    parent.insert(0, leaf)
    for child in children:
        if child.tag in _CHARACTERS or child.tag == _SPACES:
            leaf.append(child)
            continue
        yield leaf
        if child.tag in _INSIDE:
            yield from _wrapped(child)
        leaf = etree.Element(_LEAF)
        leaf.text, child.tail = child.tail, None
        child.addnext(leaf)
    yield leaf
