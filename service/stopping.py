"""Stops tasks from another thread: because a client went away, a job was cancelled, or the service ends."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from models.engine.protocol import Engine, EngineStats, Generation, Output
from models.tasks.steps import Call, Steps
from service.errors import Abandoned

T = TypeVar("T")


class Stop:
    """Ends tasks from another thread: cancels the outputs that they wait for, and them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self._futures: list[Future[Output]] = []
        self._engines: dict[int, _Watched] = {}

    def stop(self) -> None:
        """End the tasks; those that have ended already stay as they are."""
        with self._lock:
            self._stopped = True
            futures, self._futures = self._futures, []
        for future in futures:
            future.cancel()

    def require(self) -> None:
        """Raise Abandoned after `stop`."""
        if self._stopped:
            raise Abandoned("the client went away, and its work was cancelled")

    def guard(self, task: Steps[T]) -> Steps[T]:
        """Return the same task as one that `stop` ends; tasks of one Stop still share their batches."""
        sent: Any = None
        try:
            while True:
                self.require()
                sent = yield self._watched(task.send(sent))
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            task.close()

    def wait_for(self, futures: Sequence[Future[Output]]) -> None:
        """Cancel these futures on `stop`."""
        with self._lock:
            self._futures += futures
            stopped = self._stopped
        if stopped:
            self.stop()

    def _watched(self, call: Call | None) -> Call | None:
        if call is None:
            return None
        # One for each engine, not for each call: calls with the same engine are submitted together.
        engine = self._engines.setdefault(id(call.engine), _Watched(call.engine, self))
        return replace(call, engine=engine)


class _Watched:
    """An engine that tells a Stop of its futures."""

    def __init__(self, engine: Engine, stop: Stop):
        self._engine = engine
        self._stop = stop

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        futures = self._engine.submit(generations, wait=wait)
        self._stop.wait_for(futures)
        return futures

    def stats(self) -> EngineStats:
        return self._engine.stats()

    def close(self) -> None:
        self._engine.close()
