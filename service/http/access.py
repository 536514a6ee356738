"""Around each request: its id, its time, one line in the log. No texts and no addresses are written.

A stream is counted and logged when it ends, with the status that its work ended with.
"""

import logging
import re
import time
import uuid
from functools import partial
from urllib.parse import quote

from flask import Flask, Response, g, request

from service.http.metrics import PROBES, Metrics
from service.http.streaming import EventStream

log = logging.getLogger(__name__)

SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
LONGEST_PATH = 120


class Access:
    """Names, times, counts and logs the requests of an application."""

    def __init__(self, metrics: Metrics):
        self._metrics = metrics

    def install(self, app: Flask) -> None:
        """To be called before other hooks are registered, so that these run first and last."""
        app.before_request(self._begin)
        app.after_request(self._end)

    def _begin(self) -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if SANE_ID.fullmatch(given) else uuid.uuid4().hex
        g.start = time.perf_counter()

    def _end(self, response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        route = request.url_rule.rule if request.url_rule else "unmatched"
        # Quoted, since a path may hold line breaks; without its query, which may hold a text.
        path = quote(request.path[:LONGEST_PATH])
        tell = partial(self._tell, request.method, route, path, g.start, g.request_id)
        if isinstance(response, EventStream):
            ended_as = response.ended_as
            response.call_on_close(lambda: tell(ended_as()))
        else:
            tell(response.status_code)
        return response

    def _tell(self, method: str, route: str, path: str, start: float, request_id: str, status: int) -> None:
        seconds = time.perf_counter() - start
        self._metrics.observe_request(method, route, status, seconds)
        level = logging.DEBUG if route in PROBES else logging.INFO
        log.log(level, "%s %s %d %.0f ms %s", method, path, status, seconds * 1e3, request_id)
