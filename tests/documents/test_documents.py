"""Documents: what is read of each kind, and that a translation comes back in the document's own form."""

from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import docx
import pytest
import srt
from hypothesis import given
from hypothesis import strategies as st
from made_documents import pdf
from shouted import shout

from models.errors import InvalidInput
from service.documents import read_document
from service.documents.archive import MAX_UNPACKED_BYTES

SRT = """1
00:00:01,000 --> 00:00:03,000
The ministers met
in <i>Vienna</i>

2
00:00:03,500 --> 00:00:05,000
on Sunday.

3
00:00:06,000 --> 00:00:07,000
- Nobody spoke.
"""


def _docx(document):
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def _report():
    document = docx.Document()
    document.add_heading("Ministers meet", 1)
    paragraph = document.add_paragraph("They met in ")
    paragraph.add_run("Vien").bold = True
    paragraph.add_run("na").bold = True  # Word splits words like this
    paragraph.add_run(" & left.")
    document.add_paragraph("")
    document.add_paragraph("Point one", style="List Bullet")
    table = document.add_table(2, 2)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "Merged"
    table.cell(1, 1).text = "Last cell"
    document.sections[0].header.paragraphs[0].text = "Top of the page"
    return document


def test_a_word_document_keeps_its_form():
    document = read_document("Report.DOCX", _docx(_report()))
    part = document.to_translate()
    assert part.format == "html"
    assert "Vienna" in part.text
    file = document.translated(shout(part.text), "fr")
    assert file.suffix == ".docx"
    after = docx.Document(BytesIO(file.data))
    assert [p.text for p in after.paragraphs] == [
        "MINISTERS MEET",
        "THEY MET IN VIENNA & LEFT.",
        "",
        "POINT ONE",
    ]
    assert [p.style.name for p in after.paragraphs] == ["Heading 1", "Normal", "Normal", "List Bullet"]
    assert [r.text for r in after.paragraphs[1].runs if r.bold] == ["VIENNA", ""]
    assert [cell.text for row in after.tables[0].rows for cell in row.cells] == [
        "MERGED",
        "MERGED",
        "",
        "LAST CELL",
    ]
    assert after.sections[0].header.paragraphs[0].text == "TOP OF THE PAGE"


def test_the_article_of_a_word_document_is_its_text():
    reading = read_document("a.docx", _docx(_report())).article()
    assert (reading.field, reading.clean) == ("text", False)
    assert reading.text.startswith("Ministers meet\n\nThey met in Vienna & left.\n\nPoint one\n\nMerged")


def test_line_breaks_and_links_in_word_stay():
    document = docx.Document()
    document.add_paragraph("One\nTwo")
    link = document.add_paragraph("See ")
    relation = link.part.relate_to(
        "https://example.org/", docx.opc.constants.RELATIONSHIP_TYPE.HYPERLINK, True
    )
    element = docx.oxml.parse_xml(
        f'<w:hyperlink {docx.oxml.ns.nsdecls("w", "r")} r:id="{relation}">'
        "<w:r><w:t>the treaty</w:t></w:r></w:hyperlink>"
    )
    link._p.append(element)
    read = read_document("a.docx", _docx(document))
    after = docx.Document(BytesIO(read.translated(shout(read.to_translate().text), "fr").data))
    assert after.paragraphs[0].text == "ONE\nTWO"
    (hyperlink,) = after.paragraphs[1].hyperlinks
    assert (hyperlink.text, hyperlink.address) == ("THE TREATY", "https://example.org/")


@pytest.mark.parametrize(
    ("page", "translated"),
    [
        (
            '<!doctype html><html class="a" lang="en-GB"><p lang="de">Ü</p></html>',
            '<!doctype html><html class="a" lang="fr"><p lang="de">Ü</p></html>',
        ),
        ("<HTML xml:lang='en' lang='en'><p>Ü</p>", "<HTML xml:lang='fr' lang='fr'><p>Ü</p>"),
        ("<html lang=en><p>Ü</p>", "<html lang=fr><p>Ü</p>"),
        ("<html><p>Ü</p>", "<html><p>Ü</p>"),
        ("<p>&lt;html lang='en'&gt;</p>", "<p>&lt;html lang='en'&gt;</p>"),
    ],
)
def test_a_page_says_its_new_language(page, translated):
    assert read_document("a.html", page.encode()).translated(page, "fr").data.decode() == translated


def test_tabs_in_word_stay():
    document = docx.Document()
    document.add_paragraph("Name:\tA big house\t5")
    read = read_document("form.docx", _docx(document))
    back = docx.Document(BytesIO(read.translated(shout(read.to_translate().text), "fr").data))
    assert back.paragraphs[0].text == "NAME:\tA BIG HOUSE\t5"


def test_words_that_a_translator_moved_take_their_runs_along():
    document = docx.Document()
    document.add_paragraph("the ").add_run("red").italic = True
    document.paragraphs[0].add_run(" house").bold = True
    read = read_document("a.docx", _docx(document))
    moved = '<p><span id="0">la </span><span id="2">maison</span> <span id="1">rouge</span></p>'
    after = docx.Document(BytesIO(read.translated(moved, "fr").data)).paragraphs[0]
    assert after.text == "la maison rouge"
    assert [(run.text, run.bold, run.italic) for run in after.runs] == [
        ("la ", None, None),
        ("maison ", True, None),
        ("rouge", None, True),
    ]


def test_a_link_that_a_translator_moved_is_moved_whole():
    document = docx.Document()
    paragraph = document.add_paragraph("See ")
    relation = paragraph.part.relate_to(
        "https://example.org/", docx.opc.constants.RELATIONSHIP_TYPE.HYPERLINK, True
    )
    runs = "<w:r><w:t>the </w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>treaty</w:t></w:r>"
    link = f'<w:hyperlink {docx.oxml.ns.nsdecls("w", "r")} r:id="{relation}">{runs}</w:hyperlink>'
    paragraph._p.append(docx.oxml.parse_xml(link))
    paragraph.add_run(" today")
    read = read_document("a.docx", _docx(document))
    spans = zip([3, 2, 1, 0], ["Heute ", "Vertrag", " der", " siehe"], strict=True)
    moved = "<p>" + "".join(f'<span id="{i}">{text}</span>' for i, text in spans) + "</p>"
    after = docx.Document(BytesIO(read.translated(moved, "fr").data)).paragraphs[0]
    assert after.text == "Heute Vertrag der siehe"
    assert [each.text for each in after.hyperlinks] == ["Vertrag der"]


def test_subtitles_are_in_the_translations_order():
    document = read_document("film.srt", SRT.encode())
    first = '<span id="1">Am Sonntag</span> <span id="0">trafen sie sich</span>'
    moved = f'<p>{first}</p><p><span id="2">- Ja.</span></p>'
    after = list(srt.parse(document.translated(moved, "fr").data.decode()))
    assert [" ".join(s.content.split()) for s in after] == ["Am Sonntag", "trafen sie sich", "- Ja."]


def test_subtitles_are_translated_by_sentence_and_keep_their_times():
    document = read_document("film.srt", SRT.encode())
    assert document.article().text == "The ministers met in Vienna on Sunday. - Nobody spoke."
    part = document.to_translate()
    assert part.text.count("<p>") == 2, "the first two subtitles are one sentence"
    after = list(srt.parse(document.translated(shout(part.text), "fr").data.decode()))
    before = list(srt.parse(SRT))
    assert [(s.index, s.start, s.end) for s in after] == [(s.index, s.start, s.end) for s in before]
    assert [s.content for s in after] == [
        "THE MINISTERS\nMET IN <i>VIENNA</i>",
        "ON SUNDAY.",
        "- NOBODY SPOKE.",
    ]


@pytest.mark.parametrize(
    ("content", "translated"),
    [
        ("<i>Who is there?</i>", "<i>WHO IS THERE?</i>"),
        ("{\\an8}<i>Who is</i>\n<i>there?</i>", "{\\an8}<i>WHO IS\nTHERE?</i>"),
        ('<font color="#ff0000"><b>Who?</b></font>', '<font color="#ff0000"><b>WHO?</b></font>'),
        ("{\\an8}Who is <i>there?</i>", "{\\an8}WHO IS <i>THERE?</i>"),
        ("<i>Who</i> is <i>there?</i>", "<i>WHO</i> IS <i>THERE?</i>"),
        (
            'One <font color="#f00">red\nhouse</font> <i>too',
            'ONE <font color="#f00">RED\nHOUSE</font> <i>TOO',
        ),
        ("Who is {there?", "WHO IS {THERE?"),
    ],
)
def test_what_is_around_a_whole_subtitle_stays(content, translated):
    read = read_document("a.srt", f"1\n00:00:01,000 --> 00:00:02,000\n{content}\n\n".encode())
    (back,) = srt.parse(read.translated(shout(read.to_translate().text), "fr").data.decode())
    assert back.content == translated


def test_each_speaker_of_a_subtitle_keeps_a_line():
    subtitles = "1\n00:00:01,000 --> 00:00:02,000\n- Is it - well - over?\n- No, it has hardly begun.\n"
    document = read_document("a.srt", subtitles.replace(" - well -", "").encode())
    after = document.translated(
        document.to_translate().text.replace("Is it over?", "Über?"), "fr"
    ).data.decode()
    assert "- Über?\n- No, it has hardly begun.\n" in after
    odd = read_document("a.srt", subtitles.encode())
    (lines,) = srt.parse(odd.translated(odd.to_translate().text, "fr").data.decode())
    assert len(lines.content.split("\n")) == 2


@given(
    st.lists(
        st.text(alphabet="ab. -?<&é", min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=12
    )
)
def test_no_word_of_a_subtitle_is_lost(contents):
    times = [srt.timedelta(seconds=i) for i in range(len(contents) + 1)]
    subtitles = [srt.Subtitle(i + 1, times[i], times[i + 1], content) for i, content in enumerate(contents)]
    document = read_document("a.srt", srt.compose(subtitles, reindex=False).encode())
    after = srt.parse(document.translated(document.to_translate().text, "fr").data.decode())
    assert " ".join(s.content for s in after).split() == document.article().text.split()


@pytest.mark.parametrize(
    ("name", "format"), [("a.txt", "text"), ("b.MD", "markdown"), ("c.htm", "html"), ("d.html", "html")]
)
def test_plain_files_are_their_own_content(name, format):
    document = read_document(name, "\ufeffé <b>x</b>".encode())
    assert document.to_translate().text == "é <b>x</b>"
    assert document.to_translate().format == format
    file = document.translated("ü", "fr")
    assert (file.data.decode(), file.suffix) == ("ü", name[name.index(".") :].lower())


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        (
            "cp1252",
            "Les négociations ont été reportées à lundi, a déclaré l'ambassadeur français à l'étranger. ",
        ),
        ("cp1250", "Ministři se v neděli sešli ve Vídni. Větší část účastníků byla spokojena. "),
        ("cp1251", "Министры встретились в Вене в воскресенье и обсудили новые шаги. "),
    ],
)
def test_text_in_another_encoding_is_read(encoding, text):
    assert read_document("a.txt", (text * 5).encode(encoding)).to_translate().text == text * 5


def test_a_pdf_is_read_by_paragraphs():
    data = pdf(["The ministers met in Vienna on Sun-", "day and left.", "", "", "Nobody spoke of it."])
    document = read_document("a.pdf", data)
    assert document.article().text == "The ministers met in Vienna on Sunday and left.\n\nNobody spoke of it."
    assert document.translated("x", "fr").suffix == ".txt"


def _bomb():
    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as parts, parts.open("word/document.xml", "w") as part:
        for _ in range(MAX_UNPACKED_BYTES // 2**20 + 1):
            part.write(bytes(2**20))
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.xyz", b"x", ".xyz"),
        ("noname", b"x", "no suffix"),
        ("a.txt", b" \n", "empty"),
        ("a.docx", b"PK nonsense", "ZIP"),
        ("a.docx", _bomb(), "unpacks to"),
        ("a.docx", _docx(docx.Document()), "no text"),
        ("a.pdf", b"%PDF-1.4 nonsense", "PDF"),
        ("a.pdf", pdf([]), "scan"),
        ("a.srt", b"no subtitles here", "SRT"),
    ],
)
def test_what_cannot_be_read_is_told(name, data, said):
    with pytest.raises(InvalidInput, match=said) as raised:
        read_document(name, data)
    assert raised.value.field == "file"
