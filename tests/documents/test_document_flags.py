"""A translated document carries what the checks found: comments, a header with counts, a report beside it."""

import json
from dataclasses import replace
from io import BytesIO
from zipfile import ZipFile

import docx
from click.testing import CliRunner
from fake_runtime import FakeRuntime as OfflineRuntime
from http_fakes import FakeRuntime, settings

from models.checks.flag import Flag
from models.text.span import Span
from models.translate.translator import Segment
from service.cli.main import cli
from service.cli.session import Session
from service.documents import read_document
from service.documents.formats import Comment
from service.http.app import create_app
from service.tasks import comments_on, flag_counts

FLAG = Flag("number", Span(0, 2), "12 is not in the source.")


def _bytes(document):
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def _commented(data, *remarks):
    """The document as it is, with a comment on each of these stretches of it."""
    read = read_document("a.docx", data)
    text = read.to_translate().text
    comments = [Comment(text.index(sentence.split()[0]), sentence, remark) for sentence, remark in remarks]
    return docx.Document(BytesIO(read.translated(text, "fr", comments).data))


def _words_under(document, number):
    """The text between the marks of a comment."""
    body, inside, words = document.element.body, False, ""
    for element in body.iter():
        name = element.tag.rpartition("}")[2]
        if name.startswith("commentRange") and element.get(docx.oxml.ns.qn("w:id")) == str(number):
            inside = name == "commentRangeStart"
        elif name == "t" and inside:
            words += element.text
    return words


def test_a_comment_is_on_its_sentence_and_words_keep_their_look():
    document = docx.Document()
    paragraph = document.add_paragraph("One is here. Two ")
    paragraph.add_run("is bold").bold = True
    paragraph.add_run(" & there. Three.")
    after = _commented(_bytes(document), ("Two is bold & there.", "error: number: 12"), ("Three.", "x"))
    assert [comment.text for comment in after.comments] == ["error: number: 12", "x"]
    assert {comment.author for comment in after.comments} == {"Dragoman"}
    assert _words_under(after, 0) == "Two is bold & there."
    assert _words_under(after, 1) == "Three."
    assert after.paragraphs[0].text == "One is here. Two is bold & there. Three."
    assert [run.text for run in after.paragraphs[0].runs if run.bold] == ["is bold"]


def test_what_stands_where_word_takes_no_comment_is_told_at_the_beginning():
    document = docx.Document()
    document.add_paragraph("First.")
    document.sections[0].header.paragraphs[0].text = "Heading of pages."
    after = _commented(_bytes(document), ("Heading of pages.", "why"))
    assert [comment.text for comment in after.comments] == ["“Heading of pages.”: why"]
    assert _words_under(after, 0) == "First."


def test_a_body_without_text_takes_none_of_its_headers():
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Heading of pages."
    assert not list(_commented(_bytes(document), ("Heading of pages.", "why")).comments)


def test_comments_that_were_there_stay():
    document = docx.Document()
    document.add_comment(document.add_paragraph("First.").runs, "An old one.", "Somebody", "S")
    after = _commented(_bytes(document), ("First.", "new"))
    assert [(each.author, each.text) for each in after.comments] == [
        ("Somebody", "An old one."),
        ("Dragoman", "new"),
    ]


def test_segments_become_comments_and_counts():
    doubt = Flag("doubtful", Span(0, 2), "It was hard.", severity="warning")
    segments = [
        Segment(Span(0, 5), "Un.", True),
        Segment(Span(6, 9), "Deux.", True, flags=(FLAG, doubt)),
        Segment(Span(9, 12), "Trois.", True, flags=(doubt,)),
    ]
    assert flag_counts(segments) == (2, 1, 2)
    assert comments_on(segments)[0] == Comment(
        6, "Deux.", "error: number: 12 is not in the source.\nwarning: doubtful: It was hard."
    )


# ---------------------------------------------------------------------- over HTTP


def _post(name, data, confidence=None, **fields):
    runtime = FakeRuntime(settings())
    honest = runtime.tasks.translation

    def flagged(request, *recall):
        done = yield from honest(request, *recall)
        object.__setattr__(done.segments[0], "flags", (FLAG,))
        object.__setattr__(done.segments[0], "confidence", confidence)
        return done

    runtime.translator.steps = flagged
    client = create_app(runtime).test_client()
    return client.post(
        "/v1/documents/translate", data={"file": (BytesIO(data), name), "target": "fr", **fields}
    )


def test_counts_of_flags_are_in_a_header():
    response = _post("a.txt", b"One.")
    assert response.headers["Dragoman-Flags"] == "segments=1, flagged=1, errors=1, doubtful=0"
    assert _post("a.txt", b"One.", 0.6).headers["Dragoman-Flags"].endswith(", doubtful=0, likely_right=1")


def test_comments_are_an_option_of_word_documents():
    document = docx.Document()
    document.add_paragraph("One.")
    plain = _post("a.docx", _bytes(document))
    assert not list(docx.Document(BytesIO(plain.data)).comments)
    after = docx.Document(BytesIO(_post("a.docx", _bytes(document), comments="true").data))
    assert [each.text for each in after.comments] == ["error: number: 12 is not in the source."]
    refused = _post("a.txt", b"One.", comments="true")
    assert (refused.status_code, refused.json["field"]) == (422, "comments")
    assert _post("a.docx", _bytes(document), comments="perhaps").status_code == 422


def test_the_report_comes_beside_the_document():
    response = _post("Bericht.txt", b"One.", report="true")
    assert response.headers["Content-Disposition"] == "attachment; filename=Bericht.fr.zip"
    assert response.headers["Dragoman-Flags"].startswith("segments=1")
    with ZipFile(BytesIO(response.data)) as both:
        assert both.namelist() == ["Bericht.fr.txt", "Bericht.fr.json"]
        assert both.read("Bericht.fr.txt") == b"ONE."
        report = json.loads(both.read("Bericht.fr.json"))
    assert report["segments"][0]["flags"][0]["kind"] == "number"


def test_a_comment_that_is_not_found_marks_its_paragraph():
    document = docx.Document()
    document.add_paragraph("First one.")
    after = _commented(_bytes(document), ("First and last.", "why"))
    assert _words_under(after, 0) == "First one."


# ---------------------------------------------------------------------- on the command line


class Flagging(OfflineRuntime):
    """Finds something in every translation."""

    def __init__(self, settings):
        super().__init__(settings)
        steps = self.translator.steps

        def flagged(request, *recall):
            done = yield from steps(request, *recall)
            return replace(done, segments=(replace(done.segments[0], flags=(FLAG,)),))

        self.translator.steps = flagged


def test_mark_puts_comments_into_a_word_document(tmp_path):
    document = docx.Document()
    document.add_paragraph("One.")
    document.save(str(tmp_path / "a.docx"))
    arguments = ["translate", "--to", "fr", "--mark", str(tmp_path / "a.docx")]
    arguments += ["--output", str(tmp_path / "b.docx")]
    done = CliRunner().invoke(cli, arguments, obj=Session(Flagging))
    assert (done.exit_code, "[1] error: number" in done.stderr) == (0, True), done.stderr
    after = docx.Document(str(tmp_path / "b.docx"))
    assert [each.text for each in after.comments] == ["error: number: 12 is not in the source."]
    assert after.paragraphs[0].text == "One."
