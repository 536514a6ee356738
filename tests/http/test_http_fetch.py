"""/v1/fetch: what it gives, to whom, and where it does not go."""

from typing import Any

import pytest
from compat_runtime import CompatRuntime, settings

from service import fetch
from service.errors import PageUnavailable
from service.http.app import create_app

PUBLIC = "http://93.184.215.14"
PAGE = "<p>Le café fermé depuis hier soir à Évry.</p>"


@pytest.fixture
def runtime(tmp_path):
    return CompatRuntime(settings(data_dir=tmp_path))


@pytest.fixture
def client(runtime, monkeypatch):
    def get(url: str, to: Any, end: float) -> Any:
        assert runtime.texts.held == 0, "its turn is another's meanwhile"
        if url.endswith("/gone"):
            raise PageUnavailable(f"{url} answers 410 Gone")
        if "/to?" in url:
            return url.partition("?")[2]
        return "text/html", None, PAGE.encode("cp1252")

    monkeypatch.setattr(fetch, "_get", get)
    with create_app(runtime).test_client() as client:
        yield client


def test_a_page_comes_as_a_file_in_utf_8(client, runtime):
    with runtime.texts.working("somebody"):
        answer = client.post("/v1/fetch", json={"url": f"{PUBLIC}/news/today?x=1"})
    assert (answer.status_code, answer.data.decode()) == (200, PAGE)
    assert answer.headers["Content-Disposition"] == "attachment; filename=today.html"
    assert answer.mimetype == "application/octet-stream"  # no browser shows it as this server's own page
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    gone = client.post("/v1/fetch", json={"url": f"{PUBLIC}/gone"})
    assert (gone.status_code, gone.json["detail"]) == (502, f"{PUBLIC}/gone answers 410 Gone")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1/", "not public"),
        ("http://169.254.169.254/latest/meta-data", "not public"),
        ("http://[::ffff:10.0.0.1]/", "not public"),
        (f"{PUBLIC}:22/", "port 22"),
        (f"{PUBLIC}/to?http://10.0.0.1/", "not public"),
        (f"{PUBLIC}/to?{PUBLIC}:8080/", "port 8080"),
        ("file:///etc/passwd", "cannot be"),
        ("http://user:word@93.184.215.14/", "password"),
    ],
)
def test_it_goes_nowhere_but_to_public_web_servers(client, url, said):
    refused = client.post("/v1/fetch", json={"url": url})
    assert (refused.status_code, refused.json["field"]) == (422, "url")
    assert said in refused.json["detail"]


@pytest.mark.parametrize(
    "stranger",
    [{"X-Forwarded-For": "192.0.2.1"}, {"Sec-Fetch-Site": "cross-site", "Origin": "https://a.example"}],
)
def test_it_is_for_callers_with_a_key_and_for_the_operator(client, runtime, stranger):
    body = {"url": f"{PUBLIC}/"}
    assert client.post("/v1/fetch", json=body, headers=stranger).status_code == 401
    known = {"X-API-Key": runtime.keys.create("reader")[1], "X-Forwarded-For": "192.0.2.1"}
    assert client.post("/v1/fetch", json=body, headers=known).status_code == 200
