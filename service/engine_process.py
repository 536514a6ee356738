"""The engine process, and how the service starts and uses it.

`python -m service.engine_process` is the process. It ends when its standard input closes, so it never
outlives its parent.
"""

import gc
import multiprocessing.util
import os
import pickle
import secrets
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from models.catalog import ModelEntry
from models.engine.gpu import Verdicts, context_lost
from models.engine.process import EngineClient, EngineServer, end_process, prepare_process, serve_until_closed
from models.engine.protocol import BatchRecord, Engine
from models.engine_choice import EngineMaker
from models.errors import EngineFailed
from models.store import Store
from service.children import shorten_socket_paths
from service.engine_supervisor import EngineSupervisor, connect
from service.log import configure_log
from service.settings import Settings

CONNECTS_WITHIN_S = 60.0
"""Time for a new process to import torch on a slow disk."""
LOOK_EVERY_S = 0.02


def engine_maker(
    settings: Settings, store: Store, on_batch: Callable[[str, BatchRecord], None] | None
) -> EngineMaker:
    """Return what makes engines in this process, as the settings say.

    What the GPU's compilers make is kept in the cache folder: their own is in the home, which a service may
    not be able to write to. CTranslate2's package has no code for GPUs after Ada, which the driver makes.
    """
    for name, folder in (("TRITON_CACHE_DIR", "triton"), ("CUDA_CACHE_PATH", "cuda")):
        os.environ.setdefault(name, str(settings.cache_dir / folder))
    return EngineMaker(
        store,
        device=settings.device,
        choice=settings.engine,
        threads=settings.threads,
        on_batch=on_batch,
        verdicts=Verdicts(settings.cache_dir),
        secret=os.environ.get,
    )


class EngineProcess:
    """Makes engines in a process of their own.

    It is started when the first engine is wanted, unless `kept` names the file of an EngineSupervisor that
    has started it. `here` would make engines in this process, and knows the device. `command` is that of the
    process.
    """

    def __init__(
        self,
        settings: Settings,
        here: EngineMaker,
        on_batch: Callable[[str, BatchRecord], None] | None = None,
        *,
        kept: Path | None = None,
        command: Sequence[str] = (sys.executable, "-m", "service.engine_process"),
    ):
        self._here = here
        self._on_batch = on_batch
        self._supervisor: EngineSupervisor | None = None
        if kept is None:
            shorten_socket_paths()
            kept = Path(multiprocessing.util.get_temp_dir()) / f"engines-{secrets.token_hex(4)}.at"
            self._supervisor = EngineSupervisor(settings, kept, command=command)
        self.file = kept
        """For the processes that are to use the same engines."""
        self._engines: EngineClient | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()

    @property
    def device(self) -> str:
        """See `EngineMaker.device`."""
        return self._here.device

    @property
    def fallbacks(self) -> list[str]:
        """See `EngineMaker.fallbacks`."""
        return [] if self._engines is None else list(self._engines.notes)

    @property
    def pid(self) -> int | None:
        """The id of the process that this one started and that runs now; None if there is none."""
        return None if self._supervisor is None else self._supervisor.pid

    def make(self, entry: ModelEntry) -> Engine:
        """See `EngineMaker.make`; raises EngineFailed too, if the process ends while it loads the model."""
        with self._lock:
            if self._engines is None:
                self._watch()
                self._engines = EngineClient(self._connection, self._on_batch)
        return self._engines.load(entry.name, entry)

    def close(self) -> None:
        """Leave the process, when its engines are closed, and end it if it was started here."""
        self._closing.set()
        if self._supervisor is not None:
            self._supervisor.close()
        if self._engines is not None:
            self._engines.close()

    # ------------------------------------------------------------------ inside

    def _watch(self) -> None:
        if self._supervisor is not None:
            self._supervisor.look()
            watch = threading.Thread(
                target=self._supervisor.watch, args=[self._closing], name="engine-process", daemon=True
            )
            watch.start()

    def _connection(self) -> Connection:
        """Return a connection to the process that runs now, as soon as it listens."""
        until = time.monotonic() + CONNECTS_WITHIN_S
        while time.monotonic() < until and not self._closing.is_set():
            try:
                return connect(self.file)
            except (OSError, EOFError):
                self._closing.wait(LOOK_EVERY_S)
        raise EngineFailed("the model process does not start; see the log")


# ------------------------------------------------------------------------------------- the process itself


def main() -> None:
    """Serve engines until standard input ends."""
    start = pickle.load(sys.stdin.buffer)  # noqa: S301 - the service's own
    configure_log(start.log_level)
    prepare_process()
    # The service has fetched what is to be loaded.
    maker = engine_maker(
        start.settings, Store(start.settings.cache_dir, offline=True), lambda *batch: server.on_batch(*batch)
    )
    most = start.settings.max_loaded_models
    server = EngineServer(lambda entry: _make_engine(maker, entry), lambda: maker.fallbacks, most=most)
    serve_until_closed(server, start.address, start.key)


def _make_engine(maker: EngineMaker, entry: Any) -> Engine:
    try:
        engine = maker.make(entry)
    except Exception as error:
        if context_lost():
            end_process(f"the GPU was lost: {error}")
        raise
    gc.collect()  # what is loaded stays, and a collector need not walk it
    gc.freeze()
    return engine


if __name__ == "__main__":
    main()
