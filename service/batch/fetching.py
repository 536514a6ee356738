"""Brings what is at an address into a folder of this machine, and goes on where that was broken off.

A file lies at VERSION/NAME: one that is there is whole and of that version. Until it is whole, it is called
NAME.part.
"""

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from models.errors import InvalidInput
from service.batch.compression import COMPRESSED
from service.batch.remote import VERSIONS, Remote, RemoteFailed
from service.documents.formats import SUFFIXES

PIECE_BYTES = 8 * 2**20
"""Read at once; where a server is asked for ranges, a request each."""

FILES_AT_ONCE = 8

TRIES = 6
"""In a row, without a byte."""

WAIT_S = 0.5
"""Before the second try; each time twice as long."""

Hears = Callable[[int, int], None]
"""Hears how many bytes are here, and of how many."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file at an address."""

    path: str
    """As its file system has it."""
    name: PurePosixPath
    """Inside the folder that is fetched, or its own."""
    size: int | None
    version: str | None
    """None if nothing tells."""


def fetch(remote: Remote, folder: Path, hears: Hears) -> Path:
    """Return the file or folder that has what is at the address now, inside `folder`, which has nothing else.

    Of a folder's files those that are no articles are empty here. Raises RemoteFailed and InvalidInput.
    """
    files, is_folder = _listed(remote)
    version = _version(files)
    for other in folder.iterdir() if folder.exists() else ():
        if version is None or other.name != version:
            shutil.rmtree(other)
    root = folder / (version or "unknown")
    place = root / remote.name
    (place if is_folder else root).mkdir(parents=True, exist_ok=True)
    wanted = [(each, place / each.name if is_folder else place) for each in files]
    if is_folder:
        for each, target in wanted:
            target.parent.mkdir(parents=True, exist_ok=True)
            if each.name.suffix.lower() not in SUFFIXES:
                target.touch()
    todo = [(each, target) for each, target in wanted if not target.is_file()]
    _Fetching(remote, folder, todo, hears).run()
    if todo and version is not None and _version(_listed(remote)[0]) != version:
        raise RemoteFailed(f"{remote.shown} changed while it was fetched; the same command fetches it anew")
    return place


def _listed(remote: Remote) -> tuple[list[_File], bool]:
    """Return the files at the address, and whether it is a folder."""
    info = remote.info()
    if info["type"] != "directory":
        return [_file(remote.path, PurePosixPath(remote.name), info)], False
    with remote.failing("read"):
        found = remote.system.find(remote.path, detail=True)
    files = []
    for path, each in sorted(found.items()):
        if each["type"] != "file" or path.endswith("/"):  # some tools make an empty file for a folder
            continue
        inner = path.removeprefix(remote.path).removeprefix("/")
        if any(part in ("", ".", "..") for part in inner.split("/")) or "\0" in inner:
            raise InvalidInput(f"{remote.shown} has a file {inner!r}, which no folder here can have")
        files.append(_file(path, PurePosixPath(inner), each))
    return files, True


def _file(path: str, name: PurePosixPath, info: Mapping[str, Any]) -> _File:
    facts = [f"{fact}={info[fact]}" for fact in VERSIONS if info.get(fact)]
    return _File(path, name, info.get("size"), " ".join(facts) or None)


def _version(files: Sequence[_File]) -> str | None:
    """Return a name that is equal for equal files; None if nobody can tell."""
    if any(each.version is None for each in files):
        return None
    return hashlib.sha256(
        repr([(each.path, each.size, each.version) for each in files]).encode()
    ).hexdigest()[:16]


class _Fetching:
    """Files on their way."""

    def __init__(self, remote: Remote, folder: Path, todo: Sequence[tuple[_File, Path]], hears: Hears):
        self._remote = remote
        self._todo = todo
        self._hears = hears
        self._lock = threading.Lock()
        self._is_stopped = False
        self._here = sum(_length(_part(target)) for _, target in todo)
        self._all = sum(each.size or 0 for each, _ in todo)
        free = shutil.disk_usage(folder).free
        if self._all - self._here > free:
            raise RemoteFailed(
                f"{remote.shown} has {self._all:,} bytes, and {free:,} are free where batches are kept; "
                "DRAGOMAN_CACHE_DIR names another folder"
            )

    def run(self) -> None:
        """Fetch them."""
        self._hears(self._here, self._all)
        with ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="fetch") as threads:
            futures = [threads.submit(self._fetch, each, target) for each, target in self._todo]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self._is_stopped = True
                threads.shutdown(cancel_futures=True)
                raise

    def _fetch(self, file: _File, target: Path) -> None:
        part = _part(target)
        failed = 0
        while not self._is_stopped:
            before = _length(part)
            try:
                with self._remote.failing("read"):
                    self._read_on(file, part)
                break
            except RemoteFailed as error:
                failed = 1 if _length(part) > before else failed + 1
                if not error.passing or failed == TRIES:
                    raise
                time.sleep(WAIT_S * 2 ** (failed - 1))
        if self._is_stopped:
            return
        if file.size is not None and _length(part) != file.size:
            part.unlink()
            raise RemoteFailed(
                f"{self._remote.shown} changed while it was fetched; the same command fetches it anew"
            )
        part.replace(target)

    def _read_on(self, file: _File, part: Path) -> None:
        start = _length(part) if file.size is not None and file.version is not None else 0
        with part.open("ab") as here:
            here.truncate(start)
            if start == file.size:
                return
            with _opened(self._remote, file, start) as stream:
                here.truncate(start := stream.tell())
                while not self._is_stopped and (piece := stream.read(PIECE_BYTES)):
                    here.write(piece)
                    self._heard(len(piece))

    def _heard(self, byte_count: int) -> None:
        with self._lock:
            self._here += byte_count
            self._hears(self._here, self._all)


@contextmanager
def _opened(remote: Remote, file: _File, start: int) -> Iterator[BinaryIO]:
    """Open a file at `start`, or at its begin if the other side knows no ranges."""
    if not remote.is_web:
        with remote.system.open(file.path, "rb", cache_type="none") as stream:
            stream.seek(start)
            yield stream
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with remote.system.open(file.path, "rb", block_size=0, size=file.size, headers=headers) as stream:
        packed = stream.r.headers.get("Content-Encoding", "identity") != "identity"
        if packed and file.name.suffix.lower() not in COMPRESSED:
            raise InvalidInput(f"{remote.shown} comes compressed, which was not asked for")
        stream.loc = start if stream.r.status == 206 else 0
        yield stream


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _length(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
