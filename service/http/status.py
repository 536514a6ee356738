"""The service's state: alive, ready, and metrics. These routes answer even when the server is busy.

`Readiness` loads the models in the background and says what is missing until requests can be served.
"""

import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response
from pydantic import BaseModel

from models.errors import DragomanError
from service.errors import NotReady
from service.http.metrics import Metrics
from service.http.openapi import Example, Operation, add
from service.shared import SharedState
from service.validation import absent

if TYPE_CHECKING:
    from service.runtime import Runtime

log = logging.getLogger(__name__)

LOADING = "the models are loading"
WARMING_UP = "warming up"
"""What a worker holds, of what the workers share, while its models are loaded for the first time."""


class Readiness:
    """A runtime's way from start to ready. `shared` tells of the other workers, which are asked as well."""

    def __init__(self, runtime: "Runtime", shared: SharedState | None = None):
        self._runtime = runtime
        self._shared = shared or SharedState()
        self._thread: threading.Thread | None = None
        self._failure: str | None = None

    @property
    def warming_up(self) -> bool:
        """True while the models are loaded here for the first time."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, *, announced: bool = True) -> None:
        """Load the models in a thread of their own; a failure is kept for `reasons`.

        While this lasts, no worker calls the service ready, unless it is not `announced`: for a worker that
        takes another's place, and no requests until it is ready.
        """
        if announced:
            self._shared.take(WARMING_UP, "", 1, capacity=sys.maxsize, least=1)
        # A daemon, so that a service stopped while it loads does not wait for the end of the load.
        self._thread = threading.Thread(target=self._warm_up, name="warm-up", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until the loading that `start` began has ended, one way or the other."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def require(self) -> None:
        """Raise NotReady while the models are loaded for the first time.

        After a failed load requests are let through: they try again, and say what is wrong.
        """
        if self.warming_up:
            raise NotReady([LOADING])

    def reasons(self) -> list[str]:
        """Why requests would not be served now; empty when all is well."""
        if self.warming_up or self._shared.held(WARMING_UP):
            stages = [f"{name}: {stage}" for name, stage in self._runtime.pool.stages().items()]
            return [*self._runtime.unready(), *stages] or [LOADING]
        reasons = self._runtime.unready()
        reasons += [self._failure] if reasons and self._failure else []
        return reasons + self._runtime.database.unready()

    def _warm_up(self) -> None:
        try:
            self._runtime.warm_up()
        except DragomanError as error:
            self._failure = f"loading failed: {error.message}"
            log.error("the models could not be loaded: %s", error.message)
        except Exception:
            self._failure = "loading failed with an unexpected error; see the log"
            log.exception("the models could not be loaded")
        else:
            log.info("models loaded, ready for requests")
        finally:
            self._shared.give(WARMING_UP, "", 1)


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
    races: list[str] | None = absent(
        "On a GPU, which engine was faster for a model and serves it, with both rates. Absent if none."
    )
    cards: list[str] | None = absent(
        "With several GPUs, which models are on which. Absent with one, or before the first model."
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
    summary="Say whether the models are loaded, their engines run, and the database answers",
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

    def __init__(self, runtime: "Runtime", readiness: Readiness, metrics: Metrics):
        self._runtime = runtime
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
        told = {
            "fallbacks": self._runtime.fallbacks(),
            "races": self._runtime.races(),
            "cards": self._runtime.cards(),
            "loading": self._runtime.pool.stages(),
        }
        return {"status": "ready", **{name: value for name, value in told.items() if value}}

    def metrics(self) -> Response:
        return Response(self._metrics.render(), content_type=self._metrics.content_type)
