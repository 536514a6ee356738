"""/v1/documents over HTTP: files in, files and summaries out."""

from io import BytesIO
from typing import Any

import docx
import pytest
from http_fakes import FakeRuntime, settings
from werkzeug.test import TestResponse

from service.http.app import create_app


def _post(task: str, name: str, data: bytes, **fields: Any) -> TestResponse:
    client = create_app(FakeRuntime(settings(max_request_characters=1000))).test_client()
    return client.post(f"/v1/documents/{task}", data={"file": (BytesIO(data), name), **fields})


def test_a_text_file_comes_back_translated() -> None:
    response = _post("translate", "Bericht aus Wien.txt", "Grüße".encode(), target="fr")
    assert (response.status_code, response.text) == (200, "GRÜSSE")
    assert response.mimetype == "text/plain"
    assert response.headers["Content-Disposition"] == 'attachment; filename="Bericht aus Wien.fr.txt"'


@pytest.mark.parametrize(
    ("name", "as_told"),
    [
        ("<script>alert(1)<!--.html", '"<script>alert(1)<!--.fr.html"'),
        ("../../etc/a\x85Set-Cookie: b=c.html", '"a Set-Cookie: b=c.fr.html"'),
    ],
)
def test_a_script_in_a_documents_name_or_page_is_only_ever_a_file(name: str, as_told: str) -> None:
    page = b"<p>Good <script>alert(1)</script>morning.</p>"
    response = _post("translate", name, page, target="fr", source="en")
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert response.headers["Content-Disposition"] == f"attachment; filename={as_told}"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response.headers


def test_a_word_document_comes_back_as_one() -> None:
    document, sent, back = docx.Document(), BytesIO(), BytesIO()
    document.add_paragraph("hello")
    document.save(sent)
    response = _post("translate", "a.docx", sent.getvalue(), target="fr", source="en")
    assert response.mimetype.endswith("wordprocessingml.document")
    back.write(response.data)
    assert len(docx.Document(back).paragraphs) == 1


def test_a_document_is_summarized() -> None:
    response = _post("summarize", "a.txt", b"One. Two.", length="headline", max_sentences="2")
    assert response.status_code == 200
    assert response.json["summary"] == "One. Two."
    assert response.json["source"]["text"] == "One. Two."


@pytest.mark.parametrize(
    ("task", "name", "fields", "field"),
    [
        ("translate", "a.txt", {}, "target"),
        ("translate", "a.exe", {"target": "fr"}, "file"),
        ("translate", "a.txt", {"target": "fr", "min_confidence": "much"}, "min_confidence"),
        ("summarize", "a.txt", {"length": "endless"}, "length"),
        ("summarize", "a.txt", {"max_sentences": "0"}, "max_sentences"),
        ("summarize", "a.txt", {"lenght": "short"}, "lenght"),
    ],
)
def test_what_is_wrong_is_named(task: str, name: str, fields: dict[str, str], field: str) -> None:
    response = _post(task, name, b"One.", **fields)
    assert (response.status_code, response.json["field"]) == (422, field)
    assert response.mimetype == "application/problem+json"


def test_a_long_document_is_refused_and_not_cut() -> None:
    response = _post("translate", "a.txt", b"a " * 600, target="fr")
    assert (response.status_code, response.json["type"]) == (413, "/problems/text-too-long")


def test_a_body_that_is_no_form_is_refused() -> None:
    client = create_app(FakeRuntime()).test_client()
    assert client.post("/v1/documents/translate", json={"target": "fr"}).status_code == 415
    assert client.post("/v1/documents/translate", data={"target": "fr"}).status_code == 415
    form = {"file": "just a field", "target": "fr"}
    response = client.post("/v1/documents/translate", data=form, content_type="multipart/form-data")
    assert (response.status_code, response.json["field"]) == (422, "file")
