"""What a command's argument may be (documents, addresses, words), where the result goes, and its marks."""

import contextlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import docx
import pytest
from click.testing import CliRunner
from fake_runtime import FakeRuntime
from hypothesis import given
from hypothesis import strategies as st
from made_documents import sound

from models.checks.flag import Flag
from models.errors import DragomanError, InvalidInput
from models.text.span import Span
from service import fetch, outbound
from service.answers import SegmentPart
from service.cli.main import cli
from service.cli.session import Session
from service.cli.text import counted, marked

PAGE = (
    "<html><body><nav>Home</nav><article><p>"
    + "The harbour is open again. " * 20
    + "</p></article></body></html>"
)
SUBTITLES = "1\n00:00:01,000 --> 00:00:02,000\nGood morning.\n"


def dragoman(*arguments, runtime=FakeRuntime, **options):
    return CliRunner().invoke(cli, [str(each) for each in arguments], obj=Session(runtime), **options)


@pytest.fixture
def report(tmp_path):
    document = docx.Document()
    document.add_paragraph("The ministers met in Vienna.")
    document.add_paragraph("They left on Sunday.")
    document.save(str(tmp_path / "report.docx"))
    return tmp_path / "report.docx"


def words_of(path):
    return [paragraph.text for paragraph in docx.Document(str(path)).paragraphs]


# ------------------------------------------------------------------ documents


def test_a_word_document_comes_back_as_one(report, tmp_path):
    done = dragoman("translate", "--to", "fr", report, "--output", tmp_path / "fr.docx")
    assert (done.exit_code, done.stdout) == (0, "")
    assert words_of(tmp_path / "fr.docx") == ["The ministers met in Vienna.", "They left on Sunday."]
    done = dragoman("translate", "--to", "fr", report)
    assert done.stdout == "The ministers met in Vienna.\n\nThey left on Sunday.\n"


def test_documents_are_read_by_their_suffix(report, tmp_path):
    done = dragoman("summarize", report)
    assert done.stdout.startswith("short: The ministers met in Vienna ")
    assert (
        '"text": "The ministers met in Vienna.\\n\\nThey left'
        in dragoman("summarize", report, "--json").stdout
    )
    (tmp_path / "a.srt").write_text(SUBTITLES)
    assert "00:00:01,000 --> 00:00:02,000" in dragoman("translate", "--to", "fr", tmp_path / "a.srt").stdout
    (tmp_path / "a.pdf").write_bytes(sound(".pdf"))
    assert dragoman("translate", "--to", "fr", tmp_path / "a.pdf").stdout.startswith("fr: ")
    assert dragoman("detect", report).stdout.startswith("en ")


def test_a_file_that_is_no_document_is_one_line(tmp_path):
    (tmp_path / "a.docx").write_text("not a ZIP file")
    done = dragoman("summarize", tmp_path / "a.docx")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "not a valid Word document" in done.stderr


# ------------------------------------------------------------------ where it goes


def test_the_result_is_written_to_a_file(tmp_path):
    (tmp_path / "a.txt").write_text("Le café.")
    for command in (["summarize"], ["translate", "--to", "fr"], ["translate", "--to", "fr", "--json"]):
        out = tmp_path / "out.txt"
        done = dragoman(*command, tmp_path / "a.txt", "--output", out)
        assert (done.exit_code, done.stdout) == (0, "")
        assert "Le café" in out.read_text("utf-8") and out.read_bytes().endswith(b"\n")
        assert "Le café" in dragoman(*command, tmp_path / "a.txt", "--output", "-").stdout


@pytest.mark.parametrize(
    ("name", "output", "said"),
    [
        ("a.txt", "a.txt", "are the same file"),
        ("a.txt", "out.docx", "only of a .docx file"),
        ("a.txt", "out.pdf", "translated to plain text"),
        ("a.txt", "nowhere/out.txt", "there is no folder"),
        ("report.docx", "report.docx", "are the same file"),
    ],
)
def test_an_output_that_could_not_be_is_refused_at_once(report, tmp_path, name, output, said):
    (tmp_path / "a.txt").write_text("Good morning.")

    def never(settings):
        raise AssertionError("no models are needed to see this")

    done = dragoman("translate", "--to", "fr", tmp_path / name, "--output", tmp_path / output, runtime=never)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


# ------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("argument", "code"),
    [("Good morning to all.", 0), ("no such file.txt", 2), ("nowhere", 2), ("word " * 200, 0)],
)
def test_words_stand_for_themselves(argument, code):
    done = dragoman("translate", "--to", "fr", argument)
    assert done.exit_code == code
    assert done.stdout.startswith("fr: ") == (code == 0)


# ------------------------------------------------------------------ addresses


class Pages(BaseHTTPRequestHandler):
    """A web site with every kind of trouble."""

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/on":
            return self._answer(302, b"", Location="/page.html")
        if path in ("/loop", "/away"):
            port = self.server.server_address[1]
            return self._answer(
                301, b"", Location="/loop" if path == "/loop" else f"http://127.0.0.2:{port}/"
            )
        if path == "/cut":
            return self._answer(200, b"<p>half", length=1000)
        if path == "/big":
            return self._answer(200, b"a" * 2000, kind="text/plain")
        known = {
            "/page.html": (PAGE.encode(), "text/html; charset=utf-8"),
            "/latin": ("<p>Le café fermé</p>".encode("latin-1"), "text/html; charset=iso-8859-1"),
            "/n%C3%A9go": (b"Bonjour.", "text/plain"),
            "/notes.md": (b"# Title", "text/plain"),
            "/a.png": (b"x", "image/png"),
        }
        body, kind = known.get(path, (b"", ""))
        return self._answer(200 if kind else 404, body, kind=kind)

    def _answer(self, status, body, kind="text/html", length=0, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length or len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "name", "text"),
    [
        ("/page.html?x=1", "page.html", PAGE),
        ("/on", "page.html", PAGE),
        ("/latin", "latin.html", "<p>Le café fermé</p>"),
        ("/négo", "n%C3%A9go.txt", "Bonjour."),
        ("/notes.md", "notes.md", "# Title"),
    ],
)
def test_an_address_is_a_file_by_its_type(site, path, name, text):
    assert fetch.fetch(site + path, "FILE", private=True) == (name, text.encode())


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("/loop", InvalidInput, "redirects more than 5 times"),
        ("/cut", DragomanError, "broke off"),
        ("/big", InvalidInput, "more than"),
        ("/a.png", InvalidInput, "image/png"),
        ("/none", DragomanError, "answers 404"),
    ],
)
def test_what_cannot_be_read_is_told(site, path, error, said, monkeypatch):
    monkeypatch.setattr(fetch, "MOST_BYTES", 1999)
    with pytest.raises(error, match=said):
        fetch.fetch(site + path, "FILE", private=True)


def test_a_private_address_is_refused_even_if_a_public_one_leads_there(site, monkeypatch):
    done = dragoman("summarize", f"{site}/page.html")
    assert (done.exit_code, "--allow-private" in done.stderr) == (2, True)
    assert dragoman("summarize", f"{site}/page.html", "--allow-private").exit_code == 0
    monkeypatch.setattr(outbound, "is_public", lambda found: found == "127.0.0.1")
    assert fetch.fetch(f"{site}/on", "FILE")[0] == "page.html"
    with pytest.raises(InvalidInput, match=r"127\.0\.0\.2"):
        fetch.fetch(f"{site}/away", "FILE")
    with pytest.raises(InvalidInput, match="leads to port"):
        fetch.fetch(f"{site}/on", "url", ports=(80, 443))


def test_an_address_has_a_time_limit():
    class Drip(Pages):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(50):
                    self.wfile.write(b"<p>")
                    self.wfile.flush()
                    threading.Event().wait(0.05)

    with ThreadingHTTPServer(("127.0.0.1", 0), Drip) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with pytest.raises(DragomanError, match="was not downloaded in time"):
            fetch.fetch(f"http://127.0.0.1:{server.server_address[1]}/", "FILE", private=True, within_s=0.3)
        server.shutdown()
        thread.join()


# ------------------------------------------------------------------ marks


def segment(text, *flags):
    found = [{"kind": kind, "start": 0, "end": 1, "reason": "why", "severity": how} for kind, how in flags]
    part = {"source": {"start": 0, "end": 1}, "text": text, "complete": True, "confidence": None}
    return SegmentPart.model_validate({**part, "abstained": False, "flags": found})


def test_flagged_sentences_are_marked_and_counted(capsys):
    segments = [
        segment("Good."),
        segment("Bad.", ("number", "error")),
        segment("Bad.", ("doubtful", "warning")),
    ]
    assert marked("Good. Bad.\n\nBad. End", segments) == "Good. ⟦Bad.⟧[1]\n\n⟦Bad.⟧[2] End"
    assert counted(segments) == "2 of 3 sentences are flagged: 1 with an error, 1 doubtful"
    assert (counted(segments[:1]), marked("Good.", segments[:1])) == (None, "Good.")


@given(st.lists(st.tuples(st.text("ab. <", max_size=5), st.booleans()), max_size=6))
def test_marks_change_nothing_else(sentences):
    segments = [segment(text, *([("number", "error")] if bad else [])) for text, bad in sentences]
    text = " ".join(each for each, _ in sentences)
    shown = marked(text, segments)
    for number in range(1, len(sentences) + 1):
        shown = shown.replace(f"⟧[{number}]", "")
    assert shown.replace("⟦", "") == text


def test_marks_are_shown_only_if_asked(tmp_path):
    (tmp_path / "a.txt").write_text("Good morning.")

    class Flagging(FakeRuntime):
        def __init__(self, settings):
            super().__init__(settings)
            steps = self.translator.steps

            def flagged(request, recall=None):
                done = yield from steps(request)
                part = replace(done.segments[0], flags=(Flag("number", Span(0, 1), "why"),))
                return replace(done, segments=(part,), notes=("about 0 of 1",))

            self.translator.steps = flagged

    plain = dragoman("translate", "--to", "fr", tmp_path / "a.txt", runtime=Flagging)
    assert plain.output.startswith("note: about 0 of 1\nfr: Good morning."), "before anything else"
    assert "⟦" not in plain.stdout and "1 of 1 sentences is flagged: 1 with an error; --mark" in plain.stderr
    done = dragoman("translate", "--to", "fr", tmp_path / "a.txt", "--mark", runtime=Flagging)
    assert "⟦Good morning.⟧[1]" in done.stdout
    assert (
        done.stderr
        == "note: about 0 of 1\n[1] error: number: why\n1 of 1 sentences is flagged: 1 with an error\n"
    )
