"""The server: gunicorn with worker processes and threads, around an application that it builds itself.

With one worker the models are loaded in it, after the fork: threads and a GPU's context do not survive one.
Several share what is in a folder, and one process that has the models.
"""

import logging
import multiprocessing.util
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.errors import AppImportError
from gunicorn.http import message

from models import cpu
from models.engine.protocol import BatchRecord
from models.errors import DragomanError
from service.children import shorten_socket_paths
from service.engine_supervisor import ENGINES, EngineSupervisor
from service.errors import StoreUnavailable
from service.http.body import ARRIVING
from service.http.master import Master
from service.http.readiness import Readiness
from service.http.worker import Worker
from service.listening import require_free
from service.log import configure_log, discreet
from service.settings import Settings
from service.shared import SharedState
from service.workers import server_workers

if TYPE_CHECKING:
    from service.jobs.desk import Desk
    from service.runtime import Runtime

OnBatch = Callable[[str, BatchRecord], None]
BuildRuntime = Callable[[Settings, OnBatch], "Runtime"]

METRICS = "metrics"
"""The folder of the workers' metrics, in what they share."""
REPLACED_S = 60.0
"""Seconds for which a worker that takes another's place loads its models before it takes requests."""
LOOK_EVERY_S = 0.1
START_AGAIN_AFTER_S = 1.0
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
    """gunicorn's master and its workers, configured from our settings alone."""

    def __init__(
        self,
        settings: Settings,
        build_runtime: BuildRuntime,
        shared: SharedState | None = None,
        keeper: EngineSupervisor | None = None,
    ):
        self._settings = settings
        self._build_runtime = build_runtime
        self._shared = shared or shared_state(settings)
        self._keeper = keeper
        self._replacing: Worker | None = None
        """In a worker that takes the place of one that has ended: this worker."""
        self._runtime: Runtime | None = None
        self._readiness: Readiness | None = None
        self._desk: Desk | None = None
        # gunicorn would start anew when its terminal is closed, and hold the port with nobody there to stop
        # it. Under nohup, which has the signal ignored, it stays.
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._on_hangup = signal.SIG_IGN if ignored else _stop
        super().__init__()

    def run(self) -> None:
        """Serve until a signal ends it, and the process with it."""
        Master(self, self._keeper).run()

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
            "workers": max(1, settings.workers),
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
            "post_fork": self._begin,
            "worker_exit": self._close,
            "child_exit": self._give_back,
        }

    def load(self) -> Flask:
        """Called in the worker: build the application, and let the models load behind it."""
        try:
            return self._application()
        except Exception as error:
            if self._replacing is not None:  # of a worker that cannot begin, gunicorn would end the others
                log.exception("another worker could not start; one more is tried")
                time.sleep(START_AGAIN_AFTER_S)
                sys.exit(1)
            if not isinstance(error, DragomanError):
                raise
            field = f"{error.field}: " if error.field else ""
            raise AppImportError(f"dragoman cannot start: {field}{error.message}") from error

    def _application(self) -> Flask:
        # Imported here, in the worker: the master, which only watches, would hold 70 MB more.
        from service.http.app import create_app
        from service.http.metrics import Metrics
        from service.jobs.desk import Desk

        folder = self._shared.folder
        metrics = Metrics(None if folder is None else folder / METRICS)
        self._runtime = self._build_runtime(self._settings, metrics.observe_batch)
        readiness = self._readiness = Readiness(self._runtime, self._shared)
        if self._settings.preload:
            readiness.start(announced=self._replacing is None)
        self._desk = Desk(self._runtime)
        self._desk.runner.start(lambda: not readiness.warming_up)
        if self._replacing is not None:  # the others serve meanwhile, and a request here would be refused
            _wait(self._replacing, readiness)
        return create_app(
            self._runtime, metrics=metrics, readiness=readiness, desk=self._desk, shared=self._shared
        )

    def _announce(self, server: Any) -> None:
        """Called in the master as soon as it listens."""
        signal.signal(signal.SIGHUP, self._on_hangup)
        host, port = server.LISTENERS[0].sock.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        example = """-H 'Content-Type: application/json' -d '{"text": "Good morning.", "target": "fr"}'"""
        sys.stdout.write(f"Dragoman listens on {url} - try: curl {url}/v1/translate {example}\n")
        sys.stdout.flush()

    def _begin(self, master: Any, worker: Any) -> None:
        """Called in a worker, right after the fork."""
        Worker.begin(master, worker)
        self._replacing = worker if 1 < self._settings.workers < worker.age else None

    def _give_back(self, master: Any, worker: Any) -> None:
        """Called in the master when a worker has ended."""
        if self._shared.folder is not None:
            try:
                self._shared.ended(worker.pid)
            except StoreUnavailable as error:
                log.error("places of a worker that ended stay taken: %s", error.message)

    def _close(self, server: Any, worker: Any) -> None:
        """Called in the worker when its last request is answered."""
        if self._desk is not None:
            self._desk.runner.close()
        if self._runtime is None or self._readiness is None or self._readiness.warming_up:
            return  # in the master, or with models half loaded: nothing runs that could be finished
        self._runtime.close()
        log.info("closed")


def _wait(worker: Worker, readiness: Readiness) -> None:
    """Wait for the models, at most REPLACED_S, unless the service stops or its master is gone."""
    end = time.monotonic() + REPLACED_S
    while readiness.warming_up and worker.alive and worker.is_parent_alive() and time.monotonic() < end:
        readiness.join(LOOK_EVERY_S)


def _stop(sig: int, frame: Any) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in work; it ends the process.

    Raises DragomanError if it cannot listen on the settings' address.
    """
    require_free(settings.host, settings.port)
    configure_log()
    settings = settings.model_copy(update={"workers": server_workers(settings)})
    shared = shared_state(settings)
    keeper = None if shared.folder is None else EngineSupervisor(settings, shared.folder / ENGINES)
    Server(settings, partial(_runtime, shared), shared, keeper).run()


def shared_state(settings: Settings) -> SharedState:
    """Return what the settings' workers share: where there are several, in a folder that goes with us."""
    if settings.workers <= 1:
        return SharedState()
    shorten_socket_paths()  # the engines' socket is there too
    folder = Path(tempfile.mkdtemp(prefix="server-", dir=multiprocessing.util.get_temp_dir()))
    (folder / METRICS).mkdir()
    return SharedState(folder)


def _runtime(shared: SharedState, settings: Settings, on_batch: OnBatch) -> "Runtime":
    # Imported here, in the worker: what it imports may start threads, which do not survive a fork.
    from models.better import BetterModels
    from service.runtime import Runtime

    if settings.workers > 1:  # for the models that only read, which each worker has
        import torch

        torch.set_num_threads(max(1, cpu.whole(cpu.usable()) // settings.workers))
    make = partial(BetterModels, in_background=True)
    return Runtime(settings, on_batch=on_batch, strangers=True, shared=shared, make_better=make)
