"""DeepL's interface, with its own client on the real server, and by hand where that one is lenient."""

import json
import logging
import socket
import time
from typing import Any
from urllib.parse import urlencode

import deepl
import pytest
from compat_server import CompatServer
from deepl.api_data import MultilingualGlossaryDictionaryEntries as Entries
from waiting import until

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ENGLISH = "The ministers met in Vienna on Sunday."
FRENCH = "Les ministres se sont réunis dimanche à Vienne."


@pytest.fixture
def server(compat_server: CompatServer) -> CompatServer:
    return compat_server


@pytest.fixture
def client(server: CompatServer, monkeypatch: pytest.MonkeyPatch) -> deepl.DeepLClient:
    monkeypatch.setattr(deepl.http_client, "max_network_retries", 0)
    return deepl.DeepLClient("a-key", server_url=server.url)


def ask(
    server: CompatServer, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    body = body if body is None or isinstance(body, str) else json.dumps(body)
    response, answer = server.request(method, path, body, headers)
    return response.status, json.loads(answer)


def translate(server: CompatServer, **fields: Any) -> tuple[int, Any]:
    return ask(server, "POST", "/v2/translate", {"text": [ENGLISH], "target_lang": "FR"} | fields)


# ---------------------------------------------------------------------- texts


def test_one_text(client: deepl.DeepLClient) -> None:
    done = client.translate_text(ENGLISH, target_lang="FR")
    assert (done.text, done.detected_source_lang, done.billed_characters) == (
        ENGLISH.upper(),
        "EN",
        len(ENGLISH),
    )


def test_a_list_with_an_empty_text_and_two_languages(client: deepl.DeepLClient) -> None:
    done = client.translate_text([ENGLISH, "", FRENCH, "Two\n\nparagraphs here."], target_lang="de")
    assert [each.text for each in done] == [
        ENGLISH.upper(),
        "",
        FRENCH.upper(),
        "TWO\n\nPARAGRAPHS HERE.",
    ]
    assert [each.detected_source_lang for each in done] == ["EN", "EN", "FR", "EN"]
    assert [each.billed_characters for each in done] == [38, 0, 47, 21]


@pytest.mark.parametrize("target", ["EN-GB", "EN-US"])
def test_variants_are_targets(client: deepl.DeepLClient, target: str) -> None:
    assert client.translate_text(FRENCH, source_lang="FR", target_lang=target).text == FRENCH.upper()


def test_all_that_the_client_can_ask_for(client: deepl.DeepLClient) -> None:
    done = client.translate_text(
        ENGLISH,
        source_lang="EN",
        target_lang="PT-BR",
        context="News of the day.",
        split_sentences=deepl.SplitSentences.NO_NEWLINES,
        preserve_formatting=True,
        formality=deepl.Formality.PREFER_MORE,
        outline_detection=False,
        model_type=deepl.ModelType.PREFER_QUALITY_OPTIMIZED,
        non_splitting_tags=["a"],
        splitting_tags="p",
        tag_handling_version="v1",
        extra_body_parameters={"something_new": 1},
    )
    assert (done.text, done.model_type_used) == (ENGLISH.upper(), "quality_optimized")


def test_markup_stays(client: deepl.DeepLClient) -> None:
    page = '<p>Read <b>it</b> now. <span translate="no">As it is</span></p>'
    done = client.translate_text(page, source_lang="EN", target_lang="FR", tag_handling="html")
    assert done.text == '<p>READ <b>IT</b> NOW. <span translate="no">As it is</span></p>'
    xml = "<doc><p>Read it now.</p><code>keep this</code><x>and this</x></doc>"
    done = client.translate_text(
        xml, source_lang="EN", target_lang="FR", tag_handling="xml", ignore_tags=["code,x"]
    )
    assert done.text == "<doc><p>READ IT NOW.</p><code>keep this</code><x>and this</x></doc>"


def test_a_form_with_repeated_texts(server: CompatServer) -> None:
    body = urlencode(
        [("text", "One day."), ("text", "Two days."), ("target_lang", "FR"), ("source_lang", "EN")]
    )
    status, answer = ask(server, "POST", "/v2/translate", body, FORM)
    assert (status, [each["text"] for each in answer["translations"]]) == (200, ["ONE DAY.", "TWO DAYS."])
    assert answer["translations"][0]["detected_source_language"] == "EN"
    assert ask(server, "GET", f"/v2/translate?{body}&auth_key=k")[1] == answer


def test_twenty_kilobytes_pass_whole(client: deepl.DeepLClient) -> None:
    text = "\n\n".join(f"Paragraph {i} says é and 中." for i in range(700))
    assert client.translate_text(text, source_lang="EN", target_lang="FR").text == text.upper()


# ---------------------------------------------------------------------- errors


def test_errors_are_the_clients_own(client: deepl.DeepLClient) -> None:
    with pytest.raises(deepl.DeepLException, match="Bad request, message: 'XX' is not a language"):
        client.translate_text(ENGLISH, target_lang="XX")
    with pytest.raises(deepl.DeepLException, match="formality 'less' is not supported"):
        client.translate_text(ENGLISH, target_lang="FR", formality="less")
    with pytest.raises(deepl.DeepLException, match="unknown glossary: 'nothing'"):
        client.translate_text(ENGLISH, source_lang="EN", target_lang="FR", glossary="nothing")
    with pytest.raises(deepl.DeepLException, match="style_id is not supported"):
        client.translate_text(ENGLISH, target_lang="FR", style_rule="mine")
    with pytest.raises(deepl.DeepLException, match="the model failed"):
        client.translate_text("This ✗ fails.", target_lang="FR")


def test_too_much_is_an_answer_and_not_a_reset(client: deepl.DeepLClient) -> None:
    for texts in (["a" * 31_000], ["a" * 2_000_000], ["a"] * 9):
        with pytest.raises(deepl.DeepLException) as wrong:
            client.translate_text(texts, target_lang="FR")
        assert wrong.value.http_status_code == 413


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": None}, "text is required"),
        ({"text": []}, "text is empty"),
        ({"text": ["a", 5]}, "text[1] must be a string, not a number"),
        ({"target_lang": None}, "target_lang is required"),
        ({"source_lang": "XX"}, "'XX' is not a language"),
        ({"tag_handling": "pdf"}, "tag_handling must be one of"),
        ({"formality": "very"}, "formality must be one of"),
        ({"formality": "MORE"}, "formality 'more' is not supported"),
    ],
)
def test_what_is_wrong_is_said(server: CompatServer, fields: dict[str, Any], said: str) -> None:
    status, answer = translate(server, **fields)
    assert (status, set(answer)) == (400, {"message"})
    assert said in answer["message"]


def test_every_error_has_the_familys_form(server: CompatServer) -> None:
    cases = [
        ("POST", "/v2/translate", "{", None, 400),
        ("POST", "/v2/translate", "text", {"Content-Type": "text/plain"}, 400),
        ("POST", "/v2/nothing", "{}", None, 404),
        ("DELETE", "/v2/translate", None, None, 405),
        ("GET", "/v2/languages?type=both", None, None, 400),
        ("GET", "/v2/glossaries/nothing", None, None, 404),
        ("GET", "/v3/glossaries/nothing", None, None, 404),
        ("POST", "/v3/glossaries", '{"name": "n", "dictionaries": [{"entries_format": "x"}]}', None, 400),
    ]
    for method, path, body, headers, status in cases:
        found, answer = ask(server, method, path, body, headers)
        assert (found, set(answer)) == (status, {"message"}), (method, path)
        assert isinstance(answer["message"], str)


# ---------------------------------------------------------------------- the service


def test_languages(client: deepl.DeepLClient) -> None:
    sources = {language.code: language.name for language in client.get_source_languages()}
    targets = {language.code: language for language in client.get_target_languages()}
    assert (sources["EN"], sources["ZH"]) == ("English", "Chinese")
    assert {"EN-GB", "EN-US", "PT-PT", "PT-BR", "FR", "ZH", "ZH-HANS"} <= set(targets)
    assert not {"EN", "PT"} & set(targets)
    assert targets["FR"].supports_formality is False


def test_every_offered_target_is_taken(client: deepl.DeepLClient) -> None:
    for language in client.get_target_languages():
        client.translate_text("Good morning.", source_lang="IT", target_lang=language.code)


def test_usage_counts_characters(client: deepl.DeepLClient) -> None:
    before = client.get_usage().character
    client.translate_text(["One day.", ""], source_lang="EN", target_lang="FR")
    after = client.get_usage()
    assert after.character.count - before.count == 8
    assert not after.any_limit_reached


# ---------------------------------------------------------------------- glossaries


def test_a_glossary_is_kept_used_and_deleted(client: deepl.DeepLClient) -> None:
    made = client.create_glossary("names", "EN", "FR", {"ministers": "ministres", "Vienna": "Vienne"})
    assert (made.ready, made.source_lang, made.target_lang, made.entry_count) == (True, "EN", "FR", 2)
    again = client.get_glossary(made.glossary_id)
    assert (again.name, again.creation_time) == ("names", made.creation_time)
    assert client.get_glossary_entries(made) == {"Vienna": "Vienne", "ministers": "ministres"}
    assert made.glossary_id in [each.glossary_id for each in client.list_glossaries()]

    done = client.translate_text(ENGLISH, source_lang="EN", target_lang="FR", glossary=made)
    assert ("ministres" in done.text, "Vienne" in done.text) == (True, True)
    assert client.translate_text_with_glossary(ENGLISH, made).text == done.text
    with pytest.raises(deepl.DeepLException, match="has nothing for en to de"):
        client.translate_text(ENGLISH, source_lang="EN", target_lang="DE", glossary=made.glossary_id)

    client.delete_glossary(made)
    for gone in (client.get_glossary, client.get_glossary_entries, client.delete_glossary):
        with pytest.raises(deepl.GlossaryNotFoundException):
            gone(made.glossary_id)


def test_a_glossary_from_csv_and_for_a_variant(client: deepl.DeepLClient) -> None:
    made = client.create_glossary_from_csv("csv", "FR", "EN-GB", 'Vienne,"Vienna, Austria"\n')
    assert client.get_glossary_entries(made) == {"Vienne": "Vienna, Austria"}
    done = client.translate_text(FRENCH, source_lang="FR", target_lang="EN-US", glossary=made)
    assert "Vienna, Austria" in done.text
    with pytest.raises(deepl.DeepLException, match="line 1 has 1 columns"):
        client.create_glossary_from_csv("csv", "FR", "EN", "lonely\n")


def test_several_pairs_in_one_glossary(client: deepl.DeepLClient) -> None:
    made = client.create_multilingual_glossary(
        "names", [Entries("EN", "FR", {"Vienna": "Vienne"}), Entries("EN", "DE", {"Vienna": "Wien"})]
    )
    assert {(d.source_lang, d.target_lang, d.entry_count) for d in made.dictionaries} == {
        ("EN", "FR", 1),
        ("EN", "DE", 1),
    }
    for target, word in (("FR", "Vienne"), ("DE", "Wien")):
        assert (
            word in client.translate_text(ENGLISH, source_lang="EN", target_lang=target, glossary=made).text
        )
    with pytest.raises(deepl.GlossaryNotFoundException):
        client.get_glossary(made.glossary_id)
    assert made.glossary_id not in [each.glossary_id for each in client.list_glossaries()]

    client.update_multilingual_glossary_name(made, "places")
    client.update_multilingual_glossary_dictionary(made, Entries("EN", "FR", {"Rome": "Rome"}))
    (entries,) = client.get_multilingual_glossary_entries(made, "EN", "FR").dictionaries
    assert entries.entries == "Rome\tRome\nVienna\tVienne"
    put = client.replace_multilingual_glossary_dictionary(made, Entries("EN", "FR", {"Paris": "Paris"}))
    assert (put.source_lang, put.entry_count) == ("EN", 1)
    client.delete_multilingual_glossary_dictionary(made, source_lang="EN", target_lang="DE")
    (found,) = [g for g in client.list_multilingual_glossaries() if g.glossary_id == made.glossary_id]
    assert (found.name, [d.target_lang for d in found.dictionaries]) == ("places", ["FR"])
    with pytest.raises(deepl.GlossaryNotFoundException):
        client.get_multilingual_glossary_entries(made, "EN", "DE")
    client.delete_multilingual_glossary(made)
    with pytest.raises(deepl.GlossaryNotFoundException):
        client.get_multilingual_glossary(made.glossary_id)


def test_several_glossaries_in_their_order(server: CompatServer, client: deepl.DeepLClient) -> None:
    first = client.create_multilingual_glossary("a", [Entries("EN", "FR", {"Vienna": "Vienne"})])
    second = client.create_multilingual_glossary(
        "b", [Entries("EN", "FR", {"Vienna": "Wien", "Sunday": "dimanche"})]
    )
    done = client.translate_text(
        ENGLISH, source_lang="EN", target_lang="FR", glossary_ids=[first, second.glossary_id]
    )
    assert ("Vienne" in done.text, "dimanche" in done.text, "Wien" in done.text) == (True, True, False)
    for named in ([second.glossary_id] * 2, [f"{i}" for i in range(11)]):  # each would be loaded
        status, told = translate(server, source_lang="EN", glossary_ids=named)
        assert (status, "at most 10 ids, each once" in told["message"]) == (400, True)


def test_pairs_for_glossaries(client: deepl.DeepLClient) -> None:
    pairs = {(pair.source_lang, pair.target_lang) for pair in client.get_glossary_languages()}
    assert {("en", "fr"), ("fr", "en")} <= pairs
    assert ("en", "en") not in pairs


# ---------------------------------------------------------------------- what takes long


def test_a_long_translation_is_one_request(
    server: CompatServer, client: deepl.DeepLClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepl.http_client, "max_network_retries", 5)
    monkeypatch.setattr(deepl.http_client, "min_connection_timeout", 1.0)  # for its ten seconds
    asked = server.log.count("POST /v2/translate")
    done = client.translate_text("This is slow.", source_lang="EN", target_lang="FR")
    assert done.text == "THIS IS SLOW."
    until(lambda: server.log.count("POST /v2/translate") == asked + 1)


def test_a_late_failure_breaks_the_answer_off(
    server: CompatServer, client: deepl.DeepLClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepl.http_client, "max_network_retries", 5)
    asked = server.log.count("POST /v2/translate")
    with pytest.raises(deepl.ConnectionException):
        client.translate_text(["This is slow.", "This ✗ fails."], source_lang="EN", target_lang="FR")
    until(lambda: server.log.count("POST /v2/translate") > asked)
    assert server.log.count("POST /v2/translate") == asked + 1, "and is not asked for again"
    until(lambda: "broke off: EngineFailed" in server.log)
    assert "Traceback" not in server.log
    server.wait_for_work(0)


def test_who_leaves_early_leaves_nothing_behind(server: CompatServer) -> None:
    body = json.dumps({"text": ["This is slow."], "source_lang": "EN", "target_lang": "FR"}).encode()
    head = "POST /v2/translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        received = b""
        while b"1\r\n \r\n" not in received:
            received += connection.recv(4096)
        assert received.startswith(b"HTTP/1.1 200")
    time.sleep(0.1)
    server.wait_for_work(0)
    assert "Traceback" not in server.log


def test_the_key_is_not_written_down(client: deepl.DeepLClient, server: CompatServer) -> None:
    logging.getLogger("deepl").setLevel(logging.CRITICAL)
    client.get_usage()
    assert "a-key" not in server.log
