"""The compatible interfaces as an OpenAPI document of its own: other people's contracts, as far as they hold.

It is for the documentation page, to read and to try; clients of these families have their makers' documents.
"""

from collections.abc import Collection, Iterator
from typing import Any

from service.http.docs_compatible import CLIENTS, FOREIGN, KEYS, Foreign
from service.http.openapi import JSON
from service.settings import ClientFamily


def document(clients: Collection[ClientFamily]) -> dict[str, Any]:
    """Return the whole document, of the families that are served."""
    served = [family for family, name in CLIENTS.items() if name in clients]
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for each in FOREIGN:
        if each.family not in served:
            continue
        paths.setdefault(each.path, {})[each.method] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Compatible interfaces",
            "version": "1",
            "description": "Clients of these services work here as they are, once they are given this "
            "server's address. Errors have each family's own form.",
        },
        "tags": [{"name": family} for family in served],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {_name(family): key for family, key in KEYS.items() if family in served},
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
    examples = {
        "task": "summarization",
        "name": "translate:fr",
        "source_lang": "en",
        "target_lang": "fr",
        "type": "target",
    }
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
