"""The compatible interfaces as an OpenAPI document of its own: other people's contracts, as far as they hold.

It is for the documentation page, to read and to try; clients of these families have their makers' documents.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from service.http.docs_compatible import FAMILIES, Foreign
from service.http.openapi import JSON
from service.settings import ClientFamily


def document(clients: Collection[ClientFamily]) -> dict[str, Any]:
    """Return the whole document, of the families that are served."""
    served = {name: family for name, family in FAMILIES.items() if family.client in clients}
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for name, family in served.items():
        for route, each in family.routes.items():
            method, _, path = route.partition(" ")
            paths.setdefault(path, {})[method] = _operation(name, method, path, each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Compatible interfaces",
            "version": "1",
            "description": "Clients of these services work here as they are, once they are given this "
            "server's address. Errors have each family's own form.",
        },
        "tags": [{"name": name} for name in served],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {_name(name): family.key for name, family in served.items()},
        },
    }


def _operation(family: str, method: str, path: str, each: Foreign, schemas: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "tags": [family],
        "operationId": "_".join([method, *path.strip("/").replace("{", "").replace("}", "").split("/")]),
        "summary": each.summary,
        "parameters": list(_parameters(path, each.query)),
        "security": [{}, {_name(family): []}],
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


def _parameters(path: str, query: Iterable[str]) -> Iterator[dict[str, Any]]:
    examples = {
        "task": "summarization",
        "name": "translate:fr",
        "source_lang": "en",
        "target_lang": "fr",
        "type": "target",
    }
    in_path = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    for name in (*in_path, *query):
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
