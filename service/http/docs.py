"""The documentation: the OpenAPI document, and Swagger UI over it, served whole from here.

The page asks no other host for anything, and its policy lets it ask none.
"""

import json
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, current_app, request, send_from_directory

from service.http.openapi import declared
from service.http.openapi_document import document
from service.settings import Settings

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
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
        routes.get("/docs/start.js")(self.start)
        routes.get("/docs/own.css")(self.style)
        routes.get(f"/docs/<any({', '.join(map(repr, ASSET_NAMES))}):name>")(self.asset)
        return routes

    def openapi(self) -> Response:
        return Response(self._document, mimetype="application/json")

    def page(self) -> Response:
        if request.path.endswith("/"):  # from there its files would be looked for a folder too deep
            return Response(status=308, headers={"Location": "../docs"})
        return _own("page.html", "text/html")

    def start(self) -> Response:
        return _own("start.js", "text/javascript")

    def style(self) -> Response:
        return _own("own.css", "text/css")

    def asset(self, name: str) -> Response:
        return send_from_directory(ASSETS, name, max_age=ASSET_SECONDS)

    @cached_property
    def _document(self) -> str:
        return json.dumps(document(declared(current_app), self._settings), ensure_ascii=False)


def _own(name: str, mimetype: str) -> Response:
    text = (files("service.http") / "docs_page" / name).read_text("utf-8")
    response = Response(text, mimetype=mimetype)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
