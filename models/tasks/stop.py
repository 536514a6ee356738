"""Ends tasks from another thread: their client went away, their job was cancelled, or the service ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from models.errors import Abandoned


class Stop:
    """A wish that work end. Any thread may have it, before, while or after the work runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self._wakes: list[Callable[[], None]] = []

    @property
    def stopped(self) -> bool:
        """True after `stop`."""
        return self._stopped

    def stop(self) -> None:
        """End the work; what has ended already stays as it is."""
        with self._lock:
            self._stopped = True
            wakes = list(self._wakes)
        for wake in wakes:
            wake()

    def require(self) -> None:
        """Raise Abandoned after `stop`."""
        if self._stopped:
            raise abandoned()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake`, from the thread that stops, if that happens in this context or has happened before."""
        with self._lock:
            self._wakes.append(wake)
            stopped = self._stopped
        if stopped:
            wake()
        try:
            yield
        finally:
            with self._lock:
                self._wakes.remove(wake)


def abandoned() -> Abandoned:
    """Return the error that ends a task at a stop."""
    return Abandoned("nobody waits for this work any more, and it was cancelled")
