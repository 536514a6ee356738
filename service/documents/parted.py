"""Files made of XML parts: those that hold prose are translated, all others stay as they are."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, ClassVar

from models.errors import InvalidInput, at_fault
from service.documents.document import Comment, DocumentArticle, DocumentText, File
from service.documents.formats import FORMATS
from service.documents.packed import PackedFile, xml_bytes
from service.documents.paragraphs import LeafParagraph, elements


class PartedDocument(ABC):
    """One file. Raises InvalidInput with field `file` if it cannot be read as one."""

    suffix: ClassVar[str]
    kind: ClassVar[str]

    def __init__(self, data: bytes):
        self._file = PackedFile(data, self.kind)
        with at_fault("file", f"the file is no {self.kind}"):
            self._read()
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

    def _read(self) -> None:
        self._roots: dict[str, Any] = {}
        self._paragraphs: list[LeafParagraph] = []
        article, others = self._names()
        for name in article:
            self._add(name)
        self._of_article = len(self._paragraphs)
        for name in others:
            self._add(name)
        self._lines = [each.as_html() for each in self._paragraphs]
        self._starts = list(accumulate((len(line) + 1 for line in self._lines), initial=0))

    def _add(self, name: str) -> None:
        root = self._file.xml(name)
        if found := list(self._paragraphs_in(root)):
            self._roots[name] = root
            self._paragraphs += found
