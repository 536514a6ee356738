"""`--server` with a long text: it goes as a job, and what is done of it is printed whatever happens."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx
import pytest
from fake_pool import cipher
from http_fakes import settings
from test_cli_server import dragoman, never
from test_jobs_partial import SENTENCES, TEXT, TicketRuntime
from werkzeug.serving import make_server

from service.commands import remote_job, so_far
from service.http.app import create_app
from service.jobs.desk import Desk
from service.jobs.schemas import PartialAnswer

ENGLISH_TO_FRENCH = ("--from", "en", "--to", "fr")


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TicketRuntime:
    monkeypatch.setattr(remote_job, "LONG_CHARACTERS", 1000)
    monkeypatch.setattr(remote_job, "SOON_S", 0.02)
    monkeypatch.setattr(remote_job, "LATE_S", 0.02)
    return TicketRuntime(settings(data_dir=tmp_path / "data", max_job_characters=20_000))


@pytest.fixture
def desk(runtime: TicketRuntime) -> Iterator[Desk]:
    desk = Desk(runtime)
    desk.runner.start()
    yield desk
    runtime.engine.tickets.release(1000)
    desk.runner.close()


@pytest.fixture
def url(runtime: TicketRuntime, desk: Desk) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(runtime, desk=desk), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def article(tmp_path: Path) -> Path:
    (tmp_path / "long.txt").write_text(TEXT)
    return tmp_path / "long.txt"


def interrupt_at(monkeypatch: pytest.MonkeyPatch, done: int) -> None:
    """Have Ctrl-C pressed when so many sentences are done."""

    def pressed(job: PartialAnswer, _: float) -> str:
        if job.progress.done >= done:
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(remote_job, "_progress", pressed)


def test_a_long_text_is_a_job_which_the_server_forgets(
    url: str, runtime: TicketRuntime, desk: Desk, article: Path
) -> None:
    runtime.engine.tickets.release(1000)
    done = dragoman("translate", *ENGLISH_TO_FRENCH, article, "--server", url, runtime=never)
    assert (done.exit_code, done.stdout) == (0, cipher(TEXT) + "\n")
    assert desk.store.page(None, limit=10) == []
    done = dragoman("summarize", article, "--server", url, runtime=never)
    assert (done.exit_code, done.stdout) == (0, TEXT + "\n")


def test_ctrl_c_prints_what_is_done(
    url: str, runtime: TicketRuntime, desk: Desk, article: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.engine.tickets.release(3)
    interrupt_at(monkeypatch, 24)
    done = dragoman("translate", *ENGLISH_TO_FRENCH, article, "--server", url, runtime=never)
    assert done.exit_code == 130
    assert done.stderr.startswith(
        "note: interrupted: 24 of 80 sentences are translated, the others stand as in"
    )
    said = done.stdout.rstrip("\n")
    assert sum(cipher(each) in said for each in SENTENCES) == 24
    assert sum(each in said for each in SENTENCES) == 56
    assert desk.store.page(None, limit=10) == []


def test_ctrl_c_before_anything_is_done_is_one_line(
    url: str, runtime: TicketRuntime, desk: Desk, article: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 0)
    done = dragoman("translate", *ENGLISH_TO_FRENCH, article, "--server", url, runtime=never)
    assert (done.exit_code, done.stdout, done.stderr.strip()) == (130, "", "interrupted")
    assert desk.store.page(None, limit=10) == []


def test_a_failure_midway_prints_what_is_done(url: str, runtime: TicketRuntime, article: Path) -> None:
    runtime.engine.tickets.release(1000)
    article.write_text(f"{TEXT} And ✗ then.")
    done = dragoman("translate", *ENGLISH_TO_FRENCH, article, "--server", url, "--json", runtime=never)
    assert done.exit_code == 1
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["partial"] is True and len(told["segments"]) >= 64
    assert "the model failed on this text: " in told["notes"][0]


def test_a_document_that_is_not_done_is_a_document(
    url: str, runtime: TicketRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = docx.Document()
    for i, sentence in enumerate(SENTENCES):
        paragraph = document.add_paragraph(sentence[:10])
        paragraph.add_run(sentence[10:]).bold = i % 2 == 0
    document.save(str(tmp_path / "long.docx"))
    runtime.engine.tickets.release(9)  # a bold stretch is also translated by itself
    interrupt_at(monkeypatch, 16)
    files = (tmp_path / "long.docx", "--output", tmp_path / "fr.docx")
    done = dragoman("translate", *ENGLISH_TO_FRENCH, *files, "--server", url, runtime=never)
    assert done.exit_code == 130, done.stderr
    said = [paragraph.text for paragraph in docx.Document(str(tmp_path / "fr.docx")).paragraphs]
    assert len(said) == 80 and said[-1] == SENTENCES[-1]
    assert sum(text not in SENTENCES for text in said) >= 16


def test_without_a_server_ctrl_c_prints_what_is_done_too(
    runtime: TicketRuntime, article: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(done: int, *_: Any) -> str:
        if done >= 24:
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(so_far, "progress", pressed)
    runtime.engine.tickets.release(1)
    done = dragoman("translate", *ENGLISH_TO_FRENCH, article, runtime=lambda _: runtime)
    assert done.exit_code == 130
    assert done.stderr.startswith("note: interrupted: 24 of 80 sentences are translated, the others stand")
    assert sum(cipher(each) in done.stdout for each in SENTENCES) == 24


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
def test_how_far_it_is_in_words(done: int, seconds: float, said: str) -> None:
    assert so_far.progress(done, 1410, "sentence", seconds) == said


def test_a_server_that_goes_away_is_waited_for_and_then_told(
    url: str, runtime: TicketRuntime, article: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.engine.tickets.release(2)
    monkeypatch.setattr(remote_job, "UNREACHED_S", 0.1)
    here = remote_job.answered_with
    looks = iter(range(100))

    def away(session: Any, *arguments: Any) -> Any:
        if next(looks) > 20:
            session.server = "http://127.0.0.1:9"
        return here(session, *arguments)

    monkeypatch.setattr(remote_job, "answered_with", away)
    done = dragoman("translate", *ENGLISH_TO_FRENCH, article, "--server", url, runtime=never)
    assert done.exit_code == 1 and done.stdout != ""
    assert "there is no server at http://127.0.0.1:9" in done.stderr
