"""EPUB books: chapters are spliced, everything else comes back byte for byte."""

from io import BytesIO
from zipfile import ZIP_STORED, ZipFile

import pytest
from shouted import changed_parts, shout

from models.errors import InvalidInput
from service.documents import read_document

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n<html xml:lang="en">'
ONE = (
    f"{HEAD}<head><title>One</title><script src='a.js'/></head>\n"
    "<body class='b'><h1 id=\"x\">Chapter&#160;one</h1>"
    "<script src='b.js'/><p>They met in <em>Vienna</em><a id='p2'/> &amp; left.</p><br/></body></html>"
)
TWO = f"{HEAD}<head/><body><p>Second.</p></body></html>"
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>
<dc:title>A book</dc:title><dc:language>en</dc:language></metadata><manifest>
<item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/>
<item id="b" href="text/two.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/one%201.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="a.css" media-type="text/css"/></manifest>
<spine><itemref idref="a"/><itemref idref="b"/></spine></package>"""
NCX = "<ncx><navMap><navPoint><navLabel><text>Chapter one</text></navLabel></navPoint></navMap></ncx>"
CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/content.opf"/></rootfiles></container>'


def book(**changes):
    parts = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/content.opf": PACKAGE,
        "OEBPS/toc.ncx": NCX,
        "OEBPS/text/two.xhtml": TWO,
        "OEBPS/text/one 1.xhtml": ONE,
        "OEBPS/a.css": "p { color: red }",
    } | changes
    out = BytesIO()
    with ZipFile(out, "w", ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return out.getvalue()


def test_a_book_comes_back():
    before = book()
    read = read_document("a.epub", before)
    assert read.article().text == "Chapter\xa0one\n\nThey met in Vienna & left.\n\nSecond."
    part = read.to_translate()
    done = read.translated(part.text.replace("Vienna", "Wien").replace("Second", "Zweites"), "de")
    with ZipFile(BytesIO(done.data)) as parts:
        one = parts.read("OEBPS/text/one 1.xhtml").decode()
        assert one == ONE.replace("Vienna", "Wien").replace('xml:lang="en"', 'xml:lang="de"')
        assert "<p>Zweites.</p>" in parts.read("OEBPS/text/two.xhtml").decode()
        assert parts.read("OEBPS/content.opf").decode() == PACKAGE.replace(">en<", ">de<")
    assert "OEBPS/a.css" not in changed_parts(before, done.data)


def test_its_contents_are_translated_too():
    read = read_document("a.epub", book())
    done = read.translated(read.to_translate().text.replace("Chapter one", "Kapitel eins"), "de")
    with ZipFile(BytesIO(done.data)) as parts:
        assert "<text>Kapitel eins</text>" in parts.read("OEBPS/toc.ncx").decode()


def test_scripts_that_xhtml_closes_at_once_hide_nothing():
    read = read_document("a.epub", book())
    assert "They met" in read.to_translate().text
    assert "b.js" not in read.to_translate().text
    assert "SECOND." in shout(read.to_translate().text)


LOCKED = "<encryption><EncryptedData><CipherReference URI='OEBPS/{}'/></EncryptedData></encryption>"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"nonsense", "not a ZIP file"),
        (book(**{"META-INF/container.xml": "<container/>"}), "not a valid EPUB book"),
        (book(**{"META-INF/container.xml": "nonsense"}), "is not XML"),
        (book(**{"OEBPS/content.opf": "<package/>"}), "no text"),
        (book(**{"META-INF/encryption.xml": LOCKED.format("text/one%201.xhtml")}), "locked"),
        (book(**{"OEBPS/content.opf": '<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>'}), "is not XML"),
    ],
)
def test_what_cannot_be_read_is_told(data, said):
    with pytest.raises(InvalidInput, match=said):
        read_document("a.epub", data)


def test_hidden_fonts_are_no_lock():
    locks = LOCKED.format("fonts/a.otf")
    assert read_document("a.epub", book(**{"META-INF/encryption.xml": locks})).article().text
