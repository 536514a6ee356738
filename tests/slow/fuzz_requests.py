"""Requests to all routes of the service, each damaged in its own way: request N of a seed is always the same.

The routes are those of the server's own OpenAPI document, so that a new one is among them; the compatible
interfaces are not in it, so theirs are written here.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import made_documents
from made_documents import BOUNDARY
from mutations import WORDS, attack, attacked, json_bytes, json_value, repeated, scrambled, text
from wire import Ending, Sent

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
    lines: str = "Vienna,Vienne\nferry,bac\n"
    """The body, of a route that has a media type and no bodies."""

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
            "/problems/{slug}",
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


_TOOLS: dict[str, dict[str, Any]] = {
    "summarize": {"text": "The ferry did not sail. It was windy.", "length": "headline"},
    "check": {"source": "Some 40 slept there.", "output": "Some 60 slept there.", "kind": "summary"},
    "clean": {"html": "<p>Good morning.</p>"},
}
_MCP = [
    *(_TOOL | {"params": {"name": name, "arguments": given}} for name, given in _TOOLS.items()),
    *(
        _TOOL | {"method": method, "params": {}}
        for method in ("tools/list", "ping", "server/discover", "subscriptions/listen", "resources/list")
    ),
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    _TOOL
    | {
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "fuzz", "version": "1"},
        },
    },
]
_TMX = """<tmx version="1.4"><header srclang="en"/><body><tu>
<tuv xml:lang="en"><seg>Good morning.</seg></tuv><tuv xml:lang="fr"><seg>Bonjour.</seg></tuv>
</tu></body></tmx>"""


def _without(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _assistants() -> list[Route]:
    chats = [_CHAT, _CHAT | {"model": "summarize:bullets:fr"}, _CHAT | {"model": "gpt-4o", "stream": True}]
    return [
        Route("POST", "/v1/chat/completions", JSON, chats),
        Route("GET", "/v1/models/translate:fr"),
        Route("POST", "/mcp", JSON, [_TOOL, *_MCP]),
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
    routes.append(Route("POST", "/v1/memory", "application/x-tmx+xml", lines=_TMX))
    routes.append(
        Route("POST", "/v1/glossaries", "text/csv", query={"name": "a", "source": "en", "target": "fr"})
    )
    return routes


MEDIA_TYPES = (
    JSON,
    FORM,
    MULTIPART,
    "text/plain",
    "text/csv",
    "text/tab-separated-values",
    "application/xml",
    "x",
    "",
)
CHARSETS = (
    "",
    "; charset=utf-8",
    "; charset=latin-1",
    "; charset=nonsense",
    "; charset=idna",
    "; charset=\u00fc",
)
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "get",
    "X",
)
SHORT = 400
"""Bytes of a head's value at most: a head may be 64 KB, and most clients' are not."""
ATTACKED = 0.01
"""The part of requests that are sound but for one long text, which gets past every check of its form."""


class MutatedRequests:
    """`keys` are one that is good and others that are not; ids that the service gives stand in braces."""

    def __init__(self, routes: Sequence[Route], seed: int, keys: Sequence[str] = ()):
        self._routes = [*routes, *(route for route in routes if route.bodies)]  # more can be wrong with these
        self._seed = seed
        self._keys = keys

    def make(self, number: int) -> Sent:
        """The request of this number. The routes take turns, so that none is left out."""
        rng = random.Random(f"{self._seed}:{number}")
        return _Making(rng, self._routes[number % len(self._routes)], self._keys).made()


class _Making:
    """One request in the making."""

    def __init__(self, rng: random.Random, route: Route, keys: Sequence[str]):
        self._rng = rng
        self._route = route
        self._keys = keys
        self._headers: list[tuple[str, str]] = []

    def made(self) -> Sent:
        rng = self._rng
        media_type, body = self._body()
        method = rng.choice(METHODS) if rng.random() < 0.04 else self._route.method
        target = self._target()
        if media_type:
            self._headers.append(("Content-Type", self._media_type(media_type)))
        self._more_headers()
        body, ending, broken = self._framing(body)
        broken = broken or not (method.isupper() and len(method) > 2)  # waitress takes no lower case
        if rng.random() < 0.01:
            target, broken = _latin(repeated(rng)[:3_000]).replace(" ", "") or "/", True
        headers = tuple((name, _latin(value)) for name, value in self._headers)
        refused = ("Expect", "x") in headers or any("\x7f" in value for _, value in headers)
        broken = broken or refused  # by waitress, in its own words
        return Sent(method, target, headers, body, ending, broken)

    # ------------------------------------------------------------------ parts

    def _target(self) -> str:
        rng, path = self._rng, self._route.path
        act = rng.random()
        for name in ("{task}", "{named}", "{glossary}", "{job_id}", "{file}"):
            if name in path and act < 0.02:
                path = path.replace(name, "translation_" + quote(attack(rng, 15_000), safe=""))
            if name in path and (act < 0.3 or name == "{task}"):
                path = path.replace(name, quote(rng.choice((text(rng)[:SHORT], rng.choice(WORDS))), safe=""))
        if act > 0.96:
            path = rng.choice(
                (
                    path + "/",
                    "/" + path,
                    path.upper(),
                    path + quote(text(rng)[:SHORT]),
                    path.replace("/", "/%2e%2e/", 1),
                    path + "%00",
                    path + "%ff%fe",
                    path + ";x=1",
                    path + "%0d%0aX-A:b",
                    path[: rng.randrange(1, len(path) + 1)],
                )
            )
        return path + self._query()

    def _query(self) -> str:
        rng, query = self._rng, dict(self._route.query)
        act = rng.random()
        if act < 0.85 and not query:
            return ""
        if act < 0.3:
            return "?" + urlencode(query, doseq=True)
        wrong = {
            name: text(rng, str(value))[:SHORT] if rng.random() < 0.5 else value
            for name, value in query.items()
        }
        if act > 0.9:
            wrong[rng.choice(("limit", "before", "source", "q", "text", "auth_key", "api_key", *WORDS))] = (
                rng.choice(("-1", "9" * 40, "NaN", "1e9", text(rng)[:SHORT]))
            )
        encoded = urlencode(wrong, doseq=True, encoding="utf-8", errors="surrogatepass")
        extra = rng.choice(("", "", "&", "&=&", "&a=%ff%zz", "&" + "a=b&" * 50, "&q=a&q=b", "#x", "%00"))
        return "?" + encoded + extra

    def _body(self) -> tuple[str, bytes]:
        rng, route = self._rng, self._route
        if not route.bodies:
            if route.media_type:  # lines, as a glossary's
                return route.media_type, text(rng, route.lines).encode("utf-8", "surrogatepass")
            return ("", b"") if rng.random() < 0.97 else (JSON, json_bytes(rng, {"a": text(rng)}))
        fields: Any = dict(rng.choice(route.bodies))
        if route.media_type == JSON and rng.random() < ATTACKED:
            return JSON, json.dumps(attacked(rng, fields)).encode()
        if route.media_type == JSON:
            for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
                fields = json_value(rng, fields)
            return JSON, json_bytes(rng, fields)
        pairs = self._pairs(attacked(rng, fields) if rng.random() < ATTACKED and not route.file else fields)
        if route.media_type == FORM:
            encoded = urlencode(pairs, encoding="utf-8", errors="surrogatepass").encode()
            return FORM, scrambled(rng, encoded) if rng.random() < 0.2 else encoded
        return f"{MULTIPART}; boundary={BOUNDARY}", self._multipart(pairs)

    def _pairs(self, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The form's fields, some of them changed, left out, or several times there."""
        rng, pairs = self._rng, []
        for name, value in fields.items():
            for each in value if isinstance(value, list) else [value]:
                given = str(each) if not isinstance(each, bool) else str(each).lower()
                if rng.random() < 0.2 and name != "file":
                    given = text(rng, given)
                if rng.random() > 0.05:
                    pairs.append((name, given))
        if rng.random() < 0.1:
            pairs += [(rng.choice(("protect", "q", "text", "x", *WORDS)), text(rng)[:SHORT])] * rng.choice(
                (1, 3, 300)
            )
        return pairs

    def _multipart(self, pairs: Sequence[tuple[str, str]]) -> bytes:
        rng, parts = self._rng, []
        for name, value in pairs:
            head, data = f'form-data; name="{name}"', value.encode("utf-8", "surrogatepass")
            if name == "file":
                suffix = rng.choice(made_documents.SUFFIXES)
                called = made_documents.name(rng, suffix)
                head += (
                    f'; filename="{called}"' if rng.random() < 0.9 else f"; filename*=UTF-8''{quote(called)}"
                )
                data = made_documents.damaged(rng, suffix)
            parts.append(f"--{BOUNDARY}\r\nContent-Disposition: {head}\r\n\r\n".encode() + data + b"\r\n")
        body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
        return scrambled(rng, body) if rng.random() < 0.1 else body

    def _media_type(self, right: str) -> str:
        rng, act = self._rng, self._rng.random()
        if act < 0.88:
            return right
        if act < 0.93:
            return right + rng.choice(CHARSETS)
        if act < 0.96 and "boundary" in right:
            return right.partition(";")[0] + rng.choice(
                ("", "; boundary=", "; boundary=other", "; boundary=" + "b" * 300)
            )
        return rng.choice(MEDIA_TYPES) + rng.choice(CHARSETS)

    def _more_headers(self) -> None:
        rng = self._rng
        if self._keys and rng.random() < 0.3:
            key = rng.choice((self._keys[0], self._keys[0], self._keys[0], *self._keys, text(rng)[:SHORT]))
            self._headers.append(
                rng.choice(
                    (
                        ("Authorization", f"Bearer {key}"),
                        ("Authorization", f"DeepL-Auth-Key {key}"),
                        ("X-API-Key", key),
                        ("Authorization", f"Basic {key}"),
                        ("Authorization", key),
                    )
                )
            )
        if rng.random() < 0.15:
            self._headers.append(
                rng.choice(
                    (
                        ("Accept", rng.choice(("text/html", "*/*;q=x", "application/xml", "", "," * 200))),
                        ("Accept-Language", text(rng)[:SHORT]),
                        ("X-Request-Id", text(rng)[:SHORT]),
                        ("X-Forwarded-For", text(rng)[:SHORT]),
                        ("X-Forwarded-Host", text(rng)[:SHORT]),
                        ("Cookie", text(rng)[:SHORT]),
                        ("Range", rng.choice(("bytes=0-1", "bytes=-", "x"))),
                        ("If-None-Match", rng.choice(("*", '"a"', "W/"))),
                        ("Content-Encoding", rng.choice(("gzip", "br", "x"))),
                        ("Content-Language", repeated(rng)[:SHORT]),
                        ("Expect", rng.choice(("100-continue", "x"))),
                        ("Origin", rng.choice(("null", "http://127.0.0.1", text(rng)[:SHORT]))),
                        ("X-HTTP-Method-Override", "DELETE"),
                        ("A" * rng.choice((1, 100)), text(rng)[:SHORT]),
                    )
                )
            )

    def _framing(self, body: bytes) -> tuple[bytes, Ending, bool]:
        """How the request goes out, and whether it is not what it says; most are."""
        rng, act = self._rng, self._rng.random()
        if act < 0.94 or not body:
            return body, "whole", False
        if act < 0.97:
            self._headers.append(("Transfer-Encoding", "chunked"))
            pieces = _chunked(body, rng.randint(1, 5_000))
            return (pieces, "whole", False) if act < 0.96 else (scrambled(rng, pieces), "half-close", True)
        wrong: Sequence[Callable[[], tuple[Ending, str]]] = (
            lambda: ("half-close", str(len(body) + rng.choice((1, 84, 10**6)))),
            lambda: ("close", str(len(body) + rng.choice((1, 84, 10**6)))),
            lambda: ("close", str(len(body))),
            lambda: ("whole", str(rng.randrange(len(body)))),
            lambda: ("half-close", rng.choice(("-1", "x", "1e3", "9" * 30, "", "0x10", "+3", "1, 2"))),
        )
        ending, length = rng.choice(wrong)()
        self._headers.append(("Content-Length", length))
        if rng.random() < 0.1:
            self._headers.append(rng.choice((("Content-Length", "7"), ("Transfer-Encoding", "chunked"))))
        return body, ending, True


def _chunked(body: bytes, size: int) -> bytes:
    size = max(size, len(body) // 50 + 1)
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _latin(value: str) -> str:
    """What may stand in a head: no line breaks, and of other characters their bytes in UTF-8."""
    kept = "".join(c for c in value if c == "\t" or c >= " ")
    return kept.encode("utf-8", "replace").decode("utf-8", "replace")
