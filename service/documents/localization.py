"""Program messages in gettext (.po) and XLIFF (1.2, 2.0, 2.1): translates the untranslated ones.

A .po file is spliced line by line, because polib rewraps every line. Each line of a message is translated
separately, with its tags or inline elements; placeholders (`%s`, `{name}`) stay.
"""

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from html import escape
from typing import Any

from lxml import etree

from models.errors import InvalidInput
from service.documents.archive import elements, legible, parse_xml, require_few_tags, xml_bytes
from service.documents.formats import FORMATS, Comment, DocumentArticle, DocumentText, File
from service.documents.plain import decode
from service.documents.subtitles import Mark, marked_up, written

_HELD = re.compile(
    r"%(?:\(\w++\)|\d++\$)?[-+0#]?(?:\d++|\*)?(?:\.\d++)?(?:hh|h|ll|l|z)?[diouxXeEfgGcrsp@]\b"
    r"|%\d++|\$?\{[\w.:!\[\]-]*+\}|\{\{[^{}]*+\}\}"
)


def held(text: str) -> str:
    """Return the text as HTML in which the placeholders are code."""
    parts, end = list[str](), 0
    for found in _HELD.finditer(text):
        parts += [escape(text[end : found.start()]), f"<code>{escape(found[0])}</code>"]
        end = found.end()
    return "".join([*parts, escape(text[end:])])


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


class MessageDocument:
    """One .po file. Raises InvalidInput with field `file` if it cannot be read as one."""

    def __init__(self, data: bytes):
        named = _CHARSET.search(data.decode("ascii", "replace"))
        self._charset = named[0] if named else "utf-8"
        try:
            text = data.decode(self._charset).removeprefix("\ufeff")
        except (LookupError, UnicodeError):
            text = decode(data)
        self._lines = text.splitlines(keepends=True)
        pairs = [pair for fields in _messages(self._lines) for pair in _pairs(fields)]
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


def _messages(lines: Sequence[str]) -> Iterator[list[_Field]]:
    fields: list[_Field] = []
    for number, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        if found[1] in ("msgctxt", "msgid") and any(each.name.startswith("msgstr") for each in fields):
            yield fields
            fields = []
        if found[1]:
            fields.append(_Field(found[1], number, number + 1))
        if fields and number <= fields[-1].end:
            fields[-1].parts.append(found[2])
            fields[-1].end = number + 1
    yield fields


def _pairs(fields: Sequence[_Field]) -> Iterator[tuple[str, _Field]]:
    """Yield each translation with what it translates; the first of several is for one thing."""
    sources = {each.name: each.text for each in reversed(fields)}
    own = [each for each in fields if each.name.startswith("msgstr")]
    one, more = sources.get("msgid", ""), sources.get("msgid_plural")
    for i, each in enumerate(own):
        yield (one if more is None or (i == 0 and len(own) > 1) else more), each


def _field_lines(name: str, text: str, end: str) -> str:
    """Return a field as gettext writes it: a text of several lines in as many strings."""
    parts = text.splitlines(keepends=True)
    quoted = [f'"{part.translate(_WRITTEN)}"' for part in parts] or ['""']
    return f"{name} {f'{end}'.join(quoted if len(quoted) == 1 else [chr(34) * 2, *quoted])}{end}"


def _like(source: str, translation: str) -> str:
    """Return the translation with the white space around it that the source has."""
    start, end = len(source) - len(source.lstrip()), len(source.rstrip())
    return source[:start] + " ".join(translation.split()) + source[end:]


def _encoded(text: str, charset: str) -> bytes:
    """Return the file in its own encoding, or in UTF-8, which it says then, if that lacks a letter."""
    try:
        return text.encode(charset)
    except (LookupError, UnicodeError):
        return _CHARSET.sub("UTF-8", text, count=1).encode()


_OLD = "{urn:oasis:names:tc:xliff:document:1.2}"
_NEW = "{urn:oasis:names:tc:xliff:document:2.0}"
_UNITS = (f"{_OLD}trans-unit", f"{_NEW}segment")
_PAIRS = frozenset((f"{_OLD}g", f"{_OLD}mrk", f"{_NEW}pc", f"{_NEW}mrk"))
_UNDONE = frozenset(("new", "needs-translation", "needs-adaptation", "needs-l10n", "initial"))
MOST_DEEP = 20


class XliffDocument:
    """One .xliff file. Raises InvalidInput with field `file` if it cannot be read as one."""

    suffix = ".xliff"

    def __init__(self, data: bytes):
        require_few_tags(data.count(b"<"))
        try:
            self._root = parse_xml(data)
        except etree.XMLSyntaxError as error:
            raise InvalidInput(f"the file is not XLIFF: {error.msg}", field="file") from error
        units = [each for each in self._root.iter(*_UNITS) if _text(_child(each, "source"))]
        if not units:
            raise InvalidInput("the file has no units", field="file", allowed="XLIFF 1.2, 2.0 or 2.1")
        self._units = units
        self._open = [each for each in units if _is_open(each)]

    def article(self) -> DocumentArticle:
        texts = (_text(_child(each, "target")) or _text(_child(each, "source")) for each in self._units)
        return DocumentArticle("\n\n".join(texts))

    def to_translate(self) -> DocumentText:
        if not self._open:
            raise InvalidInput("every unit has a translation", field="file", allowed="one without")
        lines = (_html(_child(each, "source"), []).strip() for each in self._open)
        return DocumentText("\n".join(f"<p>{line}</p>" for line in lines), "html")

    def translated(self, translation: str, language: str, comments: Sequence[Comment] = ()) -> File:
        for unit, translated in zip(self._open, elements(translation), strict=True):
            source, target = _child(unit, "source"), _target(unit)
            marks: list[Any] = []
            _html(source, marks)
            begin = source.text or ""
            target[:], target.text = [], begin[: len(begin) - len(begin.lstrip())]
            _fill(target, translated, marks)
            state = unit if unit.tag.startswith(_NEW) else target
            if "state" in state.attrib:
                state.set("state", "translated")
        if self._root.tag.startswith(_NEW):
            self._root.set("trgLang", language)
        for file in self._root.iter(f"{_OLD}file"):
            file.set("target-language", language)
        return File(self.suffix, FORMATS[self.suffix].media_type, xml_bytes(self._root))


class XlfDocument(XliffDocument):
    """The same under the name that older programs give it."""

    suffix = ".xlf"


def _child(unit: Any, name: str) -> Any:
    return next(unit.iterchildren(f"{_OLD}{name}", f"{_NEW}{name}"), None)


def _text(element: Any) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())


def _is_open(unit: Any) -> bool:
    """Return True for a unit that may be translated, and is not."""
    own = [unit, *unit.iterancestors()]
    if any(each.get("translate") == "no" for each in own) or unit.get("approved") == "yes":
        return False
    target = _child(unit, "target")
    text = _text(target)
    if not text or text == _text(_child(unit, "source")):
        return True
    return (target.get("state") or unit.get("state")) in _UNDONE


def _target(unit: Any) -> Any:
    """Return the unit's target, made if there is none, after what must stand before it."""
    target = _child(unit, "target")
    if target is None:
        before = _child(unit, "seg-source")
        before = _child(unit, "source") if before is None else before
        target = etree.Element(before.tag.partition("}")[0] + "}target")
        target.tail = before.tail
        before.addnext(target)
    return target


def _html(element: Any, marks: list[Any], depth: int = 0) -> str:
    """Return the text with an element for each inline element; these are added to `marks`."""
    parts = [held(element.text or "")]
    for child in element:
        number = len(marks)
        marks.append(child)
        if child.tag in _PAIRS and depth < MOST_DEEP:
            parts.append(f'<span id="t{number}">{_html(child, marks, depth + 1)}</span>')
        else:
            parts.append(f'<img id="t{number}">')
        parts.append(held(child.tail or ""))
    return "".join(parts)


def _fill(target: Any, translated: Any, marks: list[Any]) -> None:
    """Put a translated element's text and inline elements into a target."""
    _add(target, translated.text)
    for child in translated.iterchildren():
        number = (child.get("id") or "").removeprefix("t")
        if not number.isdecimal() or int(number) >= len(marks):
            _add(target, child.text_content())
        elif child.tag == "img":
            copy = deepcopy(marks[int(number)])
            copy.tail = None
            target.append(copy)
        else:
            mark = marks[int(number)]
            _fill(etree.SubElement(target, mark.tag, mark.attrib), child, marks)
        _add(target, child.tail)


def _add(target: Any, text: str | None) -> None:
    text = legible(text or "")
    last = next(target.iterchildren(reversed=True), None)
    if last is not None:
        last.tail = (last.tail or "") + text
    else:
        target.text = (target.text or "") + text
