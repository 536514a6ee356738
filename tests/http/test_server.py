"""The real server in a process of its own, over real sockets: what a test client cannot show."""

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from server_process import ServerProcess

from service.http.server import CANNOT_START


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """One that the test may end."""
    server = ServerProcess(tmp_path)
    yield server
    server.kill()


def received(client: socket.socket, end: bytes) -> bytes:
    """What comes until this does."""
    answer = b""
    while end not in answer:
        piece = client.recv(4096)
        assert piece, answer
        answer += piece
    return answer


def test_says_where_it_listens_and_how_to_try_it(server: ServerProcess) -> None:
    assert server.first_line.startswith(f"Dragoman listens on http://127.0.0.1:{server.port} ")
    assert "curl" in server.first_line
    assert server.request("GET", "/healthz")[0].status == 200


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", ["/v1/summarize", "/v1/translate", "/nothing"])
def test_a_body_over_the_limit_is_answered_not_reset(server: ServerProcess, path: str, chunked: bool) -> None:
    body = b'{"text": "' + b"a" * 8_000_000 + b'"}'
    headers = {"Transfer-Encoding": "chunked"} if chunked else {}
    pieces = iter([body]) if chunked else body
    response, answer = server.request("POST", path, pieces, headers)
    assert response.status == (404 if path == "/nothing" else 413)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert json.loads(answer)["status"] == response.status


def test_five_thousand_characters_fit_into_a_query(server: ServerProcess) -> None:
    assert server.request("GET", "/healthz?q=" + "%E4%B8%AD" * 5000)[0].status == 200


@pytest.mark.parametrize(
    "raw", [b"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n{", b"\r\n"]
)
def test_a_client_that_goes_away_harms_nobody(server: ServerProcess, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(raw)
    assert server.request("GET", "/healthz")[0].status == 200
    server.wait_for_work(0)


def test_a_malformed_chunk_is_refused(server: ServerProcess) -> None:
    head = b"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


def test_no_header_changes_where_the_server_thinks_it_is(server: ServerProcess) -> None:
    headers = {"SCRIPT_NAME": "/elsewhere", "Script-Name": "/elsewhere", "X-Forwarded-Prefix": "/elsewhere"}
    body = json.dumps({"task": "summarize", "text": "One."})
    response, answer = server.request("POST", "/v1/jobs", body, headers)
    assert response.headers["Location"] == f"/v1/jobs/{json.loads(answer)['id']}"


def test_a_full_house_is_refused_at_once_and_stays_healthy(server: ServerProcess) -> None:
    with ThreadPoolExecutor(2) as clients:
        working = [clients.submit(server.summarize, "!sleep") for _ in range(2)]
        server.wait_for_work(2)
        response, answer = server.summarize("one too many")
        assert server.request("GET", "/healthz")[0].status == 200
        assert not any(future.done() for future in working), "neither waited for a place"
        assert (response.status, response.headers["Retry-After"]) == (429, "1")
        assert json.loads(answer)["type"] == "/problems/overloaded"
        assert [future.result()[0].status for future in working] == [200, 200]
    assert server.summarize("room again")[0].status == 200


def test_one_log_line_a_request_without_texts(server: ServerProcess) -> None:
    server.request("POST", "/v1/summarize?private=1", b'{"text": "private words"}')
    assert re.search(r"POST /v1/summarize 200 \d+ ms", server.log)
    assert "private" not in server.log


def test_a_stop_finishes_what_is_in_work(own_server: ServerProcess) -> None:
    with ThreadPoolExecutor(1) as clients:
        working: Future[tuple[HTTPResponse, bytes]] = clients.submit(own_server.summarize, "!sleep")
        own_server.wait_for_work(1)
        assert own_server.stop() == 0
        assert working.result()[0].status == 200
    assert own_server.closed.read_text() == "closed"
    assert "Traceback" not in own_server.log


def test_a_stop_waits_for_what_moves_and_not_for_idle_connections(own_server: ServerProcess) -> None:
    address = ("127.0.0.1", own_server.port)
    detect = b'{"text": "Good morning."}'
    head = b"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with (
        socket.create_connection(address, 20) as idle,
        socket.create_connection(address, 20) as sending,
        closing(HTTPConnection(*address, timeout=20)) as reading,
    ):
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert received(idle, b'"ok"}\n').startswith(b"HTTP/1.1 200")
        sending.sendall(head + b"Content-Length: %d\r\n\r\n" % len(detect))
        reading.request("GET", "/docs/swagger-ui-bundle.js")
        answer = reading.getresponse()
        own_server.process.send_signal(signal.SIGTERM)
        assert idle.recv(4096) == b"", "it is closed at once"
        sending.sendall(detect)
        answered = received(sending, b"\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 200")
        assert b"Connection: close" in answered
        assert len(answer.read()) == int(answer.headers["Content-Length"])
        assert own_server.process.wait(20) == 0
    assert own_server.closed.read_text() == "closed"


def test_each_event_of_a_stream_leaves_at_once_and_a_stop_waits_for_its_end(
    own_server: ServerProcess,
) -> None:
    with closing(HTTPConnection("127.0.0.1", own_server.port, timeout=20)) as client:
        body = json.dumps({"text": "!tell one two !sleep", "stream": True})
        client.request("POST", "/v1/summarize", body, {"Content-Type": "application/json"})
        answer = client.getresponse()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        first = answer.read1()
        assert b"one" in first
        assert b"event: result" not in first
        own_server.process.send_signal(signal.SIGTERM)
        assert b"event: result" in answer.read()
    assert own_server.process.wait(20) == 0


def test_other_versions_and_methods(server: ServerProcess) -> None:
    """HTTP/1.0 closes, or goes on if it is asked to; HEAD has no body; a kept connection answers again."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert b"Connection: Keep-Alive" in received(client, b'"ok"}\n')
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        received(client, b'"ok"}\n')
        assert client.recv(4096) == b""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=20)) as kept:
        for method, length in (("HEAD", 0), ("GET", 16), ("HEAD", 0)):
            kept.request(method, "/healthz")
            answer = kept.getresponse()
            assert (answer.status, answer.headers["Content-Length"]) == (200, "16")
            assert len(answer.read()) == length


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGHUP])
def test_a_terminal_ends_it_too(own_server: ServerProcess, sig: int) -> None:
    assert own_server.request("GET", "/healthz")[0].status == 200
    os.killpg(own_server.process.pid, sig)  # a terminal sends it to the whole group
    assert own_server.process.wait(20) == 0
    assert own_server.closed.exists()
    assert "Traceback" not in own_server.log


def test_healthy_but_not_ready_while_it_loads(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, loads=False)
    try:
        assert server.request("GET", "/healthz")[0].status == 200
        assert server.request("GET", "/readyz")[0].status == 503
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 10, "stopping does not wait for the models"
        assert not server.closed.exists()
    finally:
        server.kill()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_wrong_configuration_ends_it_with_a_word(tmp_path: Path, workers: int) -> None:
    server = ServerProcess(tmp_path, builds=False, workers=workers)
    try:
        assert server.process.wait(20) == CANNOT_START
        assert "dragoman could not start: the catalog own.toml is not TOML" in server.log
        assert "Traceback" not in server.log
    finally:
        server.kill()
