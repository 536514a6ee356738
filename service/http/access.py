"""Around each request: its id, its time, one line in the log. No texts and no addresses are written."""

import logging
import re
import time
import uuid
from urllib.parse import quote

from flask import Flask, Response, g, request

from service.http.metrics import Metrics

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
        seconds = time.perf_counter() - g.start
        response.headers["X-Request-Id"] = g.request_id
        route = request.url_rule.rule if request.url_rule else "unmatched"
        self._metrics.observe_request(request.method, route, response.status_code, seconds)
        # Quoted, since a path may hold line breaks; without its query, which may hold a text.
        path = quote(request.path[:LONGEST_PATH])
        log.info(
            "%s %s %d %.0f ms %s", request.method, path, response.status_code, seconds * 1e3, g.request_id
        )
        return response
