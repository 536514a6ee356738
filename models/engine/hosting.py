"""Engines for other processes: takes their messages, and answers them.

Every process that connects has a thread that reads and one that writes. Engines are shared: two processes
that load the same name use one engine.
"""

import gc
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, Listener
from queue import Empty, SimpleQueue
from typing import Any

from models.engine import wire
from models.engine.places import EnginePlace, EnginePlaces
from models.engine.protocol import BatchRecord, Engine, EngineStats, Output
from models.errors import DragomanError, EngineFailed

log = logging.getLogger(__name__)

MOST_AT_ONCE = 1024
"""Messages that one list takes."""
SWITCH_S = 1e-3
"""An engine's step waits no longer than that for the thread that reads to let go of the interpreter."""
COLLECT_AFTER = 100_000
"""New objects that bring Python's collector: some ten thousand requests'. None of them needs it."""


def prepare_process() -> None:
    """Suit Python in this process to engines: once, before the first is made."""
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(COLLECT_AFTER)


class EngineHost:
    """Serves engines that `make` makes out of what a Load names; `notes` is what to tell of all of them.

    There are at most `most` engines; see `EnginePlaces`.
    """

    def __init__(
        self,
        make: Callable[[Any], Engine],
        notes: Callable[[], Sequence[str]] = tuple,
        *,
        most: int | None = None,
    ):
        self.places = EnginePlaces(make, most)
        self.notes = notes
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

    def gone(self, client: "_Client") -> None:
        """Forget a process."""
        with self._lock:
            self._clients.pop(client, None)
        self.places.gone(client)


class _Client:
    """A process that uses engines."""

    def __init__(self, host: EngineHost, connection: Connection):
        self._host = host
        self._connection = connection
        self._places: dict[str, EnginePlace] = {}
        self._futures: dict[int, Future[Output]] = {}
        self._over = False
        self._lock = threading.Lock()
        self._outgoing: SimpleQueue[Any] = SimpleQueue()
        """Messages, and of each generation that has ended its number and its future."""

    def start(self) -> None:
        """Begin to read and write."""
        _begin(self._read, name="engine-reads")
        _begin(self._write, name="engine-writes")

    def send(self, message: Any) -> None:
        """Queue a message; engines' threads never wait for a process that reads slowly."""
        self._outgoing.put(message)

    # ------------------------------------------------------------------ writing

    def _write(self) -> None:
        while (first := self._outgoing.get()) is not None:
            told = [first]
            with suppress(Empty):
                while len(told) < MOST_AT_ONCE:
                    told.append(self._outgoing.get_nowait())
            ended = [_result(*each) for each in told if type(each) is tuple]
            messages = [each for each in told if each is not None and type(each) is not tuple]
            try:
                wire.send(self._connection, [*messages, wire.Ended(ended)] if ended else messages)
            except OSError:
                break  # the process has gone; its reader sees to the rest
            if told[-1] is None:
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
            self._over = True
            futures = list(self._futures.values())
        for future in futures:
            future.cancel()
        self._host.gone(self)
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
                if (place := self._places.get(name)) is not None:
                    engine = place.engine
                    self.send(wire.Stats(name, EngineStats() if engine is None else engine.stats()))
            case wire.Load() | wire.Unload():  # both may take minutes, and other engines' work goes on
                _begin(self._load if isinstance(message, wire.Load) else self._unload, message)

    def _load(self, message: wire.Load) -> None:
        try:
            self._places[message.name] = self._host.places.load(self, message.name, message.what)
            self.send(wire.Loaded(message.name, notes=self._host.notes()))
        except DragomanError as error:
            self.send(wire.Loaded(message.name, error))
        except Exception as error:
            log.exception("%s could not be loaded", message.name)
            self.send(wire.Loaded(message.name, EngineFailed(f"{type(error).__name__}: {error}")))

    def _unload(self, message: wire.Unload) -> None:
        self._places.pop(message.name, None)
        self._host.places.unload(self, message.name)
        self.send(wire.Unloaded(message.name))

    def _submit(self, message: wire.Submission) -> None:
        place = self._places.get(message.name)
        if place is None:
            self._failed(message, EngineFailed(f"{message.name} is not loaded"))
        elif (engine := self._host.places.begin(place, len(message.generations))) is not None:
            self._give(message, place, engine)
        else:
            _begin(self._make_and_give, message, place)

    def _make_and_give(self, message: wire.Submission, place: EnginePlace) -> None:
        try:
            engine = self._host.places.made(place)
        except Exception as error:
            log.exception("%s could not be loaded again", message.name)
            self._host.places.ended(place, len(message.generations))
            self._failed(message, error)
        else:
            self._give(message, place, engine)

    def _give(self, message: wire.Submission, place: EnginePlace, engine: Engine) -> None:
        generations = wire.to_generations(message, self._told)
        numbers = [number for number, *_ in message.generations]
        try:
            futures = engine.submit(generations, wait=True)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is these requests' end
            self._host.places.ended(place, len(generations))
            self._failed(message, error)
            return
        with self._lock:
            self._futures.update(zip(numbers, futures, strict=True))
            over = self._over
        for number, future in zip(numbers, futures, strict=True):
            future.add_done_callback(partial(self._ended, place, number))
            if over:
                future.cancel()

    def _failed(self, message: wire.Submission, error: Exception) -> None:
        failure = error if isinstance(error, DragomanError) else EngineFailed(repr(error))
        self.send(wire.Ended([(number, failure) for number, *_ in message.generations]))

    def _told(self, number: int) -> Callable[[int], None]:
        return lambda token_id: self.send(wire.Token(number, token_id))

    def _ended(self, place: EnginePlace, number: int, future: Future[Output]) -> None:
        self._futures.pop(number, None)
        self._host.places.ended(place)
        if not future.cancelled():
            self._outgoing.put((number, future))  # the engine's thread has better things to do than to write


def _result(number: int, future: Future[Output]) -> tuple[int, tuple[Any, ...] | Exception]:
    error = future.exception()
    assert error is None or isinstance(error, Exception)  # noqa: S101 - engines answer with no other
    return number, error or wire.from_output(future.result())


def _begin(work: Callable[..., None], *arguments: Any, name: str = "engine-load") -> None:
    threading.Thread(target=work, args=arguments, name=name, daemon=True).start()
