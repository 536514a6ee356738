"""Files of Office, by their parts: those that hold prose are translated, all others stay as they are."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, ClassVar

from models.errors import InvalidInput
from service.documents.document import Comment, DocumentArticle, DocumentText, File
from service.documents.formats import FORMATS
from service.documents.office import copy_to_fallbacks, paragraphs
from service.documents.packed import PackedFile, xml_bytes
from service.documents.paragraphs import LeafParagraph, elements

_TYPES = "[Content_Types].xml"
_NUMBER = re.compile(r"(\d+)")


class OfficeDocument:
    """One file. Raises InvalidInput with field `file` if it cannot be read as one."""

    suffix: ClassVar[str]
    kind: ClassVar[str]
    article_parts: ClassVar[tuple[str, ...]]
    """The ends of the content types of parts, in the order in which they are read."""
    other_parts: ClassVar[tuple[str, ...]]
    """The same, of parts that a translation reads and a summary does not."""

    def __init__(self, data: bytes):
        self._file = PackedFile(data, self.kind)
        try:
            self._read()
        except (InvalidInput, MemoryError):
            raise
        except Exception as error:  # whatever a parser stumbles over is in the caller's file
            raise self._file.wrong(str(error)) from error
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
            copy_to_fallbacks(root)
        data = self._file.replaced({name: xml_bytes(root) for name, root in self._roots.items()})
        return File(self.suffix, FORMATS[self.suffix].media_type, data)

    def paragraphs_in(self, root: Any) -> Iterator[LeafParagraph]:
        """Return what is read of a part."""
        return paragraphs(root)

    def paragraph_at(self, place: int) -> int:
        """Return the paragraph that is at this place of `to_translate`'s text."""
        starts = accumulate((len(line) + 1 for line in self._lines), initial=0)
        return bisect_right(list(starts), place) - 1

    def _read(self) -> None:
        names = _names_by_type(self._file)
        self._roots: dict[str, Any] = {}
        self._paragraphs: list[LeafParagraph] = []
        self._of_article = 0
        for kinds in (self.article_parts, self.other_parts):
            for kind in kinds:
                for name in names.get(kind, ()):
                    self._add(name)
            self._of_article = self._of_article or len(self._paragraphs)
        self._lines = [each.as_html() for each in self._paragraphs]

    def _add(self, name: str) -> None:
        root = self._file.xml(name)
        if found := list(self.paragraphs_in(root)):
            self._roots[name] = root
            self._paragraphs += found


def _names_by_type(file: PackedFile) -> dict[str, list[str]]:
    """Return the names of parts by the ends of their content types, numbered ones in their order."""
    found: dict[str, list[str]] = {}
    for each in file.xml(_TYPES):
        name = (each.get("PartName") or "").lstrip("/")
        if name in file:
            found.setdefault((each.get("ContentType") or "").rpartition(".")[2], []).append(name)
    return {kind: sorted(names, key=_in_order) for kind, names in found.items()}


def _in_order(name: str) -> list[Any]:
    parts = _NUMBER.split(name)
    parts[1::2] = [part[-9:].zfill(9) for part in parts[1::2]]
    return parts
