"""XLIFF files (1.2, 2.0, 2.1): units without a translation get one, with the source's inline elements."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from lxml import etree

from models.errors import InvalidInput
from service.documents.document import Comment, DocumentArticle, DocumentText, File
from service.documents.formats import FORMATS
from service.documents.packed import parse_xml, require_few_tags, xml_bytes
from service.documents.paragraphs import elements, legible
from service.documents.placeholders import held

_OLD = "{urn:oasis:names:tc:xliff:document:1.2}"
_NEW = "{urn:oasis:names:tc:xliff:document:2.0}"
_UNITS = (f"{_OLD}trans-unit", f"{_NEW}segment")
_PAIRS = frozenset((f"{_OLD}g", f"{_OLD}mrk", f"{_NEW}pc", f"{_NEW}mrk"))
_UNDONE = frozenset(("new", "needs-translation", "needs-adaptation", "needs-l10n", "initial"))
MOST_DEEP = 20


class UnitDocument:
    """One .xliff file. Raises InvalidInput with field `file` if it cannot be read as one."""

    suffix = ".xliff"

    def __init__(self, data: bytes):
        require_few_tags(data.count(b"<"))
        try:
            self._root = parse_xml(data)
        except etree.XMLSyntaxError as error:
            raise InvalidInput(f"the file is no XLIFF: {error.msg}", field="file") from error
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
            target[:], target.text = [], _indent(source.text or "")
            _fill(target, translated, marks)
            state = unit if unit.tag.startswith(_NEW) else target
            if "state" in state.attrib:
                state.set("state", "translated")
        if self._root.tag.startswith(_NEW):
            self._root.set("trgLang", language)
        for file in self._root.iter(f"{_OLD}file"):
            file.set("target-language", language)
        return File(self.suffix, FORMATS[self.suffix].media_type, xml_bytes(self._root))


class ShortUnitDocument(UnitDocument):
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


def _indent(text: str) -> str:
    """Return the white space that a text begins with."""
    return text[: len(text) - len(text.lstrip())]
