"""The turns of several drivers in the same engines: whose round is submitted, and whose time it is."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from models.tasks.running import Effort


class Turns:
    """Gives one driver at a time its turn; `gate` is held meanwhile, by whoever uses the same engines.

    If rounds may `overlap`, a turn ends as soon as all batches of the round have begun: the next round waits
    in the queue when a worker gets free, and still shares a batch with no other. Otherwise a turn ends with
    the round.
    """

    def __init__(self, gate: AbstractContextManager[Any] | None = None, *, overlap: bool = False):
        self.gate = gate or threading.Lock()
        self.overlap = overlap
        self._guard = threading.Lock()
        self._running = 0
        self._counted = 0.0
        """Until then the time of the rounds that run is counted."""

    @contextmanager
    def timed(self, effort: Effort) -> Iterator[None]:
        """Count the time of a round; where rounds overlap it is the time of the first one that ends."""
        with self._guard:
            self._running += 1
            if self._running == 1:
                self._counted = time.monotonic()
        try:
            yield
        finally:
            with self._guard:
                self._running -= 1
                before, self._counted = self._counted, time.monotonic()
                effort.engine_s += self._counted - before
