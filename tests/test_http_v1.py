"""/v1 over a fake runtime: what is answered when all goes well, and item by item when not all does."""

import pytest
from flask.testing import FlaskClient
from http_fakes import FakeRuntime, settings

from service.http.app import create_app


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def client(runtime: FakeRuntime) -> FlaskClient:
    return create_app(runtime).test_client()


def test_one_text_is_answered_by_the_summary_itself(client: FlaskClient) -> None:
    response = client.post("/v1/summarize", json={"text": "A storm."})
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.json["summary"] == "A storm."
    assert response.json["sentences"][0]["source"] == {"start": 0, "end": 8}
    assert response.json["usage"] == {"source_tokens": 7, "output_tokens": 3}
    assert set(response.json["timings_ms"]) == {"text", "model", "total"}


def test_html_comes_back_as_the_text_that_was_read(client: FlaskClient) -> None:
    response = client.post("/v1/summarize", json={"html": "<p>A</p>", "target": "fr"})
    assert response.json["source"]["text"] == "<p>A</p>"
    assert (response.json["language"], response.json["translation_model"]) == ("fr", "fake/translate")


def test_one_text_is_answered_by_the_translation_itself(client: FlaskClient) -> None:
    response = client.post("/v1/translate", json={"text": "é 中 😀", "target": "fr"})
    assert response.json["translation"] == "É 中 😀"
    assert "中" in response.text, "written as UTF-8, not as escapes"
    assert response.json["source"] == {"language": "en", "confidence": 0.9, "detected": True}


def test_texts_are_answered_in_order(client: FlaskClient) -> None:
    response = client.post("/v1/translate", json={"texts": ["a", "b", "c"], "target": "fr"})
    assert [item["translation"] for item in response.json["results"]] == ["A", "B", "C"]


def test_one_item_in_texts_is_still_a_list(client: FlaskClient) -> None:
    assert len(client.post("/v1/summarize", json={"texts": ["a"]}).json["results"]) == 1


def test_a_bad_item_is_a_problem_in_its_place(client: FlaskClient) -> None:
    response = client.post("/v1/translate", json={"texts": ["a", "", "!bug", "b"], "target": "fr"})
    assert response.status_code == 200
    first, empty, bug, last = response.json["results"]
    assert (first["translation"], last["translation"]) == ("A", "B")
    assert (empty["status"], empty["field"]) == (422, "texts[1]")
    assert (bug["status"], bug["request_id"]) == (500, response.headers["X-Request-Id"])
    assert "secret" not in response.text


def test_a_task_error_names_the_item(client: FlaskClient) -> None:
    results = client.post("/v1/summarize", json={"texts": ["a", "!wrong"]}).json["results"]
    assert results[1]["field"] == "texts[1]"


def test_items_that_are_all_bad_are_still_results(client: FlaskClient) -> None:
    response = client.post("/v1/summarize", json={"texts": ["", 3, "x" * 1001]})
    assert response.status_code == 200
    assert [item["status"] for item in response.json["results"]] == [422, 422, 413]


@pytest.mark.parametrize(("text", "status"), [("!full", 429), ("!late", 504)])
def test_what_befalls_every_item_befalls_the_request(client: FlaskClient, text: str, status: int) -> None:
    assert client.post("/v1/summarize", json={"texts": [text, text]}).status_code == status
    mixed = client.post("/v1/summarize", json={"texts": [text, "a"]})
    assert [item.get("status") for item in mixed.json["results"]] == [status, None]


def test_requests_have_the_settings_deadline(client: FlaskClient, runtime: FakeRuntime) -> None:
    client.post("/v1/summarize", json={"text": "a"})
    assert runtime.timeouts_s == [pytest.approx(runtime.settings.request_timeout_s, abs=1)]


def test_a_passed_deadline_cancels_the_work() -> None:
    runtime = FakeRuntime(settings(request_timeout_s=0.2))
    response = create_app(runtime).test_client().post("/v1/summarize", json={"texts": ["a", "!never"]})
    assert [item.get("status") for item in response.json["results"]] == [None, 504]
    assert [future.cancelled() for future in runtime.tasks.engine.futures] == [True]


def test_detect(client: FlaskClient) -> None:
    english = {"language": "en", "confidence": 0.8}
    one = client.post("/v1/detect", json={"text": "a"}).json
    assert one == {**english, "candidates": [english, {"language": "fr", "confidence": 0.1}]}
    many = client.post("/v1/detect", json={"texts": ["a", ""]}).json["results"]
    assert (many[0], many[1]["status"]) == (one, 422)


def test_models_say_what_they_are_for(client: FlaskClient) -> None:
    runtime = FakeRuntime()
    runtime.settings = runtime.settings.model_copy(update={"translate_model": "fake/translate"})
    summarizer, translator = create_app(runtime).test_client().get("/v1/models").json["models"]
    assert (summarizer["default_for"], summarizer["loaded"]) == ([], False)
    assert (translator["default_for"], translator["loaded"]) == (["translate"], True)
    assert translator["languages"] == ["en", "fr"]


def test_languages_name_the_models_that_translate_them(client: FlaskClient) -> None:
    assert client.get("/v1/languages").json["languages"] == [
        {"code": "en", "name": "English", "models": ["fake/translate"]},
        {"code": "fr", "name": "French", "models": ["fake/translate"]},
        {"code": "de", "name": "German", "models": []},
    ]
