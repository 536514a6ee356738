"""A folder of articles: every text, page and document in it, however deep, is a record."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from models.choices import TEXT_SUFFIXES
from models.errors import DragomanError, InvalidInput
from service.batch.record import FieldNames, Record
from service.children import Children
from service.documents import read_document
from service.documents.formats import SUFFIXES, DocumentArticle

MAX_FILE_BYTES = 64 * 2**20

READING_S = 120.0
"""The longest that one document may take to be read, in a process of its own."""


class Folder:
    """Reads a folder in the order of its names, and each folder in it in turn.

    Text, Markdown and HTML are records as they are; of other documents the text is.
    """

    def __init__(self, path: Path, names: FieldNames):
        self.left_out: Counter[str] = Counter()
        """Files that were met and are no articles, by their suffixes."""
        self._path = path
        self._names = names
        self._seen = 0
        self._children = Children()

    @property
    def size(self) -> int | None:
        """None: the number of files is not known before they are read."""
        return None

    def position(self) -> int:
        """Return the number of files read."""
        return self._seen

    def records(self) -> Iterator[Record]:
        """Yield the files' texts, with the paths inside the folder as ids."""
        for path in _files(self._path):
            if path.suffix.lower() not in SUFFIXES:
                self.left_out[path.suffix.lower() or "without a suffix"] += 1
                continue
            self._seen += 1
            yield self._record(path, self._seen)

    def _record(self, path: Path, number: int) -> Record:
        own = {self._names.id: path.relative_to(self._path).as_posix()}
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                return Record(number, own, InvalidInput(f"the file is longer than {MAX_FILE_BYTES:,} bytes"))
            article = self._read(path, data)
        except UnicodeDecodeError as error:
            return Record(number, own, InvalidInput(f"the file is not UTF-8 (byte {error.start + 1})"))
        except DragomanError as error:
            return Record(number, own, InvalidInput(error.message))
        except OSError as error:
            return Record(number, own, InvalidInput(f"the file cannot be read: {error.strerror}"))
        name = (self._names.html if article.field == "html" else self._names.text) or article.field
        is_markdown = TEXT_SUFFIXES.get(path.suffix.lower()) == "markdown"
        return Record(number, {**own, name: article.text}, is_markdown=is_markdown)

    def _read(self, path: Path, data: bytes) -> DocumentArticle:
        form = TEXT_SUFFIXES.get(path.suffix.lower())
        if form is not None:
            return DocumentArticle(data.decode("utf-8-sig"), "html" if form == "html" else "text")
        return self._children.run(_article, path.name, data, field="file", timeout_s=READING_S)


def _article(name: str, data: bytes) -> DocumentArticle:
    return read_document(name, data).article()


def _files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file() and not entry.name.startswith("."):
            yield Path(entry.path)
