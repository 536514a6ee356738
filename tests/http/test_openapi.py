"""The OpenAPI document: valid, whole, and true to the schemas; the page over it asks no other host."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from flask import Blueprint, Flask
from http_fakes import FakeRuntime, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel
from werkzeug.exceptions import NotFound

from service.http.app import create_app
from service.http.openapi import Operation, add, declared, document

PAGES = ("service.http.openapi", "service.http.page", "service.http.compat")
"""Views that are no part of it: the document itself, the pages for people, other people's contracts."""

APP = create_app(FakeRuntime())
DOCUMENT: dict[str, Any] = APP.test_client().get("/openapi.json").json


def test_every_route_is_documented() -> None:
    documented = {(operation.method, operation.path) for operation in declared(APP)}
    rules = [(rule, APP.view_functions[rule.endpoint]) for rule in APP.url_map.iter_rules()]
    missing = [
        f"{method} {rule.rule}"
        for rule, view in rules
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if (method, rule.rule) not in {*documented, ("GET", "/")} and not view.__module__.startswith(PAGES)
    ]
    assert not missing, f"give these an Operation (service/http/openapi.py says how): {missing}"


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    assert DOCUMENT["openapi"].startswith("3.1")
    assert DOCUMENT["info"]["version"]


def _examples() -> Iterator[Any]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            parts = [operation.get("requestBody", {}), *operation["responses"].values()]
            for part in parts:
                for media in part.get("content", {}).values():
                    for name, example in media.get("examples", {}).items():
                        yield pytest.param(media["schema"], example["value"], id=f"{method} {path} {name}")


def _takes_json(methods: dict[str, Any]) -> bool:
    return "application/json" in methods.get("post", {}).get("requestBody", {}).get("content", {})


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


@pytest.mark.parametrize(("schema", "value"), list(_examples()))
def test_examples_are_true_to_their_schemas(schema: dict[str, Any], value: Any) -> None:
    _validator(schema).validate(value)


@pytest.mark.parametrize("path", [path for path, each in DOCUMENT["paths"].items() if _takes_json(each)])
def test_bodies_have_examples_and_their_errors(path: str) -> None:
    operation = DOCUMENT["paths"][path]["post"]
    assert operation["requestBody"]["content"]["application/json"]["examples"]
    responses = operation["responses"]
    assert {"400", "413", "415", "422", "500"} <= responses.keys()
    assert "429" not in responses or responses["429"]["headers"].keys() == {"X-Request-Id", "Retry-After"}


@pytest.mark.parametrize("name", ["summarize", "translate", "detect"])
def test_example_requests_are_answered_as_documented(name: str) -> None:
    operation = DOCUMENT["paths"][f"/v1/{name}"]["post"]
    answers = _validator(operation["responses"]["200"]["content"]["application/json"]["schema"])
    examples = operation["requestBody"]["content"]["application/json"]["examples"].values()
    for example in (each for each in examples if "stream" not in each["value"]):
        response = APP.test_client().post(f"/v1/{name}", json=example["value"])
        assert response.status_code == 200
        answers.validate(response.json)


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        ({"text": "a"}, True),
        ({"text": "a", "html": None}, True),
        ({"texts": ["a"]}, True),
        ({}, False),
        ({"text": None}, False),
        ({"text": "a", "html": "b"}, False),
        ({"text": "a", "texts": ["b"]}, False),
        ({"text": " \n"}, False),
        ({"text": "a" * 1001}, False),
        ({"texts": ["a"] * 5}, False),
        ({"texts": []}, False),
        ({"text": "a", "txt": "b"}, False),
        ({"text": "a", "max_sentences": 0}, False),
    ],
)
def test_the_schema_refuses_what_the_service_refuses(body: dict[str, Any], valid: bool) -> None:
    schema = DOCUMENT["components"]["schemas"]["SummarizeBody"]
    assert _validator(schema).is_valid(body) is valid
    assert (APP.test_client().post("/v1/summarize", json=body).status_code == 200) is valid


@pytest.mark.parametrize(
    ("terms", "valid"),
    [
        ({"protect": ["Sark"], "glossary": {"ferry": "bac"}}, True),
        ({"protect": [" "]}, False),
        ({"glossary": {" ": "bac"}}, False),
        ({"glossary": {"ferry": ""}}, False),
        ({"min_confidence": 2}, False),
    ],
)
def test_blank_terms_are_refused_by_both(terms: dict[str, Any], valid: bool) -> None:
    body = {"text": "a", "target": "fr", **terms}
    assert _validator(DOCUMENT["components"]["schemas"]["TranslateBody"]).is_valid(body) is valid
    assert (APP.test_client().post("/v1/translate", json=body).status_code == 200) is valid


class _Query(BaseModel):
    limit: int = 10


def test_a_route_is_declared_once() -> None:
    app = Flask("test")
    routes = Blueprint("things", __name__, url_prefix="/v1")
    delete = Operation(
        method="DELETE",
        path="/things/<int:number>",
        tag="things",
        summary="Forget a thing",
        parameters=_Query,
        status=204,
        errors=(NotFound,),
    )
    add(routes, delete, lambda number: (f"{number}", 204))
    app.register_blueprint(routes)
    assert app.test_client().delete("/v1/things/3").status_code == 204
    made = document(declared(app), settings())
    OpenAPIV31SpecValidator(made).validate()
    operation = made["paths"]["/v1/things/{number}"]["delete"]
    assert [(p["name"], p["in"], p["required"]) for p in operation["parameters"]] == [
        ("number", "path", True),
        ("limit", "query", False),
    ]
    assert operation["responses"].keys() == {"204", "401", "403", "404", "429", "500", "503"}
    assert "content" not in operation["responses"]["204"]


def test_the_page_and_all_it_asks_for_come_from_here() -> None:
    client = APP.test_client()
    page = client.get("/docs")
    assert page.mimetype == "text/html"
    assert "'unsafe" not in page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    addresses = re.findall(r'(?:src|href)="(\w[^"]+)"', page.text)
    assert len(addresses) == 6
    for address in addresses:
        with client.get(f"/{address}") as response:
            assert response.status_code == 200, address
            assert not response.text.lstrip().startswith("<!doctype") if "js" in address else True


def test_nothing_else_is_served_from_the_assets() -> None:
    assert APP.test_client().get("/docs/oauth2-redirect.html").status_code == 404
    assert APP.test_client().get("/docs/../LICENSE").status_code == 404


def test_a_streams_events_are_documented() -> None:
    body = {"text": "!tell One two", "stream": True}
    answer = DOCUMENT["paths"]["/v1/summarize"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    forms = {form["properties"]["event"]["const"]: form for form in answer["schema"]["anyOf"]}
    assert forms.keys() == {"token", "sentence", "result", "error"}
    frames = APP.test_client().post("/v1/summarize", json=body).text.strip().split("\n\n")
    for frame in frames:
        name, data = (line.partition(": ")[2] for line in frame.splitlines())
        _validator(forms[name]["properties"]["data"]["contentSchema"]).validate(json.loads(data))
    assert len(frames) == 3
