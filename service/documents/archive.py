"""Documents that are ZIP archives of XML parts, in any dialect: reads and writes their paragraphs.

Parts with prose are translated; all others come back byte for byte. XML is parsed without custom entities,
and nothing is fetched. Each paragraph goes through the translator as HTML. A leaf is a piece of text with
uniform formatting, such as a run in Word: it becomes an element of the paragraph's HTML, so that its words
keep their font, weight and link as well as the translator can place them.
"""

import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Protocol
from zipfile import BadZipFile, ZipFile, ZipInfo

import lxml.html
from lxml import etree

from models.errors import InvalidInput, at_fault
from service.documents.formats import FORMATS, Comment, DocumentArticle, DocumentText, File

MAX_UNPACKED_BYTES = 100 * 2**20
MAX_PARTS = 10_000
MAX_RATIO = 300
"""Of a part of over a megabyte, unpacked to packed: what people write packs to a tenth, and tables of empty
cells to a hundredth."""
MAX_TAGS = 2_000_000
"""In all parts that are parsed: some thousand pages. A parser's memory and time go by elements, not by bytes;
counting them takes a hundredth of it."""
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
"""The first bytes of Office's files before XML, and of those that have a password."""


class PackedFile:
    """The parts of a file. Raises InvalidInput with field `file`; `kind` says what it should be."""

    def __init__(self, data: bytes, kind: str):
        self.kind = kind
        if data.startswith(_OLD_OFFICE):
            raise self.wrong("it is locked with a password, or of an old version of Office")
        try:
            self._zip = ZipFile(BytesIO(data))
        except (BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise self.wrong("it is not a ZIP file") from error
        self._tags = 0
        self._infos = {info.filename: info for info in self._zip.infolist()}
        self._refuse_bombs()

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    @property
    def names(self) -> list[str]:
        return list(self._infos)

    def wrong(self, why: str) -> InvalidInput:
        """Return the error for a file that is not what it should be."""
        return InvalidInput(f"the file is not a valid {self.kind}: {why}", field="file")

    def read(self, name: str) -> bytes:
        """Return a part's bytes. Raises InvalidInput."""
        try:
            return self._zip.read(self._infos[name])
        except KeyError as error:
            raise self.wrong(f"it has no {name}") from error
        except MemoryError:
            raise
        except Exception as error:  # whatever zipfile stumbles over is in the caller's file
            raise self.wrong(f"{name} cannot be unpacked") from error

    def xml(self, name: str) -> Any:
        """Return the root of a part. Raises InvalidInput."""
        data = self.read(name)
        self._tags += data.count(b"<")
        require_few_tags(self._tags)
        try:
            return parse_xml(data)
        except etree.XMLSyntaxError as error:
            if error.code == etree.ErrorTypes.ERR_NO_MEMORY:
                raise MemoryError from error
            raise self.wrong(f"{name} is not XML") from error

    def replaced(self, parts: Mapping[str, bytes]) -> bytes:
        """Return the file with these parts in place of its own."""
        out = BytesIO()
        with ZipFile(out, "w") as copy:
            for info in self._infos.values():
                head = ZipInfo(info.filename, info.date_time)  # without what was said of the old bytes
                head.compress_type, head.external_attr = info.compress_type, info.external_attr
                data = parts.get(info.filename)
                copy.writestr(head, self.read(info.filename) if data is None else data)
        return out.getvalue()

    def _refuse_bombs(self) -> None:
        infos = self._zip.infolist()
        unpacked = sum(info.file_size for info in infos)
        if unpacked > MAX_UNPACKED_BYTES:
            raise InvalidInput(
                f"the {self.kind} unpacks to {unpacked} bytes",
                field="file",
                allowed=f"at most {MAX_UNPACKED_BYTES} bytes",
            )
        if len(infos) > MAX_PARTS:
            raise self.wrong(f"it has {len(infos)} parts")
        for info in infos:
            if info.flag_bits & 1:
                raise self.wrong("it is locked with a password")
            if info.file_size > max(2**20, MAX_RATIO * info.compress_size):
                raise self.wrong(f"{info.filename[:100]} unpacks to {info.file_size} bytes")


def require_few_tags(tags: int) -> None:
    """Raise InvalidInput if a file has more than are parsed."""
    if tags > MAX_TAGS:
        allowed = f"at most {MAX_TAGS}, a start and an end counted as two"
        raise InvalidInput(f"the file has over {MAX_TAGS} tags", field="file", allowed=allowed)


def parse_xml(data: bytes) -> Any:
    """Return the root. Raises lxml's XMLSyntaxError, for entities of the document's own too."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.fromstring(data, parser)
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and next(declared.iterentities(), None) is not None:
        raise etree.XMLSyntaxError("it declares entities", None, 0, 0)
    return root


def xml_bytes(root: Any) -> bytes:
    """Return the document of a root as it is kept in a part."""
    tree = root.getroottree()
    encoding, alone = tree.docinfo.encoding or "UTF-8", tree.docinfo.standalone or None
    return bytes(etree.tostring(tree, xml_declaration=True, encoding=encoding, standalone=alone))


_ILLEGIBLE = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
TAB = '<br class="tab">'


class Leaf(Protocol):
    """A piece of a paragraph's text."""

    element: Any

    @property
    def text(self) -> str:
        """The text, with a line end for each break and a tab for each tab."""

    def put(self, text: str) -> None:
        """Replace the text."""


@dataclass(frozen=True, slots=True)
class LeafParagraph:
    """A paragraph that has something to read."""

    element: Any
    leaves: Sequence[Leaf]

    @property
    def text(self) -> str:
        return "".join(leaf.text for leaf in self.leaves)

    def as_html(self) -> str:
        """Return the paragraph as a translator reads it."""
        # a tab parts columns, as in a form or a table of contents: it is no mere space
        texts = (escape(leaf.text).replace("\n", "<br>").replace("\t", TAB) for leaf in self.leaves)
        spans = (f'<span id="{i}">{text}</span>' for i, text in enumerate(texts))
        return f"<p>{''.join(spans)}</p>"

    def put(self, translated: Any) -> None:
        """Take the words, and their order, of the translated HTML's element."""
        texts, order = _texts(translated, len(self.leaves))
        if any(before > after for before, after in pairwise(order)):
            self._reorder(order)
        for leaf, text in zip(self.leaves, texts, strict=True):
            leaf.put(text)

    def _reorder(self, order: Sequence[int]) -> None:
        """Put leaves into this order: within their links, and links and other leaves within the paragraph.

        Together they keep the places that they have; what stands between them stays.
        """
        units: dict[Any, dict[Any, None]] = {}
        for i in order:
            element = self.leaves[i].element
            while element is not self.element:
                parent = element.getparent()
                units.setdefault(parent, {})[element] = None
                element = parent
        for parent, children in units.items():
            _permute(parent, list(children))


def elements(translation: str) -> Iterator[Any]:
    """Return the paragraphs of a translation of what `as_html` gave."""
    found: Iterator[Any] = lxml.html.fromstring(f"<div>{translation}</div>").iterchildren("p")
    return found


def legible(text: str) -> str:
    """Return the text without characters that XML cannot hold."""
    return text if text.isprintable() else _ILLEGIBLE.sub("", text)


def _texts(paragraph: Any, leaves: int) -> tuple[list[str], list[int]]:
    """The text of each leaf, and the leaves in the translation's order.

    What stands between two of them goes to the one before.
    """
    texts, order = [""] * leaves, []
    texts[0] += paragraph.text or ""
    last = 0
    for span in paragraph.iterchildren():
        identity = span.get("id") or ""
        if identity.isdecimal() and int(identity) < leaves:
            last = int(identity)
            order.append(last)
        texts[last] += _content(span) + (span.tail or "")
    return texts, [*dict.fromkeys([*order, *range(leaves)])]


def _content(element: Any) -> str:
    if element.tag == "br":
        return "\t" if element.get("class") == "tab" else "\n"
    inside = "".join(_content(child) + (child.tail or "") for child in element.iterchildren())
    return (element.text or "") + inside


def _permute(parent: Any, elements: list[Any]) -> None:
    """Children into this order, in the places that they have together; text after a place stays there."""
    moved, order = set(elements), list(parent)
    places = [place for place, element in enumerate(order) if element in moved]
    tails = [element.tail for element in order]
    for place, element in zip(places, elements, strict=True):
        order[place] = element
    parent[:] = order
    for element, tail in zip(order, tails, strict=True):
        element.tail = tail


class PartedDocument(ABC):
    """One file. Raises InvalidInput with field `file` if it cannot be read as one."""

    suffix: ClassVar[str]
    kind: ClassVar[str]

    def __init__(self, data: bytes):
        self._file = PackedFile(data, self.kind)
        self._roots: dict[str, Any] = {}
        self._paragraphs: list[LeafParagraph] = []
        with at_fault("file", f"the file is not a valid {self.kind}"):
            article, others = self._names()
            for name in article:
                self._add(name)
            self._of_article = len(self._paragraphs)
            for name in others:
                self._add(name)
            self._lines = [each.as_html() for each in self._paragraphs]
            self._starts = list(accumulate((len(line) + 1 for line in self._lines), initial=0))
        if not self._paragraphs:
            raise InvalidInput(
                "the document holds no text", field="file", allowed="a document with text in it"
            )

    def article(self) -> DocumentArticle:
        texts = (each.text for each in self._paragraphs[: self._of_article] or self._paragraphs)
        return DocumentArticle("\n\n".join(texts))

    def to_translate(self) -> DocumentText:
        return DocumentText("\n".join(self._lines), "html")

    def translated(self, translation: str, language: str, comments: Sequence[Comment] = ()) -> File:
        for paragraph, translated in zip(self._paragraphs, elements(translation), strict=True):
            paragraph.put(translated)
        for root in self._roots.values():
            self._finish(root)
        data = self._file.replaced({name: xml_bytes(root) for name, root in self._roots.items()})
        return File(self.suffix, FORMATS[self.suffix].media_type, data)

    def paragraph_at(self, place: int) -> int:
        """Return the paragraph that is at this place of `to_translate`'s text."""
        return min(bisect_right(self._starts, place), len(self._lines)) - 1

    @abstractmethod
    def _names(self) -> tuple[list[str], list[str]]:
        """Return the parts that a summary reads, in order, and those that only a translation does."""

    @abstractmethod
    def _paragraphs_in(self, root: Any) -> Iterator[LeafParagraph]:
        """Return what is read of a part."""

    @abstractmethod
    def _finish(self, root: Any) -> None:
        """Put a translated part in order."""

    def _add(self, name: str) -> None:
        root = self._file.xml(name)
        if found := list(self._paragraphs_in(root)):
            self._roots[name] = root
            self._paragraphs += found
