"""Folders that are made once, and made anew when their files are not those that were made.

A record beside the files names the weights that they were made from, and each file's size, time and SHA-256.
Knows files only; what is made is the caller's affair.
"""

import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from models.packaged import digest

log = logging.getLogger(__name__)

DONE = "complete.json"
"""The record, which is written last, so that a half-made folder is never used."""


@dataclass(frozen=True, slots=True)
class Made:
    """A folder with its record, made from what `revision` names.

    `files` are those that the record holds where they lie elsewhere; else it holds all in the folder.
    """

    folder: Path
    revision: str
    files: Sequence[Path] | None = None

    @contextmanager
    def once(self, name: str) -> Iterator[Path | None]:
        """Yields a scratch folder that becomes this one, or None if this one is there and holds.

        Safe between processes. What was made from other weights, or was changed since, is made anew; `name`
        is for the log. A file of the recorded size and time is taken for sound, others are read whole.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.folder}.lock"):
            if (record := self._record()) is not None:
                wrong, moved = self._compare(record, whole=False)
                if not wrong:
                    if moved:  # a copy of the cache, say: not to be read whole each time
                        self._write(self.folder)
                    yield None
                    return
                log.warning("%s: made anew, since %s", name, "; ".join(wrong))
            scratch = self.folder.with_name(self.folder.name + ".making")
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            yield scratch
            self._write(scratch)
            shutil.rmtree(self.folder, ignore_errors=True)
            scratch.rename(self.folder)

    def problems(self) -> list[str]:
        """Which files are not those that were made, by their digests; empty if none, or nothing, was made."""
        record = self._record()
        return [] if record is None else self._compare(record, whole=True)[0]

    # ------------------------------------------------------------------ inside

    def _record(self) -> Mapping[str, Any] | None:
        """The files' facts; None where nothing was made of these weights, or nothing is known of it."""
        try:
            record = json.loads((self.folder / DONE).read_text("utf-8"))
            files: Mapping[str, Any] = record["files"]
            return files if record["revision"] == self.revision else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, folder: Path) -> None:
        own = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != DONE]
        named = {str(path.relative_to(folder)): path for path in own}
        if self.files is not None:
            named = {str(path): path for path in self.files}
        facts = {name: _facts(path) for name, path in named.items()}
        part = folder / f"{DONE}.part"
        part.write_text(json.dumps({"revision": self.revision, "files": facts}), "utf-8")
        part.replace(folder / DONE)

    def _compare(self, record: Mapping[str, Any], *, whole: bool) -> tuple[list[str], bool]:
        """What is wrong, and whether a file has another time but is what it was."""
        wrong, moved = [], False
        for name, (size, time_ns, sha256) in record.items():
            file = self.folder / name  # or one elsewhere, by its whole path
            if not file.is_file():
                wrong.append(f"{file.name} is missing")
                continue
            stat = file.stat()
            if not whole and (stat.st_size, stat.st_mtime_ns) == (size, time_ns):
                continue
            if stat.st_size != size or digest([file]) != sha256:
                wrong.append(f"{file.name} is not the file that was made")
            else:
                moved = True
        return wrong, moved


def blob_problems(files: Iterable[Path]) -> list[str]:
    """Which files of a hub's snapshot are not those that the hub has: it names each by its digest."""
    wrong = []
    for file in sorted(path for path in files if path.is_symlink()):
        blob = file.resolve()
        if not blob.is_file():
            wrong.append(f"{file.name} is missing")
        elif len(blob.name) == 64 and digest([blob]) != blob.name:
            wrong.append(f"{file.name} is not the file that the hub has (its SHA-256 differs)")
    return wrong


def _facts(file: Path) -> list[Any]:
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, digest([file])]
