"""LibreTranslate's interface, with its real clients on the real server, and by hand where they say little."""

import json
import re
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode

import pytest
from compat_server import CompatServer
from deep_translator import LibreTranslator
from deep_translator.exceptions import ServerException
from libretranslatepy import LibreTranslateAPI

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def server(compat_server: CompatServer) -> CompatServer:
    return compat_server


@pytest.fixture
def client(server: CompatServer) -> LibreTranslateAPI:
    return LibreTranslateAPI(server.url, api_key="anything")


def post(server: CompatServer, path: str, **fields: Any) -> tuple[int, Any]:
    response, body = server.request("POST", path, json.dumps(fields))
    return response.status, json.loads(body)


# ---------------------------------------------------------------------- libretranslatepy


def test_a_text_is_translated(client: LibreTranslateAPI) -> None:
    assert client.translate("Good morning.\n\nHow are you?", "en", "es") == "GOOD MORNING.\n\nHOW ARE YOU?"


def test_the_source_is_found(client: LibreTranslateAPI) -> None:
    assert client.translate("Les ministres se sont réunis à Vienne.", "auto", "en") == (
        "LES MINISTRES SE SONT RÉUNIS À VIENNE."
    )


def test_a_language_is_detected_in_percent(client: LibreTranslateAPI) -> None:
    found = client.detect("The ministers met in Vienna on Sunday, and nobody knew why.")
    assert found[0]["language"] == "en"
    assert 50 < found[0]["confidence"] <= 100
    assert [each["confidence"] for each in found] == sorted((e["confidence"] for e in found), reverse=True)


def test_languages_and_their_targets(client: LibreTranslateAPI) -> None:
    known = {each["code"]: each for each in client.languages()}
    assert known["fr"]["name"] == "French"
    assert set(known["fr"]["targets"]) >= {"en", "de", "zh"}


def test_twenty_kilobytes_pass_whole(client: LibreTranslateAPI) -> None:
    text = "\n\n".join(f"Paragraph {i} says é and 中." for i in range(700))
    assert len(text) > 18_000
    assert client.translate(text, "en", "fr") == text.upper()


def test_an_error_is_an_http_error_with_words(client: LibreTranslateAPI) -> None:
    with pytest.raises(HTTPError) as wrong:
        client.translate("Good morning.", "en", "xx")
    assert wrong.value.code == 400
    assert "xx" in json.loads(wrong.value.read())["error"]


def test_too_much_is_an_answer_and_not_a_reset(client: LibreTranslateAPI) -> None:
    for characters in (31_000, 2_000_000, 40_000_000):
        with pytest.raises(HTTPError) as wrong:
            client.translate("a" * characters, "en", "fr")
        assert wrong.value.code == 413
        assert json.loads(wrong.value.read())["error"]


# ---------------------------------------------------------------------- deep-translator


def translator(server: CompatServer, **given: Any) -> LibreTranslator:
    return LibreTranslator(custom_url=server.url, api_key="anything", **given)


def test_deep_translator_sends_all_in_the_query(server: CompatServer) -> None:
    text = ("The café is open. " * 300)[:4999].strip()
    assert translator(server, source="en", target="fr").translate(text) == text.upper()
    chinese = "部长们在维也纳会面。" * 499
    done = translator(server, source="zh", target="en").translate(chinese)
    assert done == " ".join(["部长们在维也纳会面。"] * 499)


def test_deep_translator_finds_the_source_and_takes_lists(server: CompatServer) -> None:
    texts = ["The ministers met in Vienna on Sunday.", "The weather is fine today."]
    done = translator(server, source="auto", target="French").translate_batch(texts)
    assert done == [text.upper() for text in texts]


def test_deep_translator_tells_of_errors(server: CompatServer) -> None:
    with pytest.raises(ServerException):
        translator(server, source="en", target="fr").translate("this ✗ fails")


# ---------------------------------------------------------------------- by hand


def test_json_with_one_text(server: CompatServer) -> None:
    status, answer = post(server, "/translate", q="Good morning.", source="en", target="fr")
    assert (status, answer) == (200, {"translatedText": "GOOD MORNING."})
    for names in (("pb", "pt-BR"), ("zt", "zh-Hant")):
        own, regional = (post(server, "/translate", q="A.", source="en", target=name) for name in names)
        assert own == regional and "not a language code" not in str(own)


def test_json_with_a_list_and_found_sources(server: CompatServer) -> None:
    texts = ["The ministers met in Vienna on Sunday.", "", "Les ministres se sont réunis dimanche à Vienne."]
    status, answer = post(server, "/translate", q=texts, source="auto", target="de", alternatives=2)
    assert status == 200
    assert answer["translatedText"] == [text.upper() for text in texts]
    assert [found["language"] for found in answer["detectedLanguage"]] == ["en", "und", "fr"]
    assert answer["alternatives"] == [
        [f"{text.upper()}{mark}" for mark in ("~", "~~") if text] for text in texts
    ]
    status, answer = post(server, "/translate", q=texts[0], source="auto", target="de", alternatives=1)
    assert answer["detectedLanguage"]["confidence"] > 50
    assert answer["alternatives"] == [f"{texts[0].upper()}~"]
    text = "<p>Good <b>morning</b>.</p>\n<p>How are you?</p>"
    _, answer = post(server, "/translate", q=text, source="en", target="fr", format="html", alternatives=99)
    assert answer["translatedText"] == "<p>GOOD <b>MORNING</b>.</p>\n<p>HOW ARE YOU?</p>"
    assert len(answer["alternatives"]) == 4, "no more are made"
    assert answer["alternatives"][0] == "<p>GOOD <b>MORNING</b>.~</p>\n<p>HOW ARE YOU?~</p>"
    assert post(server, "/translate", q=[texts[0]], source="en", target="fr")[1] == {
        "translatedText": [texts[0].upper()]
    }


def test_html_keeps_its_tags(server: CompatServer) -> None:
    page = '<p>Read <a href="https://example.org/a">the whole report</a> today.</p>'
    _, answer = post(server, "/translate", q=page, source="en", target="fr", format="html")
    assert answer["translatedText"] == (
        '<p>READ <a href="https://example.org/a">THE WHOLE REPORT</a> TODAY.</p>'
    )


def test_a_form_with_several_texts_gives_several(server: CompatServer) -> None:
    body = urlencode([("q", "One day."), ("q", "Two days."), ("source", "en"), ("target", "fr")])
    _, answer = server.request("POST", "/translate", body, FORM)
    assert json.loads(answer) == {"translatedText": ["ONE DAY.", "TWO DAYS."]}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"source": "en", "target": "fr"}, "q is required"),
        ({"q": "", "source": "en", "target": "fr"}, "q is empty"),
        ({"q": " ", "source": "en", "target": "fr", "format": "text"}, None),
        ({"q": [], "source": "en", "target": "fr"}, "q is empty"),
        ({"q": 5, "source": "en", "target": "fr"}, "q must be a string, not a number"),
        ({"q": ["a", 5], "source": "en", "target": "fr"}, r"q\[1\] must be a string"),
        ({"q": "a", "target": "fr"}, "source is required"),
        ({"q": "a", "source": "en"}, "target is required"),
        ({"q": "a", "source": "en", "target": 7}, "target must be a string"),
        ({"q": "a", "source": "xx", "target": "fr"}, "'xx' is not a language code"),
        ({"q": "a", "source": "en", "target": "fr", "format": "pdf"}, "format must be one of text, html"),
        ({"q": "a", "source": "en", "target": "fr", "alternatives": -1}, "alternatives"),
    ],
)
def test_what_is_wrong_is_said(server: CompatServer, fields: dict[str, Any], said: str | None) -> None:
    status, answer = post(server, "/translate", **fields)
    if said is None:
        assert (status, answer) == (200, {"translatedText": fields["q"]})
        return
    assert (status, set(answer)) == (400, {"error"})
    assert re.search(said, answer["error"])


def test_every_error_has_the_familys_form(server: CompatServer) -> None:
    cases = [
        ("POST", "/translate", "{", None, 400),
        ("POST", "/translate", "[]", None, 400),
        ("POST", "/detect", "{}", None, 400),
        ("GET", "/translate", None, None, 405),
        ("POST", "/languages", "{}", None, 405),
        ("GET", "/download_file/nothing.txt", None, None, 404),
        ("POST", "/translate", json.dumps({"q": ["a"] * 9, "source": "en", "target": "fr"}), None, 413),
        ("POST", "/translate", json.dumps({"q": "✗ it", "source": "en", "target": "fr"}), None, 500),
        ("POST", "/translate_file", "", FORM, 400),
    ]
    for method, path, body, headers, status in cases:
        response, answer = server.request(method, path, body, headers)
        assert (response.status, set(json.loads(answer))) == (status, {"error"}), (method, path, body)
        assert isinstance(json.loads(answer)["error"], str)
    assert set(json.loads(server.request("GET", "/v1/nothing")[1])) >= {"type", "title"}, "others keep theirs"


def test_health_and_settings(server: CompatServer) -> None:
    assert json.loads(server.request("GET", "/health")[1]) == {"status": "ok"}
    known = json.loads(server.request("GET", "/frontend/settings")[1])
    assert (known["charLimit"], known["keyRequired"], known["filesTranslation"]) == (30_000, False, True)
    assert known["language"]["source"]["code"] == "auto"


# ---------------------------------------------------------------------- files and suggestions


def upload(server: CompatServer, name: str, data: bytes, **fields: str) -> tuple[int, Any]:
    parts = [f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + data + b"\r\n--x--\r\n"
    response, answer = server.request(
        "POST", "/translate_file", body, {"Content-Type": "multipart/form-data; boundary=x"}
    )
    return response.status, json.loads(answer)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("note.txt", "Good morning.\n\nIt rains.\n", "GOOD MORNING.\n\nIT RAINS.\n"),
        ("page.HTML", "<p>It <b>rains</b>.</p>", "<p>IT <b>RAINS</b>.</p>"),
    ],
)
def test_a_file_comes_back_in_its_form(server: CompatServer, name: str, before: str, after: str) -> None:
    status, answer = upload(server, name, before.encode(), source="en", target="fr")
    assert (status, answer["translatedFileUrl"].startswith(server.url)) == (200, True)
    response, data = server.request("GET", "/" + answer["translatedFileUrl"].removeprefix(server.url))
    assert data.decode() == after
    assert name.lower() in response.headers["Content-Disposition"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_any_name_of_a_file_fits_into_a_header(server: CompatServer) -> None:
    _, answer = upload(server, "中.txt", b"It rains.", source="en", target="fr")
    response, data = server.request("GET", "/" + answer["translatedFileUrl"].removeprefix(server.url))
    assert (response.status, data) == (200, b"IT RAINS.")
    named = "attachment; filename=document.txt; filename*=UTF-8''%E4%B8%AD.txt"
    assert response.headers["Content-Disposition"] == named


def test_subtitles_keep_their_times(server: CompatServer) -> None:
    before = "1\n00:00:01,000 --> 00:00:02,500\nIt rains.\n\n"
    _, answer = upload(server, "film.srt", before.encode(), source="en", target="fr")
    _, data = server.request("GET", "/" + answer["translatedFileUrl"].removeprefix(server.url))
    assert data.decode().split("\n")[1:3] == ["00:00:01,000 --> 00:00:02,500", "IT RAINS."]


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.exe", b"text"), ("a.docx", b"no archive"), ("a.txt", b""), ("a.txt", b"a" * 31_000)],
)
def test_a_file_that_cannot_be_read_is_refused(server: CompatServer, name: str, data: bytes) -> None:
    status, answer = upload(server, name, data, source="en", target="fr")
    assert (status, set(answer)) == (413 if len(data) > 30_000 else 400, {"error"})
    assert post(server, "/translate_file", source="en", target="fr")[0] == 400


def test_a_suggestion_is_kept(server: CompatServer) -> None:
    query = f"/suggest?q={quote('Good day')}&s=Bonjour&source=en&target=fr"
    _, answer = server.request("POST", query, "", {"Content-Type": "text/plain"})
    assert json.loads(answer) == {"success": True}
    kept = (server.closed.parent / "data" / "suggestions.jsonl").read_text("utf-8").splitlines()
    assert json.loads(kept[-1])["translation"] == "Bonjour"
    assert post(server, "/suggest", q="Good day", s="Bonjour", source="en", target="xx")[0] == 400
