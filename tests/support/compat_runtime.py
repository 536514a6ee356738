"""The real tasks over models that write capitals, served for the tests of other people's clients.

Run as a program it serves itself with the real server; see compat_server.py. A text with `slow` in it takes a
while, one with ✗ fails.
"""

import json
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any, cast

from fake_pool import FakePool

from models.better import BetterModels, Betters
from models.catalog import ModelEntry
from models.checker import Checker
from models.driver import CancelToken, run_all
from models.engine.protocol import EngineStats
from models.languages import Languages
from models.steps import Outcome
from models.store import Store
from models.summarize.summarizer import Summarizer
from models.text.detect import LanguageDetector
from models.translate.translator import Translator
from service.children import Children
from service.http import disconnect
from service.http.server import Server
from service.log import configure_log
from service.settings import Settings
from service.store.glossaries import Glossaries
from service.store.keys import Keys
from service.store.suggestions import Suggestions
from service.store.translation_memory import TranslationMemory

SLOW_S = 2.5


def capitals(text: str) -> str:
    if "slow" in text:
        time.sleep(SLOW_S)
    return text.upper()


class Pool(FakePool):
    def stats(self) -> dict[str, EngineStats]:
        return {}

    def loaded(self) -> list[str]:
        return []

    def owner(self, engine: object) -> None:
        """No outputs are kept from one job to another."""


class CompatRuntime:
    def __init__(self, settings: Settings):
        self.settings = settings
        self.device = "cpu"
        self.reasons: list[str] = []
        self.languages = Languages.load()
        self.detector = detector = LanguageDetector()
        self.pool = pool = Pool(self.languages, capitals, max_source_tokens=100_000, max_new_tokens=100_000)
        self.catalog = pool.catalog
        self.glossaries = Glossaries(settings.data_dir / "glossaries.sqlite", self.languages)
        self.translation_memory = TranslationMemory(settings.data_dir / "memory.sqlite", self.languages)
        self.better = BetterModels(Betters(), pool.as_pool, cast(Store, pool.store), in_background=False)
        self.keys = Keys(settings.data_dir)
        self.suggestions = Suggestions(settings.data_dir / "suggestions.jsonl")
        self.translator = Translator(
            pool.as_pool, self.languages, detector, default_model=settings.translate_model
        )
        self.checker = Checker(pool.as_pool, self.languages, detector)
        self.children = Children()
        self.summarizer = Summarizer(
            pool.as_pool,
            self.languages,
            detector,
            self.translator,
            self.checker,
            default_model=settings.summarize_model,
        )

    def __getattr__(self, name: str) -> Any:
        """What other interfaces want, and these tests do not use."""
        return None

    def warm_up(self) -> None:
        pass

    def models(self) -> list[tuple[ModelEntry, str]]:
        return [(entry, self.pool.state(entry)) for entry in self.catalog.entries]

    def races(self) -> list[str]:
        return []

    def fallbacks(self) -> list[str]:
        return []

    def unready(self) -> list[str]:
        return self.reasons

    def run_all(
        self,
        tasks: Sequence[Any],
        *,
        timeout_s: float | None = None,
        wait: bool = False,
        cancel: CancelToken | None = None,
    ) -> list[Outcome[Any]]:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        return run_all(tasks, deadline=deadline, wait=wait, cancel=cancel)

    def close(self) -> None:
        pass


def settings(**given: Any) -> Settings:
    own = {"port": 0, "summarize_model": "facebook/bart-large-cnn", "max_queued_requests": 4}
    return Settings(**own | given).model_copy(update={"max_texts": 8})


def main() -> None:
    given = json.loads(sys.argv[1])
    del given["closed"]
    disconnect.FIRST_S = given.pop("first_s", disconnect.FIRST_S)
    disconnect.EVERY_S = given.pop("every_s", disconnect.EVERY_S)
    logging.getLogger().addHandler(logging.NullHandler())
    configure_log()
    Server(settings(**given), lambda settings, on_batch: CompatRuntime(settings)).run()


if __name__ == "__main__":
    main()
