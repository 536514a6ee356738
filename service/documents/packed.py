"""Files that are ZIP archives of parts: read part by part, written again with a few of them changed.

All other parts come back byte for byte. XML is parsed without entities of its own, and nothing is fetched.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from lxml import etree

from models.errors import InvalidInput

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
            raise self.wrong("it is no ZIP file") from error
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
        return InvalidInput(f"the file is no {self.kind}: {why}", field="file")

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
            raise self.wrong(f"{name} is no XML") from error

    def replaced(self, parts: Mapping[str, bytes]) -> bytes:
        """Return the file with these parts in place of its own, in its order; new ones come last."""
        out = BytesIO()
        with ZipFile(out, "w") as copy:
            for info in self._infos.values():
                data = parts.get(info.filename)
                copy.writestr(_head(info), self.read(info.filename) if data is None else data)
            for name in parts.keys() - self._infos.keys():
                copy.writestr(name, parts[name])
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


def _head(info: ZipInfo) -> ZipInfo:
    """Return the head of a part, without what was said of its old bytes."""
    head = ZipInfo(info.filename, info.date_time)
    head.compress_type, head.external_attr = info.compress_type, info.external_attr
    return head
