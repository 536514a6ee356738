"""Clients that send or read slowly, halfway or too much hold up nobody but themselves: over real sockets."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from server_process import ServerProcess
from waitress.adjustments import Adjustments

from service.http.responses import NOTES_CHARACTERS, file_response
from service.http.server import CHUNK_HEAD_BYTES, PIPELINED, _Channel, _Parser
from service.shares import ANSWER, CONNECTION, SPARE_THREADS, Shares
from service.store.database import Database
from service.store.keys import Keys

STALLED = b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
JOB = STALLED.replace(b"detect", b"jobs")
LARGE = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""Its answer has over a megabyte, more than a socket holds for a client that does not read."""
AT_ONCE_S = 5.0
"""Those who are not in the way are answered in milliseconds."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """It has one place, and so fewer threads than any of the tests has clients."""
    server = ServerProcess(tmp_path_factory.mktemp("server"), max_queued_requests=1)
    assert server.request("GET", "/healthz")[0].status == 200
    yield server
    server.kill()


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def opened(server: ServerProcess, held: ExitStack, raw: bytes, times: int) -> list[socket.socket]:
    """So many connections on which `raw` was sent, and no more. They take little of an answer at a time."""
    made = []
    for _ in range(times):
        client = held.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", server.port))
        client.sendall(raw)
        made.append(client)
    return made


def asked(server: ServerProcess, raw: bytes) -> bytes:
    """The answer's first bytes, within AT_ONCE_S."""
    with socket.create_connection(("127.0.0.1", server.port), AT_ONCE_S) as client:
        client.sendall(raw)
        return client.recv(4096)


def to_the_end(client: socket.socket) -> bytes:
    """All that the server sends before it closes."""
    answer = b""
    with suppress(ConnectionResetError):
        while piece := client.recv(1 << 16):
            answer += piece
    return answer


def worker_of(server: ServerProcess) -> str:
    (worker,) = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return worker


def temporary_bytes(server: ServerProcess) -> Iterator[int]:
    """The sizes of the files without a name that the worker has open."""
    for each in Path(f"/proc/{worker_of(server)}/fd").iterdir():
        with suppress(FileNotFoundError):
            if "(deleted)" in str(each.readlink()):
                yield each.stat().st_size


def memory_mb(server: ServerProcess) -> float:
    """What the worker takes."""
    worker = worker_of(server)
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{worker}/status").read_text())[0]) / 1024


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


DETECT = post("/v1/detect", b'{"text": "Good morning."}')
HUGE = post("/v1/summarize", b'{"text": "%s"}' % (b"a" * 5_000_000), "Connection: close")
"""Its answer has twice as much: more than the system holds for a client that does not read."""


def probes_answer(server: ServerProcess) -> bool:
    probes = ("healthz", "readyz", "metrics")
    return all(
        asked(server, f"GET /{probe} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).startswith(b"HTTP/1.1 200")
        for probe in probes
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GE",
        b"GET /v1/models HTTP/1.1\r\nHost: loc",
        STALLED + b"Content-Length: 1000\r\n\r\n{",
        STALLED + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        STALLED + b"Content-Length: 70000\r\n\r\n" + b" " * 69_000,
        JOB + b"Content-Length: 150000\r\n\r\n" + b" " * 140_000,
        b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n" + b" " * 800_000,
    ],
)
def test_who_stalls_in_sending_holds_no_thread(server: ServerProcess, held: ExitStack, raw: bytes) -> None:
    before = memory_mb(server)
    opened(server, held, raw, 150)
    assert probes_answer(server)
    assert asked(server, DETECT).startswith(b"HTTP/1.1 200")
    assert memory_mb(server) < before + 30


def test_who_stalls_in_reading_holds_no_thread_and_one_answer(server: ServerProcess, held: ExitStack) -> None:
    clients = 2 * SPARE_THREADS
    assert asked(server, LARGE).startswith(b"HTTP/1.1 200")
    before = memory_mb(server)
    reading = opened(server, held, LARGE * PIPELINED, clients)
    time.sleep(1.0)
    assert probes_answer(server)
    assert asked(server, DETECT).startswith(b"HTTP/1.1 200")
    assert memory_mb(server) < before + 100, "their answers have 700 MB"
    answered = server.log.count("swagger-ui-bundle") / clients
    assert answered < PIPELINED / 4, "the next one is begun when the socket has the one before"
    answer = b""
    while answer.count(b"HTTP/1.1 200 OK") < 3:
        answer += reading[0].recv(1 << 20)
    first, second = (answer.split(b"HTTP/1.1 200 OK")[n].partition(b"\r\n\r\n")[2] for n in (1, 2))
    assert first == second
    assert len(first) > 1_000_000


def test_a_job_s_result_is_kept_for_no_reader(server: ServerProcess, held: ExitStack) -> None:
    """Each reads it from the database as it goes: neither memory nor a file has a copy for each of them."""
    job = json.dumps({"task": "summarize", "text": "a" * 4_000_000}).encode()
    _, made = server.request("POST", "/v1/jobs", job)
    path = f"/v1/jobs/{json.loads(made)['id']}"
    end = time.monotonic() + 30
    while b'"status":"done"' not in server.request("GET", path)[1]:
        assert time.monotonic() < end
        time.sleep(0.1)
    before, files = memory_mb(server), sum(temporary_bytes(server))
    raw = f"GET {path}/result HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    reading = opened(server, held, raw, 12)
    assert all(client.recv(10).startswith(b"HTTP") for client in reading)
    assert probes_answer(server)
    assert memory_mb(server) < before + 60, "their answers have 100 MB"
    assert sum(temporary_bytes(server)) < files + (1 << 20)
    answer = to_the_end(reading[0]).partition(b"\r\n\r\n")[2]
    assert json.loads(answer)["summary"] == "a" * 4_000_000
    server.request("DELETE", path)
    assert len(to_the_end(reading[1])) < 8_000_000
    assert "Traceback" not in server.log


def test_who_sends_too_many_requests_ahead_is_cut_off(server: ServerProcess, held: ExitStack) -> None:
    (client,) = opened(server, held, b"GET /healthz HTTP/1.1\r\n\r\n" * 200, 1)
    assert to_the_end(client).count(b"HTTP/1.1") < 200, "some may be answered before so many are there"
    assert probes_answer(server)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(
        tmp_path_factory.mktemp("strict"),
        IDLE_S=2.0,
        CONNECTIONS=20,
        LEAST_BYTES_PER_S=2_000_000,
        ANSWER_BYTES=40 << 20,
        max_request_characters=5_000_000,
        max_queued_requests=20,
    )
    assert probes_answer(server)
    yield server
    server.kill()


def test_what_stands_still_is_closed(strict: ServerProcess, held: ExitStack) -> None:
    reading, *silent = opened(strict, held, HUGE, 1) + opened(strict, held, b"GET /", 4)
    for client in silent:
        assert to_the_end(client) == b""
    time.sleep(2.0)  # the other may have begun to move later
    assert len(to_the_end(reading)) < 10_000_000


def test_one_address_does_not_hold_all_connections(strict: ServerProcess, held: ExitStack) -> None:
    """Of twenty it may have all, until somebody else wants one: then it loses the one longest at rest."""
    silent = opened(strict, held, b"GET /", 19)
    lone = held.enter_context(socket.create_connection(("127.0.0.1", strict.port), 20, ("127.0.0.2", 0)))
    lone.sendall(b"GET /v1/mod")
    silent += opened(strict, held, b"GET /", 30)
    assert asked(strict, DETECT).startswith(b"HTTP/1.1 200")
    lone.sendall(b"els HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert lone.recv(4096).startswith(b"HTTP/1.1 200"), "who has but one loses it to nobody"
    assert to_the_end(silent[0]) == b""


@pytest.mark.parametrize("raw", [b"GET /", STALLED + b"Content-Length: 1000\r\n\r\n"])
def test_who_sends_byte_by_byte_is_cut_off(strict: ServerProcess, held: ExitStack, raw: bytes) -> None:
    (client,) = opened(strict, held, raw, 1)
    with pytest.raises(OSError):
        for _ in range(100):
            client.sendall(b" ")
            time.sleep(0.1)


def test_who_reads_piece_by_piece_is_cut_off(strict: ServerProcess, held: ExitStack) -> None:
    (client,) = opened(strict, held, HUGE, 1)
    got = 0
    with suppress(ConnectionResetError):
        while piece := client.recv(5000):
            got += len(piece)
            time.sleep(0.1)
    assert got < 10_000_000


def test_one_address_does_not_fill_the_disk_with_answers(strict: ServerProcess, held: ExitStack) -> None:
    opened(strict, held, HUGE, 6)
    end = time.monotonic() + 20
    while "an answer is broken off" not in strict.log:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert asked(strict, DETECT).startswith(b"HTTP/1.1 200")
    with socket.create_connection(("127.0.0.1", strict.port), 20, ("127.0.0.2", 0)) as other:
        other.sendall(HUGE)
        assert len(to_the_end(other)) > 10_000_000


@pytest.mark.parametrize("end", ["taken", "told", "closed"])
def test_the_share_that_an_answer_takes_is_given_back(held: ExitStack, end: str) -> None:
    """When the thread itself sends its last bytes, the proxy's connection has another caller, or is cut."""
    ours, client = (held.enter_context(each) for each in socket.socketpair())
    ours.setblocking(False)
    answers, connections = Shares(ANSWER, 1 << 30), Shares(CONNECTION, 10)
    given = {"answers": answers, "connections": connections, "trusted_proxies": 1, "active_channels": {}}
    server: Any = SimpleNamespace(took=lambda _: None, pull_trigger=lambda: None, **given)
    channel = _Channel(server, ours, ("192.0.2.1", 0), Adjustments(outbuf_high_watermark=1 << 50), {})
    held.callback(channel.handle_close)
    channel.write_soon(b"a" * (1 << 20))
    assert answers.held == 1 << 20
    if end == "told":
        channel._told({"X_FORWARDED_FOR": "192.0.2.2"})
    elif end == "closed":
        channel.handle_close()
    else:
        while channel.total_outbufs_len:
            client.recv(1 << 16)
            channel.write_soon(b"a")
    assert answers.held == 0


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


def test_too_long_a_body_is_refused_before_it_is_sent(server: ServerProcess) -> None:
    head = STALLED + b"Content-Length: 9000000\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(head)
        answer = to_the_end(client)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"/problems/body-too-large" in answer


@pytest.mark.parametrize("length", [b"Content-Length: 9000", b"Transfer-Encoding: chunked"])
def test_of_too_long_a_body_nothing_is_kept_beyond_the_limit(length: bytes) -> None:
    parser = _Parser(Adjustments(), lambda method, path: 5000)
    parser.received(STALLED + length + b"\r\n\r\n")
    sent = b"a" * 9000 if b"9000" in length else b"%x\r\n%s\r\n" % (3000, b"a" * 3000) * 3 + b"0\r\n\r\n"
    while sent:
        sent = sent[parser.received(sent) :]
    assert parser.completed
    assert parser.error is None
    assert parser.headers["CONTENT_LENGTH"] == "9000", "by which the application refuses it"
    assert len(parser.get_body_stream().read()) == (0 if b"9000" in length else 3000)


@pytest.mark.parametrize("raw", [b"1" * 20_000, b"0\r\n" + b"a: b\r\n" * 4000])
def test_the_head_and_the_trailer_of_a_chunk_are_bounded(server: ServerProcess, raw: bytes) -> None:
    assert len(raw) > CHUNK_HEAD_BYTES
    answer = asked(server, STALLED + b"Transfer-Encoding: chunked\r\n\r\n" + raw)
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("coding", [b"chunked", b"\tchunked", b"identity"])
def test_a_length_and_chunks_together_are_refused_and_the_connection_closed(
    server: ServerProcess, coding: bytes
) -> None:
    """A proxy in front may have read the other of the two, and take what follows for another's request."""
    head = STALLED + b"Content-Length: 5\r\nTransfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(head + DETECT)
        answer = to_the_end(client)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
    assert answer.count(b"HTTP/1.1") == 1


def test_who_goes_away_has_used_what_he_gave_to_read(tmp_path: Path) -> None:
    _, secret = Keys(Database(tmp_path / "data")).create("reader", daily_characters=1000)
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
def test_what_cannot_be_read_is_not_logged(server: ServerProcess, raw: bytes) -> None:
    before = len(server.log)
    assert b" 400 Bad Request" in asked(server, raw)
    written = server.log[before:]
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
    answer = file_response(b"", "text/plain", "a.txt", "kept\x00\r\nX: \x1b中\x85" + "long" * 10_000)
    notes = answer.headers["Dragoman-Notes"]
    assert notes.startswith("kept   X:  ? long")
    assert notes.isprintable()
    assert len(notes) <= NOTES_CHARACTERS


def test_the_server_that_was_flooded_has_no_fault_to_tell(server: ServerProcess) -> None:
    assert "Traceback" not in server.log
    assert "outside the application" not in server.log
    assert server.process.poll() is None
