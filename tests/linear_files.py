"""Files of people's own formats that hold a text: for the walker of `test_linear`."""

from html import escape
from io import BytesIO
from zipfile import ZipFile

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
    out = b"%PDF-1.4\n"
    starts = []
    for number, each in enumerate(objects, 1):
        starts.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    return (
        out
        + b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
        % (
            table,
            len(out),
        )
    )


def srt_of(fed: Fed) -> bytes:
    """Subtitles that hold the text, one a piece; a text that is some itself stays as it is."""
    if "-->" in fed.text:
        return fed.text.encode("utf-8", "replace")
    shown = (each.text.replace("\n\n", "\n") for each in pieces(fed))
    made = (f"{i}\n00:00:01,000 --> 00:00:02,000\n{text}\n\n" for i, text in enumerate(shown, 1))
    return "".join(made).encode("utf-8", "replace")
