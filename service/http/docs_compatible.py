"""The routes of the compatible interfaces, for the OpenAPI document that is made of them."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from service.http.compat.deepl import DeepLTranslate
from service.http.compat.deepl_glossaries import Changes, Entries, NewV2, NewV3
from service.http.compat.huggingface import PipelineBody
from service.http.compat.libretranslate import Detect, Suggest, TranslateFile, TranslateTexts
from service.http.compat.openai_request import ChatBody
from service.http.openapi import JSON
from service.schemas.examples import ARTICLE
from service.settings import ClientFamily

OPENAI, MCP = "OpenAI", "MCP"
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


_V2_ONE, _V3_ONE = "/v2/glossaries/{glossary_id}", "/v3/glossaries/{glossary_id}"

FOREIGN = (
    Foreign(
        OPENAI,
        "post",
        "/v1/chat/completions",
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
    Foreign(
        OPENAI,
        "get",
        "/v1/models/{name}",
        "One of the names that /v1/models lists",
        {"id": "translate:fr", "object": "model", "created": 0, "owned_by": "dragoman"},
    ),
    Foreign(
        MCP,
        "post",
        "/mcp",
        "Speak the Model Context Protocol: streamable HTTP, one JSON document a message",
        {"jsonrpc": "2.0", "id": 1, "result": {"tools": []}},
    ),
    Foreign(
        DEEPL,
        "post",
        "/v2/translate",
        "Translate texts",
        {"translations": [{"detected_source_language": "EN", "text": _TRANSLATED, "billed_characters": 38}]},
        DeepLTranslate,
        {"text": [_SENTENCE], "target_lang": "FR"},
    ),
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
        body_type="multipart/form-data",
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
    OPENAI: {"type": "http", "scheme": "bearer"},
    MCP: {"type": "http", "scheme": "bearer"},
    DEEPL: {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`DeepL-Auth-Key KEY`"},
    LIBRETRANSLATE: {"type": "apiKey", "in": "query", "name": "api_key"},
    HUGGING_FACE: {"type": "http", "scheme": "bearer"},
}
"""How each family sends its key."""
CLIENTS: dict[str, ClientFamily] = {
    OPENAI: "openai",
    MCP: "mcp",
    DEEPL: "deepl",
    LIBRETRANSLATE: "libretranslate",
    HUGGING_FACE: "huggingface",
}
"""The families as the setting names them."""
