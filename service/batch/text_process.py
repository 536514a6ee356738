"""A process that does units of a batch for another one; see `service.batch.processes`."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from models.engine.protocol import Output
from models.errors import DragomanError, EngineFailed
from service.batch.lanes import UnitWork
from service.batch.task import Order
from service.batch.unit import Done
from service.store.results import OutputKeys

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UnitQuestion:
    """A unit's work asks something of the process that has the memory and gives turns."""

    what: str
    """`begin` or `end`, of a turn, or a method of `UnitMemory`."""
    arguments: tuple[Any, ...]
    tokens: int
    """Output tokens that this process has made so far."""
    shares: Mapping[int, float]
    """See `Doer.shares`."""


def serve(connection: Connection, order: Order, engines: Path, remembers: bool) -> None:
    """Do the units that come, one after another, until the other end of the connection is closed.

    The answer is a Done, or the DragomanError in its place.
    """
    line = _Line(connection)
    while True:
        unit = line.received()
        try:
            line.work = line.work or _opened(line, order, engines, remembers)
            answer: Done | DragomanError = line.work.do(unit)
        except DragomanError as error:
            answer = error
        except Exception as error:
            log.exception("a unit failed")
            answer = EngineFailed(f"{type(error).__name__}: {error}")
        line.send(answer)


def _opened(line: "_Line", order: Order, engines: Path, remembers: bool) -> UnitWork:
    runtime = order.open_runtime()
    runtime.part_engines(engines)  # the other process has had them loaded and tried
    return UnitWork(
        order.task.work(runtime),
        OutputKeys(runtime.pool, runtime.store),
        line if remembers else None,
        order.record_timeout_s,
        runtime.device,
        gate=line,
    )


class _Line:
    """The other process, as work has it: what is remembered (see `UnitMemory`), and, as a context, a turn.

    When it has gone, this one ends.
    """

    def __init__(self, connection: Connection):
        self._connection = connection
        self.work: UnitWork | None = None

    def __enter__(self) -> None:
        self._ask("begin")

    def __exit__(self, *exception: object) -> None:
        self._ask("end")

    def recall(self, keys: Sequence[bytes], sees: int) -> dict[bytes, Output]:
        """See `UnitMemory`."""
        found: dict[bytes, Output] = self._ask("recall", keys, sees) if keys else {}
        return found

    def begun(self, unit: int) -> dict[bytes, Output]:
        """See `UnitMemory`."""
        found: dict[bytes, Output] = self._ask("begun", unit)
        return found

    def keep(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """See `UnitMemory`."""
        self._ask("keep", unit, dict(outputs))

    def send(self, message: "UnitQuestion | Done | DragomanError") -> None:
        """Send a message."""
        try:
            self._connection.send(message)
        except OSError:
            os._exit(0)

    def received(self) -> Any:
        """Return the next message."""
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            os._exit(0)

    def _ask(self, what: str, *arguments: Any) -> Any:
        assert self.work is not None  # noqa: S101 - only its work asks
        self.send(UnitQuestion(what, arguments, self.work.tokens(), self.work.shares()))
        return self.received()
