"""Example requests and responses for the documentation. Plain JSON; tests check them."""

from typing import Any

ARTICLE = (
    "The ferry to Sark did not sail on Monday. A gust of 98 kilometres an hour had torn a rope in the night, "
    "and the harbour master kept every boat in. About 40 passengers slept in the school hall. The company "
    "expects to sail again on Tuesday afternoon."
)
USAGE = {"source_tokens": 0, "output_tokens": 0}
TIMINGS = {"text": 4.2, "model": 0.0, "total": 61.3}

SUMMARIZE: dict[str, Any] = {"text": ARTICLE, "length": "headline"}
SUMMARY: dict[str, Any] = {
    "summary": "The ferry to Sark did not sail on Monday",
    "sentences": [
        {
            "text": "The ferry to Sark did not sail on Monday",
            "start": 0,
            "end": 40,
            "source": {"start": 0, "end": 41},
            "evidence": [{"start": 0, "end": 41, "score": 1.0}],
            "flags": [],
        }
    ],
    "language": "en",
    "model": "dragoman/extractive",
    "detected": {"language": "en", "confidence": 0.9871},
    "source": {
        "characters": len(ARTICLE),
        "sentences": 4,
        "title": None,
        "dropped": [],
        "windows": 1,
        "coverage": 1.0,
    },
    "usage": USAGE,
    "timings_ms": TIMINGS,
    "notes": [],
}
SUMMARIZE_MANY: dict[str, Any] = {"texts": [ARTICLE, ""], "length": "headline"}
EMPTY_ITEM: dict[str, Any] = {
    "type": "/problems/invalid-input",
    "title": "Invalid request",
    "status": 422,
    "detail": "texts[1] is empty",
    "field": "texts[1]",
    "allowed": "a text with at least one word",
    "request_id": "314bd03f652f432c9e6aaa7092b143be",
}
SUMMARIES: dict[str, Any] = {"results": [SUMMARY, EMPTY_ITEM]}

TRANSLATE: dict[str, Any] = {
    "text": "The ministers met in Vienna on Monday. They signed 14 papers.",
    "target": "fr",
}
TRANSLATION: dict[str, Any] = {
    "translation": "Les ministres se sont rencontrés lundi à Vienne. Ils ont signé 14 papiers.",
    "segments": [
        {
            "source": {"start": 0, "end": 38},
            "text": "Les ministres se sont rencontrés lundi à Vienne.",
            "complete": True,
            "confidence": 0.749,
            "abstained": False,
            "flags": [],
        },
        {
            "source": {"start": 39, "end": 61},
            "text": "Ils ont signé 14 papiers.",
            "complete": True,
            "confidence": 0.936,
            "abstained": False,
            "flags": [],
        },
    ],
    "source": {"language": "en", "confidence": 0.9412, "detected": True},
    "target": "fr",
    "model": "dragoman/gemma3-270m-translate",
    "usage": {"source_tokens": 31, "output_tokens": 20},
    "timings_ms": {"text": 2.4, "model": 1338.7, "total": 1341.5},
    "notes": ["about 2 of 2 sentences are likely right"],
}
TRANSLATE_STREAM: dict[str, Any] = {**TRANSLATE, "stream": True}
TRANSLATE_MANY: dict[str, Any] = {"texts": [TRANSLATE["text"], ""], "target": "fr"}
TRANSLATIONS: dict[str, Any] = {"results": [TRANSLATION, EMPTY_ITEM]}

DETECT: dict[str, Any] = {"text": "Guten Morgen, liebe Leute."}
DETECTION: dict[str, Any] = {
    "language": "de",
    "confidence": 0.9987,
    "candidates": [{"language": "de", "confidence": 0.9987}, {"language": "nl", "confidence": 0.0004}],
}

MODELS: dict[str, Any] = {
    "models": [
        {
            "name": "dragoman/extractive",
            "family": "extractive",
            "tasks": ["summarize"],
            "languages": [],
            "licence": "Apache-2.0",
            "max_source_tokens": 256,
            "description": "Picks the article's own sentences.",
            "bundled": True,
            "default_for": ["summarize"],
            "loaded": True,
            "state": "ready",
        }
    ],
    "object": "list",
    "data": [{"id": "summarize:short", "object": "model", "created": 0, "owned_by": "dragoman"}],
}
LANGUAGES: dict[str, Any] = {
    "languages": [
        {
            "code": "fr",
            "name": "French",
            "models": ["dragoman/gemma3-270m-translate"],
            "targets": ["en", "de"],
            "via": {"de": "en"},
        }
    ],
    "quality": "starting anywhere, without a network: picked sentences, and translations that give the gist",
}

CHECK: dict[str, Any] = {
    "source": "About 40 passengers slept in the school hall.",
    "output": "Some 60 passengers slept in the school hall.",
    "kind": "summary",
}
CHECKED: dict[str, Any] = {
    "sentences": [
        {
            "text": "Some 60 passengers slept in the school hall.",
            "start": 0,
            "end": 44,
            "evidence": [{"start": 0, "end": 45, "score": 0.8}],
            "flags": [
                {
                    "kind": "number",
                    "start": 5,
                    "end": 7,
                    "reason": "The source says 40.",
                    "severity": "error",
                }
            ],
        }
    ],
    "kind": "summary",
    "source_language": "en",
    "target": "en",
}
CLEAN: dict[str, Any] = {"text": "No ferry on Monday\nNo ferry on Monday\n" + ARTICLE + "\nLeave a Reply"}
CLEANED: dict[str, Any] = {
    "title": "No ferry on Monday",
    "text": ARTICLE,
    "dropped": [
        {"text": "No ferry on Monday", "reason": "repeated headline"},
        {"text": "Leave a Reply", "reason": "reply form"},
    ],
}
