"""The whole service, but for the models: what they would write is a cipher of what they read.

    PYTHONPATH=.:tests:tests/support python tests/support/stand_in.py DELAY_MS [COMMAND ...]

Serves by the same settings as `dragoman serve`, or does another of the program's commands. Tasks, readers of
documents, checks, schemas, stores and jobs are the real ones; only engines are stood
in for, each answer after `DELAY_MS`. With several workers the engines have a process of their own, too."""

import faulthandler
import logging
import os
import pickle
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Listener
from typing import Any, cast

from engine_program import Entry
from fake_pool import FakeCodec, FakePool, cipher

from models.catalog import ModelEntry
from models.checker import Checker
from models.codec import Codec
from models.engine.batching import CPU_SIZES, BatchingEngine
from models.engine.process import EngineServer
from models.engine.protocol import Engine, EngineStats, Generation, Output
from models.languages import Languages
from models.loaded import ExtractiveModel, Model, TextModel
from models.summarize.summarizer import Summarizer
from models.translate.translator import Translator
from service.cli.main import cli
from service.cli.session import Session, prepare_process
from service.engine_process import EngineProcess
from service.engine_supervisor import ENGINES, EngineSupervisor
from service.http.server import OnBatch, Server, configure_log, shared_state
from service.runtime import Runtime
from service.settings import Settings


class CipherBackend:
    """Takes about `delay_s` for a batch; keeps nothing."""

    max_source_tokens = 1_000_000
    workers = 1
    batches_at_a_time = 1
    sizes = CPU_SIZES

    def __init__(self, delay_s: float = 0.0):
        self._delay_s = delay_s

    def vocabulary_size(self) -> int:
        return sys.maxunicode + 1

    def run(
        self,
        batch: Sequence[Generation],
        stopped: Callable[[int], bool],
        finished: Callable[[int, Output], object] | None = None,
    ) -> list[Output]:
        time.sleep(self._delay_s * random.uniform(0.5, 1.5))
        return [self._output(each) for each in batch]

    def _output(self, generation: Generation) -> Output:
        text = cipher("".join(map(chr, generation.source_ids[1:-1])))
        ids = tuple(map(ord, text))[: generation.decoding.max_new_tokens]
        for token in ids if generation.on_token else ():
            generation.on_token(token)
        return Output(ids, -1.0, "stop" if len(ids) == len(text) else "length")

    def close(self) -> None:
        pass


def cipher_engine(delay_s: float = 0.0) -> BatchingEngine:
    """Return the real queue and its batches, over a backend that writes a cipher."""
    return BatchingEngine(CipherBackend(delay_s))


class ApartEngine:
    """The engine of the engines' process, from its first use on."""

    def __init__(self, process: EngineProcess):
        self._process = process
        self._made: Engine | None = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._process.make(Entry("stand-in"))  # type: ignore[arg-type]
        return getattr(self._made, name)


class StandInPool(FakePool):
    """Has every model of the catalog, loaded."""

    def __init__(self, languages: Languages, engine: Any):
        super().__init__(languages, max_source_tokens=100_000, max_new_tokens=100_000)
        self.engine = engine

    @contextmanager
    def use(self, entry: ModelEntry) -> Iterator[Model]:
        if entry.family == "extractive":
            yield ExtractiveModel(entry)
        else:
            yield TextModel(entry, cast(Codec, FakeCodec(entry)), self.engine)

    def stats(self) -> dict[str, EngineStats]:
        return {"stand-in": self.engine.stats()}

    def loaded(self) -> list[str]:
        return []

    def owner(self, engine: object) -> ModelEntry:
        return next(entry for entry in self.catalog.entries if "translate" in entry.tasks)

    def load(self, name: str) -> None:
        pass

    def unready(self, names: Sequence[str]) -> list[str]:
        return [] if self.engine.stats().ready else ["its engine does not run"]

    def close(self) -> None:
        pass


class StandInRuntime(Runtime):
    """The real runtime, with the tasks put together anew over that pool."""

    def __init__(self, settings: Settings, delay_s: float = 0.0, **given: Any):
        super().__init__(settings, **given)
        fake = StandInPool(
            self.languages, cipher_engine(delay_s) if self._apart is None else ApartEngine(self._apart)
        )
        pool = self.pool = fake.as_pool
        self.catalog = pool.catalog
        self.checker = Checker(pool, self.languages, self.detector)
        self.translator = Translator(
            pool, self.languages, self.detector, default_model=settings.translate_model
        )
        self.summarizer = Summarizer(
            pool,
            self.languages,
            self.detector,
            self.translator,
            self.checker,
            default_model=settings.summarize_model,
        )


def opened(delay_s: float, settings: Settings) -> StandInRuntime:
    """Return the runtime, in this process or in another one that does a batch's texts."""
    return StandInRuntime(settings, delay_s)


def main() -> None:
    faulthandler.register(signal.SIGRTMIN)  # where all threads are, into the log
    delay_s = float(sys.argv[1]) / 1000 if sys.argv[1:2] else 0.0
    if sys.argv[2:] == ["engines"]:
        serve_engines(delay_s)
    if sys.argv[2:]:  # another command than `serve`
        prepare_process()
        cli(sys.argv[2:], obj=Session(partial(opened, delay_s)))

    settings = Settings()
    shared = shared_state(settings)
    supervisors = []
    if shared.folder is not None:
        command = (sys.executable, __file__, str(1000 * delay_s), "engines")
        shared.engines = [shared.folder / ENGINES]
        supervisors = [EngineSupervisor(settings, *shared.engines, command=command)]

    def build(own: Settings, on_batch: OnBatch) -> StandInRuntime:
        return StandInRuntime(own, delay_s, on_batch=on_batch, shared=shared)

    logging.getLogger().addHandler(logging.NullHandler())
    configure_log()
    Server(settings, cast(Callable[..., Runtime], build), shared, supervisors).run()


def serve_engines(delay_s: float) -> None:
    """Be the process of the engines, as `service.engine_process` is."""
    start = pickle.load(sys.stdin.buffer)
    host = EngineServer(lambda entry: cipher_engine(delay_s))
    with Listener(start.address, "AF_UNIX", backlog=64, authkey=start.key) as listener:
        threading.Thread(target=host.serve, args=(listener,), daemon=True).start()
        sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
