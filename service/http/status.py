"""The service's state: alive, ready, and metrics. These routes answer while all work places are taken."""

from typing import Any

from flask import Blueprint, Response
from pydantic import BaseModel

from service.errors import NotReady
from service.http.metrics import Metrics
from service.http.openapi import Example, Operation, add
from service.http.readiness import Readiness
from service.schemas.absent import absent


class State(BaseModel):
    """The service's state, in a word."""

    status: str


class Ready(State):
    """The service's state, and the models that are on their way."""

    loading: dict[str, str] | None = absent(
        "How far models are that are being fetched or loaded, by name; absent if none is."
    )
    fallbacks: list[str] | None = absent(
        "Models that run slower than this machine's GPU could have them; the log says why. Absent if none."
    )


HEALTHZ = Operation(
    method="GET",
    path="/healthz",
    tag="status",
    summary="Say whether the service is alive",
    answers=(State,),
    public=True,
    examples={"alive": Example(answer={"status": "ok"})},
)
READYZ = Operation(
    method="GET",
    path="/readyz",
    tag="status",
    summary="Say whether the models are loaded and their engines run",
    answers=(Ready,),
    errors=(NotReady,),
    public=True,
    examples={"ready": Example(answer={"status": "ready"})},
)
METRICS = Operation(
    method="GET",
    path="/metrics",
    tag="status",
    summary="What Prometheus reads",
    answer_type="text/plain",
    public=True,
)


class Status:
    """The views that say how the service is."""

    def __init__(self, readiness: Readiness, metrics: Metrics):
        self._readiness = readiness
        self._metrics = metrics

    def blueprint(self) -> Blueprint:
        routes = Blueprint("status", __name__)
        add(routes, HEALTHZ, self.healthz)
        add(routes, READYZ, self.readyz)
        add(routes, METRICS, self.metrics)
        return routes

    def healthz(self) -> dict[str, str]:
        return {"status": "ok"}

    def readyz(self) -> dict[str, Any]:
        if reasons := self._readiness.reasons():
            raise NotReady(reasons)
        fallbacks, stages = self._readiness.fallbacks(), self._readiness.stages()
        state: dict[str, Any] = {"status": "ready"}
        if fallbacks:
            state["fallbacks"] = fallbacks
        return {**state, "loading": stages} if stages else state

    def metrics(self) -> Response:
        return Response(self._metrics.render(), content_type=self._metrics.content_type)
