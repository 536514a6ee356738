"""A runtime whose engine answers when it is told to."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from fake_pool import FakeEngine, FakePool, cipher
from http_fakes import FakeRuntime

from models.engine.protocol import Generation, Output
from models.languages import Languages
from models.text.detect import LanguageDetector
from models.translate.translator import Translator

SENTENCES = [f"The ferry of day {i} stayed in the harbour{' of Sark' * (i % 5)}." for i in range(80)]


TEXT = " ".join(SENTENCES)


class TicketEngine(FakeEngine):
    """Takes a submission for each ticket, and waits where there is none."""

    def __init__(self) -> None:
        super().__init__(cipher)
        self.tickets = threading.Semaphore(0)

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        assert self.tickets.acquire(timeout=20)
        return super().submit(generations, wait=wait)


class TicketRuntime(FakeRuntime):
    def __post_init__(self) -> None:
        super().__post_init__()
        languages = Languages.load()
        pool = FakePool(languages)
        self.engine = pool.engine = TicketEngine()
        self.translator = Translator(  # type: ignore[assignment]
            pool.as_pool, languages, LanguageDetector(), default_model="facebook/m2m100_418M"
        )
