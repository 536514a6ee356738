"""A folder of articles: every text, HTML and Markdown file in it, however deep, is a record."""

import os
from collections.abc import Iterator
from pathlib import Path

from models.errors import InvalidInput
from service.batch.record import FieldNames, Record

SUFFIXES = {".txt": "text", ".md": "text", ".markdown": "text", ".html": "html", ".htm": "html"}
MARKDOWN = (".md", ".markdown")

MAX_FILE_BYTES = 64 * 2**20


class Folder:
    """Reads a folder in the order of its names, and each folder in it in turn."""

    def __init__(self, path: Path, names: FieldNames):
        self._path = path
        self._names = names
        self._seen = 0

    @property
    def size(self) -> int | None:
        """None: the number of files is not known before they are read."""
        return None

    def position(self) -> int:
        """Files read."""
        return self._seen

    def records(self) -> Iterator[Record]:
        """The files' texts, with the paths inside the folder as ids."""
        for path in _files(self._path):
            self._seen += 1
            yield self._record(path, self._seen)

    def _record(self, path: Path, number: int) -> Record:
        own = {self._names.id: path.relative_to(self._path).as_posix()}
        kind = SUFFIXES[path.suffix.lower()]
        name = (self._names.html if kind == "html" else self._names.text) or kind
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                return Record(number, own, InvalidInput(f"the file is longer than {MAX_FILE_BYTES:,} bytes"))
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            return Record(number, own, InvalidInput(f"the file is not UTF-8 (byte {error.start + 1})"))
        except OSError as error:
            return Record(number, own, InvalidInput(f"the file cannot be read: {error.strerror}"))
        return Record(number, {**own, name: text}, is_markdown=path.suffix.lower() in MARKDOWN)


def _files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file():
            yield Path(entry.path)
