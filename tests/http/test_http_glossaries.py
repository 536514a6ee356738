"""/v1/glossaries, and translations with a glossary that is kept here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from http_fakes import FakeRuntime, Task, settings

from models.languages import Languages
from models.text.detect import LanguageDetector
from models.translate.translator import TranslationRequest
from service.http.app import create_app
from service.store.database import Database
from service.store.glossaries import Dictionary, Glossaries

pytestmark = pytest.mark.usefixtures("each_database")
CAPITALS = {"name": "capitals", "source": "en", "target": "fr", "entries": {"Vienna": "Vienne"}}


class Asked:
    """A translator that keeps what it was asked for."""

    def __init__(self, runtime: FakeRuntime):
        self._translation = runtime.translator.steps
        self.requests: list[TranslationRequest] = []

    def steps(self, request: TranslationRequest, *rest: Any) -> Iterator[Any]:
        self.requests.append(request)
        return self._translation(request, *rest)


@pytest.fixture
def runtime(tmp_path: Path, languages: Languages) -> FakeRuntime:
    runtime = FakeRuntime(settings(data_dir=tmp_path))
    runtime.languages, runtime.detector = languages, LanguageDetector()  # type: ignore[assignment]
    return runtime


@pytest.fixture
def asked(runtime: FakeRuntime) -> list[TranslationRequest]:
    asked = Asked(runtime)
    runtime.translator = Task(asked.steps)
    return asked.requests


@pytest.fixture
def client(runtime: FakeRuntime) -> FlaskClient:
    return create_app(runtime).test_client()  # type: ignore[arg-type]


def test_a_glossary_is_made_listed_read_and_deleted(client: FlaskClient) -> None:
    made = client.post("/v1/glossaries", json=CAPITALS)
    assert made.status_code == 201
    assert made.json["dictionaries"] == [{"source": "en", "target": "fr", "size": 1}]
    assert client.get("/v1/glossaries").json == {"glossaries": [made.json]}
    for named in ("capitals", made.json["id"]):
        (dictionary,) = client.get(f"/v1/glossaries/{named}").json["dictionaries"]
        assert dictionary["entries"] == {"Vienna": "Vienne"}
    assert client.delete("/v1/glossaries/capitals").status_code == 204
    for method in (client.get, client.delete):
        gone = method("/v1/glossaries/capitals")
        assert (gone.status_code, gone.json["type"]) == (404, "/problems/not-found")
        assert "capitals" in gone.json["detail"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("Rome\tRome\nVienna\tVienne\n", "text/tab-separated-values"),
        ("Vienna,Vienne\r\nRome,Rome", "text/csv"),
    ],
)
def test_entries_come_as_lines_and_go_as_lines(client: FlaskClient, body: str, kind: str) -> None:
    query = "?name=capitals&source=en&target=fr"
    made = client.post(f"/v1/glossaries{query}", data=body.encode(), content_type=f"{kind}; charset=utf-8")
    assert (made.status_code, made.json["dictionaries"][0]["size"]) == (201, 2)
    lines = client.get("/v1/glossaries/capitals/entries.tsv")
    assert (lines.text, lines.mimetype) == ("Rome\tRome\nVienna\tVienne\n", "text/tab-separated-values")
    field = "tsv" if "tab" in kind else "csv"
    again = {"name": "again", "source": "en", "target": "fr", field: body}
    assert client.post("/v1/glossaries", json=again).json["dictionaries"] == made.json["dictionaries"]


def test_one_pair_of_a_glossary_is_replaced_and_the_others_stay(client: FlaskClient) -> None:
    made = client.post("/v1/glossaries", json=CAPITALS).json
    other = {**CAPITALS, "name": "renamed", "source": "de", "entries": {"Wien": "Vienne"}}
    changed = client.put(f"/v1/glossaries/{made['id']}", json=other)
    assert (changed.status_code, changed.json["id"], changed.json["name"]) == (200, made["id"], "renamed")
    assert [each["source"] for each in changed.json["dictionaries"]] == ["de", "en"]
    client.put(f"/v1/glossaries/{made['id']}", json={**other, "entries": {"Rom": "Rome"}})
    kept = client.get(f"/v1/glossaries/{made['id']}").json["dictionaries"]
    assert [each["entries"] for each in kept] == [{"Rom": "Rome"}, CAPITALS["entries"]]
    assert client.put("/v1/glossaries/none", json=other).status_code == 404


def test_of_several_dictionaries_one_is_meant(client: FlaskClient, runtime: FakeRuntime) -> None:
    runtime.glossaries.create(
        "two", [Dictionary("en", "fr", {"Vienna": "Vienne"}), Dictionary("en", "de", {"Vienna": "Wien"})]
    )
    unclear = client.get("/v1/glossaries/two/entries.tsv?source=en")
    assert (unclear.status_code, unclear.json["allowed"]) == (
        422,
        ["source=en&target=de", "source=en&target=fr"],
    )
    assert client.get("/v1/glossaries/two/entries.tsv?target=de-AT").text == "Vienna\tWien\n"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"entries": None}, "entries"),
        ({"csv": "a,b"}, "csv"),
        ({"entries": {}}, "entries"),
        ({"entries": {"a": 1}}, "entries.a"),
        ({"entries": None, "tsv": "lonely"}, "tsv"),
        ({"source": "xx"}, "source"),
        ({"target": "en-US"}, "target"),
        ({"name": " "}, "name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_named(client: FlaskClient, changes: dict[str, Any], field: str) -> None:
    given = {name: value for name, value in (CAPITALS | changes).items() if value is not None}
    refused = client.post("/v1/glossaries", json=given)
    assert (refused.status_code, refused.json["field"]) == (422, field)
    assert client.get("/v1/glossaries").json == {"glossaries": []}


def test_lines_that_are_not_text_are_refused(client: FlaskClient) -> None:
    query = "?name=capitals&source=en&target=fr"
    refused = client.post(f"/v1/glossaries{query}", data=b"\xff\xfe", content_type="text/csv")
    assert (refused.status_code, refused.json["field"]) == (422, "csv")
    assert client.post("/v1/glossaries", data=b"a,b", content_type="text/plain").status_code == 415


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_store_that_cannot_be_read_is_a_problem(
    client: FlaskClient, runtime: FakeRuntime, tmp_path: Path, languages: Languages
) -> None:
    (tmp_path / "file").touch()
    runtime.glossaries = Glossaries(Database(tmp_path / "file"), languages)
    broken = client.get("/v1/glossaries")
    assert (broken.status_code, broken.json["type"]) == (503, "/problems/store-unavailable")


def test_entries_are_counted_like_a_text(tmp_path: Path) -> None:
    runtime = FakeRuntime(settings(data_dir=tmp_path, anonymous_daily_characters=20))
    client = create_app(runtime).test_client()  # type: ignore[arg-type]
    assert client.post("/v1/glossaries", json=CAPITALS).status_code == 201
    tsv = {"name": "n", "source_lang": "en", "target_lang": "fr", "entries": "Rome\tRome"}
    spent = client.post("/v1/glossaries", json=CAPITALS)
    assert (spent.status_code, spent.json["type"]) == (429, "/problems/characters-spent")
    assert client.post("/v2/glossaries", json=tsv).status_code == 201
    assert client.post("/v2/glossaries", json=tsv).status_code == 456, "as DeepL says it"
    assert len(client.get("/v1/glossaries").json["glossaries"]) == 2


def test_a_glossary_over_the_caller_s_bytes_is_refused(tmp_path: Path) -> None:
    runtime = FakeRuntime(settings(data_dir=tmp_path))
    runtime.glossaries = Glossaries(runtime.database, Languages.load(), max_bytes=200)
    client = create_app(runtime).test_client()  # type: ignore[arg-type]
    assert client.post("/v1/glossaries", json=CAPITALS).status_code == 201
    refused = client.post("/v1/glossaries", json=CAPITALS)
    assert (refused.status_code, refused.json["field"]) == (422, "entries")
    assert refused.json["allowed"] == "at most 200 bytes"
    other = client.post("/v1/glossaries", json=CAPITALS, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert other.status_code == 201, "another address has its own share"


# ---------------------------------------------------------------------- translations


def test_a_translation_takes_a_glossary_by_its_name(
    client: FlaskClient, asked: list[TranslationRequest]
) -> None:
    made = client.post("/v1/glossaries", json=CAPITALS).json
    for named in ("capitals", made["id"]):
        body = {"text": "In Vienna.", "source": "en", "target": "fr", "glossary": named}
        assert client.post("/v1/translate", json=body).status_code == 200
    assert [request.glossary for request in asked] == [{"Vienna": "Vienne"}] * 2


def test_each_text_takes_the_terms_of_its_own_language(
    client: FlaskClient, runtime: FakeRuntime, asked: list[TranslationRequest]
) -> None:
    runtime.glossaries.create(
        "two", [Dictionary("en", "es", {"Vienna": "Viena"}), Dictionary("fr", "es", {"Vienne": "Viena"})]
    )
    texts = [
        "The ministers met in Vienna on Sunday.",
        "Les ministres se sont réunis dimanche à Vienne.",
        "Die Minister trafen sich am Sonntag in Wien.",
        "1234",
    ]
    client.post("/v1/translate", json={"texts": texts, "target": "es", "glossary": "two"})
    assert [request.glossary for request in asked] == [{"Vienna": "Viena"}, {"Vienne": "Viena"}, {}, {}]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"glossary": "nothing"}, "unknown glossary: 'nothing'"),
        ({"target": "de"}, "nothing for en to de"),
        ({"target": "de", "source": "auto"}, "nothing for auto to de"),
    ],
)
def test_a_glossary_that_cannot_help_is_refused(
    client: FlaskClient, asked: list[TranslationRequest], changes: dict[str, str], said: str
) -> None:
    client.post("/v1/glossaries", json=CAPITALS)
    body = {"text": "In Vienna.", "source": "en", "target": "fr", "glossary": "capitals"} | changes
    refused = client.post("/v1/translate", json=body)
    assert (refused.status_code, refused.json["type"]) == (422, "/problems/unknown-glossary")
    assert (refused.json["field"], said in refused.json["detail"]) == ("glossary", True)
    assert asked == []


def test_a_glossary_is_an_object_or_a_name(client: FlaskClient) -> None:
    body = {"text": "In Vienna.", "target": "fr"}
    for wrong in (5, [], ""):
        refused = client.post("/v1/translate", json=body | {"glossary": wrong})
        assert (refused.status_code, refused.json["field"]) == (422, "glossary"), wrong
