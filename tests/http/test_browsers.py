"""Pages of other sites make no browser do work here, and no name of theirs passes for this host."""

import pytest
from flask.testing import FlaskClient
from http_fakes import FakeRuntime, settings

from service.http.app import create_app
from service.settings import Settings

URLENCODED = "application/x-www-form-urlencoded"
GLOSSARY = {
    "name": "a",
    "source_lang": "en",
    "target_lang": "fr",
    "entries": "Vienna\tVienne",
    "entries_format": "tsv",
}
CROSS = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}


def client_of(**given: object) -> FlaskClient:
    return create_app(FakeRuntime(settings(**given))).test_client()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (CROSS, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost"}, 201),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://elsewhere.example"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({}, 201),
    ],
)
def test_a_form_of_another_site_is_not_stored(headers: dict[str, str], status: int) -> None:
    client = client_of()
    response = client.post("/v2/glossaries", data=GLOSSARY, headers=headers)
    assert response.status_code == status, response.text
    assert len(client.get("/v2/glossaries").json["glossaries"]) == (status == 201)


def test_nor_is_a_text_translated_for_one() -> None:
    client = client_of()
    query = "/v2/translate?text=a&target_lang=FR"
    assert client.get(query, headers=CROSS).status_code == 403
    assert client.get(query).status_code == 200
    file = {"target": "fr", "task": "translate"}
    for path in ("/v1/documents/translate", "/v1/jobs"):
        response = client.post(path, data=file, content_type="multipart/form-data", headers=CROSS)
        assert (response.status_code, response.json["type"]) == (403, "/problems/cross-site")
    # JSON a browser sends only after asking, and it is not told that it may.
    assert client.post("/v1/detect", json={"text": "a"}, headers=CROSS).status_code == 200
    assert client.get("/v1/models", headers=CROSS).status_code == 200


def test_the_addresses_of_libretranslate_are_open_to_all_pages() -> None:
    fields = {"q": "a", "source": "en", "target": "fr"}
    response = client_of().post("/translate", data=fields, headers=CROSS)
    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (200, "*")


LOCAL = ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "192.168.1.5", "mybox", "a.localhost"]
OTHERS = ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example"]
OTHERS += ["re_bind.evil.example", "evil!.example:8000", "evil.example:port"]


@pytest.mark.parametrize(
    ("given", "refuses"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"host": "localhost"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"anonymous": False}, False),
        ({"trusted_proxies": 1}, False),
        ({"host": "0.0.0.0", "trusted_hosts": "translate.example.org"}, True),
    ],
)
def test_a_server_of_this_machine_alone_answers_to_local_names(
    given: dict[str, object], refuses: bool
) -> None:
    client = client_of(**given)
    for host in LOCAL:
        assert "untrusted" not in client.get("/v1/models", headers={"Host": host}).text, host
    for host in OTHERS:
        response = client.get("/v1/models", headers={"Host": host})
        assert (response.json.get("type") == "/problems/untrusted-host") is refuses, host
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_the_names_of_a_server_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_TRUSTED_HOSTS", "translate.example.org, .example.net")
    hosts = Settings().trusted_hosts
    assert hosts == ("translate.example.org", ".example.net")
    client = client_of(trusted_hosts=hosts)
    for host, status in {
        "translate.example.org": 200,
        "translate.example.org:8080": 200,
        "a.example.net": 200,
        "example.org": 403,
    }.items():
        response = client.get("/v1/models", headers={"Host": host})
        assert response.status_code == status, host
    assert "DRAGOMAN_TRUSTED_HOSTS" in response.json["allowed"]
    origin = {"Origin": "https://translate.example.org"}
    assert client.post("/v2/glossaries", data=GLOSSARY, headers=origin).status_code == 201
