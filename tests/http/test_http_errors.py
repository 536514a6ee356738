"""Every refusal is a problem document with the status, the field and what is allowed; none shows a trace."""

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient
from http_fakes import FakeRuntime, settings
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import Gone
from werkzeug.test import TestResponse

from models import errors as model_errors
from models.languages import Languages
from service.http.app import create_app
from service.http.status import Readiness
from service.problems import KINDS, kind_of, try_again

CLIENT = create_app(FakeRuntime()).test_client()
LANGUAGES = Languages.load()
MAX_BODY = CLIENT.application.config["MAX_CONTENT_LENGTH"]


@pytest.fixture
def client() -> FlaskClient:
    return CLIENT


def check_problem(response: TestResponse, status: int, slug: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    problem: dict[str, Any] = response.json
    assert (problem["type"], problem["status"]) == (f"/problems/{slug}", status)
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response.headers["X-Request-Id"]
    assert "Traceback" not in response.text
    return problem


@pytest.mark.parametrize(
    ("body", "status", "slug", "field"),
    [
        ({"txt": "a"}, 422, "invalid-input", "txt"),
        ({"text": ["a"]}, 422, "invalid-input", "text"),
        ({"text": ""}, 422, "invalid-input", "text"),
        ({"texts": []}, 422, "invalid-input", "texts"),
        ({}, 422, "invalid-input", "text"),
        ([1], 422, "invalid-input", None),
        ({"text": "a", "length": "tiny"}, 422, "invalid-input", "length"),
        ({"text": "a", "max_sentences": "two"}, 422, "invalid-input", "max_sentences"),
        ({"text": "!wrong"}, 422, "invalid-input", "text"),
        ({"text": "a", "model": "nobody/nothing"}, 422, "unknown-model", "model"),
        ({"text": "a", "target": "xx"}, 422, "unsupported-language", "target"),
        ({"text": "a" * 1001}, 413, "text-too-long", "text"),
        ({"texts": ["a" * 501] * 2}, 413, "text-too-long", "texts"),
        ({"texts": ["a"] * 5}, 413, "too-many-texts", "texts"),
        ({"text": "!full"}, 429, "overloaded", None),
        ({"text": "!engine"}, 500, "engine-failed", None),
        ({"text": "!gone"}, 503, "engine-gone", None),
        ({"text": "!server"}, 502, "server-failed", None),
        ({"text": "!bug"}, 500, "unexpected-error", None),
        ({"text": "!weights"}, 503, "model-unavailable", None),
        ({"text": "!late"}, 504, "deadline-exceeded", None),
    ],
)
def test_summarize_problems(
    client: FlaskClient, body: object, status: int, slug: str, field: str | None
) -> None:
    problem = check_problem(client.post("/v1/summarize", json=body), status, slug)
    assert problem.get("field") == field
    assert status >= 429 or body == {"text": "!wrong"} or problem["allowed"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'text': 1}", b'{"text": "\\ud800"}', b'{"text": NaN}', b"\xff", b"[" * 5000, b"1" * 5000],
)
def test_wrong_json(client: FlaskClient, body: bytes) -> None:
    response = client.post("/v1/summarize", data=body, content_type="application/json")
    check_problem(response, 400, "invalid-json")


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_wrong_content_type(client: FlaskClient, content_type: str | None) -> None:
    response = client.post("/v1/translate", data=b'{"text": "a"}', content_type=content_type)
    assert "application/json" in check_problem(response, 415, "unsupported-media-type")["detail"]


def test_several_wrong_fields_are_listed(client: FlaskClient) -> None:
    response = client.post("/v1/translate", json={"text": 1, "source": "", "lang": "fr"})
    problem = check_problem(response, 422, "invalid-input")
    assert [each["field"] for each in problem["errors"]] == ["text", "source", "target", "lang"]
    assert all(each["detail"] for each in problem["errors"])


def test_unknown_field_names_the_nearest(client: FlaskClient) -> None:
    detail = client.post("/v1/summarize", json={"text": "a", "lenght": "short"}).json["detail"]
    assert detail.endswith("did you mean length?")


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/summarize/x", "/v1/translate/fr", "/%0aX"])
def test_unknown_address(client: FlaskClient, path: str) -> None:
    check_problem(client.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/v1/summarize", "POST"), ("POST", "/healthz", "GET"), ("BREW", "/v1/detect", "POST")],
)
def test_wrong_method(client: FlaskClient, method: str, path: str, allowed: str) -> None:
    response = client.open(path, method=method)
    problem = check_problem(response, 405, "method-not-allowed")
    assert allowed in response.headers["Allow"]
    assert problem["allowed"] == [allowed] and problem["detail"].endswith(f"; use {allowed}")


@pytest.mark.parametrize("path", ["/v1/summarize", "/v1/translate", "/v1/detect"])
def test_body_over_the_limit(client: FlaskClient, path: str) -> None:
    body = b'"' + b"a" * MAX_BODY + b'"'
    check_problem(client.post(path, data=body, content_type="application/json"), 413, "body-too-large")


def test_full_queue_says_when_to_come_back(client: FlaskClient) -> None:
    refused = client.post("/v1/summarize", json={"text": "!full"})
    assert refused.headers["Retry-After"] == "3"
    assert refused.json["detail"].endswith("; try again in 3 seconds")


@pytest.mark.parametrize(
    ("after_s", "said"), [(0, "1 second"), (59.1, "60 seconds"), (121, "3 minutes"), (86_000, "24 hours")]
)
def test_a_wait_is_told_in_words(after_s: float, said: str) -> None:
    assert try_again(after_s) == f"try again in {said}"


def test_every_kind_of_problem_is_explained_where_its_type_says(client: FlaskClient) -> None:
    refused = client.post("/v1/summarize", json={}, headers={"X-Forwarded-Prefix": "/there"})
    assert refused.headers["Link"] == '</problems/invalid-input>; rel="help"'
    pages = {kind: client.get(f"/problems/{kind.slug}") for kind in KINDS.values()}
    assert all(page.status_code == 200 for page in pages.values())
    assert all(kind.about and kind.title in page.text for kind, page in pages.items())
    assert "<code>allowed</code>" in client.get(refused.json["type"]).text
    check_problem(client.get("/problems/none-of-them"), 404, "not-found")


@pytest.mark.parametrize(
    ("path", "body", "allowed"),
    [
        ("/v1/jobs", {"task": "translate", "text": "a", "target": "xx"}, sorted(LANGUAGES._table)),
        ("/v1/translate", {"text": "a", "target": "fr", "partial": 1}, ["true", "false"]),
        ("/v1/summarize", {"texts": ["a"], "stream": True}, ["false"]),
        ("/v1/translate", {"text": "a", "target": "fr", "alternatives": 9}, "0 to 4"),
    ],
)
def test_what_is_allowed_is_told_as_values(
    client: FlaskClient, path: str, body: object, allowed: list[str] | str
) -> None:
    assert client.post(path, json=body).json["allowed"][: len(allowed)] == allowed


def test_bug_is_logged_with_its_trace_and_id(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "service"):
        response = client.post("/v1/summarize", json={"text": "!bug"}, headers={"X-Request-Id": "r-1"})
    assert check_problem(response, 500, "unexpected-error")["request_id"] == "r-1"
    assert "secret" not in response.text
    (record,) = caplog.records
    assert "r-1" in record.getMessage()
    assert record.exc_info is not None
    assert "secret" in str(record.exc_info[1])


def test_not_ready_while_models_load() -> None:
    runtime = FakeRuntime()
    runtime.loading.clear()
    readiness = Readiness(runtime)
    client = create_app(runtime, readiness=readiness).test_client()
    readiness.start()
    for response in (client.post("/v1/translate", json={"text": "a", "target": "fr"}), client.get("/readyz")):
        assert check_problem(response, 503, "not-ready")["reasons"] == ["the models are loading"]
        assert int(response.headers["Retry-After"]) >= 1
    runtime.loading.set()
    readiness.join(5)
    assert client.post("/v1/translate", json={"text": "a", "target": "fr"}).status_code == 200


def test_every_error_type_of_the_models_has_a_kind() -> None:
    for error in vars(model_errors).values():
        if isinstance(error, type) and issubclass(error, model_errors.DragomanError):
            known = [base for base in error.__mro__ if base in KINDS]
            assert known and (known[0] is error or known[0] is not model_errors.DragomanError), error
    assert kind_of(KeyError("x")).status == 500
    assert kind_of(Gone()).slug == "gone"
    assert all(kind.status >= 400 for kind in KINDS.values())
    assert len({kind.slug for kind in KINDS.values()}) == len(KINDS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["text", "texts", "html", "target", "source", "length", "format", "model"])
PATHS = st.sampled_from(["/v1/summarize", "/v1/translate", "/v1/detect"])


def check_any(response: TestResponse) -> None:
    assert response.status_code == 200 or 400 <= response.status_code < 500
    if response.status_code >= 400:
        check_problem(response, response.status_code, response.json["type"].removeprefix("/problems/"))
    for item in response.json.get("results", []):
        assert item.get("status", 200) < 500


@given(PATHS, JSON | st.dictionaries(FIELDS | st.text(), JSON, max_size=5))
def test_any_json_is_answered(path: str, body: object) -> None:
    check_any(CLIENT.post(path, json=body))


@given(PATHS, st.binary(max_size=200))
def test_any_bytes_are_answered(path: str, body: bytes) -> None:
    check_any(CLIENT.post(path, data=body, content_type="application/json"))


def test_limits_come_from_the_settings() -> None:
    client = create_app(FakeRuntime(settings(max_request_characters=3))).test_client()
    assert client.post("/v1/detect", json={"text": "abc"}).status_code == 200
    assert check_problem(client.post("/v1/detect", json={"text": "abcd"}), 413, "text-too-long")["allowed"]
