"""The setting that names whose clients are served: the others' addresses do not exist."""

import pytest
from http_fakes import FakeRuntime, settings
from pydantic import ValidationError

from service.http.app import create_app
from service.settings import CLIENT_FAMILIES, Settings

ASKED = {
    "openai": (
        "/v1/chat/completions",
        {"model": "translate:fr", "messages": [{"role": "user", "content": "Hi"}]},
    ),
    "deepl": ("/v2/translate", {"text": ["Hi"], "target_lang": "FR"}),
    "libretranslate": ("/translate", {"q": "Hi", "source": "en", "target": "fr"}),
    "huggingface": ("/pipeline/translation", {"inputs": "Hi"}),
}


@pytest.mark.parametrize("only", list(ASKED))
def test_only_those_that_are_named_are_served(only: str) -> None:
    client = create_app(FakeRuntime(settings(clients=only))).test_client()
    found = {name: client.post(path, json=body).status_code for name, (path, body) in ASKED.items()}
    assert {name for name, status in found.items() if status != 404} == {only}
    assert client.post("/v1/translate", json={"text": "Hi", "target": "fr"}).status_code == 200


def test_keys_are_wanted_as_openai_wants_them() -> None:
    runtime = FakeRuntime(settings(anonymous=False))
    client = create_app(runtime).test_client()
    path, body = ASKED["openai"]
    for headers in ({}, {"Authorization": "Bearer sk-of-theirs"}):
        refused = client.post(path, json=body, headers=headers)
        assert (refused.status_code, refused.json["error"]["code"]) == (401, "invalid_api_key")
    _, key = runtime.keys.create("reader")
    assert client.post(path, json=body, headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_where_no_key_was_made_any_key_is_taken_for_models_too() -> None:
    runtime = FakeRuntime(settings())
    client = create_app(runtime).test_client()
    theirs = {"Authorization": "Bearer sk-of-theirs"}
    assert client.get("/v1/models", headers=theirs).json["object"] == "list"
    runtime.keys.create("reader")
    refused = client.get("/v1/models", headers=theirs)
    assert refused.status_code == 401 and refused.mimetype == "application/problem+json"
    assert refused.json["detail"] in refused.json["error"]["message"]


def test_all_are_served_unless_some_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().clients == CLIENT_FAMILIES
    monkeypatch.setenv("DRAGOMAN_CLIENTS", "")
    assert Settings().clients == ()
    monkeypatch.setenv("DRAGOMAN_CLIENTS", "deepl, opneai")
    with pytest.raises(ValidationError, match="openai"):
        Settings()
