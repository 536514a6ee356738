"""The process that has a GPU's engines: started, watched, and started again when it ends.

`python -m service.engine_process` is that process. It ends when its standard input does, so it never outlives
the one that started it.
"""

import gc
import logging
import multiprocessing.util
import os
import pickle
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from models.engine.hosting import EngineHost
from models.engine.protocol import BatchRecord, Engine
from models.engine.remote import RemoteEngines
from models.engine.verdicts import Verdicts
from models.engines import EngineMaker
from models.entry import ModelEntry
from models.errors import EngineFailed
from models.loading import Store
from service.children import shorten_socket_paths
from service.log import configure_log
from service.settings import Settings

log = logging.getLogger(__name__)

CONNECTS_WITHIN_S = 60.0
"""Time for a new process to import torch on a slow disk."""
LOOK_EVERY_S = 0.02
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 3.0
"""Pauses before a process that ended is replaced: each twice the last one, until one lives that long."""


@dataclass(frozen=True, slots=True)
class ProcessStart:
    """All that the process is told."""

    address: str
    key: bytes
    settings: Settings


def engine_maker(
    settings: Settings, store: Store, on_batch: Callable[[str, BatchRecord], None] | None
) -> EngineMaker:
    """Return what makes engines in this process, as the settings say."""
    return EngineMaker(
        store,
        device=settings.device,
        choice=settings.engine,
        threads=settings.threads,
        max_batch_size=settings.max_batch_size,
        on_batch=on_batch,
        verdicts=Verdicts(settings.cache_dir),
    )


class EngineProcess:
    """Makes engines in a process of their own, which is started when the first one is wanted.

    `here` would make them in this process, and knows the device. `command` is that of the process.
    """

    def __init__(
        self,
        settings: Settings,
        here: EngineMaker,
        on_batch: Callable[[str, BatchRecord], None] | None = None,
        *,
        command: Sequence[str] = (sys.executable, "-m", "service.engine_process"),
    ):
        shorten_socket_paths()
        self._folder = Path(multiprocessing.util.get_temp_dir())
        self._settings = settings
        self._here = here
        self._on_batch = on_batch
        self._command = command
        self._engines: RemoteEngines | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._start: ProcessStart | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()

    @property
    def device(self) -> str:
        """See `EngineMaker.device`."""
        return self._here.device

    @property
    def setbacks(self) -> list[str]:
        """See `EngineMaker.setbacks`."""
        return [] if self._engines is None else list(self._engines.notes)

    @property
    def pid(self) -> int | None:
        """The id of the process that runs now; None if there is none."""
        return None if self._process is None else self._process.pid

    def make(self, entry: ModelEntry) -> Engine:
        """See `EngineMaker.make`; raises EngineFailed too, if the process ends while it loads the model."""
        with self._lock:
            if self._engines is None:
                self._begin()
                self._engines = RemoteEngines(self._connection, self._on_batch)
                threading.Thread(target=self._watch, name="engine-process", daemon=True).start()
        return self._engines.load(entry.name, entry)

    def close(self) -> None:
        """End the process, when its engines are closed."""
        self._closing.set()
        if self._process is not None and self._engines is not None:
            self._end()
            self._engines.close()

    # ------------------------------------------------------------------ inside

    def _begin(self) -> None:
        """Start a process; each has an address of its own, so that nobody connects to one that has ended."""
        address = str(self._folder / f"engines-{secrets.token_hex(4)}")
        start = ProcessStart(address, secrets.token_bytes(32), self._settings)
        home = Path(__file__).parent.parent
        process = subprocess.Popen(self._command, stdin=subprocess.PIPE, cwd=home)  # noqa: S603 - our own
        assert process.stdin is not None  # noqa: S101 - it was asked for
        try:
            process.stdin.write(pickle.dumps(start))
            process.stdin.flush()
        except BrokenPipeError:
            log.error("the process that runs the models ended at once")
        self._start, self._process = start, process

    def _end(self) -> None:
        process = self._process
        assert process is not None and process.stdin is not None  # noqa: S101 - only one that was started
        process.stdin.close()
        try:
            process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _watch(self) -> None:
        """Start the process again whenever it ends."""
        pause_s = FIRST_PAUSE_S
        while not self._closing.is_set():
            began = time.monotonic()
            process = self._process
            assert process is not None  # noqa: S101 - one was started before this thread
            code = process.wait()
            if process.stdin is not None:
                process.stdin.close()
            if self._closing.wait(pause_s):
                return
            log.error("the process that runs the models ended (%s); it is started again", _told(code))
            lived_s = time.monotonic() - began
            pause_s = FIRST_PAUSE_S if lived_s > LONGEST_PAUSE_S else min(2 * pause_s, LONGEST_PAUSE_S)
            self._begin()

    def _connection(self) -> Connection:
        """Return a connection to the process that runs now, as soon as it listens."""
        until = time.monotonic() + CONNECTS_WITHIN_S
        while time.monotonic() < until and not self._closing.is_set():
            start = self._start
            assert start is not None  # noqa: S101 - one was started before anybody connects
            try:
                return Client(start.address, "AF_UNIX", authkey=start.key)
            except (OSError, EOFError):
                self._closing.wait(LOOK_EVERY_S)
        raise EngineFailed("the process that runs the models does not start; the log says why")


def _told(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


# ------------------------------------------------------------------------------------- the process itself


def main() -> None:
    """Serve engines until standard input ends."""
    # Both go to all processes of a terminal or a unit; the service says when its work is finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    start = pickle.load(sys.stdin.buffer)  # noqa: S301 - the service's own
    configure_log()
    # The service has fetched what is to be loaded.
    maker = engine_maker(
        start.settings, Store(start.settings.cache_dir, offline=True), lambda *batch: host.on_batch(*batch)
    )
    host = EngineHost(lambda entry: _made(maker, entry), lambda: maker.setbacks)
    with Listener(start.address, "AF_UNIX", backlog=64, authkey=start.key) as listener:
        threading.Thread(target=host.serve, args=(listener,), name="engine-host", daemon=True).start()
        sys.stdin.buffer.read()
    os._exit(0)  # whoever started it has gone, or has closed all engines


def _made(maker: EngineMaker, entry: Any) -> Engine:
    engine = maker.make(entry)
    gc.collect()  # what is loaded stays, and a collector need not walk it
    gc.freeze()
    return engine


if __name__ == "__main__":
    main()
