"""Alive, ready, metrics, request ids, the log line, and the gate that keeps these answering."""

import logging
import re
import threading

import pytest
from flask.testing import FlaskClient
from http_fakes import FakeRuntime
from werkzeug.test import TestResponse

from models.engine.protocol import BatchRecord
from models.errors import ModelUnavailable, Overloaded
from service.http.app import create_app
from service.http.metrics import Metrics
from service.http.status import Readiness
from service.shares import PLACE, Shares


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def client(runtime: FakeRuntime) -> FlaskClient:
    return create_app(runtime).test_client()


def test_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json == {"status": "ready"}
    assert client.get("/").mimetype == "text/html"


def test_slower_than_it_could_be_is_said(
    client: FlaskClient, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {
        "fallbacks": ["m: it runs on the CPU"],
        "races": ["n: passed; native serves"],
        "cards": ["card 0: m", "card 1: n"],
    }
    for name, lines in told.items():
        monkeypatch.setattr(runtime, name, lambda lines=lines: lines)
    assert client.get("/readyz").json == {"status": "ready", **told}


def test_not_ready_says_why(client: FlaskClient, runtime: FakeRuntime) -> None:
    runtime.reasons = ["m: its engine does not run"]
    response = client.get("/readyz")
    assert (response.status_code, response.json["reasons"]) == (503, ["m: its engine does not run"])
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ModelUnavailable("m: the file is damaged"), "loading failed: m: the file is damaged"),
        (RuntimeError("a secret"), "loading failed with an unexpected error; see the log"),
    ],
)
def test_failed_loading_is_logged_and_shown(
    error: Exception, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = FakeRuntime(warm_up_error=error, reasons=["m is not loaded"])
    readiness = Readiness(runtime)
    client = create_app(runtime, readiness=readiness).test_client()
    with caplog.at_level(logging.ERROR, "service"):
        readiness.start()
        readiness.join(5)
    assert "could not be loaded" in caplog.text
    assert client.get("/readyz").json["reasons"] == ["m is not loaded", shown]
    assert client.post("/v1/summarize", json={"text": "a"}).status_code == 200, "requests try again"


@pytest.mark.parametrize("given", ["abc-1.2:3_4", "x" * 64])
def test_a_sane_request_id_is_kept(client: FlaskClient, given: str) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é", "<script>"])
def test_another_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    made = client.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_one_short_line_for_each_request(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "service.http.access"):
        client.post("/v1/summarize?q=a+private+text", json={"text": "another private text"})
        for quiet in ("/healthz", "/web/app.js", "/docs/own.css"):
            assert client.get(quiet).status_code == 200
        client.get("/a%0Ab" + "c" * 500)
    first, second = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(r"POST /v1/summarize 200 \d+ ms [0-9a-f]{32}", first)
    assert second.startswith("GET /a%0Abccc")
    assert len(second) < 200


def sample(client: FlaskClient, line: str) -> float:
    (value,) = re.findall(rf"^{re.escape(line)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(value)


def test_metrics_count_requests_by_route(client: FlaskClient) -> None:
    client.post("/v1/summarize", json={"text": "a"})
    client.post("/v1/summarize", json={"text": ""})
    client.get("/some/path")
    client.get("/another/path")
    client.open("/some/path", method="BREW")
    count = "dragoman_http_requests_total"
    assert sample(client, f'{count}{{method="POST",route="/v1/summarize",status="200"}}') == 1
    assert sample(client, f'{count}{{method="POST",route="/v1/summarize",status="422"}}') == 1
    assert sample(client, f'{count}{{method="GET",route="unmatched",status="404"}}') == 2
    assert sample(client, f'{count}{{method="other",route="unmatched",status="404"}}') == 1
    assert sample(client, 'dragoman_http_request_seconds_count{method="POST",route="/v1/summarize"}') == 2
    assert "another/path" not in client.get("/metrics").text


def test_metrics_count_tokens_and_queues(client: FlaskClient) -> None:
    client.post("/v1/translate", json={"texts": ["a", "b", ""], "target": "fr"})
    labels = '{card="",model="fake/translate"}'
    assert sample(client, f"dragoman_source_tokens_total{labels}") == 10
    assert sample(client, f"dragoman_output_tokens_total{labels}") == 8
    assert sample(client, f"dragoman_engine_queued{labels}") == 3
    assert sample(client, f"dragoman_engine_running{labels}") == 2
    assert sample(client, 'dragoman_engine_queued{card="1",model="fake/spread"}') == 3
    assert sample(client, "dragoman_requests_in_work") == 0


def test_metrics_hear_of_batches(runtime: FakeRuntime) -> None:
    metrics = Metrics()
    client = create_app(runtime, metrics=metrics).test_client()
    metrics.observe_batch("m", BatchRecord(size=3, source_tokens=9, output_tokens=5, seconds=0.2))
    again = BatchRecord(size=1, source_tokens=3, output_tokens=2, seconds=0.5, hypotheses=4, waited_s=0.25)
    metrics.observe_batch("m", again)
    assert sample(client, 'dragoman_batch_size_sum{model="m"}') == 4
    assert sample(client, 'dragoman_batch_seconds_sum{model="m"}') == 0.7
    assert sample(client, 'dragoman_search_seconds_total{hypotheses="4",model="m"}') == 0.5
    assert sample(client, 'dragoman_waiting_seconds_total{model="m"}') == 0.25


def test_two_applications_do_not_share_their_metrics() -> None:
    first, second = (create_app(FakeRuntime()).test_client() for _ in range(2))
    first.get("/healthz")
    assert "/healthz" not in second.get("/metrics").text


def test_full_house_is_refused_at_once(client: FlaskClient, runtime: FakeRuntime) -> None:
    app, answers = client.application, list[TestResponse]()

    def work() -> None:
        answers.append(app.test_client().post("/v1/summarize", json={"text": "!wait"}))

    threads = [threading.Thread(target=work) for _ in range(runtime.settings.max_queued_requests)]
    for thread in threads:
        runtime.tasks.waiting.clear()
        thread.start()
        assert runtime.tasks.waiting.wait(5)
    refused = client.post("/v1/translate", json={"text": "a", "target": "fr"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert client.get("/healthz").status_code == 200
    assert sample(client, "dragoman_requests_in_work") == 2
    runtime.tasks.gate.set()
    for thread in threads:
        thread.join(5)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert client.post("/v1/summarize", json={"text": "a"}).status_code == 200


def test_a_place_is_given_back_after_an_error() -> None:
    places = Shares(PLACE, 1)
    with pytest.raises(ValueError, match="no"), places.hold("a"):
        assert places.held == 1
        with pytest.raises(Overloaded), places.hold("b"):
            pass
        raise ValueError("no")
    assert places.held == 0
