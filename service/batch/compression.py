"""Files that are perhaps compressed, as their names tell: `.gz` and `.zst`. Knows bytes only."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any, BinaryIO, cast

import zstandard

from models.errors import InvalidInput

COMPRESSED = (".gz", ".zst")

_PACKED_BYTES = 2**14

BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)
"""Errors of reading a file that is cut off or damaged."""


def inner_suffix(name: str) -> str:
    """Return a name's suffix before that of the compression, in small letters: `.jsonl` of `a.jsonl.gz`."""
    path = PurePath(name.lower())
    return path.with_suffix("").suffix if path.suffix in COMPRESSED else path.suffix


class Counted(io.RawIOBase):
    """A binary stream, and how many bytes of it were read."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)


class _Zstandard(io.RawIOBase):
    """The plain bytes of one or more frames; the library's own reader takes half a frame for a whole one."""

    def __init__(self, stream: io.RawIOBase):
        self._stream = stream
        self._frame: Any = None
        self._plain = io.BytesIO()
        self._packed = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        while not (count := self._plain.readinto(buffer)):
            self._packed = self._packed or self._stream.read(_PACKED_BYTES) or b""
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("it ends before its last frame does")
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._plain, self._packed = io.BytesIO(self._frame.decompress(self._packed)), b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        return count


def decompressed(stream: io.RawIOBase, name: str) -> BinaryIO:
    """The plain bytes of a stream with this name."""
    suffix = PurePath(name.lower()).suffix
    if suffix == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=io.BufferedReader(stream), mode="rb"))
    if suffix == ".zst":
        return io.BufferedReader(_Zstandard(stream))
    return io.BufferedReader(stream)


@contextmanager
def compressed(stream: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """A stream to write plain bytes to; the same bytes always give the same file."""
    suffix = PurePath(name.lower()).suffix
    if suffix == ".gz":
        with gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=6, mtime=0) as file:
            yield cast(BinaryIO, file)
    elif suffix == ".zst":
        with zstandard.ZstdCompressor(level=6).stream_writer(stream, closefd=False) as writer:
            yield cast(BinaryIO, writer)
    else:
        yield stream


def broken(error: Exception) -> InvalidInput:
    """Return the error for a file that cannot be decompressed to its end."""
    return InvalidInput(f"the input is damaged or cut off: {error}")
