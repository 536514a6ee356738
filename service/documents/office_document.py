"""Files of Office, whose parts are found by their content types."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from service.documents.office import copy_to_fallbacks, paragraphs
from service.documents.packed import PackedFile
from service.documents.paragraphs import LeafParagraph
from service.documents.parted import PartedDocument

_TYPES = "[Content_Types].xml"
_NUMBER = re.compile(r"(\d+)")
DRAWN = ("chart+xml", "diagramData+xml", "diagramDrawing+xml")
"""Parts with text in drawings, in files of any kind."""


class OfficeDocument(PartedDocument):
    """A file of Word, PowerPoint or Excel."""

    article_parts: ClassVar[tuple[str, ...]]
    """The ends of the content types of parts, in the order in which they are read."""
    other_parts: ClassVar[tuple[str, ...]]
    """The same, of parts that a translation reads and a summary does not."""

    def _names(self) -> tuple[list[str], list[str]]:
        named = _names_by_type(self._file)
        return _of(named, self.article_parts), _of(named, self.other_parts)

    def _paragraphs_in(self, root: Any) -> Iterator[LeafParagraph]:
        return paragraphs(root)

    def _finish(self, root: Any) -> None:
        copy_to_fallbacks(root)


def _of(named: dict[str, list[str]], kinds: Sequence[str]) -> list[str]:
    return [name for kind in kinds for name in named.get(kind, ())]


def _names_by_type(file: PackedFile) -> dict[str, list[str]]:
    """Return the names of parts by the ends of their content types, numbered ones in their order."""
    found: dict[str, list[str]] = {}
    types = {each.get("PartName") or f".{each.get('Extension')}": each for each in file.xml(_TYPES)}
    for name in file.names:
        told = types.get(f"/{name}", types.get(f".{name.rpartition('.')[2]}"))
        if told is not None:
            found.setdefault((told.get("ContentType") or "").rpartition(".")[2], []).append(name)
    return {kind: sorted(names, key=_in_order) for kind, names in found.items()}


def _in_order(name: str) -> list[Any]:
    parts = _NUMBER.split(name)
    parts[1::2] = [part[-9:].zfill(9) for part in parts[1::2]]
    return parts
