"""How the service is: alive, ready, and its metrics. These answer while all work places are taken."""

from flask import Blueprint, Response

from service.http.metrics import Metrics
from service.http.readiness import NotReady, Readiness

INDEX = """\
Dragoman summarizes and translates articles.

POST /v1/summarize   {"text": "..."}
POST /v1/translate   {"text": "...", "target": "fr"}
POST /v1/detect      {"text": "..."}
GET  /v1/models      GET /v1/languages
GET  /healthz        GET /readyz        GET /metrics
"""


class Status:
    """The views that say how the service is."""

    def __init__(self, readiness: Readiness, metrics: Metrics):
        self._readiness = readiness
        self._metrics = metrics

    def blueprint(self) -> Blueprint:
        routes = Blueprint("status", __name__)
        routes.get("/")(self.index)
        routes.get("/healthz")(self.healthz)
        routes.get("/readyz")(self.readyz)
        routes.get("/metrics")(self.metrics)
        return routes

    def index(self) -> Response:
        return Response(INDEX, mimetype="text/plain")

    def healthz(self) -> dict[str, str]:
        return {"status": "ok"}

    def readyz(self) -> dict[str, str]:
        if reasons := self._readiness.reasons():
            raise NotReady(reasons)
        return {"status": "ready"}

    def metrics(self) -> Response:
        return Response(self._metrics.render(), content_type=self._metrics.content_type)
