"""Engines in another process, behind the same contract as engines in this one.

A step of an engine on a GPU takes a few milliseconds, and beside one busy Python thread it would wait longer
than that for the interpreter. So engines have a process of their own, and token ids go back and forth. When
that process dies, what it had fails with EngineGone, and nothing else does: another one is started, the
engines are loaded again, and requests go on.
"""

import contextlib
import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from multiprocessing import ProcessError
from multiprocessing.connection import Connection
from typing import Any

from models.engine import wire
from models.engine.awaited import Awaited
from models.engine.protocol import BatchRecord, EngineStats, Generation, Output
from models.errors import EngineFailed, EngineGone, Overloaded

log = logging.getLogger(__name__)

MAX_UNANSWERED = 4096
"""An engine takes no submission while so many of its generations are unanswered."""
STATS_WITHIN_S = 0.5
LOAD_AGAIN_AFTER_S, CONNECT_AGAIN_AFTER_S = 5.0, 0.1
GONE = "the process that runs the models ended and is being started again; try again in a few seconds"


@dataclass(eq=False, slots=True)
class _Loading:
    """An engine that should be there, and how far it is."""

    what: Any
    asked: bool = True
    """Somebody waits in `load` for its first coming."""
    ready: bool = False
    error: Exception | None = None
    closing: bool = False
    closed: bool = False
    unanswered: int = 0
    stats: EngineStats = field(default_factory=EngineStats)
    told: int = 0
    """How often its statistics came."""


class _Sent(Awaited):
    """A generation that is in the other process, and what its caller waits for."""

    def __init__(self, number: int, engine: _Loading, told: Generation, dropped: Callable[[Any], None]):
        super().__init__(dropped)
        self.number, self.engine, self.on_token = number, engine, told.on_token


class RemoteEngines:
    """A connection to the process that has the engines, made anew whenever it breaks.

    `connect` returns a new connection, once there is a process to connect to; it raises EngineFailed where
    that takes too long, and is called again then. `on_batch(name, record)` hears of every batch that runs.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        on_batch: Callable[[str, BatchRecord], None] | None = None,
    ):
        self._connect = connect
        self._on_batch = on_batch
        self._numbers = itertools.count()
        self._sent: dict[int, _Sent] = {}
        self._engines: dict[str, _Loading] = {}
        self._changed = threading.Condition()
        self._connection: Connection | None = None
        self._sending = threading.Lock()
        self._closing = False
        self.notes: Sequence[str] = ()
        """What the process said of its engines when it loaded the last one."""
        self._thread = threading.Thread(target=self._stay_connected, name="remote-engines", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------ engines

    def load(self, name: str, what: Any) -> "RemoteEngine":
        """Return the engine that the other process makes out of `what`, which is pickled, once it is there.

        Waits until an engine of the same name that is being unloaded has gone. Raises what was raised there,
        and EngineGone if that process ended, or did not start.
        """
        engine = _Loading(what)
        with self._changed:
            # What the process says of an engine it says by name: one of this name is unloaded first.
            self._changed.wait_for(lambda: name not in self._engines)
            self._engines[name] = engine
        self._send(wire.Load(name, what))
        with self._changed:
            self._changed.wait_for(lambda: engine.ready or engine.error)
            engine.asked = False
            if engine.error is not None:
                self._forget(name, engine)
                raise engine.error
        return RemoteEngine(self, name, engine)

    def submit(
        self, name: str, engine: _Loading, generations: Sequence[Generation], wait: bool
    ) -> list[Future[Output]]:
        """See `Engine.submit`."""
        sent = [_Sent(next(self._numbers), engine, each, self._cancelled) for each in generations]
        submission = wire.from_generations(name, [each.number for each in sent], generations)
        with self._changed:
            while wait and engine.unanswered >= MAX_UNANSWERED and not engine.closing:
                self._changed.wait()
            if engine.closing:
                raise EngineFailed("the engine is closed")
            if not engine.ready:
                raise engine.error or EngineGone(GONE)
            if engine.unanswered >= MAX_UNANSWERED:
                raise Overloaded(f"the queue is full ({engine.unanswered} generations wait)")
            self._sent.update((each.number, each) for each in sent)
            engine.unanswered += len(sent)
        self._send(submission)
        return [*sent]

    def stats(self, name: str, engine: _Loading) -> EngineStats:
        """Ask the other process; what it said last if it does not answer soon."""
        with self._changed:
            told = engine.told
        if engine.ready:
            self._send(wire.AskStats(name))
        with self._changed:
            self._changed.wait_for(lambda: engine.told > told or not engine.ready, STATS_WITHIN_S)
            return engine.stats if engine.ready else replace(engine.stats, ready=False, queued=0, running=0)

    def unload(self, name: str, engine: _Loading) -> None:
        """Wait until all is answered, and let the other process free the engine."""
        with self._changed:
            engine.closing = True
            self._changed.notify_all()
            there = engine.ready
        if there:
            self._send(wire.Unload(name))
        with self._changed:
            self._changed.wait_for(lambda: not engine.ready or (engine.closed and not engine.unanswered))
            engine.ready = False
            self._forget(name, engine)

    def close(self) -> None:
        """Leave the other process; what is not answered yet fails."""
        with self._changed:
            self._closing = True
            connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as own:
                own.shutdown(socket.SHUT_RDWR)  # mere closing would not wake the thread that reads
        self._thread.join()

    # ------------------------------------------------------------------ inside

    def _forget(self, name: str, engine: _Loading) -> None:
        if self._engines.get(name) is engine:
            del self._engines[name]
            self._changed.notify_all()

    def _send(self, message: Any) -> None:
        """Send a message, if there is a process; once it has gone, the thread that reads sees to the rest."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError), self._sending:
                wire.send(connection, [message])

    def _cancelled(self, sent: _Sent) -> None:
        if self._taken([sent.number]):
            self._send(wire.Cancel([sent.number]))

    def _taken(self, numbers: Iterable[int]) -> list[_Sent]:
        """Take those that are still in the other process out of the books."""
        with self._changed:
            taken = [self._sent.pop(number) for number in numbers if number in self._sent]
            for sent in taken:
                sent.engine.unanswered -= 1
            self._changed.notify_all()
            return taken

    # ------------------------------------------------------------------ the thread that reads

    def _stay_connected(self) -> None:
        while not self._closing:
            try:
                connection = self._connect()
            except EngineFailed as error:
                self._lost(error.message)
                continue
            except (OSError, EOFError, ProcessError) as error:
                log.warning("no connection to the process that runs the models: %r", error)
                self._lost(GONE)
                time.sleep(CONNECT_AGAIN_AFTER_S)
                continue
            with self._changed:
                self._connection = connection
                wanted = list(self._engines.items())
            for name, engine in wanted:
                self._send(wire.Load(name, engine.what))
            with contextlib.suppress(EOFError, OSError):
                while True:
                    self._take_all(wire.receive(connection))
            self._lost(GONE)
            with self._sending:
                connection.close()

    def _take_all(self, messages: list[Any]) -> None:
        for message in messages:
            try:
                self._take(message)
            except Exception:
                log.exception("a listener failed; the others are told all the same")

    def _lost(self, why: str) -> None:
        """Fail all that the process had, and whoever waits for a load."""
        with self._changed:
            self._connection = None
            lost, self._sent = list(self._sent.values()), {}
            for name, engine in list(self._engines.items()):
                engine.ready, engine.unanswered = False, 0
                if engine.asked:
                    engine.error = EngineGone(why)
                    self._forget(name, engine)
            self._changed.notify_all()
        for sent in lost:
            sent.answer(EngineGone(why))

    def _take(self, message: Any) -> None:
        match message:
            case wire.Ended(results):
                ended = dict(results)
                for sent in self._taken(ended):
                    result = ended[sent.number]
                    sent.answer(result if isinstance(result, Exception) else wire.to_output(result))
            case wire.Token(number, token_id):
                streaming = self._sent.get(number)
                if streaming is not None and streaming.on_token is not None:
                    streaming.on_token(token_id)
            case wire.BatchRan(name, record):
                if self._on_batch is not None:
                    self._on_batch(name, record)
            case wire.Loaded() | wire.Unloaded() | wire.Stats():
                self._note(message)

    def _note(self, message: wire.Loaded | wire.Unloaded | wire.Stats) -> None:
        """Note how an engine is, for those who wait for it."""
        with self._changed:
            engine = self._engines.get(message.name)
            if engine is None:
                return
            match message:
                case wire.Loaded(_, error, notes):
                    self.notes = notes
                    engine.ready, engine.error = error is None, error
                    if error is not None and not engine.asked:
                        self._load_again(message.name, engine)
                case wire.Unloaded():
                    engine.closed = True
                case wire.Stats(_, stats):
                    engine.stats = stats
                    engine.told += 1
            self._changed.notify_all()

    def _load_again(self, name: str, engine: _Loading) -> None:
        """Ask once more, in a while, for an engine that could not be loaded into a new process."""
        log.warning("%s could not be loaded again: %s", name, engine.error)
        timer = threading.Timer(LOAD_AGAIN_AFTER_S, self._send, (wire.Load(name, engine.what),))
        timer.daemon = True
        timer.start()


class RemoteEngine:
    """An Engine in the other process."""

    def __init__(self, engines: RemoteEngines, name: str, engine: _Loading):
        self._engines = engines
        self._name = name
        self._engine = engine

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        """See `Engine.submit`; the futures' callbacks are called from the thread that reads."""
        return self._engines.submit(self._name, self._engine, generations, wait)

    def stats(self) -> EngineStats:
        """See `Engine.stats`; not ready while its process is started again."""
        return self._engines.stats(self._name, self._engine)

    def close(self) -> None:
        """See `Engine.close`."""
        self._engines.unload(self._name, self._engine)
