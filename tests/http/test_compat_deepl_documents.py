"""DeepL's documents, with its own client on the real server."""

import json
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import deepl
import pytest
from compat_server import CompatServer
from http_fakes import FakeRuntime
from made_documents import sound

from service.documents import read_document
from service.documents.formats import SUFFIXES
from service.http.app import JOB_BODIES, create_app
from service.http.quotas import READING_BY_POST


@pytest.fixture
def client(compat_server: CompatServer, monkeypatch: pytest.MonkeyPatch) -> deepl.DeepLClient:
    sleep = time.sleep
    monkeypatch.setattr(deepl.http_client, "max_network_retries", 0)
    monkeypatch.setattr(deepl.translator.time, "sleep", lambda s: sleep(min(s, 0.05)))  # it waits for 5 s
    return deepl.DeepLClient("a-key", server_url=compat_server.url)


def upload(client: deepl.DeepLClient, text: str, **options: Any) -> deepl.DocumentHandle:
    options = {"filename": "a.txt", "source_lang": "EN", "target_lang": "FR"} | options
    return client.translate_document_upload(text.encode(), **options)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_comes_back(client: deepl.DeepLClient, tmp_path: Path, suffix: str) -> None:
    sent, back = tmp_path / f"a{suffix}", tmp_path / f"b{suffix if suffix != '.pdf' else '.txt'}"
    sent.write_bytes(sound(suffix))
    status = client.translate_document_from_filepath(str(sent), str(back), source_lang="EN", target_lang="FR")
    assert status.done
    before = read_document(sent.name, sent.read_bytes())
    assert status.billed_characters == len(before.to_translate().text)
    words = read_document(back.name, back.read_bytes()).article().text
    assert words != before.article().text, "its words are capitals now"
    assert words.lower().split() == before.article().text.lower().split()


def test_a_document_is_downloaded_once(client: deepl.DeepLClient) -> None:
    handle = upload(client, "The ministers met.")
    assert client.translate_document_wait_until_done(handle).done
    out = BytesIO()
    client.translate_document_download(handle, out)
    assert out.getvalue() == b"THE MINISTERS MET."
    for again in (client.translate_document_download, client.translate_document_get_status):
        with pytest.raises(deepl.DeepLException) as gone:
            again(handle)
        assert gone.value.http_status_code == 404


def test_what_is_not_ready_says_so(client: deepl.DeepLClient) -> None:
    handle = upload(client, "This is slow.\n\nThis is slow too.")
    with pytest.raises(deepl.DocumentNotReadyException):
        client.translate_document_download(handle)
    status = client.translate_document_get_status(handle).status
    assert status in (deepl.DocumentStatus.Status.QUEUED, deepl.DocumentStatus.Status.TRANSLATING)
    assert client.translate_document_wait_until_done(handle).done


def test_glossaries_count_in_documents(client: deepl.DeepLClient) -> None:
    glossary = client.create_glossary("cities", "EN", "FR", {"Vienna": "Vienne"})
    for given in ({"glossary": glossary}, {"glossary_ids": [glossary.glossary_id]}):
        handle = upload(client, "They met in Vienna.", **given)
        client.translate_document_wait_until_done(handle)
        out = BytesIO()
        client.translate_document_download(handle, out)
        assert out.getvalue() == b"THEY MET IN Vienne."


def test_a_failure_is_told_in_the_status(client: deepl.DeepLClient) -> None:
    handle = upload(client, "This ✗ fails.")
    status = client.translate_document_wait_until_done(handle)
    assert not status.ok
    with pytest.raises(deepl.DeepLException, match="Not found"):
        client.translate_document_download(handle)
    assert "the model failed" in str(status.error_message)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"filename": "a.exe"}, "unsupported file type: .exe"),
        ({"filename": "a.docx"}, "not a ZIP file"),
        ({"filename": "a.pdf"}, "a document like .pdf comes back as .txt"),
        ({"output_format": "pdf"}, "a document like .txt comes back as .txt"),
        ({"formality": "less"}, "formality 'less' is not supported"),
        ({"target_lang": "XX"}, "'XX' is not a language"),
        ({"style_rule": "mine"}, "style_id is not supported"),
    ],
)
def test_what_is_refused_says_so(client: deepl.DeepLClient, options: dict[str, Any], said: str) -> None:
    with pytest.raises(deepl.DeepLException, match=said) as refused:
        upload(client, "The ministers met.", **options)
    assert refused.value.http_status_code == 400


def test_nobody_has_it_without_its_key(client: deepl.DeepLClient, compat_server: CompatServer) -> None:
    handle = upload(client, "The ministers met.")
    path, headers = f"/v2/document/{handle.document_id}", {"Content-Type": "application/json"}
    for body, status in (
        ({"document_key": "x"}, 404),
        ({"document_key": "é"}, 404),
        ({"document_key": "\ud800"}, 400),
        ({}, 400),
    ):
        for end in ("", "/result"):
            response, told = compat_server.request("POST", path + end, json.dumps(body), headers)
            assert response.status == status
            assert isinstance(json.loads(told)["message"], str)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    response, _ = compat_server.request("POST", path, f"document_key={handle.document_key}", form)
    assert response.status == 200


def test_asking_how_a_document_stands_counts_for_no_rate() -> None:
    app = create_app(FakeRuntime())
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert {*READING_BY_POST, *JOB_BODIES} <= endpoints, "they are named in quotas.py and app.py"
