"""The server: gunicorn with one worker process and threads, around an application that it builds itself.

The models are loaded in the worker, after the fork: threads and a GPU's context do not survive one.
"""

import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.errors import AppImportError
from gunicorn.http import message

from models.engine.protocol import BatchRecord
from models.errors import DragomanError
from service.http.body import ARRIVING
from service.http.readiness import Readiness
from service.http.worker import Worker
from service.listening import require_free
from service.log import configure_log, discreet
from service.settings import Settings

if TYPE_CHECKING:
    from service.jobs.desk import Desk
    from service.runtime import Runtime

OnBatch = Callable[[str, BatchRecord], None]
BuildRuntime = Callable[[Settings, OnBatch], "Runtime"]

SPARE_THREADS = 8
"""Beyond those of work and of long bodies in arrival: what is quick, and the refusing of what is too much."""
CONNECTIONS = 1000
"""Beyond those that threads work on: kept alive, or with a request on its way."""
REQUEST_LINE_BYTES = 64 << 10
"""LibreTranslate clients send texts of 5,000 characters in the query: up to nine bytes each, encoded."""
CLOSING_S = 25.0
"""Seconds that stopping the jobs and closing the runtime may take after the last request."""

log = logging.getLogger(__name__)


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn's master and its one worker, configured from our settings alone."""

    def __init__(self, settings: Settings, build_runtime: BuildRuntime):
        self._settings = settings
        self._build_runtime = build_runtime
        self._runtime: Runtime | None = None
        self._readiness: Readiness | None = None
        self._desk: Desk | None = None
        # gunicorn would start anew when its terminal is closed, and hold the port with nobody there to stop
        # it. Under nohup, which has the signal ignored, it stays.
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._on_hangup = signal.SIG_IGN if ignored else _stop
        super().__init__()

    def load_config(self) -> None:
        # gunicorn cuts its setting down to this constant; its other choice, no limit, would let a
        # client fill the memory.
        message.MAX_REQUEST_LINE = REQUEST_LINE_BYTES
        logging.getLogger("gunicorn.error").addFilter(discreet)
        for name, value in self._options().items():
            self.cfg.set(name, value)

    def _options(self) -> dict[str, Any]:
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        threads = settings.max_queued_requests + ARRIVING + SPARE_THREADS
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return {
            "bind": f"{host}:{settings.port}",
            "worker_class": Worker,
            "workers": 1,
            "threads": threads,
            # Where all descriptors went into connections, nobody could be let in any more.
            "worker_connections": threads + min(CONNECTIONS, max(16, files // 2 - threads)),
            "limit_request_line": REQUEST_LINE_BYTES,
            # The worker's heartbeat stops while a native library holds the interpreter, as in the first
            # start's conversion; killing it then would never let it end.
            "timeout": 0,
            "graceful_timeout": int(settings.request_timeout_s + CLOSING_S),
            "control_socket_disable": True,
            "loglevel": "warning",
            "when_ready": self._announce,
            "post_fork": Worker.begin,
            "worker_exit": self._close,
        }

    def load(self) -> Flask:
        """Called in the worker: build the application, and let the models load behind it."""
        try:
            return self._application()
        except DragomanError as error:
            field = f"{error.field}: " if error.field else ""
            raise AppImportError(f"dragoman cannot start: {field}{error.message}") from error

    def _application(self) -> Flask:
        # Imported here, in the worker: the master, which only watches, would hold 70 MB more.
        from service.http.app import create_app
        from service.http.metrics import Metrics
        from service.jobs.desk import Desk

        metrics = Metrics()
        self._runtime = self._build_runtime(self._settings, metrics.observe_batch)
        self._readiness = Readiness(self._runtime)
        if self._settings.preload:
            self._readiness.start()
        readiness = self._readiness
        self._desk = Desk(self._runtime)
        self._desk.runner.start(lambda: not readiness.warming_up)
        return create_app(self._runtime, metrics=metrics, readiness=readiness, desk=self._desk)

    def _announce(self, server: Any) -> None:
        """Called in the master as soon as it listens."""
        signal.signal(signal.SIGHUP, self._on_hangup)
        host, port = server.LISTENERS[0].sock.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        example = """-H 'Content-Type: application/json' -d '{"text": "Good morning.", "target": "fr"}'"""
        sys.stdout.write(f"Dragoman listens on {url} - try: curl {url}/v1/translate {example}\n")
        sys.stdout.flush()

    def _close(self, server: Any, worker: Any) -> None:
        """Called in the worker when its last request is answered."""
        if self._desk is not None:
            self._desk.runner.close()
        if self._runtime is None or self._readiness is None or self._readiness.warming_up:
            return  # in the master, or with models half loaded: nothing runs that could be finished
        self._runtime.close()
        log.info("closed")


def _stop(sig: int, frame: Any) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in work; it ends the process.

    Raises DragomanError if it cannot listen on the settings' address.
    """
    require_free(settings.host, settings.port)
    configure_log()
    Server(settings, _runtime).run()


def _runtime(settings: Settings, on_batch: OnBatch) -> "Runtime":
    # Imported here, in the worker: what it imports may start threads, which do not survive a fork.
    from service.runtime import Runtime

    return Runtime(settings, on_batch=on_batch, strangers=True)
