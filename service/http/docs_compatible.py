"""The routes of the compatible interfaces, for the OpenAPI document that is made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from service.http.compat.deepl import DeepLDocument, DeepLTranslate
from service.http.compat.deepl_documents import DocumentKey
from service.http.compat.deepl_glossaries import Changes, Entries, NewV2, NewV3
from service.http.compat.huggingface import PipelineBody
from service.http.compat.libretranslate import Detect, Suggest, TranslateFile, TranslateTexts
from service.http.compat.openai_request import ChatBody
from service.http.forms import FORM
from service.http.openapi import JSON
from service.schemas.examples import ARTICLE
from service.settings import ClientFamily

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
    """One method of one path, with an example."""

    summary: str
    answer: Any = None
    """None where there is no body, or a file."""
    body: type[BaseModel] | None = None
    example: Any = None
    body_type: str = JSON
    answer_type: str = JSON
    query: tuple[str, ...] = ()
    status: int = 200


@dataclass(frozen=True, slots=True)
class ForeignFamily:
    """The clients of one service."""

    client: ClientFamily
    """As the setting names it."""
    key: Mapping[str, str]
    """How its key is sent."""
    routes: Mapping[str, Foreign]
    """By method and path, as OpenAPI writes them."""


_DOCUMENT, _KEY = "/v2/document/{document_id}", {"document_key": "0CB0054F1C132C1625B392EADDA41CB7"}
_SENT, _DONE = {"document_id": _ID, **_KEY}, {"document_id": _ID, "status": "done", "billed_characters": 1337}
_LANGUAGE = {
    "lang": "fr",
    "name": "French",
    "usable_as_source": True,
    "usable_as_target": True,
    "status": "stable",
    "features": {"glossary": {"status": "stable"}},
}
_V2_ONE, _V3_ONE = "/v2/glossaries/{glossary_id}", "/v3/glossaries/{glossary_id}"

_BEARER = {"type": "http", "scheme": "bearer"}

FAMILIES: Mapping[str, ForeignFamily] = {
    "OpenAI": ForeignFamily(
        "openai",
        _BEARER,
        {
            "post /v1/chat/completions": Foreign(
                "Translate, summarize, or have an instruct model answer",
                {
                    "id": "chatcmpl-9e4ff64cbc0a49a99a2ee5986308d2aa",
                    "created": 1795635304,
                    "model": "translate:fr",
                    "object": "chat.completion",
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": _TRANSLATED, "refusal": None},
                            "logprobs": None,
                            "finish_reason": "stop",
                        }
                    ],
                    "usage": {"prompt_tokens": 19, "completion_tokens": 11, "total_tokens": 30},
                },
                ChatBody,
                {"model": "translate:fr", "messages": [{"role": "user", "content": _SENTENCE}]},
            ),
            "get /v1/models/{name}": Foreign(
                "One of the names that /v1/models lists",
                {"id": "translate:fr", "object": "model", "created": 0, "owned_by": "dragoman"},
            ),
        },
    ),
    "MCP": ForeignFamily(
        "mcp",
        _BEARER,
        {
            "post /mcp": Foreign(
                "Speak the Model Context Protocol: streamable HTTP, one JSON document a message",
                {"jsonrpc": "2.0", "id": 1, "result": {"tools": []}},
            ),
        },
    ),
    "DeepL": ForeignFamily(
        "deepl",
        {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`DeepL-Auth-Key KEY`"},
        {
            "post /v2/translate": Foreign(
                "Translate texts",
                {
                    "translations": [
                        {"detected_source_language": "EN", "text": _TRANSLATED, "billed_characters": 38}
                    ]
                },
                DeepLTranslate,
                {"text": [_SENTENCE], "target_lang": "FR"},
            ),
            "post /v2/document": Foreign("Send in a document", _SENT, DeepLDocument, body_type=FORM),
            f"post {_DOCUMENT}": Foreign("Ask how a document stands", _DONE, DocumentKey, _KEY),
            f"post {_DOCUMENT}/result": Foreign("Download it, once", None, DocumentKey, _KEY),
            "get /v2/languages": Foreign(
                "The languages",
                [{"language": "FR", "name": "French", "supports_formality": False}],
                query=("type",),
            ),
            "get /v3/languages": Foreign("The languages of a resource", [_LANGUAGE], query=("resource",)),
            "get /v3/languages/resources": Foreign(
                "The resources, and what their languages may have",
                [
                    {
                        "name": "translate_text",
                        "features": [{"name": "auto_detection", "needs_source_support": True}],
                    }
                ],
            ),
            "get /v2/usage": Foreign(
                "The characters of today", {"character_count": 29878, "character_limit": 1000000}
            ),
            "get /v2/glossary-language-pairs": Foreign(
                "The pairs that a glossary may have", {"supported_languages": [_PAIR]}
            ),
            "post /v2/glossaries": Foreign(
                "Keep a glossary", _V2, NewV2, {"name": "capitals", **_ENTRIES}, status=201
            ),
            "get /v2/glossaries": Foreign("All glossaries of one pair", {"glossaries": [_V2]}),
            f"get {_V2_ONE}": Foreign("One glossary", _V2),
            f"get {_V2_ONE}/entries": Foreign("Its entries", "Vienna\tVienne", answer_type=TSV),
            f"delete {_V2_ONE}": Foreign("Forget a glossary", status=204),
            "post /v3/glossaries": Foreign(
                "Keep a glossary of several pairs",
                _V3,
                NewV3,
                {"name": "capitals", "dictionaries": [_ENTRIES]},
                status=201,
            ),
            "get /v3/glossaries": Foreign("All glossaries", {"glossaries": [_V3]}),
            f"get {_V3_ONE}": Foreign("One glossary", _V3),
            f"patch {_V3_ONE}": Foreign("Change its name or entries", _V3, Changes, {"name": "cities"}),
            f"delete {_V3_ONE}": Foreign("Forget a glossary", status=204),
            f"get {_V3_ONE}/entries": Foreign(
                "The entries of one pair", {"dictionaries": [_ENTRIES]}, query=("source_lang", "target_lang")
            ),
            f"put {_V3_ONE}/dictionaries": Foreign(
                "Replace the entries of one pair", _SIZE, Entries, _ENTRIES
            ),
            f"delete {_V3_ONE}/dictionaries": Foreign(
                "Forget the entries of one pair", query=("source_lang", "target_lang"), status=204
            ),
        },
    ),
    "LibreTranslate": ForeignFamily(
        "libretranslate",
        {"type": "apiKey", "in": "query", "name": "api_key"},
        {
            "post /translate": Foreign(
                "Translate a text or several",
                {"translatedText": _TRANSLATED, "detectedLanguage": {"language": "en", "confidence": 94.3}},
                TranslateTexts,
                {"q": _SENTENCE, "source": "auto", "target": "fr"},
            ),
            "post /detect": Foreign(
                "Say which language a text is in",
                [{"language": "fr", "confidence": 99.9}],
                Detect,
                {"q": _TRANSLATED},
            ),
            "get /languages": Foreign(
                "The languages, and into which each can be translated",
                [{"code": "en", "name": "English", "targets": ["fr", "de"]}],
            ),
            "post /suggest": Foreign(
                "Send in a better translation",
                {"success": True},
                Suggest,
                {"q": _SENTENCE, "s": _TRANSLATED, "source": "en", "target": "fr"},
            ),
            "post /translate_file": Foreign(
                "Translate a file",
                {"translatedFileUrl": "http://127.0.0.1:8080/download_file/9e4ff64cbc0a49a99a2ee5986308d2aa"},
                TranslateFile,
                body_type=FORM,
            ),
            "get /download_file/{key}": Foreign("Fetch a translated file", answer_type="*/*"),
            "get /frontend/settings": Foreign(
                "What a web client needs to know",
                {"charLimit": 200000, "keyRequired": False, "suggestions": True},
            ),
            "get /health": Foreign("Say whether the service is alive", {"status": "ok"}),
        },
    ),
    "Hugging Face": ForeignFamily(
        "huggingface",
        _BEARER,
        {
            "post /pipeline/{task}": Foreign(
                "Run a pipeline: summarization, translation, translation_en_to_fr",
                [{"summary_text": "The ferry to Sark did not sail on Monday. About 40 passengers slept ..."}],
                PipelineBody,
                {"inputs": ARTICLE, "parameters": {"max_new_tokens": 40}},
            ),
            "get /pipeline/{task}/health": Foreign("Say whether a pipeline can run", {"status": "ok"}),
        },
    ),
}
