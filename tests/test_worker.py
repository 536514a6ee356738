"""The worker: no client and no signal holds everybody else up."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from io import BytesIO
from queue import SimpleQueue
from selectors import DefaultSelector
from types import SimpleNamespace

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData
from test_server import ServerProcess

from service.http.body import CHUNK_BYTES, BodyDrain
from service.http.worker import LINGER_S, STALL_S, STOPS, Worker, _Connection

CLOSING = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(1, os.getppid(), [], None, 0, Config(), logging.getLogger())
    worker.tpool = worker.get_thread_pool()
    worker.method_queue.init()
    yield worker
    worker.tpool.shutdown()
    worker.method_queue.close()
    worker.tmp.close()


def test_a_client_that_lingers_after_its_answer_holds_nobody_up(server: ServerProcess) -> None:
    assert server.request("GET", "/healthz")[0].status == 200
    start = time.monotonic()
    clients = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(4)]
    for client in clients:
        client.sendall(CLOSING)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    assert server.request("GET", "/healthz")[0].status == 200
    assert time.monotonic() - start < 2 * LINGER_S, "one after another they would take eight seconds"
    for client in clients:
        client.close()


def test_one_that_lingers_is_told_the_end_and_closed_in_time(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(CLOSING)
        answer = b""
        while piece := client.recv(4096):  # up to the end: a reset would raise
            answer += piece
        assert b'"ok"' in answer
        client.sendall(b"more")  # is thrown away
        start = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - start < 15:
                time.sleep(0.2)
                client.sendall(b"more")


def test_a_refused_head_with_a_long_body_gets_its_answer(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        head = b"POST /v1/detect HTTP/1.1\r\nno colon\r\nContent-Length: 4000000\r\n\r\n"
        client.sendall(head + b"a" * 4_000_000)
        assert client.recv(4096).startswith(b"HTTP/1.1 400")


class Answer(list[bytes]):
    """A response's body."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_a_long_answer_goes_out_in_pieces_of_which_each_has_its_time() -> None:
    """A socket's time is for all that it is given at once: a slow client would get the beginning alone."""
    body = Answer([b"", b"a" * 200_000, b"end"])
    answer = BodyDrain(lambda environ, start: body)({"wsgi.input": BytesIO()}, lambda *_: print)
    pieces = list(answer)
    assert max(map(len, pieces)) <= CHUNK_BYTES
    assert b"".join(pieces) == b"".join(body)
    answer.close()  # type: ignore[attr-defined]
    assert body.closed


def test_connections_are_counted_until_they_are_closed(worker: Worker) -> None:
    ours, theirs = socket.socketpair()
    with DefaultSelector() as worker.poller, theirs:
        worker.nr_conns = 1
        done: Future[bool] = Future()
        done.set_result(False)
        worker.finish_request(_Connection(worker.cfg, ours, ("", 0), ("", 0)), done)
        assert (worker.nr_conns, theirs.recv(1)) == (1, b""), "half closed"
        theirs.sendall(b"more")
        worker.wait_for_and_dispatch_events(1)
        assert worker.nr_conns == 1
        theirs.close()
        worker.wait_for_and_dispatch_events(1)
        assert (worker.nr_conns, ours.fileno()) == (0, -1)
        assert not worker.poller.get_map()


def test_who_stalls_in_a_head_is_taken_for_gone() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        connection = _Connection(Config(), ours, ("", 0), ("", 0))
        connection.init()
        assert connection.sock.gettimeout() == STALL_S
        connection.sock.settimeout(0.05)
        theirs.sendall(b"GET / HTTP/1.1\r\nHost:")
        with pytest.raises(NoMoreData):
            next(connection.parser)
        connection.close()


def test_sigquit_takes_no_lock_that_the_loop_may_hold(worker: Worker) -> None:
    with worker.tpool._shutdown_lock:  # the loop was interrupted as it handed out a request
        quitting = threading.Thread(target=worker.handle_quit, args=(signal.SIGQUIT, None), daemon=True)
        quitting.start()
        quitting.join(5)
        assert not quitting.is_alive()
    assert not worker.alive


@pytest.mark.parametrize("stop", sorted(STOPS))
def test_a_stop_in_the_moment_of_the_fork_is_not_lost(stop: signal.Signals) -> None:
    arbiter = SimpleNamespace(SIG_QUEUE=SimpleQueue())
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        arbiter.SIG_QUEUE.put(signal.SIGCHLD)
        Worker.begin(arbiter, None)
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= STOPS, (
            "they wait for the worker's own handlers"
        )
        arbiter.SIG_QUEUE.put(stop)
        with pytest.raises(SystemExit):
            Worker.begin(arbiter, None)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
