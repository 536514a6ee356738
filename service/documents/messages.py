"""Messages of programs (.po, gettext): those without a translation get one, all else stays to the character.

The file is spliced line by line: polib writes a file anew, in lines of its own length. Each line of a message
is translated by itself, with its tags, and what a program puts in (`%s`, `{name}`) stays as it is.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from models.errors import InvalidInput
from service.documents.document import Comment, DocumentArticle, DocumentText, File
from service.documents.formats import FORMATS
from service.documents.paragraphs import elements
from service.documents.placeholders import held
from service.documents.plain import decode
from service.documents.subtitle_tags import Mark, marked_up, written

_LINE = re.compile(
    r'[ \t]*+(?:(msgctxt|msgid_plural|msgid|msgstr(?:\[\d++\])?)[ \t]*+)?"((?:[^"\\]|\\.)*+)"\s*+'
)
_CHARSET = re.compile(r"(?<=charset=)[\w.:-]++")
_ESCAPED = re.compile(r"\\(.)")
_CHARACTERS = {"n": "\n", "t": "\t", "r": "\r"}
_WRITTEN = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"})


@dataclass(slots=True)
class _Field:
    """A `msgid`, `msgstr` or the like, with its lines in the file."""

    name: str
    first: int
    end: int
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        raw = "".join(self.parts)
        return _ESCAPED.sub(lambda found: _CHARACTERS.get(found[1], found[1]), raw)


@dataclass(frozen=True, slots=True)
class _Message:
    """A message and the places of its translations."""

    fields: Sequence[_Field]

    def source(self, name: str) -> str | None:
        return next((each.text for each in self.fields if each.name == name), None)

    def pairs(self) -> Iterator[tuple[str, _Field]]:
        """Yield each translation with what it translates; the first of several is for one thing."""
        own = [each for each in self.fields if each.name.startswith("msgstr")]
        one, more = self.source("msgid") or "", self.source("msgid_plural")
        for i, each in enumerate(own):
            yield (one if more is None or (i == 0 and len(own) > 1) else more), each


class MessageDocument:
    """One .po file. Raises InvalidInput with field `file` if it cannot be read as one."""

    def __init__(self, data: bytes):
        self._charset = _charset(data)
        self._lines = _decoded(data, self._charset).splitlines(keepends=True)
        pairs = [pair for each in _messages(self._lines) for pair in each.pairs()]
        self._pairs = [(source, target) for source, target in pairs if source.strip()]
        if not self._pairs:
            raise InvalidInput("the file has no messages", field="file", allowed="a gettext file")
        self._open = [(source, target) for source, target in self._pairs if not target.text]
        self._marks: list[Mark] = []

    def article(self) -> DocumentArticle:
        return DocumentArticle("\n\n".join(target.text or source for source, target in self._pairs))

    def to_translate(self) -> DocumentText:
        if not self._open:
            raise InvalidInput("every message has a translation", field="file", allowed="one without")
        self._marks = []
        lines = (line for source, _ in self._open for line in source.split("\n") if line.strip())
        return DocumentText(
            "\n".join(f"<p>{marked_up(each, self._marks, held)}</p>" for each in lines), "html"
        )

    def translated(self, translation: str, language: str, comments: Sequence[Comment] = ()) -> File:
        self.to_translate()  # for the marks
        found = elements(translation)
        write = partial(written, self._marks, str)
        lines = list(self._lines)
        for source, target in self._open:
            new = (_like(line, write(next(found))) if line.strip() else line for line in source.split("\n"))
            end = "\r\n" if lines[target.first].endswith("\r\n") else "\n"
            lines[target.first] = _field_lines(target.name, "\n".join(new), end)
            lines[target.first + 1 : target.end] = [""] * (target.end - target.first - 1)
        return File(".po", FORMATS[".po"].media_type, _encoded("".join(lines), self._charset))


def _messages(lines: Sequence[str]) -> Iterator[_Message]:
    fields: list[_Field] = []
    for number, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        if found[1] in ("msgctxt", "msgid") and any(each.name.startswith("msgstr") for each in fields):
            yield _Message(fields)
            fields = []
        if found[1]:
            fields.append(_Field(found[1], number, number + 1))
        if fields and number <= fields[-1].end:
            fields[-1].parts.append(found[2])
            fields[-1].end = number + 1
    yield _Message(fields)


def _field_lines(name: str, text: str, end: str) -> str:
    """Return a field as gettext writes it: a text of several lines in as many strings."""
    parts = text.splitlines(keepends=True)
    quoted = [f'"{part.translate(_WRITTEN)}"' for part in parts] or ['""']
    return f"{name} {f'{end}'.join(quoted if len(quoted) == 1 else [chr(34) * 2, *quoted])}{end}"


def _like(source: str, translation: str) -> str:
    """Return the translation with the white space around it that the source has."""
    start, end = len(source) - len(source.lstrip()), len(source.rstrip())
    return source[:start] + " ".join(translation.split()) + source[end:]


def _charset(data: bytes) -> str:
    found = _CHARSET.search(data.decode("ascii", "replace"))
    return found[0] if found else "utf-8"


def _decoded(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset).removeprefix("\ufeff")
    except (LookupError, UnicodeError):
        return decode(data)


def _encoded(text: str, charset: str) -> bytes:
    """Return the file in its own encoding, or in UTF-8, which it says then, if that lacks a letter."""
    try:
        return text.encode(charset)
    except (LookupError, UnicodeError):
        return _CHARSET.sub("UTF-8", text, count=1).encode()
