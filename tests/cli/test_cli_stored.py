"""`dragoman glossary`, `memory` and `jobs` work on what a server stores, each owner's apart."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from service.cli.main import cli
from service.cli.session import Session
from service.http.app import create_app
from service.runtime import Runtime
from service.settings import Settings
from service.store.database import Database
from service.store.jobs import JobStore, NewJob
from service.store.results import PROBLEM, StoredResult


def no_runtime(_: Settings) -> Runtime:
    raise AssertionError("what is stored needs no models")


def dragoman(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, arguments, obj=Session(no_runtime))
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A server over the data folder that the commands use too."""
    monkeypatch.setenv("DRAGOMAN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DRAGOMAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DRAGOMAN_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    return create_app(Runtime(Settings())).test_client()


def new_key() -> tuple[str, dict[str, str]]:
    made = json.loads(dragoman("keys", "create", "newsroom", "--json").stdout)
    return made["id"], {"X-API-Key": made["key"]}


def test_glossaries(client: FlaskClient, tmp_path: Path) -> None:
    key, header = new_key()
    (tmp_path / "a.tsv").write_text("Vienna\tVienne\n")
    (tmp_path / "b.csv").write_text("talks,pourparlers\n")
    added = ["glossary", "add", "capitals"]
    assert "added 1 term to the glossary capitals" in dragoman(*added, "a.tsv", "--from=en", "--to=fr").stderr
    dragoman(*added, "b.csv", "--from=EN", "--to=fr-FR")
    dragoman(*added, "b.csv", "--from=en", "--to=fr", "--key", key)
    assert dragoman("glossary", "show", "capitals").stdout == "Vienna\tVienne\ntalks\tpourparlers\n"
    assert dragoman("glossary", "show", "capitals", "--key", key).stdout == "talks\tpourparlers\n"
    kept = client.get("/v1/glossaries").json["glossaries"]
    assert json.loads(dragoman("glossary", "list", "--json").stdout) == kept and len(kept) == 1
    assert "en to fr: 2" in dragoman("glossary", "list").stdout
    dragoman(*added, "a.tsv", "--from=de", "--to=fr")
    several = dragoman("glossary", "show", "capitals", code=2).stderr
    assert "pass --from de --to fr or --from en --to fr" in several
    assert dragoman("glossary", "show", "capitals", "--from", "de").stdout == "Vienna\tVienne\n"
    shown = json.loads(dragoman("glossary", "show", "capitals", "--json").stdout)
    assert shown == client.get("/v1/glossaries/capitals").json
    dragoman("glossary", "remove", "capitals")
    assert "unknown glossary" in dragoman("glossary", "remove", "capitals", code=2).stderr
    assert "no glossaries" in dragoman("glossary", "list").stderr
    assert len(client.get("/v1/glossaries", headers=header).json["glossaries"]) == 1


def test_the_translation_memory(client: FlaskClient, tmp_path: Path) -> None:
    key, header = new_key()
    for headers, french in (({}, "Ils partent."), (header, "Elles partent.")):
        body = {
            "source": "en",
            "target": "fr",
            "entries": {"They leave.": french, "Nobody left.": "Personne."},
        }
        assert client.post("/v1/memory", json=body, headers=headers).status_code == 201
    for owner, french in (([], "Ils partent."), (["--key", key], "Elles partent.")):
        assert json.loads(dragoman("memory", "list", "--json", *owner).stdout) == [
            {"from": "en", "to": "fr", "sentences": 2}
        ]
        assert french in dragoman("memory", "export", *owner).stdout
    dragoman("memory", "export", "a.tmx", "--to", "fr", "--key", key)
    assert "added 2 sentences" in dragoman("memory", "import", "a.tmx").stderr
    assert "Elles partent." in client.get("/v1/memory.tmx").text
    for wrong in ([], ["--all", "--to", "fr"]):
        assert "pass --all alone" in dragoman("memory", "forget", *wrong, code=2).stderr
    assert "forgot 1 sentence" in dragoman("memory", "forget", "--text", "Nobody  left.").stderr
    assert "forgot 1 sentence" in dragoman("memory", "forget", "--all").stderr
    assert "no sentences" in dragoman("memory", "list").stderr
    assert client.get("/v1/memory", headers=header).json["pairs"][0]["size"] == 2


def test_jobs(client: FlaskClient, tmp_path: Path) -> None:
    key, header = new_key()
    body = {"task": "translate", "texts": ["One.", "Two."], "target": "fr"}
    own, other = (client.post("/v1/jobs", json=body, headers=each).json["id"] for each in ({}, header))
    assert "unknown" in dragoman("jobs", "show", other, code=1).stderr
    assert json.loads(dragoman("jobs", "list", "--json").stdout) == client.get("/v1/jobs").json["jobs"]
    row = dragoman("jobs", "list", "--key", key).stdout.splitlines()[1]
    assert row.split()[:6] == [other, "translate", "queued", "0", "of", "2"]
    assert "the job is queued" in dragoman("jobs", "result", own, code=1).stderr
    dragoman("jobs", "cancel", own)
    assert client.get(f"/v1/jobs/{own}").json["status"] == "cancelled"
    assert "it is cancelled" in dragoman("jobs", "cancel", own, code=2).stderr

    store = JobStore(Database(Settings().data_dir))
    job = store.claim()
    store.record(job, {0: StoredResult(b'{"a":1}'), 1: StoredResult(b'{"b":2}', PROBLEM)})
    store.end(job)
    assert json.loads(dragoman("jobs", "result", other, "--key", key).stdout) == {
        "results": [{"a": 1}, {"b": 2}]
    }


def test_results_of_documents_and_problems(client: FlaskClient, tmp_path: Path) -> None:
    store = JobStore(Database(Settings().data_dir))
    new = NewJob(task="translate", form="document", options={}, contents=[b"PK"], request_id="r")
    document, failed = store.create(new).id, store.create(new).id
    store.record(job := store.claim(), {0: StoredResult(b"PK\xff", "application/x", "a.fr.docx")})
    store.end(job)
    problem = {"type": "/problems/x", "title": "X", "status": 500, "detail": "no room", "request_id": "r"}
    store.end(store.claim(), json.dumps(problem).encode())
    assert "pass --output, such as a.fr.docx" in dragoman("jobs", "result", document, code=2).stderr
    dragoman("jobs", "result", document, "--output", "b.docx")
    assert (tmp_path / "b.docx").read_bytes() == b"PK\xff"
    assert "the job failed: no room" in dragoman("jobs", "result", failed, code=1).stderr
    assert "error: no room" in dragoman("jobs", "show", failed).stderr


@pytest.mark.parametrize("command", [["glossary", "list"], ["memory", "list"], ["jobs", "list"]])
def test_an_unknown_key_is_refused(client: FlaskClient, command: list[str]) -> None:
    key, _ = new_key()
    refused = dragoman(*command, "--key", "nobody", code=2).stderr
    assert "--key: unknown key id: 'nobody'" in refused and key in refused
