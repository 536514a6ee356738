"""Office's and OpenDocument's files: opened again by other libraries, and part for part as they were."""

from io import BytesIO
from zipfile import ZipFile

import docx
import odf.opendocument
import openpyxl
import pptx
import pytest
import xlsxwriter
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from made_documents import sound
from odf import teletype
from odf import text as odf_text
from openpyxl.comments import Comment
from openpyxl.worksheet.table import Table
from pptx.util import Inches
from shouted import changed_parts, shout

from models.errors import InvalidInput
from service.documents import read_document


def saved(document):
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def translated(name, data):
    read = read_document(name, data)
    return read.translated(shout(read.to_translate().text), "fr").data


# ---------------------------------------------------------------------- Word


def _boxed():
    """A document with a text box, in two forms as Word writes it, a field and a page break in a run."""
    document = docx.Document()
    paragraph = document.add_paragraph("Before the break")
    box = "<w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p></w:txbxContent>"
    paragraph._p.append(
        parse_xml(
            f'<w:r {nsdecls("w")} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
            f' xmlns:v="urn:v"><mc:AlternateContent><mc:Choice Requires="wps">{box}</mc:Choice>'
            f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
        )
    )
    paragraph._p.append(
        parse_xml(
            f'<w:r {nsdecls("w")}><w:rPr><w:b/></w:rPr><w:t>bold</w:t><w:fldChar w:fldCharType="begin"/>'
            "<w:lastRenderedPageBreak/><w:t>text</w:t></w:r>"
        )
    )
    document.add_comment(paragraph.runs, "A remark.", "Somebody", "S")
    return saved(document)


def test_text_boxes_comments_and_mixed_runs_of_word():
    before = _boxed()
    read = read_document("a.docx", before)
    assert [line.count("In a box") for line in read.to_translate().text.split("\n")] == [0, 1, 0]
    assert "remark" not in read.article().text
    after = translated("a.docx", before)
    document = docx.Document(BytesIO(after))
    boxes = [each.text for each in document.element.iter("{*}txbxContent") for each in each.iter("{*}t")]
    assert boxes == ["IN A BOX", "IN A BOX"]
    assert [each.text for each in document.comments] == ["A REMARK."]
    assert "BOLD" in document.paragraphs[0].text and "TEXT" in document.paragraphs[0].text
    assert [run.bold for run in document.paragraphs[0].runs if run.text in ("BOLD", "TEXT")] == [True, True]
    assert len(list(document.element.iter("{*}fldChar"))) == 1
    assert changed_parts(before, after) == ["word/document.xml", "word/comments.xml"]


def test_footnotes_of_word():
    base, out = saved(docx.Document()), BytesIO()
    notes = (
        f'<w:footnotes {nsdecls("w")}><w:footnote w:id="2"><w:p><w:r><w:footnoteRef/></w:r>'
        "<w:r><w:t>A note.</w:t></w:r></w:p></w:footnote></w:footnotes>"
    )
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    with ZipFile(BytesIO(base)) as old, ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "[Content_Types].xml":
                override = f'<Override PartName="/word/footnotes.xml" ContentType="{kind}"/></Types>'
                part = part.replace(b"</Types>", override.encode())
            new.writestr(name, part)
        new.writestr("word/footnotes.xml", notes)
    after = translated("a.docx", out.getvalue())
    with ZipFile(BytesIO(after)) as parts:
        assert b"A NOTE." in parts.read("word/footnotes.xml")
    assert changed_parts(out.getvalue(), after) == ["word/footnotes.xml"]


def test_a_part_whose_type_is_its_suffixs():
    out = BytesIO()
    with ZipFile(BytesIO(saved(_one_line()))) as old, ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "[Content_Types].xml":
                kind = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
                part = part.replace(b'PartName="/word/document.xml"', b'PartName="/nothing.xml"')
                part = part.replace(b'ContentType="application/xml"', b'ContentType="%s"' % kind)
            new.writestr(name, part)
    assert "One line." in read_document("a.docx", out.getvalue()).article().text


def _one_line():
    document = docx.Document()
    document.add_paragraph("One line.")
    return document


# ---------------------------------------------------------------------- PowerPoint


def test_slides():
    show = pptx.Presentation()
    for number in range(11):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = f"Title {number}"
        slide.notes_slide.notes_text_frame.text = "A note."
    frame = slide.placeholders[1].text_frame
    frame.text = "One\vTwo"
    frame.paragraphs[0].add_run().text = " bold"
    frame.paragraphs[0].runs[-1].font.bold = True
    table = slide.shapes.add_table(1, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    table.cell(0, 1).text = "In a cell"
    before = saved(show)
    titles = [
        line for line in read_document("a.pptx", before).article().text.split("\n\n") if "Title" in line
    ]
    assert titles == [f"Title {number}" for number in range(11)]
    after = translated("a.pptx", before)
    show = pptx.Presentation(BytesIO(after))
    slide = show.slides[10]
    assert slide.shapes.title.text == "TITLE 10"
    assert slide.notes_slide.notes_text_frame.text == "A NOTE."
    paragraph = slide.placeholders[1].text_frame.paragraphs[0]
    assert paragraph.text == "ONE\vTWO BOLD"
    assert [run.text for run in paragraph.runs if run.font.bold] == [" BOLD"]
    assert slide.shapes[-1].table.cell(0, 1).text == "IN A CELL"
    assert all("ppt/slides/" in name or "ppt/notesSlides/" in name for name in changed_parts(before, after))


# ---------------------------------------------------------------------- Excel


def test_a_workbook_keeps_all_that_is_no_prose():
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Numbers of the year"
    sheet.append(["Country", "Ships"])
    sheet.append(["France & Italy", 12])
    sheet.append(["yes", 1.5])
    sheet["C2"] = '=IF(A3="Yes",SUM(B2:B3),0)'
    sheet["C3"] = "Two\nlines"
    sheet["A2"].comment = Comment("Look here.", "Somebody")
    sheet.add_table(Table(displayName="Ships", ref="A1:B3"))
    before = saved(book)
    after = translated("a.xlsx", before)
    book = openpyxl.load_workbook(BytesIO(after))
    assert book.sheetnames == ["Numbers of the year"]
    sheet = book.active
    assert [[cell.value for cell in row] for row in sheet["A1:C3"]] == [
        ["Country", "Ships", None],
        ["FRANCE & ITALY", 12, '=IF(A3="Yes",SUM(B2:B3),0)'],
        ["yes", 1.5, "TWO\nLINES"],
    ], "headings of the table, and what the formula looks for, are as they were"
    assert sheet["A2"].comment.text == "LOOK HERE."
    assert set(changed_parts(before, after)) == {"xl/worksheets/sheet1.xml", "xl/comments/comment1.xml"}


def test_shared_and_rich_texts_of_a_workbook():
    out = BytesIO()
    book = xlsxwriter.Workbook(out)
    sheet = book.add_worksheet("Numbers")
    sheet.write_rich_string("A1", "The ", book.add_format({"bold": True}), "red", " house")
    sheet.write("A2", "A door")
    sheet.data_validation("B1", {"validate": "list", "source": ["open", "closed"]})
    sheet.write("B1", "open")
    book.close()
    after = translated("a.xlsx", out.getvalue())
    sheet = openpyxl.load_workbook(BytesIO(after), rich_text=True).active
    assert [str(part) for part in sheet["A1"].value] == ["THE ", "RED", " HOUSE"]
    assert sheet["A1"].value[1].font.b
    assert (sheet["A2"].value, sheet["B1"].value) == ("A DOOR", "open")
    assert changed_parts(out.getvalue(), after) == ["xl/sharedStrings.xml"]


# ---------------------------------------------------------------------- OpenDocument


def test_an_opendocument_text():
    document = odf.opendocument.OpenDocumentText()
    document.text.addElement(odf_text.H(outlinelevel=1, text="Heading"))
    paragraph = odf_text.P(text="They met in ")
    paragraph.addElement(odf_text.Span(text="Vienna"))
    paragraph.addText(" on Sunday,")
    paragraph.addElement(odf_text.Tab())
    paragraph.addText("late")
    note = odf_text.Note(noteclass="footnote", id="n1")
    note.addElement(odf_text.NoteCitation(text="1"))
    body = odf_text.NoteBody()
    body.addElement(odf_text.P(text="A note."))
    note.addElement(body)
    paragraph.addElement(note)
    paragraph.addElement(odf_text.LineBreak())
    paragraph.addText("end.")
    document.text.addElement(paragraph)
    before = saved(document)
    read = read_document("a.odt", before)
    assert "They met in Vienna on Sunday,\tlate\nend." in read.article().text
    after = translated("a.odt", before)
    back = odf.opendocument.load(BytesIO(after))
    assert teletype.extractText(back.getElementsByType(odf_text.H)[0]) == "HEADING"
    found = [teletype.extractText(each) for each in back.getElementsByType(odf_text.P)]
    assert found[0] == "THEY MET IN VIENNA ON SUNDAY,\tLATE1A NOTE.\nEND."
    assert [teletype.extractText(each) for each in back.getElementsByType(odf_text.Span)] == ["VIENNA"]
    assert changed_parts(before, after) == ["content.xml"]
    with ZipFile(BytesIO(after)) as parts:
        assert b"leaf" not in parts.read("content.xml")


def test_an_opendocument_presentation_and_moved_words():
    from odf.draw import Frame, Page, TextBox
    from odf.style import MasterPage, PageLayout

    document = odf.opendocument.OpenDocumentPresentation()
    document.automaticstyles.addElement(PageLayout(name="l"))
    document.masterstyles.addElement(MasterPage(name="m", pagelayoutname="l"))
    page, frame, box = Page(masterpagename="m"), Frame(width="1cm", height="1cm"), TextBox()
    paragraph = odf_text.P(text="the ")
    paragraph.addElement(odf_text.Span(text="red"))
    paragraph.addText(" house")
    box.addElement(paragraph)
    frame.addElement(box)
    page.addElement(frame)
    document.presentation.addElement(page)
    read = read_document("a.odp", saved(document))
    moved = '<p><span id="0">la </span><span id="2">maison  </span><span id="1">rouge</span></p>'
    back = odf.opendocument.load(BytesIO(read.translated(moved, "fr").data))
    (paragraph,) = back.getElementsByType(odf_text.P)
    assert teletype.extractText(paragraph) == "la maison  rouge"
    assert teletype.extractText(paragraph.getElementsByType(odf_text.Span)[0]) == "rouge"


def test_an_opendocument_spreadsheet_keeps_what_is_computed() -> None:
    before = sound(".ods")
    assert read_document("a.ods", before).article().text == "They met in Vienna."
    back = odf.opendocument.load(BytesIO(translated("a.ods", before)))
    shown = [teletype.extractText(each) for each in back.getElementsByType(odf_text.P)]
    assert shown == ["THEY MET IN VIENNA.", "1,5", "They met in Vienna."]


# ---------------------------------------------------------------------- what cannot be read


SUFFIXES = (".docx", ".pptx", ".xlsx", ".odt", ".odp", ".ods")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("data", "said"),
    [(b"nonsense", "not a ZIP file"), (b"\xd0\xcf\x11\xe0" + bytes(600), "locked with a password")],
)
def test_what_is_broken_is_told(suffix, data, said):
    with pytest.raises(InvalidInput, match=said) as wrong:
        read_document(f"a{suffix}", data)
    assert wrong.value.field == "file"
