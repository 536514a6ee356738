"""Books (.epub): the chapters' XHTML and the table of contents go through the translator as HTML.

Translations are spliced in, so everything but the chapters' words stays to the character; other parts are
untouched, except for the language that the book and its chapters declare.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from urllib.parse import unquote

from models.errors import InvalidInput, at_fault
from models.text.markup import html
from service.documents.archive import PackedFile
from service.documents.formats import FORMATS, Comment, DocumentArticle, DocumentText, File
from service.documents.plain import in_language

_CONTAINER, _LOCKS = "META-INF/container.xml", "META-INF/encryption.xml"
_CHAPTER, _CONTENTS = "application/xhtml+xml", "application/x-dtbncx+xml"
_BODY = re.compile(r"<body(?:\s[^<>]*+)?>")
_EMPTY_RAW = re.compile(
    r"<(?:script|style|textarea|xmp|iframe|noembed|noframes|plaintext)(?:\s[^<>]*+)?(?<=/)>", re.IGNORECASE
)
"""Elements that XHTML closes at once, and that HTML reads to their end tags."""
_LABEL = re.compile(r"(?<=<text>)[^<>]*+(?=</text>)")
_LANGUAGE = re.compile(r"(<dc:language(?:\s[^<>]*+)?>)[^<>]*+(?=</dc:language>)")


class EpubDocument:
    """One .epub file. Raises InvalidInput with field `file` if it cannot be read as one."""

    def __init__(self, data: bytes):
        self._file = file = PackedFile(data, "EPUB book")
        with at_fault("file", f"the file is not a valid {file.kind}"):
            # the name of the part that lists the others
            self._package = str(next(file.xml(_CONTAINER).iter("{*}rootfile")).get("full-path"))
            chapters, contents = _listed(file, self._package)
            self._documents = {name: file.read(name).decode("utf-8-sig") for name in (*chapters, *contents)}
        self._stretches = [(name, *span) for name in chapters for span in _prose(self._documents[name])]
        self._of_chapters = len(self._stretches)
        for name in contents:
            self._stretches += [(name, *found.span()) for found in _LABEL.finditer(self._documents[name])]
        self._mark = f'\n<hr id="{sha256(data).hexdigest()[:24]}"/>\n'
        if not self.article().text:
            raise InvalidInput("the book holds no text", field="file", allowed="a book with text in it")

    def article(self) -> DocumentArticle:
        texts = self._texts()[: self._of_chapters]
        return DocumentArticle("\n\n".join(run.text for text in texts for run in html.read(text)))

    def to_translate(self) -> DocumentText:
        return DocumentText(self._mark.join(self._texts()), "html")

    def translated(self, translation: str, language: str, comments: Sequence[Comment] = ()) -> File:
        new: dict[str, list[str]] = {name: [] for name in self._documents}
        ends = dict.fromkeys(self._documents, 0)
        for (name, start, end), text in zip(self._stretches, translation.split(self._mark), strict=True):
            new[name] += [self._documents[name][ends[name] : start], text]
            ends[name] = end
        parts = {
            name: in_language("".join([*pieces, self._documents[name][ends[name] :]]), language).encode()
            for name, pieces in new.items()
            if pieces
        }
        package = self._file.read(self._package).decode("utf-8-sig", "surrogateescape")
        told = _LANGUAGE.sub(rf"\g<1>{language}", package, count=1)
        parts[self._package] = told.encode("utf-8", "surrogateescape")
        return File(".epub", FORMATS[".epub"].media_type, self._file.replaced(parts))

    def _texts(self) -> list[str]:
        return [self._documents[name][start:end] for name, start, end in self._stretches]


def _listed(file: PackedFile, package: str) -> tuple[list[str], list[str]]:
    """Return the chapters in the order of reading, and the tables of contents of older readers."""
    root, folder = file.xml(package), posixpath.dirname(package)
    references = file.xml(_LOCKS).iter("{*}CipherReference") if _LOCKS in file else ()
    locked = {unquote(each.get("URI") or "") for each in references}
    named: dict[str, str] = {}
    kinds: dict[str, list[str]] = {_CHAPTER: [], _CONTENTS: []}
    for item in root.iter("{*}item"):
        name = posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))
        named[item.get("id") or ""] = name
        if name in file and item.get("media-type") in kinds:
            kinds[item.get("media-type")].append(name)
    spine = [named.get(each.get("idref") or "", "") for each in root.iter("{*}itemref")]
    listed = set(kinds[_CHAPTER])
    chapters = [*dict.fromkeys([*(name for name in spine if name in listed), *kinds[_CHAPTER]])]
    if locked & {*chapters, *kinds[_CONTENTS]}:
        raise file.wrong("its chapters are locked")
    return chapters, kinds[_CONTENTS]


def _prose(chapter: str) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a chapter's body that HTML reads as XHTML does."""
    begin, end = _BODY.search(chapter), chapter.rfind("</body")
    if begin is None or end < begin.end():
        return
    start = begin.end()
    for found in _EMPTY_RAW.finditer(chapter, start, end):
        yield start, found.start()
        start = found.end()
    yield start, end
