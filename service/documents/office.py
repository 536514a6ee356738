"""Word (.docx), PowerPoint (.pptx) and Excel (.xlsx): the texts of their parts and drawings.

Runs that look alike are one leaf, because Word splits what a reader sees as one. Fields, pictures and note
marks stay in place; a text box's copy for older programs gets the box's own translation.
"""

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from html import unescape
from io import BytesIO
from typing import Any, ClassVar

import docx
from docx.oxml.ns import qn
from docx.text.paragraph import Paragraph
from docx.text.run import Run
from lxml import etree

from service.documents.archive import LeafParagraph, PartedDocument, legible
from service.documents.formats import Comment, File

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_COMPATIBLE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"

_PARAGRAPHS = (f"{_WORD}p", f"{_DRAWING}p", *(f"{_SHEET}{name}" for name in ("si", "is", "text")))
_RUNS = frozenset(f"{own}r" for own in (_WORD, _DRAWING, _SHEET))
_TEXTS = frozenset(f"{own}t" for own in (_WORD, _DRAWING, _SHEET))
_PROPERTIES = frozenset(f"{own}rPr" for own in (_WORD, _DRAWING, _SHEET))
_CHARACTERS = {
    f"{_WORD}tab": "\t",
    f"{_WORD}ptab": "\t",
    f"{_WORD}br": "\n",
    f"{_WORD}cr": "\n",
    f"{_WORD}noBreakHyphen": "-",
    f"{_WORD}softHyphen": "",
    f"{_WORD}lastRenderedPageBreak": "",
}
"""What stands beside the texts of a run, and what a reader sees there."""
_INSIDE = frozenset(
    f"{_WORD}{name}"
    for name in ("hyperlink", "ins", "moveTo", "smartTag", "sdt", "sdtContent", "customXml", "dir", "bdo")
)
_OF_NO_LOOK = ("lang", "altLang", "dirty", "err", "noProof", "smtClean")


class OfficeLeaf:
    """A run, or in a spreadsheet the only text of a cell. `rest` are neighbours that look like it."""

    def __init__(self, element: Any):
        self.element = element
        self._rest: list[Any] = []
        self._look = _look(element)

    @property
    def text(self) -> str:
        return "".join(map(_text, (self.element, *self._rest)))

    def takes(self, element: Any) -> bool:
        """Take the next element of the paragraph if a reader sees no difference."""
        last = self._rest[-1] if self._rest else self.element
        if last.getnext() is not element:
            return False
        if element.tag != f"{_DRAWING}br" and self._look != _look(element):
            return False
        self._rest.append(element)
        return True

    def put(self, text: str) -> None:
        text = legible(text)
        for each in self._rest:
            if each.tag == f"{_DRAWING}br":
                each.getparent().remove(each)
            else:
                OfficeLeaf(each).put("")
        self._rest = []
        if self.element.tag in _TEXTS:
            _fill(self.element, text)
        elif self.element.tag == f"{_WORD}r":
            self._put_word(text)
        else:
            self._put_lines(text)

    def _put_word(self, text: str) -> None:
        run = self.element
        for child in list(run):
            if child.tag not in _PROPERTIES:
                run.remove(child)
        for i, line in enumerate(text.split("\n")):
            for k, part in enumerate(line.split("\t")):
                if k or i:
                    etree.SubElement(run, f"{_WORD}tab" if k else f"{_WORD}br")
                if part:
                    _fill(etree.SubElement(run, f"{_WORD}t"), part)

    def _put_lines(self, text: str) -> None:
        """In a drawing a break stands between runs; a spreadsheet's text holds its line ends."""
        run = self.element
        lines = text.split("\n") if run.tag.startswith(_DRAWING) else [text]
        after, model = run, deepcopy(run)
        _fill(_only_text(run), lines[0])
        for line in lines[1:]:
            end, more = etree.Element(f"{_DRAWING}br"), deepcopy(model)
            end.extend(deepcopy([each for each in model if each.tag in _PROPERTIES]))
            _fill(_only_text(more), line)
            after.addnext(end)
            end.addnext(more)
            after = more


def paragraphs(root: Any) -> Iterator[LeafParagraph]:
    """Yield the paragraphs of a part that have something to read, in its order."""
    for each in list(root.iter(f"{_WORD}proofErr")):
        each.getparent().remove(each)  # of the old words
    copies = {each for old in root.iter(f"{_COMPATIBLE}Fallback") for each in old.iter(*_PARAGRAPHS)}
    for element in root.iter(*_PARAGRAPHS):
        if element in copies or _is_hidden(element):
            continue
        leaves = leaves_of(element)
        if any(leaf.text.strip() for leaf in leaves):
            yield LeafParagraph(element, leaves)


def copy_to_fallbacks(root: Any) -> None:
    """Give copies for older programs the paragraphs of what they are copies of."""
    for both in list(root.iter(f"{_COMPATIBLE}AlternateContent")):
        choice, fallback = both.find(f"{_COMPATIBLE}Choice"), both.find(f"{_COMPATIBLE}Fallback")
        if choice is None or fallback is None:
            continue
        new, old = list(choice.iter(*_PARAGRAPHS)), list(fallback.iter(*_PARAGRAPHS))
        if len(new) == len(old):
            for ours, theirs in zip(new, old, strict=True):
                copy = deepcopy(ours)
                copy.tail = theirs.tail
                if (parent := theirs.getparent()) is not None:
                    parent.replace(theirs, copy)


def leaves_of(paragraph: Any) -> list[OfficeLeaf]:
    """Return a paragraph's text, in order."""
    leaves: list[OfficeLeaf] = []
    for element in _text_elements(paragraph):
        if leaves and leaves[-1].takes(element):
            continue
        if element.tag != f"{_DRAWING}br" and _text(element):
            leaves.append(OfficeLeaf(element))
    return leaves


def _text_elements(parent: Any) -> Iterator[Any]:
    for child in list(parent):
        if child.tag in _RUNS:
            yield from _apart(child)
        elif child.tag in _TEXTS or child.tag == f"{_DRAWING}br":
            yield child
        elif child.tag in _INSIDE:
            yield from _text_elements(child)


def _apart(run: Any) -> Iterator[Any]:
    """Yield the run if it is text; of one that holds pictures or fields too, the text in runs of its own."""
    children = [child for child in run if child.tag not in _PROPERTIES]
    are_text = [_is_text(child) for child in children]
    if all(are_text):
        yield run
        return
    if not any(are_text):
        return
    properties = [child for child in run if child.tag in _PROPERTIES]
    own = run
    for i, (child, is_text) in enumerate(zip(children, are_text, strict=True)):
        if i and is_text != are_text[i - 1]:
            new = etree.Element(run.tag, run.attrib)
            new.extend(deepcopy(properties))
            own.addnext(new)
            own = new
        if own is not run:
            own.append(child)
        if is_text and (i + 1 == len(children) or not are_text[i + 1]):
            yield own


def _is_text(element: Any) -> bool:
    if element.tag == f"{_WORD}br":
        return str(element.get(f"{_WORD}type", "textWrapping")) == "textWrapping"
    return element.tag in _TEXTS or element.tag in _CHARACTERS


def _text(element: Any) -> str:
    if element.tag in _TEXTS:
        return element.text or ""
    if element.tag == f"{_DRAWING}br":
        return "\n"
    return "".join(
        (child.text or "") if child.tag in _TEXTS else _CHARACTERS.get(child.tag, "") for child in element
    )


def _look(run: Any) -> bytes:
    """Return the properties of a run that a reader can see."""
    properties = next((child for child in run if child.tag in _PROPERTIES), None)
    if properties is None:
        return b""
    seen = deepcopy(properties)
    for name in _OF_NO_LOOK:
        seen.attrib.pop(name, None)
        for child in seen.findall(f"{_WORD}{name}"):
            seen.remove(child)
    if not len(seen) and not seen.attrib:
        return b""
    return bytes(etree.tostring(seen, with_tail=False))


def _is_hidden(paragraph: Any) -> bool:
    """Return True for what a merged cell of a table covers."""
    cell = paragraph.getparent()
    if cell is None or cell.tag != f"{_WORD}tc":
        return False
    merged = cell.find(f"{_WORD}tcPr/{_WORD}vMerge")
    return merged is not None and str(merged.get(f"{_WORD}val", "continue")) == "continue"


def _only_text(run: Any) -> Any:
    return next(child for child in run if child.tag in _TEXTS)


def _fill(element: Any, text: str) -> None:
    element.text = text
    if not element.tag.startswith(_DRAWING) and text != text.strip():
        element.set(_SPACE, "preserve")


_TYPES = "[Content_Types].xml"
_NUMBER = re.compile(r"(\d+)")
DRAWN = ("chart+xml", "diagramData+xml", "diagramDrawing+xml")
"""Parts with text in drawings, in files of any kind."""


class OfficeDocument(PartedDocument):
    """A file of Word, PowerPoint or Excel."""

    article_parts: ClassVar[tuple[str, ...]]
    """The ends of the content types of parts, in the order in which they are read."""
    other_parts: ClassVar[tuple[str, ...]]
    """The same, of parts that a translation reads and a summary does not."""

    def _names(self) -> tuple[list[str], list[str]]:
        named: dict[str, list[str]] = {}  # by the ends of their content types, numbered ones in their order
        types = {each.get("PartName") or f".{each.get('Extension')}": each for each in self._file.xml(_TYPES)}
        for name in sorted(self._file.names, key=_in_order):
            told = types.get(f"/{name}", types.get(f".{name.rpartition('.')[2]}"))
            if told is not None:
                named.setdefault((told.get("ContentType") or "").rpartition(".")[2], []).append(name)
        article, others = (
            [name for kind in kinds for name in named.get(kind, ())]
            for kinds in (self.article_parts, self.other_parts)
        )
        return article, others

    def _paragraphs_in(self, root: Any) -> Iterator[LeafParagraph]:
        return paragraphs(root)

    def _finish(self, root: Any) -> None:
        copy_to_fallbacks(root)


def _in_order(name: str) -> list[Any]:
    parts = _NUMBER.split(name)
    parts[1::2] = [part[-9:].zfill(9) for part in parts[1::2]]
    return parts


_AUTHOR, _INITIALS = "Dragoman", "D"
_PARAGRAPH = qn("w:p")
MOST_COMMENTS = 1000
"""In a document: each takes time with those before it."""


def commented(data: bytes, comments: Sequence[tuple[int | None, Comment]]) -> bytes:
    """Return the document with the comments.

    Each comes after the number of its paragraph in the body, text boxes' counted; None outside of the body.
    Word takes none in headers, notes and text boxes: those stand at the first paragraph, with the sentence.
    """
    document = docx.Document(BytesIO(data))
    body = list(document.element.iter(_PARAGRAPH))
    places = [i for i, each in enumerate(body) if _may_have_comments(each)]
    for number, comment in comments:
        runs, text = list[Any](), comment.text
        if number is not None and _may_have_comments(body[number]):
            runs = _runs(body[number], comment.sentence)
        if not runs and places:
            runs, text = _runs(body[places[0]], ""), f"“{comment.sentence}”: {text}"
        if runs:
            parent: Any = Paragraph(runs[0].getparent(), document._body)
            document.add_comment([Run(each, parent) for each in runs], legible(text), _AUTHOR, _INITIALS)
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def _may_have_comments(paragraph: Any) -> bool:
    return next(paragraph.iterancestors(qn("w:txbxContent")), None) is None and bool(leaves_of(paragraph))


def _runs(paragraph: Any, sentence: str) -> list[Any]:
    """Return the runs that are the sentence, cut where it begins and ends; all if it is not found."""
    leaves = leaves_of(paragraph)
    texts = [leaf.text for leaf in leaves]
    # breaks and tabs count as spaces
    start = "".join(texts).translate({9: " ", 10: " "}).find(sentence) if sentence else -1
    if start < 0:
        return [leaf.element for leaf in leaves]
    end, at, found = start + len(sentence), 0, []
    for leaf, text in zip(leaves, texts, strict=True):
        first, last = max(0, start - at), min(len(text), end - at)
        if first < last:
            found.append(_cut(leaf, text, first, last))
        at += len(text)
    return found


def _cut(leaf: OfficeLeaf, text: str, first: int, last: int) -> Any:
    """Make a run of its own of `text[first:last]`; return it."""
    run = leaf.element
    model = deepcopy(run)
    if last < len(text):
        after = deepcopy(model)
        run.addnext(after)
        OfficeLeaf(after).put(text[last:])
    if first > 0:
        middle = deepcopy(model)
        run.addnext(middle)
        OfficeLeaf(middle).put(text[first:last])
        leaf.put(text[:first])
        return middle
    leaf.put(text[first:last])
    return run


class WordDocument(OfficeDocument):
    """One .docx file."""

    suffix = ".docx"
    kind = "Word document"
    article_parts = ("main+xml", "header+xml", "footer+xml")
    other_parts = ("footnotes+xml", "endnotes+xml", "comments+xml", *DRAWN)

    def translated(self, translation: str, language: str, comments: Sequence[Comment] = ()) -> File:
        file = super().translated(translation, language)
        if not comments:
            return file
        return File(
            file.suffix, file.media_type, commented(file.data, self._anchored(comments[:MOST_COMMENTS]))
        )

    def _anchored(self, comments: Sequence[Comment]) -> list[tuple[int | None, Comment]]:
        """Say of each comment which of the body's paragraphs it belongs to."""
        root = self._roots.get(self._names()[0][0])
        elements = () if root is None else root.iter(_PARAGRAPH)
        ordinals = {element: i for i, element in enumerate(elements)}
        return [
            (ordinals.get(self._paragraphs[self.paragraph_at(each.place)].element), each) for each in comments
        ]


class SlideDocument(OfficeDocument):
    """One .pptx file."""

    suffix = ".pptx"
    kind = "PowerPoint presentation"
    article_parts = ("slide+xml",)
    other_parts = ("notesSlide+xml", *DRAWN)


_FORMULA = re.compile(r"<(?:\w++:)?(?:f|formula[12])(?:\s[^<>]*+)?>([^<]++)<")
_LITERAL = re.compile(r'"((?:[^"]|"")*+)"')
_NAMING = re.compile(r"xl/(?:tables/.*|pivotCache/pivotCacheDefinition\d*)\.xml\Z")


class SheetDocument(OfficeDocument):
    """One .xlsx file."""

    suffix = ".xlsx"
    kind = "Excel workbook"
    article_parts = ("sharedStrings+xml", "worksheet+xml")
    other_parts = ("comments+xml", "drawing+xml", *DRAWN)

    def _names(self) -> tuple[list[str], list[str]]:
        article, others = super()._names()
        self._needed = {_plain(text) for text in self._compared(article)} | set(map(_plain, self._headings()))
        texts = (n for n in article if "sharedStrings" in n or b"inlineStr" in self._file.read(n))
        return list(texts), others

    def _paragraphs_in(self, root: Any) -> Iterator[LeafParagraph]:
        return (each for each in super()._paragraphs_in(root) if _plain(each.text) not in self._needed)

    def _compared(self, names: list[str]) -> Iterator[str]:
        for name in names:
            for formula in _FORMULA.finditer(self._file.read(name).decode("utf-8", "replace")):
                for literal in _LITERAL.finditer(unescape(formula[1])):
                    text = literal[1].replace('""', '"')
                    yield text
                    yield from text.split(",")

    def _headings(self) -> Iterator[str]:
        for name in self._file.names:
            if _NAMING.match(name):
                for element in self._file.xml(name).iter("{*}tableColumn", "{*}cacheField"):
                    yield (element.get("name") or "").replace("_x000a_", "\n")


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
