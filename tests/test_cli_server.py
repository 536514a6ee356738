"""`--server`: the same output from a running server, and one line where there is none."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result
from fake_runtime import FakeRuntime

from service.cli import cli
from service.commands.session import Session


def dragoman(*arguments: object, runtime: Any = FakeRuntime, **options: Any) -> Result:
    return CliRunner().invoke(cli, [str(each) for each in arguments], obj=Session(runtime), **options)


def never(settings: object) -> FakeRuntime:
    raise AssertionError("with a server no runtime is opened here")


class Stub(BaseHTTPRequestHandler):
    """Answers everything alike, and keeps what it was asked."""

    asked: ClassVar[list[tuple[str, str | None, Any]]] = []
    status: ClassVar[int] = 200
    answer: ClassVar[bytes] = b""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Authorization"], body))
        self._reply()

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"], None))
        self._reply()

    def _reply(self) -> None:
        self.send_response(self.status)
        if self.status == 429:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Stub.asked.clear()
    Stub.status = 200
    with ThreadingHTTPServer(("127.0.0.1", 0), Stub) as stub:
        thread = threading.Thread(target=stub.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{stub.server_address[1]}/dragoman"
        stub.shutdown()
        thread.join()


@pytest.fixture
def article(tmp_path: Path) -> Path:
    (tmp_path / "article.txt").write_text("Le café est fermé. Il ouvre demain.", encoding="utf-8")
    return tmp_path / "article.txt"


@pytest.mark.parametrize(
    ("command", "path", "body"),
    [
        (["summarize", "--length", "long"], "/v1/summarize", {"length": "long", "clean": True}),
        (
            ["translate", "--to", "fr", "--protect", "Le"],
            "/v1/translate",
            {"target": "fr", "protect": ["Le"]},
        ),
        (["detect"], "/v1/detect", {}),
        (["clean"], "/v1/clean", {}),
    ],
)
def test_a_servers_answer_is_shown_as_one_made_here(
    server: str, article: Path, command: list[str], path: str, body: dict[str, Any]
) -> None:
    here = dragoman(*command, article)
    as_json = dragoman(*command, article, "--json")
    Stub.answer = as_json.stdout.encode()
    there = dragoman(*command, article, "--server", server, "--key", "k1", runtime=never)
    assert (there.exit_code, there.stdout, there.stderr) == (0, here.stdout, here.stderr)
    assert dragoman(*command, article, "--json", "--server", server, runtime=never).stdout == as_json.stdout
    asked, key, given = Stub.asked[0]
    assert (asked, key) == (f"/dragoman{path}", "Bearer k1")
    assert given["text"] == article.read_text("utf-8") and body.items() <= given.items()


def test_the_environment_names_the_server_and_the_key(server: str, article: Path) -> None:
    Stub.answer = dragoman("detect", article, "--json").stdout.encode()
    environment = {"DRAGOMAN_SERVER": server, "DRAGOMAN_KEY": "k2"}
    assert dragoman("detect", article, runtime=never, env=environment).exit_code == 0
    assert Stub.asked[0][1] == "Bearer k2"
    done = dragoman("detect", article, env={"DRAGOMAN_SERVERS": server})
    assert (done.exit_code, "did you mean DRAGOMAN_SERVER?" in done.stderr) == (2, True)


def test_a_translation_whose_time_ran_out_is_shown_and_fails(server: str, article: Path) -> None:
    whole = json.loads(dragoman("translate", "--to", "fr", article, "--json").stdout)
    Stub.answer = json.dumps({**whole, "partial": True, "notes": ["time ran out"]}).encode()
    done = dragoman("translate", "--to", "fr", article, "--server", server, runtime=never)
    assert (done.exit_code, done.stdout) == (1, whole["translation"] + "\n")
    assert done.stderr == "note: time ran out\n" and Stub.asked[0][2]["partial"] is True


def test_the_servers_models_and_which_are_loaded(server: str) -> None:
    model = {"name": "a/b", "family": "t5", "tasks": ["translate"], "languages": [], "licence": "MIT"}
    model |= {"max_source_tokens": 512, "description": "", "bundled": False, "default_for": ["translate"]}
    model |= {"loaded": True, "state": "ready"}
    Stub.answer = json.dumps({"models": [model]}).encode()
    done = dragoman("models", "list", "--server", server, runtime=never)
    assert (done.exit_code, Stub.asked) == (0, [("/dragoman/v1/models", None, None)])
    assert done.stdout.splitlines()[1].split() == ["a/b", "translate", "any", "MIT", "translate", "loaded"]


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (422, 2, "error: target: no such pair; allowed: de, fr"),
        (401, 1, "no such pair; --key or DRAGOMAN_KEY gives one"),
        (429, 1, "no such pair; try again in 7 s"),
        (500, 1, "the server at "),
    ],
)
def test_a_servers_problem_is_one_line(server: str, article: Path, status: int, code: int, said: str) -> None:
    Stub.status = status
    Stub.answer = json.dumps({"detail": "no such pair", "field": "target", "allowed": ["de", "fr"]}).encode()
    done = dragoman("translate", "--to", "xx", article, "--server", server, runtime=never)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert said in done.stderr


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"detail": "not one of ours"}', b"{}"])
@pytest.mark.parametrize("status", [200, 404])
def test_what_is_no_dragoman_is_told(server: str, article: Path, answer: bytes, status: int) -> None:
    Stub.status, Stub.answer = status, answer
    done = dragoman("summarize", article, "--server", server, runtime=never)
    assert done.exit_code in (1, 2) and done.stderr.count("\n") == 1
    assert "a bug" not in done.stderr


def test_no_server_is_one_line(article: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        url = f"http://127.0.0.1:{once.getsockname()[1]}"
    done = dragoman("summarize", article, "--server", url, runtime=never)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: there is no server at {url} (Connection refused); start one with")
    for wrong in ("ftp://x", "localhost:8080", "http://", "http://x:high"):
        done = dragoman("summarize", article, "--server", wrong, runtime=never)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
