"""What the service keeps for its users: nobody else on the machine reads it, no caller learns where it is."""

import json
import logging
import os

import pytest
from http_fakes import FakeRuntime, settings

from models.errors import InvalidInput
from service.cli.main import cli
from service.http.app import create_app
from service.jobs import JobService
from service.store import suggestions
from service.store.glossaries import Dictionary
from service.store.suggestions import Suggestions


@pytest.fixture
def loose_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def _filled(folder):
    runtime = FakeRuntime(settings(data_dir=folder))
    jobs = JobService(runtime)
    jobs.start()
    client = create_app(runtime, jobs=jobs).test_client()
    assert client.post("/v1/jobs", json={"task": "summarize", "text": "One."}).status_code == 202
    runtime.glossaries.create("n", [Dictionary("en", "fr", {"a": "b"})])
    runtime.keys.create("ann")
    kept = Suggestions(folder / "suggestions.jsonl")
    kept.add(text="a", translation="b", source="en", target="fr")
    jobs.close()


@pytest.mark.usefixtures("loose_umask")
def test_nobody_else_reads_what_is_kept(tmp_path):
    folder = tmp_path / "new" / "data"
    _filled(folder)
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()}
    assert {"dragoman.db", "suggestions.jsonl"} <= set(modes)
    assert set(modes.values()) == {"0o600"}, modes
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("loose_umask")
def test_files_of_an_older_version_are_closed_and_a_folder_is_left_as_it_was(tmp_path):
    (tmp_path / "data").mkdir(mode=0o750)
    _filled(tmp_path / "data")
    for file in (tmp_path / "data").iterdir():
        file.chmod(0o644)
    _filled(tmp_path / "data")
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "data").iterdir()} == {0o600}
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/glossaries", "/suggest"])
def test_a_caller_learns_no_paths(tmp_path, path, caplog):
    (tmp_path / "data").write_text("a file where the folder should be")
    runtime = FakeRuntime(settings(data_dir=tmp_path / "data"))
    runtime.suggestions = Suggestions(tmp_path / "data" / "suggestions.jsonl")
    client = create_app(runtime).test_client()
    if path == "/suggest":
        answer = client.post(path, json={"q": "a", "s": "b", "source": "en", "target": "fr"})
    else:
        answer = client.get(path)
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text and "cannot be used" in answer.text
    assert str(tmp_path / "data") in caplog.text


def test_the_command_line_is_told_where(tmp_path, monkeypatch):
    from click.testing import CliRunner

    monkeypatch.setenv("DRAGOMAN_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dragoman.db").write_bytes(b"no database" * 100)
    done = CliRunner().invoke(cli, ["keys", "list"])
    assert done.exit_code == 1 and str(tmp_path / "data") in done.stderr


# ---------------------------------------------------------------------- suggestions


def _suggest(kept, caller, text="x" * 100):
    kept.add(text=text, translation="y", source="en", target="fr", caller=caller)


def test_one_caller_does_not_fill_the_suggestions(tmp_path, monkeypatch):
    monkeypatch.setattr(suggestions, "SUGGESTION_BYTES_OF_A_CALLER", 1000)
    file = tmp_path / "suggestions.jsonl"
    kept = Suggestions(file)
    with pytest.raises(InvalidInput, match="this caller already has"):
        for _ in range(10):
            _suggest(kept, "address-1")
    _suggest(kept, "address-2")
    again = Suggestions(file)  # after a restart
    with pytest.raises(InvalidInput, match="this caller already has"):
        _suggest(again, "address-1")
    callers = [json.loads(line)["caller"] for line in file.read_text().splitlines()]
    assert callers.count("address-1") > 2 and callers[-1] == "address-2", "nothing that was taken is lost"
    file.rename(tmp_path / "read.jsonl")
    _suggest(again, "address-1")


def test_each_worker_counts_only_what_the_others_added(tmp_path, monkeypatch):
    workers = [Suggestions(tmp_path / "suggestions.jsonl") for _ in range(2)]
    read = []
    loads = json.loads
    monkeypatch.setattr(suggestions.json, "loads", lambda line: (read.append(line), loads(line))[1])
    for i in range(10):
        _suggest(workers[i % 2], "address-1")
    assert len(read) == 9


def test_full_suggestions_are_refused_and_the_log_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(suggestions, "SUGGESTION_BYTES", 1000)
    kept = Suggestions(tmp_path / "suggestions.jsonl")
    caplog.set_level(logging.ERROR)
    with pytest.raises(InvalidInput, match="suggestions are full"):
        for i in range(10):
            _suggest(kept, f"address-{i}")
    assert "is moved" in caplog.text
    assert len((tmp_path / "suggestions.jsonl").read_bytes()) <= 1000
