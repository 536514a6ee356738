"""The OpenAPI 3.1 document, made from what each route says of itself and from the pydantic schemas.

A new route is one `Operation`, put into its blueprint with `add` in place of Flask's `routes.get(...)`:

    LIST = Operation(
        method="GET", path="/glossaries", tag="glossaries", summary="All glossaries", answers=(GlossaryList,)
    )

    def blueprint(self) -> Blueprint:
        routes = Blueprint("glossaries", __name__, url_prefix="/v1")
        add(routes, LIST, self.list)
        return routes

Work on texts adds `errors=WORK_ERRORS`, a route with a name in its path `errors=(NotFound,)` and what it
raises itself; errors are named by their types, whose statuses `service.http.errors` knows. Routes that
follow other people's contracts (compat) are added to Flask as ever and stay out of the document.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any, Literal, cast

from flask import Blueprint
from flask.sansio.app import App
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from models.errors import (
    DeadlineExceeded,
    EngineFailed,
    InvalidInput,
    ModelUnavailable,
    Overloaded,
    UnknownModel,
    UnsupportedLanguage,
)
from service.http.body import InvalidJson
from service.http.errors import UNEXPECTED, Kind, kind_of
from service.http.readiness import NotReady
from service.schemas import Problem, TooLong, TooManyTexts
from service.schemas.described import write_limits
from service.settings import Settings

JSON = "application/json"
EVENTS = "text/event-stream"
STREAM = """\
One server-sent event. Each comes as soon as what it tells is there; then comes one `result` with the whole \
answer, or one `error` with the problem document. The result is what counts. Lines that begin with a colon \
keep the connection alive. An error before the first event is an ordinary answer with its own status."""

REF = "#/components/schemas/{model}"

BODY_ERRORS = (InvalidJson, ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType, InvalidInput)
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


@dataclass(frozen=True, slots=True)
class Example:
    """A body, its answer, or both, as JSON; both are checked against their schemas in the tests."""

    body: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | str | None = None
    answer_type: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one method of one path takes and gives."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    """As Flask writes it, below the blueprint's prefix: `/glossaries/<name>`."""
    tag: str
    """The heading that it stands under."""
    summary: str
    description: str = ""
    parameters: type[BaseModel] | None = None
    """The fields that stand in the path; all others are of the query."""
    body: type[BaseModel] | None = None
    body_type: str = JSON
    status: int = 200
    answers: tuple[type[BaseModel], ...] = ()
    """One of these forms; none with `answer_type` text, or for an answer without a body."""
    answer_type: str = JSON
    streams: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    """Where the answer may also be a stream: its events, and what each holds, before the last one."""
    errors: tuple[type[Exception], ...] = ()
    examples: Mapping[str, Example] = field(default_factory=dict)
    """By a name in words."""

    @property
    def address(self) -> str:
        """The path as OpenAPI writes it: `/glossaries/{name}`."""
        return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", self.path)


View = Callable[..., ResponseReturnValue]


def add(routes: Blueprint, operation: Operation, view: View) -> None:
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


def document(operations: Sequence[Operation], settings: Settings) -> dict[str, Any]:
    """The whole document; limits are written as they are set."""
    refs, schemas = _schemas(operations)
    for model in {operation.body for operation in operations if operation.body is not None}:
        write_limits(schemas[refs[model, "validation"]["$ref"].rpartition("/")[2]], settings)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.address, {})[operation.method.lower()] = _operation(operation, refs)
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
        "components": {"schemas": schemas},
    }


# ---------------------------------------------------------------------- parts

_Refs = Mapping[tuple[type[BaseModel], JsonSchemaMode], dict[str, Any]]


def _schemas(operations: Iterable[Operation]) -> tuple[_Refs, dict[str, Any]]:
    """A reference for each model that the operations name, and what the references lead to."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for operation in operations:
        written = (*operation.answers, *operation.streams.values())
        wanted |= dict.fromkeys((model, "serialization") for model in written)
        if operation.body is not None:
            wanted[operation.body, "validation"] = None
    refs, definitions = models_json_schema(list(wanted), ref_template=REF)
    return cast(_Refs, refs), definitions["$defs"]


def _operation(operation: Operation, refs: _Refs) -> dict[str, Any]:
    name = re.sub(r"\W+", "_", f"{operation.method.lower()}{operation.address}").strip("_")
    made: dict[str, Any] = {
        "operationId": name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": list(_parameters(operation)),
        "responses": {
            str(operation.status): _answer(operation, refs),
            **_problems(operation, refs),
        },
    }
    if operation.body is not None:
        content: dict[str, Any] = {"schema": refs[operation.body, "validation"]}
        content["examples"] = _values({name: e.body for name, e in operation.examples.items()})
        made["requestBody"] = {"required": True, "content": {operation.body_type: _filled(content)}}
    return _filled(made)


def _parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    in_path = re.findall(r"{([^{}]+)}", operation.address)
    schema = operation.parameters.model_json_schema() if operation.parameters else {}
    known = schema.get("properties", {})
    required = {*schema.get("required", ()), *in_path}
    for name in dict.fromkeys([*in_path, *known]):
        own = dict(known.get(name, {"type": "string"}))
        own.pop("title", None)
        yield {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in required,
            "description": own.pop("description", ""),
            "schema": own,
        }


def _answer(operation: Operation, refs: _Refs) -> dict[str, Any]:
    forms = [refs[model, "serialization"] for model in operation.answers]
    content = {}
    if forms:
        content[operation.answer_type] = {"schema": forms[0] if len(forms) == 1 else {"anyOf": forms}}
    elif operation.answer_type != JSON:
        content[operation.answer_type] = {"schema": {"type": "string"}}
    if operation.streams:
        content[EVENTS] = {"schema": _stream(operation, refs)}
    for kind, part in content.items():
        given = {n: e.answer for n, e in operation.examples.items() if e.answer_type == kind}
        part["examples"] = _values(given)
    return _filled(
        {
            "description": "Done",
            "headers": {"X-Request-Id": _header("The request's name in the service's log.")},
            "content": {kind: _filled(part) for kind, part in content.items()},
        }
    )


def _stream(operation: Operation, refs: _Refs) -> dict[str, Any]:
    """What each event is; the last one is the whole answer, or the problem that ended the work."""
    last: dict[str, type[BaseModel]] = {"result": operation.answers[0], "error": Problem}
    forms = []
    for name, model in {**operation.streams, **last}.items():
        data = {
            "type": "string",
            "contentMediaType": JSON,
            "contentSchema": refs[model, "serialization"],
        }
        forms.append(
            {
                "title": name,
                "type": "object",
                "required": ["event", "data"],
                "properties": {"event": {"const": name}, "data": data},
            }
        )
    return {"description": STREAM, "anyOf": forms}


def _problems(operation: Operation, refs: _Refs) -> dict[str, Any]:
    """The answers for the operation's errors, by status, with an example for each kind."""
    types = (*(BODY_ERRORS if operation.body_type == JSON and operation.body else ()), *operation.errors)
    kinds = dict.fromkeys([*(kind_of(_bare(each)) for each in types), UNEXPECTED])
    statuses = sorted({kind.status for kind in kinds})
    return {
        str(status): _problem([kind for kind in kinds if kind.status == status], refs) for status in statuses
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
    if kinds[0].status in (429, 503):
        headers["Retry-After"] = _header("Seconds to wait before the next try.", "integer", required=False)
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "headers": headers,
        "content": {
            "application/problem+json": {
                "schema": refs[Problem, "serialization"],
                "examples": _values(examples),
            }
        },
    }


def _bare(error: type[Exception]) -> Exception:
    """An instance to look the kind up by, without what its constructor wants."""
    return error.__new__(error)


def _header(description: str, kind: str = "string", *, required: bool = True) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": kind}}


def _values(examples: Mapping[str, Any]) -> dict[str, Any]:
    return {
        re.sub(r"\W+", "-", name): {"summary": name, "value": value}
        for name, value in examples.items()
        if value is not None
    }


def _filled(part: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty."""
    return {name: value for name, value in part.items() if value not in ("", [], {})}
