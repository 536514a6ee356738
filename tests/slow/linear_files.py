"""Files of people's own formats that hold a text: for the walker of `test_linear`."""

from collections.abc import Mapping
from html import escape
from io import BytesIO
from zipfile import ZipFile

import made_documents
from linear_texts import Fed, pieces


def docx_of(fed: Fed) -> bytes:
    """A Word document of one paragraph to a line, each of several runs."""
    text = "".join(character for character in fed.text if character.isprintable() or character == "\n")
    plain = text.encode("utf-8", "replace").decode()
    runs = "".join(
        "<w:p>" + "".join(f"<w:r><w:t>{escape(part)}</w:t></w:r>" for part in line.split(" ")) + "</w:p>"
        for line in plain.split("\n")
    )
    body = f"{runs}<w:p><w:r><w:t>a</w:t></w:r></w:p>"
    body = f'<w:document xmlns:w="{_WORD}main"><w:body>{body}</w:body></w:document>'
    out = BytesIO()
    with ZipFile(out, "w") as archive:
        for name, content in {**_DOCX_PARTS, "word/document.xml": body}.items():
            archive.writestr(name, content)
    return out.getvalue()


_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/"
_OFFICE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DOCX_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType="'
    f'application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" '
    f'ContentType="{_OFFICE}"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="a" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>',
}


def pdf_of(fed: Fed) -> bytes:
    """A PDF of one page, a line of it for each piece of the text."""
    latin = (each.text.encode("cp1252", "replace") for each in pieces(fed))
    lines = (b"(%s) Tj T*" % line.translate(None, b"\\()\r\n") for line in latin)
    stream = b"BT /F 12 Tf 14 TL 40 800 Td (a) Tj T* %s ET" % b"\n".join(lines)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 850]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    return made_documents.pdf_of(objects)


def office_of(fed: Fed, name: str, kind: str, body: str) -> bytes:
    """A file of Office with one part of this kind, in which {} stands for the text."""
    override = f'<Override PartName="/{name}" ContentType="a.{kind}"/>'
    types = f'<Types xmlns="{_PACKAGE}/content-types">{override}</Types>'
    return zip_of({"[Content_Types].xml": types, name: body.replace("{}", _plain(fed))})


def zip_of(parts: Mapping[str, str]) -> bytes:
    """An archive of these parts."""
    out = BytesIO()
    with ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def slides_of(fed: Fed) -> bytes:
    """A presentation with the text, a run of it after each break."""
    runs = "<a:br/>".join(f"<a:r><a:t>{line}</a:t></a:r>" for line in _plain(fed).split("\n"))
    body = f'<p xmlns:a="{_DRAWING}"><a:p>{runs}<a:r><a:t>a</a:t></a:r></a:p></p>'
    return office_of(fed, "ppt/slides/slide1.xml", "slide+xml", body)


def sheets_of(fed: Fed) -> bytes:
    """A workbook with a text in each cell."""
    cells = "".join(f"<si><t>{line}</t></si>" for line in _plain(fed).split("\n"))
    return office_of(
        fed,
        "xl/sharedStrings.xml",
        "sharedStrings+xml",
        f'<sst xmlns="{_SHEET}">{cells}<si><t>a</t></si></sst>',
    )


def open_of(fed: Fed) -> bytes:
    """An OpenDocument file of one paragraph, with a span for each line."""
    spans = "<t:tab/>".join(f"<t:span>{line}</t:span>" for line in _plain(fed).split("\n"))
    return zip_of({"content.xml": f'<o xmlns:t="{_OPEN}"><t:p>{spans}a</t:p></o>'})


def book_of(fed: Fed) -> bytes:
    """A book of one chapter, which is the text as it is."""
    item = "<item id='a' href='a.html' media-type='application/xhtml+xml'/>"
    text = fed.text.encode("utf-8", "replace").decode()
    return zip_of(
        {
            "META-INF/container.xml": "<c><rootfile full-path='a.opf'/></c>",
            "a.opf": f"<package>{item}<itemref idref='a'/></package>",
            "a.html": f"<html><body><p>a</p>{text}</body></html>",
        }
    )


def vtt_of(fed: Fed) -> bytes:
    """Subtitles for the web that hold the text; a text that is some itself stays as it is."""
    if "-->" in fed.text:
        return f"WEBVTT\n\n{fed.text}".encode("utf-8", "replace")
    shown = (each.text.replace("\n\n", "\n") for each in pieces(fed))
    cues = "".join(f"00:01.000 --> 00:02.000\n{text}\n\n" for text in shown)
    return f"WEBVTT\n\n{cues}".encode("utf-8", "replace")


def po_of(fed: Fed) -> bytes:
    """Messages, one a piece; a text that is some itself stays as it is."""
    if "msgid" in fed.text:
        return fed.text.encode("utf-8", "replace")
    quoted = (
        each.text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for each in pieces(fed)
    )
    return "".join(f'msgid "{text}a"\nmsgstr ""\n\n' for text in quoted).encode("utf-8", "replace")


def xliff_of(fed: Fed) -> bytes:
    """Units, one a line."""
    units = "".join(
        f"<trans-unit><source>{line}<x/>a</source></trans-unit>" for line in _plain(fed).split("\n")
    )
    return f'<xliff xmlns="urn:oasis:names:tc:xliff:document:1.2">{units}</xliff>'.encode()


def _plain(fed: Fed) -> str:
    text = "".join(character for character in fed.text if character.isprintable() or character == "\n")
    return escape(text.encode("utf-8", "replace").decode())


_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OPEN = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"


def srt_of(fed: Fed) -> bytes:
    """Subtitles that hold the text, one a piece; a text that is some itself stays as it is."""
    if "-->" in fed.text:
        return fed.text.encode("utf-8", "replace")
    shown = (each.text.replace("\n\n", "\n") for each in pieces(fed))
    made = (f"{i}\n00:00:01,000 --> 00:00:02,000\n{text}\n\n" for i, text in enumerate(shown, 1))
    return "".join(made).encode("utf-8", "replace")
