"""A runtime whose engine answers when it is told to."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from fake_pool import FakeEngine, FakePool, cipher
from fake_runtime import PooledRuntime

from models.engine.protocol import Generation, Output
from service.settings import Settings

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


class TicketRuntime(PooledRuntime):
    def __init__(self, settings: Settings):
        self.engine = TicketEngine()
        own = settings.model_copy(update={"translate_model": "facebook/m2m100_418M"})
        super().__init__(own, FakePool(engine=self.engine))
