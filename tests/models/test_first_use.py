"""A model's first use: fetched and loaded behind the requests, which wait for it in their own time."""

import threading

import pytest
from waiting import until

from models.errors import ModelUnavailable
from service.http.app import create_app
from service.runtime import Runtime
from service.settings import Settings

NAME = "tiny/far"
BODY = {"text": "A joint statement.", "source": "en", "target": "fr", "model": NAME}


@pytest.fixture
def runtime(hub, tiny_hub, tmp_path):
    """A server's parts over one model on disk, and one at a hub that stops in the middle of its weights."""
    hub.add(NAME, tiny_hub.entry("marian").path)
    catalog = tmp_path / "catalog.toml"
    here = tiny_hub.catalog_file("bart").read_text("utf-8")
    far = '[[model]]\nname = "tiny/far"\nfamily = "marian"\ntasks = ["translate"]\npairs = ["en-fr"]\n'
    far += "max_source_tokens = 256\n"
    catalog.write_text(here + far, "utf-8")
    runtime = Runtime(
        Settings(
            catalog=catalog,
            cache_dir=tmp_path / "cache",
            data_dir=tmp_path / "data",
            summarize_model="tiny/bart",
            translate_model=NAME,
            request_timeout_s=1.5,
            device="cpu",
            threads=1,
        )
    )
    hub.go_on.clear()
    yield runtime
    hub.go_on.set()
    runtime.close()


@pytest.fixture
def client(runtime):
    return create_app(runtime).test_client()


def _state(client, name=NAME):
    (state,) = (each["state"] for each in client.get("/v1/models").json["models"] if each["name"] == name)
    return str(state)


def test_a_request_waits_in_its_time_and_others_go_on(hub, client, runtime):
    assert _state(client) == "not here"
    assert _state(client, "dragoman/extractive") == "bundled"
    refused = client.post("/v1/translate", json=BODY)
    assert (refused.status_code, refused.json["type"]) == (503, "/problems/model-loading"), refused.text
    assert "is not ready yet (downloading" in refused.json["detail"]
    assert int(refused.headers["Retry-After"]) > 0
    assert _state(client).startswith("downloading ")
    ready = client.get("/readyz")
    assert (ready.status_code, list(ready.json["loading"])) == (200, [NAME])
    other = client.post("/v1/summarize", json={"text": "They met. " * 40, "model": "dragoman/extractive"})
    assert other.status_code in (200, 503), other.text  # bundled: its first load may take its time
    assert other.status_code == 200 or other.json["type"] == "/problems/model-loading"
    hub.go_on.set()
    until(lambda: _state(client) == "ready")
    done = client.post("/v1/translate", json=BODY)
    assert (done.status_code, done.json["model"]) == (200, NAME), done.text
    until(lambda: "loading" not in client.get("/readyz").json)  # the bundled one may take longer
    downloads = [asked for asked in hub.asked if asked.startswith("CDN")]
    assert [asked for asked in downloads if "bytes=" not in asked] == downloads[:1], "fetched once for all"


def test_one_that_waits_long_enough_is_answered(hub, client):
    threading.Timer(0.3, hub.go_on.set).start()
    answers = [client.post("/v1/translate", json=BODY).status_code for _ in range(20)]
    assert answers[-1] == 200 and set(answers) <= {200, 503}


def test_a_failure_is_told_to_those_who_wait_and_tried_again(hub, client, runtime):
    hub.go_on.set()
    hub.status = 429
    for _ in range(2):
        answer = client.post("/v1/translate", json=BODY)
        assert (answer.status_code, answer.json["type"]) == (503, "/problems/model-unavailable")
    assert "asks for fewer requests" in runtime.unready()[0]
    hub.status = None
    runtime.pool.load(NAME)
    assert client.post("/v1/translate", json=BODY).status_code == 200
    assert runtime.unready() == []


def test_a_stream_waits_too(hub, client):
    text = client.post("/v1/translate", json={**BODY, "stream": True}).text
    assert "/problems/model-loading" in text


def test_a_pool_that_is_left_alone_keeps_what_was_begun(hub, runtime):
    entry = runtime.catalog.get(NAME)
    runtime.pool.begin(entry)
    runtime.pool.begin(entry)
    assert runtime.pool.loaded() == []
    until(lambda: runtime.pool.stages()[NAME].startswith("downloading "))
    hub.go_on.set()
    until(lambda: runtime.pool.loaded() == [NAME])
    assert runtime.pool.stages() == {}
    hub.repositories.clear()
    with pytest.raises(ModelUnavailable):
        runtime.pool.is_ready(entry.model_copy(update={"name": "x", "repository": "no/where"}), wait_s=20)


# ---------------------------------------------------------------------------------------- pulling over HTTP


def _post(client, key, name=NAME):
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return client.post("/v1/models", json={"name": name}, headers=headers)


def test_only_a_key_that_may_has_models_fetched(hub, client, runtime):
    other = "facebook/m2m100_418M"
    _, common = runtime.keys.create("newsroom")
    for key in (None, common):
        refused = _post(client, key)
        assert (refused.status_code, refused.json["type"]) == (403, "/problems/admin-required")
    assert hub.asked == []
    made, admin = runtime.keys.create("operator", admin=True)
    assert made.admin and runtime.keys.find(admin).admin and not runtime.keys.find(common).admin
    begun = _post(client, admin)
    assert begun.status_code == 202 and begun.json["name"] == NAME
    hub.go_on.set()
    until(lambda: _state(client) == "ready")
    assert _post(client, admin, other).status_code == 202, "not allowed before, and so not in the list"
    until(lambda: other not in runtime.pool.stages())
    assert other not in {each["name"] for each in client.get("/v1/models").json["models"]}, "the hub has none"
    assert _post(client, admin, "no/such").json["type"] == "/problems/unknown-model"
    refused = _post(client, admin, "Helsinki-NLP/opus-mt-*")
    assert refused.json["type"] == "/problems/invalid-input", refused.text
