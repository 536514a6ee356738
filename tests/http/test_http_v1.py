"""/v1 over a fake runtime: what is answered when all goes well, and item by item when not all does."""

import pytest
from flask.testing import FlaskClient
from http_fakes import FakeRuntime, settings

from models.checker import CheckRequest
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


# ------------------------------------------------------------------ checks and clean articles


SOURCE = (
    "The ministers met in Vienna on Sunday. They signed 14 agreements, and 300 people were there. "
    "Nobody spoke about the border crossing."
)
PASTED = f"Ministers meet\nMinisters meet\n\n{SOURCE}\n\nLeave a Reply"


def _post(path: str, **body: object):
    return create_app(FakeRuntime(settings(max_request_characters=5000))).test_client().post(path, json=body)


def test_a_wrong_number_is_flagged_where_it_stands() -> None:
    output = "The ministers met in Vienna. They signed 41 agreements."
    answer = _post("/v1/check", source=SOURCE, output=output, kind="summary").json
    first, second = answer["sentences"]
    assert (first["text"], first["flags"]) == ("The ministers met in Vienna.", [])
    (flag,) = second["flags"]
    assert (flag["kind"], output[flag["start"] : flag["end"]]) == ("number", "41")
    evidence = second["evidence"][0]
    assert "14 agreements" in SOURCE[evidence["start"] : evidence["end"]]
    assert (answer["kind"], answer["source_language"], answer["target"]) == ("summary", "en", "en")


def test_a_translation_that_lost_a_number_is_flagged() -> None:
    answer = _post(
        "/v1/check",
        source="Three hundred and 12 people came.\nSee https://example.org/a today.",
        output="Des gens sont venus.\nVoir https://example.org/b aujourd'hui.",
        kind="translation",
        source_language="en",
        target="fr",
    ).json
    kinds = [{flag["kind"] for flag in sentence["flags"]} for sentence in answer["sentences"]]
    assert kinds[0]
    assert kinds[1]


def test_a_check_ends_at_its_deadline() -> None:
    """Thousands of names: seconds of work, which is given up at the first pause after the deadline."""
    letters = str.maketrans("0123456789", "abcdefghij")
    names = [f"Bar{i:05d} Zed{i:05d}".translate(letters) for i in range(4000)]
    source = " ".join(f"He met {name}." for name in names)
    summary = " ".join(f"He met {name}." for name in names[::12])
    runtime = FakeRuntime(settings(max_request_characters=200_000, request_timeout_s=0.1))
    client = create_app(runtime).test_client()
    for kind, output in (("summary", summary), ("translation", source)):
        answer = client.post("/v1/check", json={"source": source, "output": output, "kind": kind})
        assert answer.status_code == 504, kind
    assert runtime.timeouts_s == [pytest.approx(0.1, abs=0.1)] * 2


def test_a_check_pauses_again_and_again() -> None:
    """One pause a check is too few: at each the deadline is looked at, and a check may take seconds."""
    checker = FakeRuntime(settings()).checker
    text = " ".join(f"He met Anna Smith {i} times in Paris." for i in range(200))
    for kind in ("summary", "translation"):
        steps = checker.steps(CheckRequest(source=text, output=text, kind=kind))
        assert sum(each is None for each in steps) > 200, kind


def test_what_is_wrong_with_a_check_is_named() -> None:
    wrong = _post("/v1/check", source=SOURCE, output=" ", kind="summary")
    assert (wrong.status_code, wrong.json["field"]) == (422, "output")
    wrong = _post("/v1/check", source="a" * 5001, output="a", kind="summary")
    assert (wrong.status_code, wrong.json["field"]) == (413, "source")
    wrong = _post("/v1/check", source="a", output="a", kind="poem")
    assert (wrong.status_code, wrong.json["allowed"]) == (422, ["summary", "translation"])
    wrong = _post("/v1/check", source="a", output="a", kind="translation", target="xx")
    assert (wrong.status_code, wrong.json["field"]) == (422, "target")


def test_clean_gives_the_article_alone() -> None:
    answer = _post("/v1/clean", text=PASTED).json
    assert answer == {
        "title": "Ministers meet",
        "text": SOURCE,
        "dropped": [
            {"text": "Ministers meet", "reason": "repeated headline"},
            {"text": "Leave a Reply", "reason": "reply form"},
        ],
    }


def test_clean_reads_a_page() -> None:
    html = f"<html><body><nav><a href='/'>Home</a></nav><h1>Meet</h1><p>{SOURCE}</p></body></html>"
    answer = _post("/v1/clean", html=html).json
    assert SOURCE in answer["text"]
    assert "Home" not in answer["text"]


def test_clean_takes_one_of_text_and_html() -> None:
    wrong = _post("/v1/clean", text="a", html="b")
    assert (wrong.status_code, wrong.json["allowed"]) == (422, ["text", "html"])
    assert _post("/v1/clean", html="<p></p>").json["field"] == "html"
