import gc
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock

import docx
import pytest
from click.testing import CliRunner
from fake_pool import HUB_ONLY, cipher
from fake_runtime import POISON, FakeRuntime
from http_fakes import settings as http_settings
from ticket_runtime import SENTENCES, TEXT, TicketRuntime

from models.errors import EngineFailed, UnsupportedLanguage
from service.cli import text
from service.cli.main import cli
from service.cli.session import Session
from service.runtime import Runtime
from service.settings import Settings

BUNDLED, TRANSLATOR = "dragoman/extractive", "dragoman/gemma3-270m-translate"


@pytest.fixture
def article(tmp_path):
    path = tmp_path / "article.txt"
    path.write_text("Le café est fermé. Il ouvre demain.", encoding="utf-8")
    return path


def dragoman(*arguments, runtime=FakeRuntime, **options):
    return CliRunner().invoke(cli, [str(each) for each in arguments], obj=Session(runtime), **options)


def failure(done):
    """The one line that a failed command says."""
    lines = done.stderr.splitlines()
    assert (done.stdout, len(lines)) == ("", 1), done.output
    return lines[0]


# ------------------------------------------------------------------ one text


def test_summarize_puts_the_summary_alone_on_stdout(article):
    done = dragoman("summarize", article, "--length", "short", "--to", "fr")
    assert done.exit_code == 0
    assert done.stdout.startswith("short: Le café est fermé ")
    assert done.stderr == "note: a note\n"


def test_json_is_the_service_s_own_form(article):
    done = json.loads(dragoman("summarize", article, "--json").stdout)
    assert (done["model"], set(done["timings_ms"])) == (BUNDLED, {"text", "model", "total"})
    done = json.loads(dragoman("translate", "--to", "fr", article, "--json").stdout)
    assert done["source"] == {"language": "en", "confidence": 0.5, "detected": True}


def test_standard_input():
    done = dragoman("translate", "--to", "fr", "--from", "en", "-", input="Good morning.")
    assert done.stdout.startswith("fr: Good morning. ")


def test_html_is_known_by_its_name_or_told(tmp_path):
    page = "<html><body><article><p>" + "The harbour is open again. " * 20 + "</p></article></body></html>"
    for name, flag, is_html in (
        ("a.html", None, True),
        ("a.HTM", None, True),
        ("a.txt", None, False),
        ("a.txt", "--html", True),
        ("a.html", "--text", False),
    ):
        (tmp_path / name).write_text(page)
        flags = [flag] if flag else []
        source = json.loads(dragoman("summarize", tmp_path / name, "--json", *flags).stdout)["source"]
        assert ("text" in source) == is_html


class Recording(FakeRuntime):
    """Keeps the requests for translations."""

    asked: ClassVar[list[Any]] = []

    def __init__(self, settings):
        super().__init__(settings)
        steps = self.translator.steps
        self.translator.steps = lambda request, recall=None: (self.asked.append(request), steps(request))[1]


@pytest.fixture
def asked():
    Recording.asked.clear()
    return Recording.asked


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        ("a.html", [], "html"),
        ("a.HTM", [], "html"),
        ("a.md", [], "markdown"),
        ("a.xml", [], "xml"),
        ("a.txt", [], "text"),
        ("a.txt", ["--format", "markdown"], "markdown"),
        ("a.html", ["--format", "text"], "text"),
    ],
)
def test_what_is_translated_is_known_by_its_name_or_told(tmp_path, asked, name, flags, expected):
    (tmp_path / name).write_text("<p>The harbour is open.</p>")
    done = dragoman("translate", "--to", "fr", tmp_path / name, *flags, runtime=Recording)
    assert done.exit_code == 0
    assert (asked[0].format, asked[0].text) == (expected, "<p>The harbour is open.</p>")


def test_other_translations_are_told_below_each_sentence(tmp_path):
    ask = ("translate", "--to", "fr", "The harbour is open.", "--alternatives", 2)
    done = dragoman(*ask)
    assert "The harbour is open.\n  or: one\n  or: two\n" in done.stderr
    assert "or: one" not in done.stdout
    done = dragoman(*ask, "--json")
    assert json.loads(done.stdout)["segments"][0]["alternatives"] == ["one", "two"]
    assert "or: one" not in done.stderr
    assert "or:" not in dragoman(*ask[:-2]).stderr
    assert dragoman(*ask[:-1], 9).exit_code == 2


def test_a_pages_article_alone(tmp_path, asked):
    (tmp_path / "a.html").write_text(
        "<body><nav>Home</nav><article><p>" + "The harbour is open. " * 20 + "</p></article>"
    )
    dragoman("translate", "--to", "fr", "--article", tmp_path / "a.html", runtime=Recording)
    assert asked[0].format == "text"
    assert asked[0].text.strip().startswith("The harbour is open.")


def test_terms_are_options_and_files(tmp_path, article, asked):
    (tmp_path / "terms.tsv").write_text("café\tcoffee house\n")
    (tmp_path / "terms.csv").write_text('"café, le",house\n')
    for name, expected in (("terms.tsv", {"café": "coffee house"}), ("terms.csv", {"café, le": "house"})):
        options = [
            "--protect",
            "Le",
            "--protect",
            "Il",
            "--glossary",
            tmp_path / name,
            "--min-confidence",
            "0.4",
        ]
        assert dragoman("translate", "--to", "en", article, *options, runtime=Recording).exit_code == 0
        request = asked.pop()
        assert (request.protect, request.glossary, request.min_confidence) == (("Le", "Il"), expected, 0.4)
    (tmp_path / "bad.tsv").write_text("one column\n")
    done = dragoman("translate", "--to", "en", article, "--glossary", tmp_path / "bad.tsv")
    assert (done.exit_code, "line 1 has 1 columns" in done.stderr) == (2, True)


def test_detect(article):
    assert dragoman("detect", article).stdout.startswith("fr 0.")
    assert json.loads(dragoman("detect", article, "--json").stdout)["candidates"][0]["language"] == "fr"


# ------------------------------------------------------------------ models


def test_models_list():
    table = dragoman("models", "list").stdout
    row = next(line for line in table.splitlines() if line.startswith(HUB_ONLY))
    assert row.endswith("not pulled")
    rows = json.loads(dragoman("models", "list", "--json").stdout)
    assert {"name", "family", "tasks", "languages", "licence", "bundled", "state"} <= set(rows[0])
    assert [row["state"] for row in rows if row["name"] == BUNDLED] == ["ready"]


def test_models_pull_goes_on_after_a_failure():
    done = dragoman("models", "pull", HUB_ONLY, BUNDLED)
    assert (done.exit_code, done.stdout) == (1, f"{BUNDLED} r1\n")
    assert "hub cannot be reached" in done.stderr


def test_models_pull_of_a_pattern_asks_for_a_pair():
    done = dragoman("models", "pull", "Helsinki-NLP/opus-mt-*")
    assert (done.exit_code, "opus-mt-en-fr" in failure(done)) == (2, True)


def test_models_check():
    done = dragoman("models", "check")
    assert (done.exit_code, f"{BUNDLED}: sound" in done.stdout) == (0, True)
    assert HUB_ONLY not in done.stdout

    class Damaged(FakeRuntime):
        def __init__(self, settings):
            super().__init__(settings)
            self.store.problems = {TRANSLATOR: ["model.safetensors is not the file it should be"]}

    done = dragoman("models", "check", TRANSLATOR, runtime=Damaged)
    assert (done.exit_code, "not the file" in done.stdout) == (1, True)
    done = dragoman("models", "check", HUB_ONLY)
    told = f"{HUB_ONLY}: it is not here; `dragoman models pull {HUB_ONLY}` fetches it\n"
    assert (done.exit_code, done.stdout) == (1, told)


def test_models_check_of_all_that_is_here_has_the_models_of_patterns():
    class Pulled(FakeRuntime):
        def __init__(self, settings):
            super().__init__(settings)
            pair = self.catalog.get("Helsinki-NLP/opus-mt-*").for_pair("en", "fr")
            self.store.pulled = lambda pattern: [pair] if pattern.matches(pair.name) else []
            self.store.state = lambda entry: "ready" if entry.bundled or entry == pair else "not pulled"

    lines = dragoman("models", "check", runtime=Pulled).stdout.splitlines()
    assert lines.count("Helsinki-NLP/opus-mt-en-fr: sound") == 1


# ------------------------------------------------------------------ errors


class Failing(FakeRuntime):
    """Every task ends with this error."""

    error = None

    def company(self, request):
        raise self.error


def failing(error):
    return type("Failing", (Failing,), {"error": error})


def test_wrong_input_names_the_field_and_what_is_allowed(article):
    allowed = [f"l{i}" for i in range(30)]
    error = UnsupportedLanguage("no such pair", field="target", allowed=allowed)
    done = dragoman("summarize", article, runtime=failing(error))
    assert done.exit_code == 2
    assert (
        failure(done) == "error: target: no such pair; allowed: " + ", ".join(allowed[:20]) + " and 10 more"
    )


def test_failure_at_run_time(article):
    done = dragoman("summarize", article, runtime=failing(EngineFailed("it broke\nbadly")))
    assert (done.exit_code, failure(done)) == (1, "error: it broke badly")


def test_a_bug_is_told_shortly_and_traced_only_if_asked(article):
    article.write_text(POISON)
    done = dragoman("summarize", article)
    assert done.exit_code == 1
    assert failure(done) == "error: a bug in dragoman, ZeroDivisionError: secret inside; --debug shows where"
    for traced in (
        dragoman("--debug", "summarize", article),
        dragoman("summarize", article, env={"DRAGOMAN_DEBUG": "1"}),
    ):
        assert (traced.exit_code, "Traceback" in traced.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["summarize"], "'FILE'"),
        (["summarize", "nowhere.txt"], "nowhere.txt"),
        (["summarize", "{article}", "--length", "huge"], "'headline', 'short', 'medium', 'long'"),
        (["summarize", "{article}", "--max-sentences", "0"], "1<=x<=100"),
        (["translate", "{article}"], "--to"),
        (["serve", "--port", "99999"], "0<=x<=65535"),
        (["fly"], "fly"),
    ],
)
def test_wrong_usage(article, arguments, said):
    done = dragoman(*[each.format(article=article) for each in arguments])
    assert (done.exit_code, said in failure(done)) == (2, True)


def test_a_file_that_is_no_text(article):
    article.write_bytes(b"ab\xff")
    done = dragoman("detect", article)
    assert (done.exit_code, "not UTF-8 text (byte 3)" in failure(done)) == (2, True)


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [("DRAGOMAN_DEVICE", "gpu", "'auto', 'cpu' or 'cuda'"), ("PORT", "high", "valid integer")],
)
def test_a_wrong_setting_is_named(article, variable, value, allowed):
    line = failure(dragoman("detect", article, env={variable: value}))
    assert all(part in line for part in (variable, value, allowed))


@pytest.mark.parametrize(
    "arguments",
    [["detect", "{article}"], ["clean", "{article}"], ["keys", "list"], ["models", "list"], ["serve"]],
)
def test_an_unknown_variable_ends_every_command(article, arguments, monkeypatch):
    monkeypatch.setattr("service.http.server.serve", lambda settings: None)
    arguments = [each.format(article=article) for each in arguments]
    done = dragoman(*arguments, env={"DRAGOMAN_ANONIMOUS": "false"})
    assert done.exit_code == 2
    assert "DRAGOMAN_ANONIMOUS" in failure(done) and "did you mean DRAGOMAN_ANONYMOUS?" in failure(done)
    done = dragoman(*arguments, env={"DRAGOMAN_MAX_BATCH_SIZE": "8"})
    assert done.exit_code == 2
    assert "DRAGOMAN_MAX_BATCH_SIZE is no longer a setting; unset it" in failure(done)
    done = dragoman(*arguments, env={"DRAGOMAN_SECRET_OF_SOMEBODY": "hush"})
    assert done.exit_code == 2 and "hush" not in done.stderr, "its value may be a secret"


@pytest.fixture
def served(monkeypatch):
    """The settings that are served with, whatever listens at their ports."""
    served = []
    monkeypatch.setattr("service.listening.listen", Mock())
    monkeypatch.setattr("service.http.server.serve", served.append)
    return served


def test_a_platform_s_variables_for_a_service_named_dragoman_are_passed_over(served):
    kubernetes = {
        "DRAGOMAN_PORT": "tcp://10.0.0.7:80",
        "DRAGOMAN_PORT_80_TCP": "tcp://10.0.0.7:80",
        "DRAGOMAN_PORT_80_TCP_ADDR": "10.0.0.7",
        "DRAGOMAN_PORT_80_TCP_PORT": "80",
        "DRAGOMAN_PORT_80_TCP_PROTO": "tcp",
        "DRAGOMAN_SERVICE_HOST": "10.0.0.7",
        "DRAGOMAN_SERVICE_PORT": "80",
        "DRAGOMAN_SERVICE_PORT_HTTP": "80",
        "DRAGOMAN_WEB_PORT": "tcp://10.0.0.8:80",
        "DRAGOMAN_WEB_SERVICE_HOST": "10.0.0.8",
    }
    assert dragoman("serve", env=kubernetes).exit_code == 0
    assert dragoman("serve", env={**kubernetes, "PORT": "9001"}).exit_code == 0
    assert [settings.port for settings in served] == [8080, 9001]


def test_the_runtime_is_closed_whatever_happens(article):
    opened = []

    def open_runtime(settings):
        opened.append(FakeRuntime(settings))
        return opened[-1]

    article.write_text(POISON)
    dragoman("summarize", article, runtime=open_runtime)
    assert [runtime.closed for runtime in opened] == [True]


def test_no_setting_is_among_those_that_are_gone(monkeypatch):
    from service.settings import REMOVED, Settings

    assert {name.lower() for name in REMOVED}.isdisjoint(Settings.model_fields)
    monkeypatch.setenv("DRAGOMAN_ENGINE", "ct2")
    assert Settings().engine == "ct2"


def test_serve_gets_the_settings_with_the_command_line_s_over_them(served):
    done = dragoman("serve", "--port", "9000", env={"DRAGOMAN_HOST": "0.0.0.0", "DRAGOMAN_PORT": "1"})
    assert done.exit_code == 0
    assert [(settings.host, settings.port) for settings in served] == [("0.0.0.0", 9000)]


def test_a_port_in_use_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = dragoman("serve", "--port", port)
    assert done.exit_code == 1
    assert failure(done).startswith(f"error: 127.0.0.1:{port} is in use by another program; ")
    done = dragoman("serve", "--host", "192.0.2.1", "--port", 0)
    assert (done.exit_code, "cannot listen on 192.0.2.1:0: Cannot assign" in failure(done)) == (1, True)


def test_nothing_stays_frozen_after_the_runtime(tmp_path):
    runtime = Runtime(Settings(cache_dir=tmp_path, data_dir=tmp_path))
    gc.freeze()  # as warm_up does; libraries would tell at the process's end that it leaked
    runtime.close()
    assert gc.get_freeze_count() == 0


# ------------------------------------------------------------------ as a process


def test_an_interruption_is_quiet_while_the_program_is_imported():
    script = """
import sys
class Interrupted:
    __spec__ = None
    def __getattr__(self, name): raise KeyboardInterrupt
sys.modules["click"] = Interrupted()
from service.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_help_is_quick_and_names_its_commands():
    slow = {"torch", "transformers", "pydantic", "rich", "flask", "sqlalchemy"}
    code = f"import sys, service.cli.main; print(*{slow} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert loaded.stdout.strip() == ""
    command = [sys.executable, "-W", "error::DeprecationWarning:service", "-m", "service", "--help"]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0
    for name in ("serve", "summarize", "translate", "batch", "models", "detect", "Exit codes"):
        assert name in done.stdout.decode()


def test_every_command_s_help_has_an_example():
    for path in (["serve"], ["summarize"], ["translate"], ["detect"], ["models", "list"], ["models", "pull"]):
        assert "Example: dragoman" in dragoman(*path, "--help").stdout
    for path in (["models", "check"], ["batch", "summarize"], ["batch", "translate"]):
        assert "Example: dragoman" in dragoman(*path, "--help").stdout


# ------------------------------------------------------------------ what is done after Ctrl-C


@pytest.fixture
def tickets():
    """A runtime whose engine takes a submission for each ticket."""
    runtime = TicketRuntime(http_settings())
    yield runtime
    runtime.engine.tickets.release(1000)


@pytest.fixture
def long_text(tmp_path):
    (tmp_path / "long.txt").write_text(TEXT)
    return tmp_path / "long.txt"


def interrupted_at(number, monkeypatch, runtime, *arguments):
    """A translation from English to French, and Ctrl-C when so many sentences are done."""

    def pressed(done, *_):
        if done >= number:
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(text, "progress", pressed)
    runtime.engine.tickets.release(1)
    done = dragoman("translate", "--from", "en", "--to", "fr", *arguments, runtime=lambda _: runtime)
    assert done.exit_code == 130, done.stderr
    return done


def test_ctrl_c_prints_what_is_done(tickets, long_text, monkeypatch):
    done = interrupted_at(24, monkeypatch, tickets, long_text)
    assert done.stderr.startswith("note: interrupted: 24 of 80 sentences are translated; the others are left")
    assert sum(cipher(each) in done.stdout for each in SENTENCES) == 24
    assert sum(each in done.stdout for each in SENTENCES) == 56
    told = json.loads(interrupted_at(24, monkeypatch, tickets, long_text, "--json").stdout)
    assert told["partial"] is True and len(told["segments"]) == 24


def test_ctrl_c_before_anything_is_done_is_one_line(tickets, long_text, monkeypatch):
    def pressed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(tickets.engine, "submit", pressed)
    done = interrupted_at(0, monkeypatch, tickets, long_text)
    assert (done.stdout, done.stderr.strip()) == ("", "interrupted")


def test_a_document_that_is_not_done_is_a_document(tickets, tmp_path, monkeypatch):
    document = docx.Document()
    for i, sentence in enumerate(SENTENCES):
        paragraph = document.add_paragraph(sentence[:10])
        paragraph.add_run(sentence[10:]).bold = i % 2 == 0
    document.save(str(tmp_path / "long.docx"))
    tickets.engine.tickets.release(20)  # a bold stretch is also translated by itself
    interrupted_at(16, monkeypatch, tickets, tmp_path / "long.docx", "--output", tmp_path / "fr.docx")
    said = [paragraph.text for paragraph in docx.Document(str(tmp_path / "fr.docx")).paragraphs]
    assert len(said) == 80 and said[-1] == SENTENCES[-1]
    assert sum(each not in SENTENCES for each in said) == 16


@pytest.mark.parametrize(
    ("done", "seconds", "said"),
    [
        (0, 9.0, "0 of 1,410 sentences"),
        (137, 1.0, "137 of 1,410 sentences"),
        (137, 30.0, "137 of 1,410 sentences, about 5 minutes left"),
        (1400, 30.0, "1,400 of 1,410 sentences"),
        (1000, 100.0, "1,000 of 1,410 sentences, about 41 seconds left"),
    ],
)
def test_how_far_it_is_in_words(done, seconds, said):
    assert text.progress(done, 1410, seconds) == said


# ------------------------------------------------------------------ the program


def test_version():
    assert dragoman("--version").stdout.startswith("dragoman 0.")


def test_a_process_s_stdout_is_the_result_in_utf_8_alone(article):
    environment = {
        **os.environ,
        "PYTHONIOENCODING": "latin-1",
        "PYTHONPATH": str(Path(__file__).parents[1] / "support"),
    }
    command = [sys.executable, "-m", "fake_runtime", "translate", "--to", "fr", str(article)]
    done = subprocess.run(command, capture_output=True, timeout=60, env=environment)
    assert done.returncode == 0
    assert done.stdout.decode("utf-8").startswith("fr: Le café est fermé.")
    assert done.stderr == b""
