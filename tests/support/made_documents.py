"""One sound document of each kind that the service reads, small, and the damage done to them."""

import random
import zipfile
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import Any

import docx
import odf.draw
import odf.opendocument
import odf.style
import odf.table
import odf.text
import pptx
import xlsxwriter
from mutations import SOURCES, repeated, scrambled, text

PROSE = {
    ".docx": "word/document.xml",
    ".pptx": "ppt/slides/slide1.xml",
    ".xlsx": "xl/sharedStrings.xml",
    ".odt": "content.xml",
    ".odp": "content.xml",
    ".ods": "content.xml",
    ".epub": "one.xhtml",
}
"""Of documents that are archives, the part that holds the text."""
TEXTS = (".txt", ".md", ".html", ".srt", ".vtt", ".po", ".xliff", ".xlf")
SUFFIXES = (*TEXTS, *PROSE, ".pdf")
NAMES = (
    "a",
    "中",
    "é",
    "a b",
    'a"b',
    "a;b",
    "a\\b",
    "../../a",
    "CON",
    "a\u202eb",
    "a" * 300,
    "",
    ".",
    "a\r\nX: y",
    "a%7f%1b",
)

BOUNDARY = "----a1b2"

_CUES = """\
1
00:00:01,000 --> 00:00:03,000
The ministers met
in <i>Vienna</i>

2
00:00:03,500 --> 00:00:05,000
on Sunday. {\\an8}Nobody spoke.
"""
_WEB_CUES = """\
WEBVTT

00:01.000 --> 00:03.000 align:start
<v Fred>The ministers met in <i>Vienna</i>

00:03.500 --> 00:05.000
on Sunday.
"""
_MESSAGES = """\
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

#, c-format
msgid "The ministers met %d times in Vienna.\\n"
msgstr ""
"""
_UNITS = """\
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file original="a" source-language="en"
 target-language="fr" datatype="plaintext"><body><trans-unit id="1"><source>The ministers met in
 <g id="1">Vienna</g>.</source></trans-unit></body></file></xliff>
"""
_CHAPTER = "<html xmlns='urn:x'><head/><body><p>They met in <b>Vienna</b>.</p></body></html>"
_LISTED = (
    "<package><manifest><item id='a' href='one.xhtml' media-type='application/xhtml+xml'/></manifest>"
    "<spine><itemref idref='a'/></spine></package>"
)


@cache
def sound(suffix: str) -> bytes:
    """A document that is read without complaint."""
    made = {
        ".docx": _word,
        ".pptx": _slides,
        ".xlsx": _sheet,
        ".odt": _open_text,
        ".odp": _open_slides,
        ".ods": _open_sheet,
        ".epub": _book,
        ".pdf": lambda: pdf(("The ministers met", "in Vienna.")),
    }
    if suffix in made:
        return made[suffix]()
    kinds = {
        ".srt": _CUES,
        ".vtt": _WEB_CUES,
        ".po": _MESSAGES,
        ".xliff": _UNITS,
        ".xlf": _UNITS,
        ".md": SOURCES[4],
        ".html": f"<html><body>{SOURCES[3] * 3}</body></html>",
    }
    return kinds.get(suffix, SOURCES[0]).encode()


def damaged(rng: random.Random, suffix: str) -> bytes:
    """The same with a text of `mutations` in it, or with other bytes; of an archive also inside."""
    data = sound(suffix)
    act = rng.random()
    if act < 0.25:
        return data
    if suffix in PROSE and act < 0.7:
        return _repacked(rng, data, PROSE[suffix])
    if suffix in PROSE or suffix == ".pdf" or act < 0.6:
        return scrambled(rng, data)
    if suffix == ".srt":
        return _cues(rng).encode("utf-8", "surrogatepass")
    encoding = rng.choice(("utf-8", "utf-8", "utf-16", "cp1251", "shift_jis", "utf-7"))
    return text(rng, data.decode()).encode(encoding, "replace")


def name(rng: random.Random, suffix: str) -> str:
    """A file's name, mostly with its own suffix."""
    stem = rng.choice(NAMES) if rng.random() < 0.3 else "a"
    return stem + (rng.choice((*SUFFIXES, ".exe", "", ".DOCX", ".tar.pdf")) if rng.random() < 0.1 else suffix)


def form(suffix: str, **fields: str) -> tuple[list[tuple[str, str]], bytes]:
    """A sound document as a multipart form with these fields: the headers, and the body."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'
    parts = "".join(f'{head}{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
    file = f'{head}file"; filename="a{suffix}"\r\n\r\n'
    body = (parts + file).encode() + sound(suffix) + f"\r\n--{BOUNDARY}--\r\n".encode()
    return [("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")], body


def _word() -> bytes:
    document = docx.Document()
    document.add_heading("Ministers meet", 1)
    document.add_paragraph("They met in ").add_run("Vienna").bold = True
    document.add_paragraph("Point one", style="List Bullet")
    document.add_table(2, 2).cell(1, 1).text = "Last cell"
    return _saved(document)


def _saved(document: Any) -> bytes:
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def _slides() -> bytes:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Ministers meet"
    slide.placeholders[1].text_frame.text = "They met in Vienna."
    return _saved(show)


def _sheet() -> bytes:
    out = BytesIO()
    book = xlsxwriter.Workbook(out)
    book.add_worksheet("Notes").write_column(0, 0, ["They met in Vienna.", 12, "On Sunday."])
    book.close()
    return out.getvalue()


def _open_text() -> bytes:
    document = odf.opendocument.OpenDocumentText()
    paragraph = odf.text.P(text="They met in ")
    paragraph.addElement(odf.text.Span(text="Vienna"))
    document.text.addElement(paragraph)
    return _saved(document)


def _open_slides() -> bytes:
    document = odf.opendocument.OpenDocumentPresentation()
    document.masterstyles.addElement(odf.style.MasterPage(name="m", pagelayoutname="l"))
    page, frame = odf.draw.Page(masterpagename="m"), odf.draw.Frame(width="9cm", height="9cm")
    box = odf.draw.TextBox()
    box.addElement(odf.text.P(text="They met in Vienna."))
    frame.addElement(box)
    page.addElement(frame)
    document.presentation.addElement(page)
    return _saved(document)


def _open_sheet() -> bytes:
    document, sheet = odf.opendocument.OpenDocumentSpreadsheet(), odf.table.Table(name="Talks")
    row = odf.table.TableRow()
    for value_type, formula, shown in (
        ("string", None, "They met in Vienna."),
        ("float", None, "1,5"),
        ("string", "of:=[.A1]", "They met in Vienna."),
    ):
        given = {"valuetype": value_type, **({"formula": formula} if formula else {})}
        cell = odf.table.TableCell(**given)
        cell.addElement(odf.text.P(text=shown))
        row.addElement(cell)
    sheet.addElement(row)
    document.spreadsheet.addElement(sheet)
    return _saved(document)


def _book() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr("META-INF/container.xml", "<container><rootfile full-path='a.opf'/></container>")
        book.writestr("a.opf", _LISTED)
        book.writestr("one.xhtml", _CHAPTER)
    return out.getvalue()


def _repacked(rng: random.Random, data: bytes, prose: str) -> bytes:
    """The archive with one of its parts, mostly the text's, damaged or left out or twice there."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        chosen = prose if rng.random() < 0.7 else rng.choice(names)
        act = rng.random()
        for each in names:
            part = old.read(each)
            if each == chosen:
                if act < 0.1:
                    continue
                part = _part(rng, part)
            new.writestr(each, part)
    return out.getvalue()


def _part(rng: random.Random, part: bytes) -> bytes:
    if rng.random() < 0.4:
        return scrambled(rng, part)
    width = rng.choice((b"2", b"63", b"-1", b"x", b"999999", b"1e9"))
    return rng.choice(
        (
            lambda: part.replace(b"<w:tc>", b'<w:tc><w:tcPr><w:gridSpan w:val="%s"/></w:tcPr>' % width),
            lambda: part.replace(b"</w:p>", b"</w:p><w:p/>" * rng.choice((2, 200, 3_000)), 1),
            lambda: part.replace(b"<w:tbl>", b"<w:tbl><w:tr/><w:tr><w:tc/></w:tr>"),
            lambda: part.replace(b"Vienna", repeated(rng)[:5_000].encode("utf-8", "xmlcharrefreplace")),
            lambda: b'<!DOCTYPE a [<!ENTITY b "bbbb">]>' + part.replace(b"Vienna", b"&b;"),
            lambda: part.replace(b"w:", rng.choice((b"v:", b"", b"w:w:"))),
        )
    )()


def pdf(lines: Sequence[str]) -> bytes:
    """A small PDF of one page, made by hand."""
    shown = "\n".join(f"1 0 0 1 50 {750 - 14 * i} Tm ({line}) Tj" for i, line in enumerate(lines))
    stream = f"BT /F1 12 Tf\n{shown}\nET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    return pdf_of(objects)


def pdf_of(objects: Sequence[bytes]) -> bytes:
    """A PDF of these objects, of which the first is the catalog."""
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
    return out + end % (len(objects) + 1, table, len(objects) + 1, len(out))


def _cues(rng: random.Random) -> str:
    moments = (
        "00:00:01,000",
        "99999999999:00:00,000",
        "-1:00:00,000",
        "0:0:0",
        "00:00:01.5",
        "٠٠:00:01,000",
        "",
    )
    return "".join(
        f"{rng.choice(('1', '0', '-5', '9' * 5_000, 'x', ''))}\n{rng.choice(moments)}"
        f" --> {rng.choice(moments)}"
        f"{rng.choice(('', ' X1:0'))}\n{text(rng)[:2_000]}{rng.choice((chr(10) * 2, chr(10), chr(10) * 50))}"
        for _ in range(rng.randint(1, 6))
    )
