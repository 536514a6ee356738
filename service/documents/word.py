"""Word documents (.docx): paragraphs go through the translator as HTML, each run in an element of its own.

So the words of a run keep its font, weight and link as well as the translator can place them. Body, tables,
headers and footers are read; footnotes, comments and text boxes stay as they are.
"""

from collections.abc import Iterator
from html import escape
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile

import docx
import lxml.html
from docx.document import Document as Docx
from docx.oxml.simpletypes import ST_Merge
from docx.table import Table, _Cell
from docx.text.hyperlink import Hyperlink
from docx.text.paragraph import Paragraph
from docx.text.run import Run

from models.errors import InvalidInput
from service.documents.document import DocumentArticle, DocumentText, File

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MAX_UNPACKED_BYTES = 100 * 2**20
TAB = '<br class="tab">'


class WordDocument:
    """One .docx file. Raises InvalidInput with field `file` if it cannot be read as one."""

    def __init__(self, data: bytes):
        _refuse_bombs(data)
        try:
            self._docx = docx.Document(BytesIO(data))
            self._paragraphs = [runs for each in _paragraphs(self._docx) if (runs := _text_runs(each))]
        except MemoryError:
            raise
        except Exception as error:  # whatever a parser stumbles over is in the caller's file
            raise InvalidInput(f"the file is no Word document: {error}", field="file") from error
        if not self._paragraphs:
            raise InvalidInput(
                "the document holds no text", field="file", allowed="a document with text in it"
            )

    def article(self) -> DocumentArticle:
        return DocumentArticle("\n\n".join("".join(run.text for run in runs) for runs in self._paragraphs))

    def to_translate(self) -> DocumentText:
        return DocumentText("\n".join(map(_as_html, self._paragraphs)), "html")

    def translated(self, translation: str, language: str) -> File:
        found = lxml.html.fromstring(f"<div>{translation}</div>").iterchildren("p")
        for runs, paragraph in zip(self._paragraphs, found, strict=True):
            texts, order = _texts(paragraph, len(runs))
            for run, text in zip(runs, texts, strict=True):
                run.text = text
            _reorder([runs[i]._r for i in order])
        out = BytesIO()
        self._docx.save(out)
        return File(".docx", MEDIA_TYPE, out.getvalue())


def _refuse_bombs(data: bytes) -> None:
    """A .docx is a ZIP file, whose few bytes may unpack to more than there is memory."""
    try:
        with ZipFile(BytesIO(data)) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
    except BadZipFile as error:
        raise InvalidInput("the file is no Word document: it is no ZIP file", field="file") from error
    if unpacked > MAX_UNPACKED_BYTES:
        raise InvalidInput(
            f"the document unpacks to {unpacked} bytes",
            field="file",
            allowed=f"at most {MAX_UNPACKED_BYTES} bytes",
        )


def _paragraphs(document: Docx) -> Iterator[Paragraph]:
    yield from _inside(document)
    for section in document.sections:
        for part in (section.header, section.footer):
            if not part.is_linked_to_previous:
                yield from _inside(part)


def _inside(container: Any) -> Iterator[Paragraph]:
    for block in container.iter_inner_content():
        if isinstance(block, Table):
            # Not `row.cells`, which gives a merged cell once for each of its places, of which it may claim
            # to have any number.
            for cell in (_Cell(tc, block) for row in block.rows for tc in row._tr.tc_lst):
                if cell._tc.vMerge != ST_Merge.CONTINUE:
                    yield from _inside(cell)
        else:
            yield block


def _text_runs(paragraph: Paragraph) -> list[Run]:
    """The paragraph's runs of text, those that look alike joined; none if there is nothing to read."""
    groups: list[list[Run]] = []
    for run in _runs(paragraph):
        if not run.text or any(True for each in run.iter_inner_content() if not isinstance(each, str)):
            continue  # pictures and fields stay where they are
        if groups and _alike(groups[-1][-1], run):
            groups[-1].append(run)
        else:
            groups.append([run])
    for group in groups:
        if len(group) > 1:
            text = "".join(run.text for run in group)
            for run in group[1:]:
                run.text = ""
            group[0].text = text
    runs = [group[0] for group in groups]
    return runs if any(run.text.strip() for run in runs) else []


def _runs(paragraph: Paragraph) -> Iterator[Run]:
    for each in paragraph.iter_inner_content():
        if isinstance(each, Hyperlink):
            yield from each.runs
        else:
            yield each


def _alike(a: Run, b: Run) -> bool:
    """Return True if Word split in two what a reader sees as one."""
    return a._r.getnext() is b._r and _look(a) == _look(b)


def _look(run: Run) -> str:
    properties = run._r.rPr
    return "" if properties is None else str(properties.xml)


def _as_html(runs: list[Run]) -> str:
    spans = (f'<span id="{i}">{_marked_up(run.text)}</span>' for i, run in enumerate(runs))
    return f"<p>{''.join(spans)}</p>"


def _marked_up(text: str) -> str:
    # A tab parts columns, as in a form or a table of contents: it is no mere space.
    return escape(text).replace("\n", "<br>").replace("\t", TAB)


def _texts(paragraph: Any, runs: int) -> tuple[list[str], list[int]]:
    """The text of each run, and the runs in the translation's order.

    What stands between two of them goes to the one before.
    """
    texts, order = [""] * runs, []
    texts[0] += paragraph.text or ""
    last = 0
    for span in paragraph.iterchildren():
        identity = span.get("id") or ""
        if identity.isdecimal() and int(identity) < runs:
            last = int(identity)
            order.append(last)
        texts[last] += _content(span) + (span.tail or "")
    return texts, [*dict.fromkeys([*order, *range(runs)])]


def _reorder(runs: list[Any]) -> None:
    """Put elements into this order: within their links, and links and other runs within the paragraph.

    Together they keep the places that they have; what stands between them stays.
    """
    by_parent: dict[Any, list[Any]] = {}
    for run in runs:
        by_parent.setdefault(run.getparent(), []).append(run)
    links = [parent for parent in by_parent if parent.tag.endswith("}hyperlink")]
    for link in links:
        _permute(by_parent[link])
    _permute([*dict.fromkeys(run.getparent() if run.getparent() in links else run for run in runs)])


def _permute(elements: list[Any]) -> None:
    """Siblings into this order, in the places that they have together."""
    parent = elements[0].getparent()
    moved, order = set(elements), list(parent)
    places = [place for place, element in enumerate(order) if element in moved]
    for place, element in zip(places, elements, strict=True):
        order[place] = element
    parent[:] = order


def _content(element: Any) -> str:
    if element.tag == "br":
        return "\t" if element.get("class") == "tab" else "\n"
    inside = "".join(_content(child) + (child.tail or "") for child in element.iterchildren())
    return (element.text or "") + inside
