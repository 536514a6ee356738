"""A runtime for tests of jobs that are interrupted: it writes down each text and sentence that it works on.

Run as a program it serves itself, so that it can be killed. The real translator works over a model that
writes capitals, and takes its time.
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from fake_pool import FakeEngine, FakePool
from fake_runtime import PooledRuntime, serve
from http_fakes import settings

from models.engine.protocol import Generation, Output
from service.settings import Settings
from service.store import jobs


class JournalEngine(FakeEngine):
    """Writes capitals, and into a file what it was asked for: texts, and how they are decoded."""

    def __init__(self, journal: Path, pause_s: float):
        super().__init__(str.upper)
        self._journal = journal
        self._pause_s = pause_s

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        time.sleep(self._pause_s)
        with self._journal.open("a") as journal:
            for generation in generations:
                text = "".join(map(chr, generation.source_ids[1:-1]))
                journal.write(json.dumps([text, repr(generation.decoding)]) + "\n")
        return super().submit(generations, wait=wait)


class JournalRuntime(PooledRuntime):
    """`journal` is the file of all sources that the engine was given."""

    def __init__(self, settings: Settings, journal: Path, pause_s: float = 0.0):
        self.engine = JournalEngine(journal, pause_s)
        own = settings.model_copy(update={"translate_model": "facebook/m2m100_418M"})
        super().__init__(own, FakePool(engine=self.engine))


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    del given["closed"]
    jobs.LEASE_S = given.pop("LEASE_S")
    journal, pause_s = Path(given.pop("journal")), given.pop("pause_s", 0.1)
    serve(settings(**given), lambda own, on_batch: JournalRuntime(own, journal, pause_s))
