"""The OpenAPI 3.1 document, made of the routes' operations and the pydantic schemas that they name."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, cast

from flask_limiter import RateLimitExceeded
from limits.errors import StorageError
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from service.errors import (
    CharactersSpent,
    CrossSite,
    KeyRequired,
    RevokedKey,
    StoreUnavailable,
    TooLong,
    UnknownKey,
    UntrustedHost,
)
from service.http.openapi import BODY_ERRORS, JSON, Operation
from service.http.quotas import READING
from service.problems import UNEXPECTED, Kind, kind_of
from service.schemas.described import write_limits
from service.schemas.problem import Problem
from service.settings import Settings

EVENTS = "text/event-stream"
FORM = "multipart/form-data"
STREAM = """\
One server-sent event. Each comes as soon as what it tells is there; then comes one `result` with the whole \
answer, or one `error` with the problem document. The result is what counts. Lines that begin with a colon \
keep the connection alive. An error before the first event is an ordinary answer with its own status."""

KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same."},
}

REF = "#/components/schemas/{model}"


def document(operations: Sequence[Operation], settings: Settings) -> dict[str, Any]:
    """The whole document; limits are written as they are set."""
    refs, schemas = _schemas(operations)
    for operation in operations:
        limits = operation.limits(settings) if operation.limits else settings
        for model in operation.bodies:
            write_limits(schemas[refs[model, "validation"]["$ref"].rpartition("/")[2]], limits)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
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


# ---------------------------------------------------------------------- parts

_Refs = Mapping[tuple[type[BaseModel], JsonSchemaMode], dict[str, Any]]


def _schemas(operations: Iterable[Operation]) -> tuple[_Refs, dict[str, Any]]:
    """A reference for each model that the operations name, and what the references lead to."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for operation in operations:
        written = (*operation.answers, *operation.streams.values())
        wanted |= dict.fromkeys((model, "serialization") for model in written)
        wanted |= dict.fromkeys((model, "validation") for model in (*operation.bodies, *operation.forms))
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
    if operation.bodies:
        made["requestBody"] = {"required": True, "content": _request(operation, refs)}
    return _filled(made)


def _request(operation: Operation, refs: _Refs) -> dict[str, Any]:
    """Return the kinds of body that are taken, by media types."""
    content: dict[str, Any] = {"schema": _any_of([refs[model, "validation"] for model in operation.bodies])}
    content["examples"] = _values({name: e.body for name, e in operation.examples.items()})
    types = {operation.body_type: _filled(content)}
    if operation.forms:
        types[FORM] = {"schema": _any_of([refs[model, "validation"] for model in operation.forms])}
    return types


def _any_of(forms: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return forms[0] if len(forms) == 1 else {"anyOf": list(forms)}


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
        content[operation.answer_type] = {"schema": _any_of(forms)}
    elif operation.answer_type != JSON:
        content[operation.answer_type] = {"schema": {"type": "string"}}
    if operation.file:
        content["*/*"] = {"schema": {"type": "string", "description": operation.file}}
    if operation.streams:
        content[EVENTS] = {"schema": _stream(operation, refs)}
    for kind, part in content.items():
        given = {n: e.answer for n, e in operation.examples.items() if e.answer_type == kind}
        part["examples"] = _values(given)
    return _filled(
        {
            "description": "Done",
            "headers": {
                "X-Request-Id": _header("The request's name in the service's log."),
                **{name: _header(says) for name, says in operation.headers.items()},
            },
            "content": {kind: _filled(part) for kind, part in content.items()},
        }
    )


def _stream(operation: Operation, refs: _Refs) -> dict[str, Any]:
    """Return each event's schema; the last one is the whole answer, or the problem that ended the work."""
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
    types = [*(BODY_ERRORS if operation.body_type == JSON and operation.body else ()), *operation.errors]
    types += _callers_errors(operation)
    kinds = dict.fromkeys([*(kind_of(_bare(each)) for each in types), UNEXPECTED])
    statuses = sorted({kind.status for kind in kinds})
    return {
        str(status): _problem([kind for kind in kinds if kind.status == status], refs) for status in statuses
    }


def _callers_errors(operation: Operation) -> Iterable[type[Exception]]:
    """Return the errors that the caller alone can cause."""
    if operation.public:
        return
    yield from (UntrustedHost, KeyRequired, UnknownKey, RevokedKey, StoreUnavailable)
    if operation.method not in READING:
        yield from (RateLimitExceeded, StorageError)
    if operation.method == "POST":
        yield CrossSite
    if TooLong in operation.errors:  # it reads texts
        yield CharactersSpent


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
