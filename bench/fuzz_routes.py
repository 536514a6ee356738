"""The routes to be asked, with sound requests for each: the document's, and the compatible interfaces'.

The document is the server's own, so that a new route is among them; other people's interfaces stay out of it,
so that theirs are written here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

JSON = "application/json"
MULTIPART = "multipart/form-data"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path, whose variable parts stand in braces."""

    method: str
    path: str
    media_type: str = ""
    """Of the bodies; none for a route without."""
    bodies: Sequence[Mapping[str, Any]] = ()
    query: Mapping[str, Any] = ()  # type: ignore[assignment]

    @property
    def file(self) -> bool:
        """Whether its form has a document in it."""
        return any("file" in body for body in self.bodies)


def documented(document: Mapping[str, Any]) -> list[Route]:
    """All routes of an OpenAPI document, the service's documentation itself among them."""
    routes = [
        Route("GET", path)
        for path in (
            "/",
            "/docs",
            "/openapi.json",
            "/web/app.js",
            "/docs/start.js",
            "/docs/own.css",
        )
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            query = {
                each["name"]: sound(document, each["schema"])
                for each in operation.get("parameters", ())
                if each["in"] == "query"
            }
            contents = operation.get("requestBody", {}).get("content", {})
            for media_type, content in contents.items():
                examples = [each["value"] for each in content.get("examples", {}).values()]
                bodies = [*examples, *_bodies(document, content["schema"])]
                routes.append(Route(method.upper(), path, media_type, bodies, query))
            if not contents:
                routes.append(Route(method.upper(), path, query=query))
    return routes


def _bodies(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """With all fields, and with those that must be; once for each form that the body may have."""
    for each in schema.get("anyOf", [schema]):
        form = _resolved(document, each)
        fields, needed = form.get("properties", {}), form.get("required", ())
        for choice in form.get("oneOf", [{}]):
            chosen = [name for name in choice.get("required", ()) if name in fields]
            others = [name for name in choice.get("properties", {}) if name not in chosen and name in fields]
            whole = {name: sound(document, fields[name]) for name in fields if name not in others}
            yield whole
            yield {name: whole[name] for name in dict.fromkeys([*needed, *chosen]) if name in whole}


def sound(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that the schema allows, or nearly: the first of its forms, short."""
    schema = _resolved(document, schema)
    if "const" in schema or "enum" in schema:
        return schema.get("const", next(iter(schema.get("enum", [None]))))
    for forms in ("anyOf", "oneOf", "allOf"):
        if schema.get(forms) and "properties" not in schema:
            return sound(document, schema[forms][0], depth + 1)
    kind = schema.get("type")
    if kind == "object" and depth < 6:
        named = {
            name: sound(document, each, depth + 1) for name, each in schema.get("properties", {}).items()
        }
        return named or {"Vienna": "Vienne"}
    if kind == "array":
        return [sound(document, schema.get("items", {}), depth + 1)]
    plain = {"integer": 1, "number": 0.5, "boolean": True, "null": None}
    if kind in plain:
        return max(plain[kind], schema["minimum"]) if "minimum" in schema else plain[kind]
    if schema.get("format") == "uri":
        return "http://127.0.0.1:9/"
    return "en" if schema.get("maxLength", 1000) <= 40 else "Good morning. Vienna is a city."


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


# ---------------------------------------------------------------------- other people's interfaces

_LIBRE = {
    "q": "Good morning.",
    "source": "auto",
    "target": "fr",
    "format": "text",
    "alternatives": 1,
    "api_key": "",
}
_DEEPL: dict[str, Any] = {
    "text": ["Good morning.", "<p>Vienna</p>"],
    "target_lang": "FR",
    "source_lang": "EN",
    "tag_handling": "html",
    "ignore_tags": ["x"],
    "formality": "default",
    "glossary_id": "{glossary}",
    "model_type": "quality_optimized",
    "split_sentences": "1",
}
_DICTIONARY = {
    "source_lang": "en",
    "target_lang": "fr",
    "entries": "Vienna\tVienne\nferry\tbac",
    "entries_format": "tsv",
}
_V3 = {"name": "capitals", "dictionaries": [_DICTIONARY]}
_FACE: dict[str, Any] = {
    "inputs": ["The ferry did not sail. It was windy."],
    "parameters": {
        "src_lang": "en",
        "tgt_lang": "fr",
        "max_length": 60,
        "min_length": 1,
        "generate_parameters": {},
    },
    "options": {"wait_for_model": True},
}


_CHAT: dict[str, Any] = {
    "model": "translate:fr",
    "messages": [
        {"role": "system", "content": "You translate."},
        {"role": "user", "content": [{"type": "text", "text": "Translate to French:\n\nGood morning."}]},
    ],
    "max_tokens": 100,
    "n": 1,
    "stream_options": {"include_usage": True},
}
_TOOL: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "translate", "arguments": {"text": "Good morning.", "target": "fr"}},
}


def _without(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _assistants() -> list[Route]:
    chats = [_CHAT, _CHAT | {"model": "summarize:bullets:fr"}, _CHAT | {"model": "gpt-4o", "stream": True}]
    return [
        Route("POST", "/v1/chat/completions", JSON, chats),
        Route("GET", "/v1/models/translate:fr"),
        Route("POST", "/mcp", JSON, [_TOOL, _TOOL | {"method": "tools/list", "params": {}}]),
    ]


def compatible() -> list[Route]:
    """OpenAI's, assistants', LibreTranslate's, DeepL's and Hugging Face's routes."""
    routes = _assistants()
    for kind in (JSON, FORM, MULTIPART):
        routes += [
            Route(
                "POST",
                "/translate",
                kind,
                [_LIBRE, _LIBRE | {"q": ["a b", "c"]}, _LIBRE | {"format": "html"}],
            ),
            Route("POST", "/detect", kind, [{"q": "Guten Morgen"}]),
            Route("POST", "/suggest", kind, [_LIBRE | {"s": "Bonjour."}]),
            Route("POST", "/v2/translate", kind, [_DEEPL, _without(_DEEPL, "glossary_id", "source_lang")]),
            Route("POST", "/v2/languages", kind, [{"type": "target"}]),
            Route("POST", "/v2/usage", kind, [{}]),
        ]
    routes.append(Route("POST", "/translate_file", MULTIPART, [{"file": "", "source": "en", "target": "fr"}]))
    routes.append(Route("POST", "/v2/document", MULTIPART, [{"file": "", "target_lang": "FR"}]))
    for end in ("", "/result"):
        routes.append(Route("POST", "/v2/document/{job_id}" + end, JSON, [{"document_key": "a"}]))
    routes.append(Route("GET", "/v2/translate", query=_without(_DEEPL, "glossary_id")))
    asked = (("/translate", _LIBRE), ("/detect", {"q": "Hallo"}))
    routes += [Route("POST", path, query=query) for path, query in asked]
    listed = ("/languages", "/frontend/settings", "/health", "/download_file/{file}")
    listed += ("/v2/usage", "/v2/glossary-language-pairs")
    routes += [Route("GET", path) for path in listed]
    routes.append(Route("GET", "/v2/languages", query={"type": "source"}))
    one = "glossaries/{glossary}"
    for version, new in (("v2", {"name": "capitals"} | _DICTIONARY), ("v3", _V3)):
        routes.append(Route("POST", f"/{version}/glossaries", JSON, [new]))
        routes += [Route("GET", f"/{version}/{path}") for path in ("glossaries", one, f"{one}/entries")]
        routes.append(Route("DELETE", f"/{version}/{one}"))
    pair = {"source_lang": "en", "target_lang": "fr"}
    routes += [
        Route("GET", f"/v3/{one}/entries", query=pair),
        Route("PATCH", f"/v3/{one}", JSON, [_V3, {"name": "other"}]),
        Route("PUT", f"/v3/{one}/dictionaries", JSON, [_DICTIONARY]),
        Route("DELETE", f"/v3/{one}/dictionaries", query=pair),
    ]
    for task in ("summarization", "translation", "translation_en_to_fr", "{task}"):
        face = _FACE if task == "translation" else _FACE | {"parameters": {}}
        routes.append(Route("POST", f"/pipeline/{task}", JSON, [face, {"inputs": "A text. Another."}]))
        routes.append(Route("GET", f"/pipeline/{task}/health"))
    routes.append(
        Route("POST", "/v1/glossaries", "text/csv", query={"name": "a", "source": "en", "target": "fr"})
    )
    return routes
