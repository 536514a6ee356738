"""The places for work: what finds none is refused at once, so that threads stay free."""

import threading
from collections import Counter
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


class Shares:
    """A capacity, places or bytes, of which each caller may hold as much as is left free.

    So one caller gets half of it, two a third each, and the next one always finds something: who sends too
    much at once is in nobody's way but his own.
    """

    def __init__(self, capacity: int, *, retry_after_s: float = 1.0):
        self._capacity = capacity
        self._retry_after_s = retry_after_s
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    def take(self, caller: str, amount: int = 1) -> None:
        """Hold more; raises Overloaded, without waiting, where the caller's share does not have it."""
        with self._lock:
            if self._held[caller] + amount > self._capacity - self._held.total():
                if not self._held[caller]:
                    del self._held[caller]
                raise Overloaded(
                    "too many requests of this caller at once", retry_after_s=self._retry_after_s
                )
            self._held[caller] += amount

    def give(self, caller: str, amount: int = 1) -> None:
        """Hold less."""
        with self._lock:
            self._held[caller] -= amount
            if not self._held[caller]:
                del self._held[caller]

    @contextmanager
    def enter(self, caller: str, amount: int = 1) -> Iterator[None]:
        """Hold so much; raises Overloaded."""
        self.take(caller, amount)
        try:
            yield
        finally:
            self.give(caller, amount)
