"""The engine processes, one for each card, and how the service starts and uses them.

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
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from models.catalog import ModelEntry
from models.engine.cards import EngineCards
from models.engine.gpu import Verdicts, context_lost, look
from models.engine.process import EngineClient, EngineServer, end_process, prepare_process, serve_until_closed
from models.engine.protocol import BatchRecord, Engine
from models.engine_choice import EngineMaker
from models.errors import EngineFailed
from models.store import Store
from service.children import shorten_socket_paths
from service.engine_supervisor import COMMAND, EngineSupervisor, connect, supervisors
from service.log import configure_log
from service.settings import Settings
from service.workers import visible_cards

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
    """Makes engines in processes of their own: one, or one for each card.

    They are started when the first engine is wanted, unless `kept` names the files of EngineSupervisors that
    have started them. `here` would make engines in this process, and knows the device. `everywhere` is as in
    EngineCards. `command` is that of a process, and `cards` are as in `visible_cards`, which finds them.
    """

    def __init__(
        self,
        settings: Settings,
        here: EngineMaker,
        on_batch: Callable[[str, BatchRecord], None] | None = None,
        *,
        kept: Sequence[Path] = (),
        everywhere: bool = False,
        command: Sequence[str] = COMMAND,
        cards: Sequence[str] | None = None,
    ):
        self._here = here
        self._on_batch = on_batch
        self._everywhere = everywhere
        self._supervisors: list[EngineSupervisor] = []
        if not kept:
            shorten_socket_paths()
            file = Path(multiprocessing.util.get_temp_dir()) / f"engines-{secrets.token_hex(4)}.at"
            own = supervisors(
                settings, file, visible_cards(settings.device) if cards is None else cards, command=command
            )
            kept, self._supervisors = list(own), list(own.values())
        self.files = kept
        """One for each card, for the processes that are to use the same engines."""
        self._engines: EngineCards | None = None
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
    def pids(self) -> list[int | None]:
        """The ids of the processes that this one started, by card; None for one that is not there."""
        return [supervisor.pid for supervisor in self._supervisors]

    def cards(self) -> list[str]:
        """Which models are on which card; empty with one process."""
        if self._engines is None or len(self.files) < 2:
            return []
        told = ((None if room is None else sorted(room.names)) for room in self._engines.rooms(measure=False))
        return [
            f"card {card}: " + ("does not answer" if names is None else ", ".join(names) or "no model")
            for card, names in enumerate(told)
        ]

    def prefer(self, card: int) -> None:
        """Give the next work to this card, if engines are everywhere."""
        if self._engines is not None:
            self._engines.preferred = card

    def make(self, entry: ModelEntry) -> Engine:
        """See `EngineMaker.make`; raises EngineFailed too, if the process ends while it loads the model."""
        with self._lock:
            if self._engines is None:
                self._watch()
                clients = [EngineClient(partial(self._connection, f), self._on_batch) for f in self.files]
                self._engines = EngineCards(clients, everywhere=self._everywhere)
        need_bytes = self._here.need_bytes(entry) if len(self.files) > 1 else None
        return self._engines.load(entry.name, entry, need_bytes)

    def close(self) -> None:
        """Leave the process, when its engines are closed, and end it if it was started here."""
        self._closing.set()
        for supervisor in self._supervisors:
            supervisor.close()
        if self._engines is not None:
            self._engines.close()

    # ------------------------------------------------------------------ inside

    def _watch(self) -> None:
        for supervisor in self._supervisors:
            supervisor.look()
            watch = threading.Thread(
                target=supervisor.watch, args=[self._closing], name="engine-process", daemon=True
            )
            watch.start()

    def _connection(self, file: Path) -> Connection:
        """Return a connection to the process that runs now, as soon as it listens."""
        until = time.monotonic() + CONNECTS_WITHIN_S
        while time.monotonic() < until and not self._closing.is_set():
            try:
                return connect(file)
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
    server = EngineServer(
        lambda entry: _make_engine(maker, entry),
        lambda: maker.fallbacks,
        most=most,
        free_bytes=lambda: 0 if (gpu := look()) is None else gpu.free_bytes,
    )
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
