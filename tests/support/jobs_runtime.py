"""A runtime for tests of jobs that are interrupted: it writes down each text and sentence that it works on.

Run as a program it serves itself, so that it can be killed. The real translator works over a model that
writes capitals, and takes its time.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from fake_pool import FakeEngine, FakePool
from http_fakes import FakeRuntime, settings

from models.engine.protocol import Generation, Output
from models.languages import Languages
from models.text.detect import LanguageDetector
from models.translate.translator import Translator
from service.http.server import Server
from service.log import configure_log
from service.settings import Settings


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


class JournalRuntime(FakeRuntime):
    """`journal` is the file of all sources that the engine was given."""

    def __init__(self, settings: Settings, journal: Path, pause_s: float = 0.0, closed: Path | None = None):
        super().__init__(settings, closed=closed)
        languages = Languages.load()
        pool = FakePool(languages)
        self.engine = pool.engine = JournalEngine(journal, pause_s)
        self.translator = Translator(  # type: ignore[assignment]
            pool.as_pool, languages, LanguageDetector(), default_model="facebook/m2m100_418M"
        )


def main() -> None:
    given = json.loads(sys.argv[1])
    closed, journal, pause_s = (
        Path(given.pop("closed")),
        Path(given.pop("journal")),
        given.pop("pause_s", 0.1),
    )

    def build(settings: Settings, on_batch: Callable[..., None]) -> FakeRuntime:
        return JournalRuntime(settings, journal, pause_s, closed)

    logging.getLogger().addHandler(logging.NullHandler())
    configure_log()
    Server(settings(**given), build).run()


if __name__ == "__main__":
    main()
