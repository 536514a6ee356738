"""Work that nobody waits for any more is ended, and its place is free again."""

import json
import socket
import threading
import time

import pytest
from http_fakes import DeafEngine
from server_process import ServerProcess
from waiting import until

from models.driver import CancelToken, run_all
from models.engine.protocol import Decoding, Generation, Output
from models.errors import ClientDisconnected
from models.steps import Generate, Steps

GENERATION = Generation((1,), Decoding(max_new_tokens=1))


class CountingEngine(DeafEngine):
    submissions = 0

    def submit(self, generations, *, wait=False):  # type: ignore[no-untyped-def]
        self.submissions += 1
        return super().submit(generations, wait=wait)


def two_calls(engine: DeafEngine, closed: list[str]) -> Steps[int]:
    try:
        yield None
        outputs = yield Generate(engine, [GENERATION, GENERATION])
        return len(outputs)
    finally:
        closed.append("closed")


def test_a_task_that_may_be_stopped_is_the_task() -> None:
    engine, closed = CountingEngine(), []
    cancel = CancelToken()

    def answer() -> None:
        while not engine.futures:
            time.sleep(0.01)
        for future in engine.futures:
            future.set_result(Output((5,)))

    threading.Thread(target=answer).start()
    outcomes = run_all([two_calls(engine, closed) for _ in range(2)], cancel=cancel)
    assert [outcome.unwrap() for outcome in outcomes] == [2, 2]
    assert engine.submissions == 1, "siblings are still submitted together"
    assert closed == ["closed", "closed"]
    cancel.raise_if_cancelled()


def test_stopping_cancels_what_is_waited_for() -> None:
    engine, closed = DeafEngine(), []
    cancel = CancelToken()
    threading.Timer(0.1, cancel.cancel).start()
    start = time.monotonic()
    outcomes = run_all([two_calls(engine, closed) for _ in range(2)], deadline=start + 20, cancel=cancel)
    assert time.monotonic() - start < 5
    assert all(outcome.error is not None for outcome in outcomes)
    assert all(future.cancelled() for future in engine.futures)
    assert closed == ["closed", "closed"]
    with pytest.raises(ClientDisconnected):
        cancel.raise_if_cancelled()


def test_what_is_submitted_after_the_stop_is_cancelled_too() -> None:
    engine, cancel = DeafEngine(), CancelToken()

    def late() -> Steps[int]:
        cancel.cancel()
        yield Generate(engine, [GENERATION])
        return 1

    (outcome,) = run_all([late()], deadline=time.monotonic() + 20, cancel=cancel)
    assert outcome.error is not None
    assert all(future.cancelled() for future in engine.futures)
    (outcome,) = run_all([late()], cancel=cancel)
    assert isinstance(outcome.error, ClientDisconnected)


def test_a_client_that_goes_away_frees_its_place(server: ServerProcess) -> None:
    body, told = json.dumps({"text": "!never"}).encode(), server.log.count("POST /v1/summarize 499")
    head = "POST /v1/summarize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        server.wait_for_work(1)
        time.sleep(1.2)
        assert server.in_work() == 1, "who waits is not taken for gone"
    server.wait_for_work(0)
    until(lambda: server.log.count("POST /v1/summarize 499") > told)  # written after the place is free
    assert "Traceback" not in server.log
