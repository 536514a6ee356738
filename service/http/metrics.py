"""Prometheus metrics, and the access log with one line per request: no texts, keys or addresses.

Labels are routes, methods, statuses and models. A stream is counted and logged when it ends, with the status
of its work.
"""

import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest, values
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from models.engine.protocol import BatchRecord, EngineStats

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by whatever looks after a server: logged at DEBUG, with threads of their own."""
FILES = ("/web/", "/docs/")
"""Where the pages' own files are: a page asks for twenty of them, which are logged at DEBUG too."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
BATCH_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
LONGEST_PATH = 120

log = logging.getLogger("service.http.access")


class Metrics:
    """A registry of its own, so that two applications in one process do not share their counts.

    Several workers share a `folder`, and each tells what all have counted, those that have ended too; what
    the system says of a process is left out then.
    """

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, folder: Path | None = None) -> None:
        registry = CollectorRegistry()
        self._told = registry
        if folder is None:
            ProcessCollector(registry=registry)
        else:
            # The package asks for this variable when it is imported, which is before the folder is known.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
            values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
            self._told = CollectorRegistry()
            MultiProcessCollector(self._told, str(folder))  # type: ignore[no-untyped-call]
        self._requests = Counter(
            "dragoman_http_requests",
            "Requests answered",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "dragoman_http_request_seconds",
            "From a request's head to its answer",
            ("method", "route"),
            buckets=REQUEST_BUCKETS_S,
            registry=registry,
        )
        self._batch_size = Histogram(
            "dragoman_batch_size",
            "Generations in a batch",
            ("model",),
            buckets=BATCH_SIZE_BUCKETS,
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "dragoman_batch_seconds",
            "Time that a batch took",
            ("model",),
            buckets=BATCH_BUCKETS_S,
            registry=registry,
        )
        self._search_seconds = Counter(
            "dragoman_search_seconds",
            "Time of all batches, by the hypotheses of each text: several for those that are tried again",
            ("model", "hypotheses"),
            registry=registry,
        )
        self._waiting_seconds = Counter(
            "dragoman_waiting_seconds",
            "Time that generations waited for their batches, together",
            ("model",),
            registry=registry,
        )

    def watch(
        self, engine_stats: Callable[[], Mapping[str, EngineStats]], in_work: Callable[[], int]
    ) -> None:
        """Read these whenever the metrics are asked for."""
        self._told.register(_ActiveRequests(in_work))
        self._told.register(_EngineQueues(engine_stats))

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def observe_batch(self, model: str, record: BatchRecord) -> None:
        """Runtime's `on_batch`."""
        self._batch_size.labels(model).observe(record.size)
        self._batch_seconds.labels(model).observe(record.seconds)
        self._search_seconds.labels(model, record.hypotheses).inc(record.seconds)
        self._waiting_seconds.labels(model).inc(record.waited_s)

    def render(self) -> bytes:
        """All metrics, in the text form of `content_type`."""
        return generate_latest(self._told)


class _ActiveRequests(Collector):
    """The requests in work, of all workers, at the time of asking."""

    def __init__(self, in_work: Callable[[], int]):
        self._in_work = in_work

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("dragoman_requests_in_work", "Work requests inside now", self._in_work())


class _EngineQueues(Collector):
    """Each loaded model's queue and tokens, as they are at the time of asking.

    A model that is unloaded and loaded again counts its tokens from 0, as after a restart. With several cards
    each has its own figures; with one, its label is empty, which is no label for Prometheus.
    """

    def __init__(self, stats: Callable[[], Mapping[str, EngineStats]]):
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        labels = ["model", "card"]
        queued = GaugeMetricFamily("dragoman_engine_queued", "Generations waiting", labels=labels)
        running = GaugeMetricFamily("dragoman_engine_running", "Generations running", labels=labels)
        read = CounterMetricFamily("dragoman_source_tokens", "Tokens read", labels=labels)
        written = CounterMetricFamily("dragoman_output_tokens", "Tokens written", labels=labels)
        for model, whole in self._stats().items():
            for card, stats in (whole.cards or {"": whole}).items():
                read.add_metric([model, card], stats.source_tokens)
                written.add_metric([model, card], stats.output_tokens)
                queued.add_metric([model, card], stats.queued)
                running.add_metric([model, card], stats.running)
        yield from (queued, running, read, written)


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
        if (ended_as := getattr(response, "ended_as", None)) is not None:  # of a stream
            response.call_on_close(lambda: tell(ended_as()))
        else:
            tell(response.status_code)
        return response

    def _tell(self, method: str, route: str, path: str, start: float, request_id: str, status: int) -> None:
        seconds = time.perf_counter() - start
        self._metrics.observe_request(method, route, status, seconds)
        is_quiet = route in PROBES or route.startswith(FILES)
        level = logging.DEBUG if is_quiet else logging.INFO
        log.log(level, "%s %s %d %.0f ms %s", method, path, status, seconds * 1e3, request_id)
