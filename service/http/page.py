"""The page for people at `/`, and its files. It asks no other host for anything, and may not.

Reading the files here, once, is all that is done: what the page does is in `web/`.
"""

from importlib.resources import files

from flask import Blueprint, Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES = {
    "index.html": "text/html",
    "style.css": "text/css",
    "app.js": "text/javascript",
    "service.js": "text/javascript",
    "text.js": "text/javascript",
    "view.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


class Page:
    """The view of each file."""

    def __init__(self) -> None:
        folder = files("service.http") / "web"
        self._files = {name: (folder / name).read_bytes() for name in MEDIA_TYPES}

    def blueprint(self) -> Blueprint:
        routes = Blueprint("page", __name__)
        routes.get("/")(self.index)
        names = ", ".join(repr(name) for name in MEDIA_TYPES if name != "index.html")
        routes.get(f"/web/<any({names}):name>")(self.file)
        return routes

    def index(self) -> Response:
        return self.file("index.html")

    def file(self, name: str) -> Response:
        response = Response(self._files[name], mimetype=MEDIA_TYPES[name])
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-cache"
        return response
