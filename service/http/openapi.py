"""The OpenAPI 3.1 document of /v1, made of the routes' descriptions, and Swagger UI over it.

A new route is one `Operation`, put into its blueprint with `add` in place of Flask's `routes.get(...)`:

    LIST = Operation(
        method="GET", path="/glossaries", tag="glossaries", summary="All glossaries", answers=(GlossaryList,)
    )
    add(routes, LIST, self.list)

Work on texts adds `errors=WORK_ERRORS`, a route with a name in its path `errors=(NotFound,)` and what it
raises itself; errors are named by their types, whose statuses `service.problems` knows. Routes that follow
other people's contracts (compat) are added to Flask as ever and stay out of the document.
"""

import html
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Literal, cast

import flask_swagger_ui
from flask import Blueprint, Response, current_app, request, send_from_directory
from flask.sansio.app import App
from flask.typing import ResponseReturnValue
from flask_limiter import RateLimitExceeded
from limits.errors import StorageError
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.exceptions import NotFound, RequestEntityTooLarge, UnsupportedMediaType

from models.errors import (
    DeadlineExceeded,
    EngineFailed,
    InvalidInput,
    ModelUnavailable,
    Overloaded,
    UnknownModel,
    UnsupportedLanguage,
)
from service.errors import (
    CharactersSpent,
    CrossSite,
    InvalidJson,
    KeyRequired,
    NotReady,
    RevokedKey,
    StoreUnavailable,
    TooLong,
    TooManyTexts,
    UnknownKey,
    UntrustedHost,
)
from service.http.forms import FORM
from service.http.quotas import READING
from service.options import DocumentForm
from service.problems import KINDS, UNEXPECTED, Kind, Problem, kind_of
from service.settings import Settings

JSON, EVENTS = "application/json", "text/event-stream"

BODY_ERRORS = (
    InvalidJson,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InvalidInput,
    Overloaded,
)
"""Of every route that reads a JSON body."""
WORK_ERRORS = (
    TooLong,
    TooManyTexts,
    UnknownModel,
    UnsupportedLanguage,
    Overloaded,
    EngineFailed,
    ModelUnavailable,
    NotReady,
    DeadlineExceeded,
)
"""Of every route whose work is done by models on the caller's texts."""

STREAM = """\
One server-sent event. Each comes as soon as what it tells is there; then comes one `result` with the whole \
answer, or one `error` with the problem document. The result is what counts. Lines that begin with a colon \
keep the connection alive. An error before the first event is an ordinary answer with its own status."""
KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same."},
}

# ---------------------------------------------------------------------- what a route says of itself


@dataclass(frozen=True, slots=True)
class Example:
    """A body, its answer, or both, as JSON; both are checked against their schemas in the tests."""

    body: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The input and the answers of one method of one path."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    """As Flask writes it, below the blueprint's prefix: `/glossaries/<name>`."""
    tag: str
    """The heading that it stands under."""
    summary: str
    description: str = ""
    parameters: type[BaseModel] | None = None
    """The fields of the query."""
    request_headers: Mapping[str, str] = field(default_factory=dict)
    """Of the request, with what they are for; none has to be there."""
    bodies: tuple[type[BaseModel], ...] = ()
    """Its body is one of these: forms of documents, or JSON."""
    limits: Callable[[Settings], Settings] = lambda settings: settings
    """From the settings to those whose limits the body has, where they are not a request's."""
    status: int = 200
    answers: tuple[type[BaseModel], ...] = ()
    """One of these; none with `answer_type` text, or for an answer without a body."""
    answer_type: str = JSON
    file: str = ""
    """The file that the answer may be, of any type."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the answer, with what they say."""
    streams: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    """The events of the stream that the answer may be, before the last one, and the body of each."""
    errors: tuple[type[Exception], ...] = ()
    public: bool = False
    """True if it never wants an API key; `service.http.auth` names it too."""
    examples: Mapping[str, Example] = field(default_factory=dict)
    """By a name in words."""

    @property
    def address(self) -> str:
        """The path as OpenAPI writes it: `/glossaries/{name}`."""
        return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", self.path)


def add(routes: Blueprint, operation: Operation, view: Callable[..., ResponseReturnValue]) -> None:
    """Route the operation to its view and put it into the application's document."""
    routes.add_url_rule(operation.path, view_func=view, methods=[operation.method])
    routes.record(
        lambda state: declared(state.app).append(
            replace(operation, path=(state.url_prefix or "") + operation.path)
        )
    )


def declared(app: App) -> list[Operation]:
    """The application's operations, with whole paths, in the order in which they were added."""
    operations: list[Operation] = app.extensions.setdefault("dragoman.operations", [])
    return operations


# ---------------------------------------------------------------------- the document

_Refs = Mapping[tuple[type[BaseModel], JsonSchemaMode], dict[str, Any]]


def document(operations: Sequence[Operation], settings: Settings) -> dict[str, Any]:
    """The whole document; limits are written as they are set."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for operation in operations:
        written = (*operation.answers, *operation.streams.values())
        wanted |= dict.fromkeys((model, "serialization") for model in written)
        wanted |= dict.fromkeys((model, "validation") for model in operation.bodies)
    found, definitions = models_json_schema(list(wanted), ref_template="#/components/schemas/{model}")
    refs, schemas = cast(_Refs, found), definitions["$defs"]
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        for model in operation.bodies:
            schema = schemas[refs[model, "validation"]["$ref"].rpartition("/")[2]]
            _write_limits(schema, operation.limits(settings))
        made = paths.setdefault(operation.address, {})[operation.method.lower()] = _operation(operation, refs)
        if not operation.public:
            made["security"] = [*([{}] if settings.anonymous else []), *({name: []} for name in KEYS)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dragoman",
            "version": version("dragoman"),
            "summary": "Summarizes and translates articles.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": KEYS},
    }


def _write_limits(schema: dict[str, Any], settings: Settings) -> None:
    """Write the settings' limits into a body's schema, in place."""
    most = {"text": settings.max_request_characters, "html": settings.max_html_characters}
    for name, own in schema.get("properties", {}).items():
        for form in own.get("anyOf", [own]):
            if name in most and form.get("type") == "string":
                form |= {"maxLength": most[name], "pattern": r"\S"}
            if name == "texts" and form.get("type") == "array":
                form["maxItems"] = settings.max_texts


def _operation(operation: Operation, refs: _Refs) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{operation.method.lower()}{operation.address}").strip("_"),
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": list(_parameters(operation)),
        "responses": {str(operation.status): _answer(operation, refs), **_problems(operation, refs)},
    }
    if operation.bodies:
        made["requestBody"] = {"required": True, "content": _request(operation, refs)}
    return _filled(made)


def _parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{([^{}]+)}", operation.address):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    schema = operation.parameters.model_json_schema() if operation.parameters else {}
    for name, own in schema.get("properties", {}).items():
        yield {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": own.get("description", ""),
            "schema": {key: value for key, value in own.items() if key not in ("title", "description")},
        }
    for name, description in operation.request_headers.items():
        yield {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _request(operation: Operation, refs: _Refs) -> dict[str, Any]:
    """Return the kinds of body that are taken, by media types."""
    content: dict[str, list[dict[str, Any]]] = {}
    for model in operation.bodies:
        kind = FORM if issubclass(model, DocumentForm) else JSON
        content.setdefault(kind, []).append(refs[model, "validation"])
    examples = _examples({name: each.body for name, each in operation.examples.items()})
    return {
        kind: _filled({"schema": _any_of(forms), "examples": examples if kind == JSON else {}})
        for kind, forms in content.items()
    }


def _answer(operation: Operation, refs: _Refs) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if operation.answers:
        forms = [refs[model, "serialization"] for model in operation.answers]
        content[operation.answer_type] = {"schema": _any_of(forms)}
    elif operation.answer_type != JSON:
        content[operation.answer_type] = {"schema": {"type": "string"}}
    if examples := _examples({name: each.answer for name, each in operation.examples.items()}):
        content[operation.answer_type]["examples"] = examples
    if operation.file:
        content["*/*"] = {"schema": {"type": "string", "description": operation.file}}
    if operation.streams:
        content[EVENTS] = {"schema": _stream(operation, refs)}
    headers = {"X-Request-Id": "The request's name in the service's log.", **operation.headers}
    return _filled(
        {
            "description": "Done",
            "headers": {name: _header(says) for name, says in headers.items()},
            "content": content,
        }
    )


def _stream(operation: Operation, refs: _Refs) -> dict[str, Any]:
    """Return each event's schema; the last one is the whole answer, or the problem that ended the work."""
    last: dict[str, type[BaseModel]] = {"result": operation.answers[0], "error": Problem}
    forms = [
        {
            "title": name,
            "type": "object",
            "required": ["event", "data"],
            "properties": {
                "event": {"const": name},
                "data": {
                    "type": "string",
                    "contentMediaType": JSON,
                    "contentSchema": refs[model, "serialization"],
                },
            },
        }
        for name, model in {**operation.streams, **last}.items()
    ]
    return {"description": STREAM, "anyOf": forms}


def _problems(operation: Operation, refs: _Refs) -> dict[str, Any]:
    """The answers for the operation's errors, by status, with an example for each kind."""
    types = list[type[Exception]](operation.errors)
    if any(not issubclass(model, DocumentForm) for model in operation.bodies):
        types = [*BODY_ERRORS, *types]
    if not operation.public:  # those that the caller alone can cause
        types += [UntrustedHost, KeyRequired, UnknownKey, RevokedKey, StoreUnavailable]
        if operation.method not in READING:
            types += [RateLimitExceeded, StorageError]
        if operation.method == "POST":
            types.append(CrossSite)
        if TooLong in operation.errors:  # it reads texts
            types.append(CharactersSpent)
    # the table needs an instance, and not what its constructor wants
    kinds = dict.fromkeys([*(kind_of(each.__new__(each)) for each in types), UNEXPECTED])
    return {
        str(status): _problem([kind for kind in kinds if kind.status == status], refs)
        for status in sorted({kind.status for kind in kinds})
    }


def _problem(kinds: Sequence[Kind], refs: _Refs) -> dict[str, Any]:
    examples = {
        kind.slug: {
            "type": f"/problems/{kind.slug}",
            "title": kind.title,
            "status": kind.status,
            "detail": "What was wrong this time.",
            "request_id": "314bd03f652f432c9e6aaa7092b143be",
        }
        for kind in kinds
    }
    headers = {"X-Request-Id": _header("The request's name in the service's log.")}
    if kinds[0].status == 401:
        headers["WWW-Authenticate"] = _header("How keys are sent.")
    if kinds[0].status in (429, 503):
        headers["Retry-After"] = _header("Seconds to wait before the next try.", "integer", required=False)
    schema = {"schema": refs[Problem, "serialization"], "examples": _examples(examples)}
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "headers": headers,
        "content": {"application/problem+json": schema},
    }


def _header(description: str, kind: str = "string", *, required: bool = True) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": kind}}


def _any_of(forms: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return forms[0] if len(forms) == 1 else {"anyOf": list(forms)}


def _examples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        re.sub(r"\W+", "-", name): {"summary": name, "value": value}
        for name, value in values.items()
        if value is not None
    }


def _filled(part: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty."""
    return {name: value for name, value in part.items() if value not in ("", [], {})}


# ---------------------------------------------------------------------- the page over it

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page asks no other host for anything, and may ask none."""
OWN = {"page.html": "text/html", "start.js": "text/javascript", "own.css": "text/css"}
ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
ASSET_NAMES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
ASSET_SECONDS = 86_400


class Docs:
    """The views of the documentation. The document is made when it is first asked for."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def blueprint(self) -> Blueprint:
        routes = Blueprint("docs", __name__)
        routes.get("/openapi.json")(self.openapi)
        routes.get("/docs")(self.page)
        routes.get("/problems/<slug>")(self.problem)
        routes.get("/docs/<any('start.js', 'own.css'):name>")(self.own)
        routes.get(f"/docs/<any({', '.join(map(repr, ASSET_NAMES))}):name>")(self.asset)
        return routes

    def openapi(self) -> Response:
        return Response(self._document, mimetype=JSON)

    def page(self) -> Response:
        if request.path.endswith("/"):  # from there its files would be looked for a folder too deep
            return Response(status=308, headers={"Location": "../docs"})
        return self.own("page.html")

    def problem(self, slug: str) -> Response:
        """What a kind of problem means, and what to do about it."""
        kind = next((each for each in KINDS.values() if each.slug == slug), None)
        if kind is None:
            raise NotFound
        values = {name: html.escape(str(value)) for name, value in asdict(kind).items()}
        values["about"] = re.sub("`(.+?)`", r"<code>\1</code>", values["about"])
        return self._shown(Template(self._text("problem.html")).substitute(values), "text/html")

    def own(self, name: str) -> Response:
        return self._shown(self._text(name), OWN[name])

    def _text(self, name: str) -> str:
        return (files("service.http") / "docs_page" / name).read_text("utf-8")

    def _shown(self, text: str, media_type: str) -> Response:
        headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
        return Response(text, mimetype=media_type, headers=headers)

    def asset(self, name: str) -> Response:
        return send_from_directory(ASSETS, name, max_age=ASSET_SECONDS)

    @cached_property
    def _document(self) -> str:
        return json.dumps(document(declared(current_app), self._settings), ensure_ascii=False)
