"""Clients that send slowly, halfway or too much hold up nobody but themselves: over real sockets."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from service.http.connection import Connection
from test_server import ServerProcess

from service.http import connection as connection_module
from service.http.body import ARRIVING, WHOLE_BYTES
from service.http.files import NOTES_CHARACTERS, file_answer
from service.keys import Keys

STALLED = b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
AT_ONCE_S = 5.0
"""Those who are not in the way are answered in milliseconds; those who are, after 10 to 120 seconds."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """It has two places, and 74 threads; the old one had ten."""
    server = ServerProcess(tmp_path_factory.mktemp("server"), max_queued_requests=2)
    yield server
    server.kill()


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def opened(
    server: ServerProcess, held: ExitStack, raw: bytes, times: int, address: str = ""
) -> list[socket.socket]:
    """So many connections on which `raw` was sent, and no more."""
    source = (address, 0) if address else None
    made = []
    for _ in range(times):
        made.append(held.enter_context(socket.create_connection(("127.0.0.1", server.port), 20, source)))
        made[-1].sendall(raw)
    return made


def asked(server: ServerProcess, raw: bytes, address: str = "") -> bytes:
    """The answer's first bytes, within AT_ONCE_S."""
    source = (address, 0) if address else None
    with socket.create_connection(("127.0.0.1", server.port), AT_ONCE_S, source) as client:
        client.sendall(raw)
        return client.recv(4096)


def to_the_end(client: socket.socket) -> bytes:
    """All that the server sends before it closes."""
    answer = b""
    while piece := client.recv(4096):
        answer += piece
    return answer


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


DETECT = post("/v1/detect", b'{"text": "Good morning."}')


def probes_answer(server: ServerProcess) -> bool:
    probes = ("healthz", "readyz", "metrics")
    return all(
        asked(server, f"GET /{probe} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).startswith(b"HTTP/1.1 200")
        for probe in probes
    )


def test_short_bodies_that_stall_take_no_place(server: ServerProcess, held: ExitStack) -> None:
    opened(server, held, STALLED + b"Content-Length: 1000\r\n\r\n{", 80)
    assert asked(server, DETECT).startswith(b"HTTP/1.1 200")
    assert probes_answer(server)


def test_long_bodies_that_stall_crowd_out_their_sender_alone(server: ServerProcess, held: ExitStack) -> None:
    head = STALLED + b"Content-Length: 70000\r\n\r\n"
    opened(server, held, head + b" " * (WHOLE_BYTES + 1), ARRIVING + 16)
    assert probes_answer(server)
    long = post("/v1/detect", b'{"text": "a"' + b" " * 68_000 + b"}")
    assert asked(server, long, "127.0.0.2").startswith(b"HTTP/1.1 200")
    assert asked(server, DETECT).startswith(b"HTTP/1.1 200"), "a short one is for nobody to wait for"
    assert asked(server, long).startswith(b"HTTP/1.1 429"), "the sender's share is used up"


def test_long_jobs_that_stall_crowd_out_their_sender_alone(server: ServerProcess, held: ExitStack) -> None:
    head = STALLED.replace(b"detect", b"jobs") + b"Content-Length: 100000\r\n\r\n"
    opened(server, held, head + b" " * (WHOLE_BYTES + 1), 8)
    job = post("/v1/jobs", b'{"task": "translate", "text": "a", "target": "fr"}')
    assert asked(server, job, "127.0.0.2").startswith(b"HTTP/1.1 202")


@pytest.mark.parametrize("raw", [b"", b"GE", b"GET /v1/models HTTP/1.1\r\nHost: loc"])
def test_heads_that_stall_hold_no_thread(server: ServerProcess, held: ExitStack, raw: bytes) -> None:
    waiting = opened(server, held, raw, 90)
    for client in waiting:
        client.sendall(b"GET"[len(raw) : len(raw) + 1] if len(raw) < 3 else b"a")
    assert probes_answer(server)
    assert asked(server, DETECT).startswith(b"HTTP/1.1 200")


def test_refused_bodies_that_stall_hold_no_threads_without_end(
    server: ServerProcess, held: ExitStack
) -> None:
    head = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n"
    opened(server, held, head + b" " * (WHOLE_BYTES + 1), 2 * ARRIVING)
    assert probes_answer(server)
    assert asked(server, DETECT).startswith(b"HTTP/1.1 200")


def test_connections_without_end_keep_nobody_out(tmp_path: Path, held: ExitStack) -> None:
    server = ServerProcess(tmp_path, max_queued_requests=1)
    try:
        opened(server, held, b"GET /", 1010)
        assert probes_answer(server)
    finally:
        server.kill()


def test_a_body_that_ends_before_its_length_is_refused(server: ServerProcess) -> None:
    body = b'{"text": "word"}'
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(STALLED + b"Content-Length: 100\r\n\r\n" + body)
        client.shutdown(socket.SHUT_WR)
        answer = to_the_end(client)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"/problems/incomplete-body" in answer


def test_who_waits_for_leave_to_send_gets_it(server: ServerProcess) -> None:
    head, _, body = DETECT.partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 100")
        client.sendall(body)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_two_requests_in_one_piece_are_both_answered(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(DETECT + DETECT[:-5])
        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")
        client.sendall(DETECT[-5:])
        while answer.count(b"HTTP/1.1 200") < 2:
            more = client.recv(65536)
            assert more
            answer += more


def test_a_request_is_begun_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(None, ours, ("", 0), ("", 0))
        seen = []
        for piece in (b"POST / HTTP/1.1\r\nContent-", b"Length: 3\r\n", b"\r\n", b"ab", b"c"):
            theirs.sendall(piece)
            assert connection.take()
            seen.append((connection.has_head, connection.whole))
        assert seen == [(False, False), (False, False), (True, False), (True, False), (True, True)]


def test_the_time_to_send_is_for_all_of_it_and_grows_with_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "GRACE_S", 5.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(None, ours, ("", 0), ("", 0))
        connection.begin()
        theirs.sendall(b"G" * connection_module.BYTES_PER_S)
        assert connection.pace.left_s() <= 5.0
        connection.take()
        assert 5.0 < connection.pace.left_s() <= 6.0
        monkeypatch.setattr(connection_module, "GRACE_S", 0.0)
        connection.begin()
        theirs.sendall(b"G")
        connection.take()
        time.sleep(0.01)
        assert connection.pace.left_s() <= 0, "a byte now and then is not enough"


def test_a_body_that_comes_too_slowly_is_told_so(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, grace_s=1.0)
    try:
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(STALLED + b"Content-Length: 1000\r\n\r\n{")
            answer = to_the_end(client)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"/problems/body-too-slow" in answer
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(STALLED + b"Content-Length: 70000\r\n\r\n" + b" " * (WHOLE_BYTES + 1))
            assert client.recv(4096).startswith(b"HTTP/1.1 408")
    finally:
        server.kill()


def test_who_goes_away_has_used_what_he_gave_to_read(tmp_path: Path) -> None:
    _, secret = Keys(tmp_path / "data").create("reader", daily_characters=1000)
    server = ServerProcess(tmp_path)
    try:
        headers = f"X-API-Key: {secret}"
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(post("/v1/summarize", json.dumps({"text": "!never"}).encode(), headers))
            server.wait_for_work(1)
        server.wait_for_work(0)
        _, usage = server.request("GET", "/v2/usage", headers={"X-API-Key": secret})
        assert json.loads(usage)["character_count"] == len("!never")
    finally:
        server.kill()


@pytest.mark.parametrize(
    "raw", [b"private words\r\n\r\n", b"GET /private HTTP/9\r\n\r\n", b"GET / HTTP/1.1\r\nprivate\r\n\r\n"]
)
def test_what_gunicorn_cannot_read_is_not_logged(server: ServerProcess, raw: bytes) -> None:
    before = len(server.log)
    assert asked(server, raw).startswith(b"HTTP/1.1 400")
    end = time.monotonic() + 10
    while len(server.log) == before and time.monotonic() < end:
        time.sleep(0.05)
    written = server.log[before:]
    assert "refused" in written
    assert "private" not in written
    assert "127.0.0.1" not in written


def upload(name: bytes, target: bytes = b"fr") -> bytes:
    field = b'--xx\r\nContent-Disposition: form-data; name="%s"'
    body = field % b"file" + b'; filename="%s"\r\n\r\nGood morning.\r\n' % name
    body += field % b"target" + b"\r\n\r\n%s\r\n--xx--\r\n" % target
    return post("/v1/documents/translate", body).replace(
        b"application/json", b"multipart/form-data; boundary=xx"
    )


@pytest.mark.parametrize(
    ("name", "plain", "whole"),
    [
        ("中.txt", b"filename=document.fr.txt", b"filename*=UTF-8''%E4%B8%AD.fr.txt"),
        ("Zoë.txt", b"filename=Zoe.fr.txt", b"filename*=UTF-8''Zo%C3%AB.fr.txt"),
        ("a\x7f\x1b.txt", b'filename="a  .fr.txt"', b""),
    ],
)
def test_any_name_of_a_file_fits_into_a_header(
    server: ServerProcess, name: str, plain: bytes, whole: bytes
) -> None:
    answer = asked(server, upload(name.encode()))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert plain in answer
    assert whole in answer
    assert answer.partition(b"\r\n\r\n")[0].isascii()


def test_notes_for_a_header_hold_no_control_characters() -> None:
    answer = file_answer(b"", "text/plain", "a.txt", "kept\x00\r\nX: \x1b中\x85" + "long" * 10_000)
    notes = answer.headers["Dragoman-Notes"]
    assert notes.startswith("kept   X:  ? long")
    assert notes.isprintable()
    assert len(notes) <= NOTES_CHARACTERS


def test_the_server_that_was_flooded_has_no_fault_to_tell(server: ServerProcess) -> None:
    assert "Traceback" not in server.log
    assert "outside the application" not in server.log
    assert server.process.poll() is None
