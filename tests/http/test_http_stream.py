"""Answers as server-sent events: what arrives when, how errors are told, and who holds a place how long."""

import json
import logging
import re
import socket
import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from http_fakes import FakeRuntime, settings
from server_process import ServerProcess
from waiting import until

from service.http.app import create_app


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The events' names and data; comments are left out."""
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    found = [re.fullmatch(r"event: (\w+)\ndata: (.+)", block) for block in blocks]
    assert all(found), text
    return [(each[1], json.loads(each[2])) for each in found if each]


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def client(runtime: FakeRuntime) -> FlaskClient:
    return create_app(runtime).test_client()


def test_a_summary_arrives_word_by_word_and_then_whole(client: FlaskClient) -> None:
    response = client.post("/v1/summarize", json={"text": "!tell One two three", "stream": True})
    assert response.status_code == 200
    assert response.mimetype == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    *told, (name, result) = events(response.text)
    assert told == [("token", {"text": word}) for word in ("One ", "two ", "three ")]
    assert name == "result"
    plain = client.post("/v1/summarize", json={"text": "three"}).json
    assert {**result, "timings_ms": 0} == {**plain, "timings_ms": 0}


def test_a_translation_arrives_segment_by_segment(client: FlaskClient) -> None:
    body = {"text": "good morning", "target": "fr", "stream": True}
    (name, segment), (last, result) = events(client.post("/v1/translate", json=body).text)
    assert (name, last) == ("segment", "result")
    assert segment == {**result["segments"][0], "index": 0, "total": 1}


def test_each_event_is_written_when_it_is_told(client: FlaskClient) -> None:
    body = {"text": "!tell One two", "stream": True}
    with client.post("/v1/summarize", json=body, buffered=False) as response:
        written = [chunk.decode() for chunk in response.iter_encoded()]
    assert [chunk.splitlines()[0] for chunk in written] == ["event: token", "event: token", "event: result"]


def test_stream_may_be_false(client: FlaskClient) -> None:
    response = client.post("/v1/summarize", json={"text": "a", "stream": False})
    assert response.mimetype == "application/json"


def test_many_texts_are_not_streamed(client: FlaskClient) -> None:
    response = client.post("/v1/summarize", json={"texts": ["a"], "stream": True})
    assert (response.status_code, response.json["field"]) == (422, "stream")


@pytest.mark.parametrize(
    ("text", "status"), [("!wrong", 422), ("!full", 429), ("!engine", 500), ("!late", 504), ("", 422)]
)
def test_an_error_before_the_first_event_is_an_ordinary_answer(
    client: FlaskClient, text: str, status: int
) -> None:
    response = client.post("/v1/summarize", json={"text": text, "stream": True})
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert client.get("/metrics").text.count("dragoman_requests_in_work 0.0") == 1


@pytest.mark.parametrize(("text", "status"), [("!wrong", 422), ("!bug", 500)])
def test_an_error_after_it_is_the_last_event(
    client: FlaskClient, text: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"text": f"!tell Well {text}", "stream": True}
    with caplog.at_level(logging.INFO, "service"):
        response = client.post("/v1/summarize", json=body)
        *_, (name, problem) = events(response.text)
        response.close()
    assert response.status_code == 200
    assert (name, problem["status"]) == ("error", status)
    assert problem["request_id"] == response.headers["X-Request-Id"]
    assert "secret" not in response.text
    assert f"POST /v1/summarize {status} " in caplog.text, "the log has how it ended"


def test_silence_is_filled_and_the_deadline_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.http.streaming.HEARTBEAT_S", 0.1)
    runtime = FakeRuntime(settings(request_timeout_s=0.6))
    client = create_app(runtime).test_client()
    response = client.post("/v1/summarize", json={"text": "!never", "stream": True})
    assert response.text.startswith(": at work\n\n: at work\n\n")
    [(name, problem)] = events(response.text)
    assert (name, problem["status"]) == ("error", 504)
    assert all(future.cancelled() for future in runtime.tasks.engine.futures)


def test_a_stream_that_nobody_reads_on_frees_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.http.streaming.HEARTBEAT_S", 0.05)
    runtime = FakeRuntime(settings())
    client = create_app(runtime).test_client()
    response = client.post("/v1/summarize", json={"text": "!never", "stream": True}, buffered=False)
    assert "dragoman_requests_in_work 1.0" in client.get("/metrics").text
    response.close()
    metrics = client.get("/metrics").text
    assert "dragoman_requests_in_work 0.0" in metrics
    assert 'dragoman_http_requests_total{method="POST",route="/v1/summarize",status="499"} 1.0' in metrics
    assert [future.cancelled() for future in runtime.tasks.engine.futures] == [True]


# ---------------------------------------------------------------------- over a socket


def _ask(server: ServerProcess, text: str) -> socket.socket:
    body = json.dumps({"text": text, "stream": True}).encode()
    head = "POST /v1/summarize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def test_events_come_in_chunks_and_the_connection_goes_on(server: ServerProcess) -> None:
    response, body = server.request(
        "POST", "/v1/summarize", json.dumps({"text": "!tell A b", "stream": True}).encode()
    )
    assert response.status == 200
    assert response.getheader("Transfer-Encoding") == "chunked"
    assert [name for name, _ in events(body.decode())] == ["token", "token", "result"]


def test_a_reader_that_goes_away_frees_its_place(server: ServerProcess) -> None:
    told = server.log.count("POST /v1/summarize 499")
    with _ask(server, "!tell One !never") as connection:
        received = b""
        while b"event: token" not in received:
            received += connection.recv(4096)
        server.wait_for_work(1)
        time.sleep(1.0)
        assert server.in_work() == 1, "who reads is not taken for gone"
    server.wait_for_work(0)
    until(lambda: server.log.count("POST /v1/summarize 499") > told)
    assert "Traceback" not in server.log
