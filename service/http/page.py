"""The web page at `/`: its files and the choices it offers. It contacts no other host.

`web/` has the page's code; the first line of each file says what it is for.
"""

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from models.choices import DEFAULT_LENGTH, LENGTHS, TEXT_FORMATS
from service.fetch import KNOWN
from service.limits import job_limits

if TYPE_CHECKING:
    from service.settings import Settings

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "svg": "image/svg+xml",
}
CHOICES = "choices.json"
"""Made of the server's own lists and limits, so that the page has none."""


class Page:
    """The view of each file."""

    def __init__(self, settings: "Settings"):
        folder = files("service.http") / "web"
        self._files = {
            each.name: each.read_bytes() for each in folder.iterdir() if _suffix(each.name) in MEDIA_TYPES
        }
        self._files[CHOICES] = json.dumps(_choices(settings)).encode()

    def blueprint(self) -> Blueprint:
        routes = Blueprint("page", __name__)
        routes.get("/")(self.index)
        names = ", ".join(repr(name) for name in self._files if name != "index.html")
        routes.get(f"/web/<any({names}):name>")(self.file)
        return routes

    def index(self) -> Response:
        return self.file("index.html")

    def file(self, name: str) -> Response:
        response = Response(self._files[name], mimetype=MEDIA_TYPES[_suffix(name)])
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-cache"  # asked again each time, and answered with 304
        response.add_etag()
        response.make_conditional(request)
        return response


def _choices(settings: "Settings") -> dict[str, Any]:
    """Return what can be chosen that no route of /v1 tells, and how long a text may be."""
    return {
        "lengths": {name: length.about for name, length in LENGTHS.items()},
        "default_length": DEFAULT_LENGTH,
        "formats": list(TEXT_FORMATS),
        "suffixes": list(KNOWN),
        "suggestions": "libretranslate" in settings.clients,  # whose `/suggest` the page uses
        "request_characters": settings.max_request_characters,
        "page_characters": settings.max_html_characters,
        "job_characters": job_limits(settings).max_request_characters,
    }


def _suffix(name: str) -> str:
    return name.rpartition(".")[2]
