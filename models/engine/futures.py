"""Futures of outputs: light, because thousands may exist while few threads wait."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from models.engine.protocol import Output

log = logging.getLogger(__name__)

_LOCK = threading.Lock()
"""Guards the change of any: it takes less than a microsecond."""
_CANCELLED = CancelledError()


class OutputFuture(Future[Output]):
    """A future with no condition of its own: that is ten objects, which Python's collector walks through.

    `when_cancelled(self)` is called when a caller cancels it, which is always its end. For all else it is as
    `concurrent.futures` has it, but that module's `wait` and `as_completed` cannot be given it.
    """

    def __init__(self, when_cancelled: Callable[[Any], None] | None = None):
        self._when_cancelled = when_cancelled
        self._outcome: Output | BaseException | None = None
        self._callbacks: tuple[Callable[[Any], object], ...] = ()

    __repr__ = object.__repr__

    def cancel(self) -> bool:
        if self.answer(_CANCELLED) and self._when_cancelled is not None:
            self._when_cancelled(self)
        return self.cancelled()

    def cancelled(self) -> bool:
        return self._outcome is _CANCELLED

    def done(self) -> bool:
        return self._outcome is not None

    def add_done_callback(self, fn: Callable[[Future[Output]], object]) -> None:
        with _LOCK:
            if self._outcome is None:
                self._callbacks += (fn,)
                return
        fn(self)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        outcome = self._wait(timeout)
        return outcome if isinstance(outcome, BaseException) else None

    def result(self, timeout: float | None = None) -> Output:
        outcome = self._wait(timeout)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def set_running_or_notify_cancel(self) -> bool:
        return not self.cancelled()

    def set_result(self, result: Output) -> None:
        self.answer(result)

    def set_exception(self, exception: BaseException | None) -> None:
        assert exception is not None  # noqa: S101 - as for any future
        self.answer(exception)

    def answer(self, outcome: Output | BaseException) -> bool:
        """Set the outcome, unless there is one, and call the callbacks; True if it was set."""
        with _LOCK:
            if self._outcome is not None:
                return False
            self._outcome = outcome
            callbacks, self._callbacks = self._callbacks, ()
        for callback in callbacks:
            try:
                callback(self)
            except Exception:
                log.exception("a callback failed; the others are still called")
        return True

    def _wait(self, timeout: float | None) -> Output | BaseException:
        if self._outcome is None:
            ended = threading.Event()
            self.add_done_callback(lambda _: ended.set())
            ended.wait(timeout)
        if self._outcome is None:
            raise TimeoutError
        if self._outcome is _CANCELLED:
            raise CancelledError
        return self._outcome
