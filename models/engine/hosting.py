"""Engines for other processes: takes their messages, and answers them.

Every process that connects has a thread that reads and one that writes. Engines are shared: two processes
that load the same name use one engine.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, Listener
from queue import Empty, SimpleQueue
from typing import Any

from models.engine import wire
from models.engine.protocol import BatchRecord, Engine, Generation, Output
from models.errors import DragomanError, EngineFailed

log = logging.getLogger(__name__)

MOST_AT_ONCE = 1024
"""Messages that one list takes."""


@dataclass(slots=True)
class _Shared:
    """An engine's place. `lock` is held while it is loaded or closed."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    engine: Engine | None = None
    users: set["_Client"] = field(default_factory=set)


class EngineHost:
    """Serves engines that `make` makes out of what a Load names; `notes` is what to tell of all of them."""

    def __init__(self, make: Callable[[Any], Engine], notes: Callable[[], Sequence[str]] = tuple):
        self._make = make
        self.notes = notes
        self._engines: dict[str, _Shared] = {}
        self._clients: dict[_Client, None] = {}  # in the order in which they came
        self._lock = threading.Lock()

    def serve(self, listener: Listener) -> None:
        """Take in processes until the listener is closed."""
        while True:
            try:
                connection = listener.accept()
            except OSError:
                return
            except Exception as error:  # noqa: BLE001 - whoever it was, the others go on
                log.warning("a process could not connect: %r", error)
                continue
            client = _Client(self, connection)
            with self._lock:
                self._clients[client] = None
            client.start()

    def on_batch(self, name: str, record: BatchRecord) -> None:
        """Tell one process of a batch that the engine `name` ran, so that all together count it once."""
        with self._lock:
            client = next(iter(self._clients), None)
        if client is not None:
            client.send(wire.BatchRan(name, record))

    # ------------------------------------------------------------------ for the clients' threads

    def load(self, client: "_Client", name: str, what: Any) -> Engine:
        """Return the engine, made now if it is not there."""
        with self._lock:
            place = self._engines.setdefault(name, _Shared())
            place.users.add(client)
        with place.lock:
            if place.engine is None:
                place.engine = self._make(what)
            return place.engine

    def unload(self, client: "_Client", name: str) -> None:
        """Take a user from the engine, and close it after its last one."""
        with self._lock:
            place = self._engines.get(name)
            if place is None:
                return
            place.users.discard(client)
            if place.users:
                return
            del self._engines[name]
        with place.lock:
            engine, place.engine = place.engine, None
        if engine is not None:
            engine.close()

    def gone(self, client: "_Client", names: set[str]) -> None:
        """Forget a process. The engines that it used alone stay, for the one that takes its place."""
        with self._lock:
            self._clients.pop(client, None)
            for name in names:
                if name in self._engines:
                    self._engines[name].users.discard(client)


class _Client:
    """A process that uses engines."""

    def __init__(self, host: EngineHost, connection: Connection):
        self._host = host
        self._connection = connection
        self._engines: dict[str, Engine] = {}
        self._futures: dict[int, Future[Output]] = {}
        self._lock = threading.Lock()
        self._outgoing: SimpleQueue[Any] = SimpleQueue()

    def start(self) -> None:
        """Begin to read and write."""
        for work, name in ((self._read, "engine-reads"), (self._write, "engine-writes")):
            threading.Thread(target=work, name=name, daemon=True).start()

    def send(self, message: Any) -> None:
        """Queue a message; engines' threads never wait for a process that reads slowly."""
        self._outgoing.put(message)

    # ------------------------------------------------------------------ writing

    def _write(self) -> None:
        while (first := self._outgoing.get()) is not None:
            messages = [first]
            try:
                while len(messages) < MOST_AT_ONCE:
                    messages.append(self._outgoing.get_nowait())
            except Empty:
                pass
            try:
                wire.send(self._connection, [message for message in messages if message is not None])
            except OSError:
                break  # the process has gone; its reader sees to the rest
            if messages[-1] is None:
                break
        self._connection.close()

    # ------------------------------------------------------------------ reading

    def _read(self) -> None:
        try:
            while True:
                for message in wire.receive(self._connection):
                    self._take(message)
        except (EOFError, OSError):
            pass
        except Exception:
            log.exception("a process sent what cannot be read")
        finally:
            self._end()

    def _end(self) -> None:
        with self._lock:
            futures = list(self._futures.values())
        for future in futures:
            future.cancel()
        self._host.gone(self, set(self._engines))
        self._outgoing.put(None)

    def _take(self, message: Any) -> None:
        match message:
            case wire.Submission():
                self._submit(message)
            case wire.Cancel(numbers):
                with self._lock:
                    futures = [self._futures[number] for number in numbers if number in self._futures]
                for future in futures:
                    future.cancel()
            case wire.AskStats(name):
                if name in self._engines:
                    self.send(wire.Stats(name, self._engines[name].stats()))
            case wire.Load() | wire.Unload():  # both may take minutes, and other engines' work goes on
                work = self._load if isinstance(message, wire.Load) else self._unload
                threading.Thread(target=work, args=(message,), name="engine-load", daemon=True).start()

    def _load(self, message: wire.Load) -> None:
        try:
            self._engines[message.name] = self._host.load(self, message.name, message.what)
            self.send(wire.Loaded(message.name, notes=self._host.notes()))
        except DragomanError as error:
            self.send(wire.Loaded(message.name, error))
        except Exception as error:
            log.exception("%s could not be loaded", message.name)
            self.send(wire.Loaded(message.name, EngineFailed(f"{type(error).__name__}: {error}")))

    def _unload(self, message: wire.Unload) -> None:
        self._engines.pop(message.name, None)
        self._host.unload(self, message.name)
        self.send(wire.Unloaded(message.name))

    def _submit(self, message: wire.Submission) -> None:
        generations = [
            Generation(
                source_ids, wire.to_decoding(decoding), deadline, self._told(number) if streams else None
            )
            for number, source_ids, decoding, deadline, streams in message.generations
        ]
        numbers = [number for number, *_ in message.generations]
        try:
            engine = self._engines.get(message.name)
            if engine is None:
                raise EngineFailed(f"{message.name} is not loaded")
            futures = engine.submit(generations, wait=True)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is these requests' end
            failure = error if isinstance(error, DragomanError) else EngineFailed(repr(error))
            for number in numbers:
                self.send(wire.Ended(number, failure))
            return
        with self._lock:
            self._futures.update(zip(numbers, futures, strict=True))
        for number, future in zip(numbers, futures, strict=True):
            future.add_done_callback(partial(self._ended, number))

    def _told(self, number: int) -> Callable[[int], None]:
        return lambda token_id: self.send(wire.Token(number, token_id))

    def _ended(self, number: int, future: Future[Output]) -> None:
        with self._lock:
            self._futures.pop(number, None)
        if future.cancelled():
            return
        error = future.exception()
        assert error is None or isinstance(error, Exception)  # noqa: S101 - engines answer with no other
        self.send(wire.Ended(number, error or wire.from_output(future.result())))
