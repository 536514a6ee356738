"""What the callers of the soak saw, and when they had to expect it."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Disturbances:
    """When the server was killed under its callers; until it is back, what they miss is no fault."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around a kill, until the server is ready again."""
        span = len(self._spans)
        with self._lock:
            self._spans.append((time.monotonic(), float("inf")))
        try:
            yield
        finally:
            with self._lock:
                self._spans[span] = (self._spans[span][0], time.monotonic())

    def between(self, start: float, end: float) -> bool:
        with self._lock:
            return any(began <= end and start <= ended for began, ended in self._spans)


@dataclass
class SoakFindings:
    """What the callers saw, all together."""

    asked: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    jobs: int = 0
    callbacks: int = 0
    repeated: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, told: str) -> None:
        with self.lock:
            self.faults.append(told)


class Interrupted(Exception):
    """The server was killed while it answered, or is full: nothing was promised."""
