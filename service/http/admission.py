"""How many requests are worked on at once; the others are refused at once, so that threads stay free."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import Overloaded


class Gate:
    """Lets at most `capacity` requests in; `retry_after_s` is what the others are told to wait."""

    def __init__(self, capacity: int, *, retry_after_s: float = 1.0):
        self._capacity = capacity
        self._retry_after_s = retry_after_s
        self._lock = threading.Lock()
        self._inside = 0

    @property
    def inside(self) -> int:
        """Requests in work now."""
        return self._inside

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold a place; raises Overloaded, without waiting, where there is none."""
        with self._lock:
            if self._inside >= self._capacity:
                raise Overloaded(f"all {self._capacity} places are taken", retry_after_s=self._retry_after_s)
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
