"""The compatible interfaces as an OpenAPI document of its own: other people's contracts, as far as they hold.

It is for the documentation page, to read and to try; clients of these families have their makers' documents.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from service.http.compat.deepl import DeepLDocument, DeepLTranslate
from service.http.compat.deepl_documents import DocumentKey
from service.http.compat.deepl_glossaries import Changes, Entries, NewV2, NewV3
from service.http.compat.huggingface import PipelineBody
from service.http.compat.libretranslate import Detect, Suggest, TranslateFile, TranslateTexts
from service.http.forms import FORM
from service.http.openapi import JSON
from service.schemas.examples import ARTICLE

DEEPL, LIBRETRANSLATE, HUGGING_FACE = "DeepL", "LibreTranslate", "Hugging Face"
TSV = "text/tab-separated-values"

_SENTENCE, _TRANSLATED = (
    "The ministers met in Vienna on Monday.",
    "Les ministres se sont rencontrés lundi à Vienne.",
)
_ID = "9e4ff64c-bc0a-49a9-9a2e-e5986308d2aa"
_PAIR = {"source_lang": "en", "target_lang": "fr"}
_ENTRIES = {**_PAIR, "entries": "Vienna\tVienne", "entries_format": "tsv"}
_SIZE = {**_PAIR, "entry_count": 1}
_MADE = {"glossary_id": _ID, "name": "capitals", "creation_time": "2026-11-25T17:15:04.602474+00:00"}
_V2 = {**_MADE, "ready": True, **_SIZE}
_V3 = {**_MADE, "dictionaries": [_SIZE]}


@dataclass(frozen=True, slots=True)
class Foreign:
    """One method of one path, with an example; paths as OpenAPI writes them."""

    family: str
    method: str
    path: str
    summary: str
    answer: Any = None
    """None where there is no body, or a file."""
    body: type[BaseModel] | None = None
    example: Any = None
    body_type: str = JSON
    answer_type: str = JSON
    query: tuple[str, ...] = ()
    status: int = 200


_DOCUMENT, _KEY = "/v2/document/{document_id}", {"document_key": "0CB0054F1C132C1625B392EADDA41CB7"}
_SENT, _DONE = {"document_id": _ID, **_KEY}, {"document_id": _ID, "status": "done", "billed_characters": 1337}
_V2_ONE, _V3_ONE = "/v2/glossaries/{glossary_id}", "/v3/glossaries/{glossary_id}"

FOREIGN = (
    Foreign(
        DEEPL,
        "post",
        "/v2/translate",
        "Translate texts",
        {"translations": [{"detected_source_language": "EN", "text": _TRANSLATED, "billed_characters": 38}]},
        DeepLTranslate,
        {"text": [_SENTENCE], "target_lang": "FR"},
    ),
    Foreign(DEEPL, "post", "/v2/document", "Send in a document", _SENT, DeepLDocument, body_type=FORM),
    Foreign(DEEPL, "post", _DOCUMENT, "Ask how a document stands", _DONE, DocumentKey, _KEY),
    Foreign(DEEPL, "post", f"{_DOCUMENT}/result", "Download it, once", None, DocumentKey, _KEY),
    Foreign(
        DEEPL,
        "get",
        "/v2/languages",
        "The languages",
        [{"language": "FR", "name": "French", "supports_formality": False}],
        query=("type",),
    ),
    Foreign(
        DEEPL,
        "get",
        "/v2/usage",
        "The characters of today",
        {"character_count": 29878, "character_limit": 1000000},
    ),
    Foreign(
        DEEPL,
        "get",
        "/v2/glossary-language-pairs",
        "The pairs that a glossary may have",
        {"supported_languages": [_PAIR]},
    ),
    Foreign(
        DEEPL,
        "post",
        "/v2/glossaries",
        "Keep a glossary",
        _V2,
        NewV2,
        {"name": "capitals", **_ENTRIES},
        status=201,
    ),
    Foreign(DEEPL, "get", "/v2/glossaries", "All glossaries of one pair", {"glossaries": [_V2]}),
    Foreign(DEEPL, "get", _V2_ONE, "One glossary", _V2),
    Foreign(DEEPL, "get", f"{_V2_ONE}/entries", "Its entries", "Vienna\tVienne", answer_type=TSV),
    Foreign(DEEPL, "delete", _V2_ONE, "Forget a glossary", status=204),
    Foreign(
        DEEPL,
        "post",
        "/v3/glossaries",
        "Keep a glossary of several pairs",
        _V3,
        NewV3,
        {"name": "capitals", "dictionaries": [_ENTRIES]},
        status=201,
    ),
    Foreign(DEEPL, "get", "/v3/glossaries", "All glossaries", {"glossaries": [_V3]}),
    Foreign(DEEPL, "get", _V3_ONE, "One glossary", _V3),
    Foreign(DEEPL, "patch", _V3_ONE, "Change its name or entries", _V3, Changes, {"name": "cities"}),
    Foreign(DEEPL, "delete", _V3_ONE, "Forget a glossary", status=204),
    Foreign(
        DEEPL,
        "get",
        f"{_V3_ONE}/entries",
        "The entries of one pair",
        {"dictionaries": [_ENTRIES]},
        query=("source_lang", "target_lang"),
    ),
    Foreign(
        DEEPL, "put", f"{_V3_ONE}/dictionaries", "Replace the entries of one pair", _SIZE, Entries, _ENTRIES
    ),
    Foreign(
        DEEPL,
        "delete",
        f"{_V3_ONE}/dictionaries",
        "Forget the entries of one pair",
        query=("source_lang", "target_lang"),
        status=204,
    ),
    Foreign(
        LIBRETRANSLATE,
        "post",
        "/translate",
        "Translate a text or several",
        {"translatedText": _TRANSLATED, "detectedLanguage": {"language": "en", "confidence": 94.3}},
        TranslateTexts,
        {"q": _SENTENCE, "source": "auto", "target": "fr"},
    ),
    Foreign(
        LIBRETRANSLATE,
        "post",
        "/detect",
        "Say which language a text is in",
        [{"language": "fr", "confidence": 99.9}],
        Detect,
        {"q": _TRANSLATED},
    ),
    Foreign(
        LIBRETRANSLATE,
        "get",
        "/languages",
        "The languages, and into which each can be translated",
        [{"code": "en", "name": "English", "targets": ["fr", "de"]}],
    ),
    Foreign(
        LIBRETRANSLATE,
        "post",
        "/suggest",
        "Send in a better translation",
        {"success": True},
        Suggest,
        {"q": _SENTENCE, "s": _TRANSLATED, "source": "en", "target": "fr"},
    ),
    Foreign(
        LIBRETRANSLATE,
        "post",
        "/translate_file",
        "Translate a file",
        {"translatedFileUrl": "http://127.0.0.1:8080/download_file/9e4ff64cbc0a49a99a2ee5986308d2aa"},
        TranslateFile,
        body_type=FORM,
    ),
    Foreign(LIBRETRANSLATE, "get", "/download_file/{key}", "Fetch a translated file", answer_type="*/*"),
    Foreign(
        LIBRETRANSLATE,
        "get",
        "/frontend/settings",
        "What a web client needs to know",
        {"charLimit": 200000, "keyRequired": False, "suggestions": True},
    ),
    Foreign(LIBRETRANSLATE, "get", "/health", "Say whether the service is alive", {"status": "ok"}),
    Foreign(
        HUGGING_FACE,
        "post",
        "/pipeline/{task}",
        "Run a pipeline: summarization, translation, translation_en_to_fr",
        [{"summary_text": "The ferry to Sark did not sail on Monday. About 40 passengers slept ..."}],
        PipelineBody,
        {"inputs": ARTICLE, "parameters": {"max_new_tokens": 40}},
    ),
    Foreign(
        HUGGING_FACE, "get", "/pipeline/{task}/health", "Say whether a pipeline can run", {"status": "ok"}
    ),
)

KEYS = {
    DEEPL: {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`DeepL-Auth-Key KEY`"},
    LIBRETRANSLATE: {"type": "apiKey", "in": "query", "name": "api_key"},
    HUGGING_FACE: {"type": "http", "scheme": "bearer"},
}


def document() -> dict[str, Any]:
    """Return the whole document."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for each in FOREIGN:
        paths.setdefault(each.path, {})[each.method] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Compatible interfaces",
            "version": "1",
            "description": "Clients of these services work here as they are, once they are given this "
            "server's address. Errors have each family's own form.",
        },
        "tags": [{"name": family} for family in KEYS],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {_name(family): key for family, key in KEYS.items()},
        },
    }


def _operation(each: Foreign, schemas: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "tags": [each.family],
        "operationId": "_".join(
            [each.method, *each.path.strip("/").replace("{", "").replace("}", "").split("/")]
        ),
        "summary": each.summary,
        "parameters": list(_parameters(each)),
        "security": [{}, {_name(each.family): []}],
        "responses": {
            str(each.status): _answer(each),
            "default": {"description": "An error, in the family's own form"},
        },
    }
    if each.body is not None:
        content: dict[str, Any] = {"schema": _schema(each, schemas)}
        if each.example is not None:
            content["example"] = each.example
        made["requestBody"] = {"required": True, "content": {each.body_type: content}}
    return made


def _parameters(each: Foreign) -> Iterator[dict[str, Any]]:
    examples = {"task": "summarization", "source_lang": "en", "target_lang": "fr", "type": "target"}
    in_path = [part[1:-1] for part in each.path.split("/") if part.startswith("{")]
    for name in (*in_path, *each.query):
        part = {"name": name, "in": "path" if name in in_path else "query", "required": name in in_path}
        yield (
            part | {"schema": {"type": "string"}} | ({"example": examples[name]} if name in examples else {})
        )


def _answer(each: Foreign) -> dict[str, Any]:
    if each.status == 204:
        return {"description": "Done"}
    content: dict[str, Any] = {"schema": {}}
    if each.answer is not None:
        content["example"] = each.answer
    return {"description": "Done", "content": {each.answer_type: content}}


def _schema(each: Foreign, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return a reference to the body's schema, which is put among the others."""
    assert each.body is not None  # noqa: S101 - asked for bodies alone
    schema = each.body.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schema.pop("$defs", {})
    if each.body_type != JSON:
        schema["properties"]["file"] = {"type": "string", "contentMediaType": "application/octet-stream"}
    schemas[each.body.__name__] = schema
    return {"$ref": f"#/components/schemas/{each.body.__name__}"}


def _name(family: str) -> str:
    return family.replace(" ", "")
