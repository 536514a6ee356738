"""Engines in another process, behind the same contract as engines in this one.

A step of an engine on a GPU takes a few milliseconds, and beside one busy Python thread it would wait longer
than that for the interpreter. So engines have a process of their own, `EngineServer` there and an
`EngineClient` in each process that uses them, and token ids go back and forth. Engines are shared: two
processes that load the same name use one engine. When the engines' process dies, what it had fails with
EngineGone, and nothing else does: another one is started, the engines are loaded again, and requests go on.

Messages are pickled, so both ends must be processes of one installation, over a connection that nobody else
can open. Each is sent in a list with what else is waiting to be sent. Messages, and what there is of each
generation in them, are tuples: a dataclass takes ten times as long to be pickled and read.
"""

import gc
import itertools
import logging
import os
import pickle
import socket
import sys
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache, partial
from multiprocessing import ProcessError
from multiprocessing.connection import Connection, Listener
from operator import attrgetter
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from models.engine.flows import MOST_WAITING, add_to
from models.engine.futures import OutputFuture
from models.engine.protocol import BatchRecord, Decoding, Engine, EngineStats, Generation, Output
from models.errors import DragomanError, EngineFailed, EngineGone, Overloaded

log = logging.getLogger(__name__)

STATS_WITHIN_S = 0.5
ROOM_WITHIN_S = 60.0
"""Time for a new process to import torch and begin CUDA on a slow disk."""
LOAD_AGAIN_AFTER_S, CONNECT_AGAIN_AFTER_S = 5.0, 0.1
CLOSED = "the connection to the model process is closed"
GONE = "the model process ended and is restarting; try again in a few seconds"

MOST_AT_ONCE = 1024
"""Messages that one list takes."""
WATCH_EVERY_S = 1.0
IDLE_S = 10.0
"""An engine that had work a shorter while ago is not closed to make room for another."""
SWITCH_S = 1e-3
"""An engine's step waits no longer than that for the thread that reads to let go of the interpreter."""
COLLECT_AFTER = 100_000
"""New objects that bring Python's collector: some ten thousand requests'. None of them needs it."""


# ------------------------------------------------------------------------------------- to the engines


class Load(NamedTuple):
    """Make the engine `name` out of `what`, if there is none yet. Answered by Loaded."""

    name: str
    what: Any


class Unload(NamedTuple):
    """Let the engine finish, and close it once no other process uses it. Answered by Unloaded."""

    name: str


class Submission(NamedTuple):
    """Generations of a flow for one engine, each `(number, source_length, decoding, deadline, streams)`.

    `number` is the sender's own; `decoding` is as `from_decoding` gives it; `deadline` is on
    `time.monotonic()`'s clock, which processes of one machine share; `streams` asks for each token. Each has
    its end in an Ended.
    """

    name: str
    generations: Sequence[tuple[Any, ...]]
    source_ids: "array[int]"
    """Of all, one after the other: a token takes 4 bytes, and as an object of Python's own 40."""
    flow: str = ""


class Cancel(NamedTuple):
    """Nobody waits for these generations any more."""

    numbers: Sequence[int]


class AskStats(NamedTuple):
    """Answered by Stats."""

    name: str


class AskRoom(NamedTuple):
    """Answered by Room; only with `measure` is the device asked, which its engines notice."""

    measure: bool


# ------------------------------------------------------------------------------------- from the engines


class Loaded(NamedTuple):
    """The engine is there, or the error says why it is not. `notes` are about all engines there."""

    name: str
    error: Exception | None = None
    notes: Sequence[str] = ()


class Unloaded(NamedTuple):
    """The engine has answered all that it had of this process."""

    name: str


class NextToken(NamedTuple):
    """The next token of a generation that streams."""

    number: int
    token_id: int


class Ended(NamedTuple):
    """The ends of generations: the number of each, and an Output as `from_output` gives it or an error."""

    results: Sequence[tuple[int, tuple[Any, ...] | Exception]]


class Stats(NamedTuple):
    """An engine's statistics."""

    name: str
    stats: EngineStats


class Room(NamedTuple):
    """What the process has: free bytes of its device, and the engines that are there or on their way.

    While an engine is made nothing is free, as what it will take is not known.
    """

    free_bytes: int
    names: Sequence[str]
    measured: bool


class BatchFinished(NamedTuple):
    """An engine ran a batch."""

    name: str
    record: BatchRecord


from_decoding: Callable[[Decoding], tuple[Any, ...]] = attrgetter(*(each.name for each in fields(Decoding)))


def from_generations(name: str, numbers: Iterable[int], generations: Sequence[Generation]) -> Submission:
    """Return the generations as they go over, under these numbers."""
    sent, source_ids = [], array("i")
    for number, each in zip(numbers, generations, strict=True):
        source_ids.extend(each.source_ids)
        streams = each.on_token is not None
        sent.append((number, len(each.source_ids), from_decoding(each.decoding), each.deadline, streams))
    return Submission(name, sent, source_ids, generations[0].flow if generations else "")


def to_generations(message: Submission, on_token: Callable[[int], Callable[[int], None]]) -> list[Generation]:
    """Return the generations; `on_token(number)` gets the tokens of one that streams."""
    generations, start = [], 0
    for number, length, decoding, deadline, streams in message.generations:
        source_ids = message.source_ids[start : start + length]
        start += length
        listener = on_token(number) if streams else None
        generations.append(Generation(source_ids, to_decoding(decoding), deadline, listener, message.flow))
    return generations


@lru_cache(maxsize=1024)
def to_decoding(values: tuple[Any, ...]) -> Decoding:
    """Return the decoding; equal ones are one."""
    return Decoding(**{each.name: value for each, value in zip(fields(Decoding), values, strict=True)})


def from_output(output: Output) -> tuple[Any, ...]:
    """Return the output's fields."""
    others = tuple(map(from_output, output.others))
    return (
        output.token_ids,
        output.score,
        output.finish,
        others,
        output.token_log_probabilities,
        output.usage,
    )


def to_output(values: tuple[Any, ...]) -> Output:
    """Return the output."""
    token_ids, score, finish, others, token_log_probabilities, usage = values
    return Output(token_ids, score, finish, tuple(map(to_output, others)), token_log_probabilities, usage)


def send(connection: Connection, messages: list[Any]) -> None:
    """Send messages. Raises OSError once the other end has gone."""
    connection.send_bytes(pickle.dumps(messages, pickle.HIGHEST_PROTOCOL))


def receive(connection: Connection) -> list[Any]:
    """Wait for the next messages. Raises EOFError or OSError once the other end has gone."""
    messages: list[Any] = pickle.loads(connection.recv_bytes())  # noqa: S301 - our own processes'
    return messages


# ------------------------------------------------------------------------------------- the client


class EngineClient:
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
        self._engines: dict[str, RemoteEngine] = {}
        self._changed = threading.Condition()
        self._connection: Connection | None = None
        self._sending = threading.Lock()
        self._closing = False
        self._is_new = True
        """No connection has failed or ended so far, so the process may be starting."""
        self._rooms: dict[bool, Room] = {}
        """The last ones, measured and not."""
        self.notes: Sequence[str] = ()
        """What the process said of its engines when it loaded the last one."""
        self._thread = threading.Thread(target=self._stay_connected, name="engine-client", daemon=True)
        self._thread.start()

    def load(self, name: str, what: Any) -> "RemoteEngine":
        """Return the engine that the other process makes out of `what`, which is pickled, once it is there.

        Waits until an engine of the same name that is being unloaded has gone. Raises what was raised there,
        and EngineGone if that process ended, or did not start, or this client is closed.
        """
        engine = RemoteEngine(self, name, what)
        with self._changed:
            if self._closing:
                raise EngineGone(CLOSED)
            # What the process says of an engine it says by name: one of this name is unloaded first.
            self._changed.wait_for(lambda: name not in self._engines)
            self._engines[name] = engine
        self._send(Load(name, what))
        with self._changed:
            self._changed.wait_for(lambda: engine._ready or engine._error)
            engine._asked = False
            if engine._error is not None:
                self._forget(engine)
                raise engine._error
        return engine

    @property
    def in_flight(self) -> int:
        """The generations that the other process has of this one."""
        return len(self._sent)

    def room(self, *, measure: bool) -> Room | None:
        """Ask what the other process has; None if it has ended, or does not answer in time.

        One that starts is waited for if its room is to be measured.
        """
        with self._changed:
            if measure:
                self._changed.wait_for(lambda: self._connection or not self._is_new, ROOM_WITHIN_S)
            connection, last = self._connection, self._rooms.get(measure)
        if connection is None:
            return None
        self._send(AskRoom(measure))
        within_s = ROOM_WITHIN_S if measure else STATS_WITHIN_S
        with self._changed:
            self._changed.wait_for(
                lambda: self._rooms.get(measure) is not last or self._connection is not connection, within_s
            )
            told = self._rooms.get(measure)
            return None if told is last else told

    def close(self) -> None:
        """Leave the other process; what is not answered yet fails."""
        with self._changed:
            self._closing = True
            connection = self._connection
        if connection is not None:
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as own:
                own.shutdown(socket.SHUT_RDWR)  # mere closing would not wake the thread that reads
        self._thread.join()

    def _forget(self, engine: "RemoteEngine") -> None:
        if self._engines.get(engine._name) is engine:
            del self._engines[engine._name]
            self._changed.notify_all()

    def _send(self, message: Any) -> None:
        """Send a message, if there is a process; once it has gone, the thread that reads sees to the rest."""
        connection = self._connection
        if connection is not None:
            with suppress(OSError), self._sending:
                send(connection, [message])

    def _cancelled(self, sent: "_Sent") -> None:
        if self._take_sent([sent.number]):
            self._send(Cancel([sent.number]))

    def _take_sent(self, numbers: Iterable[int]) -> list["_Sent"]:
        """Take those that are still in the other process out of the books."""
        with self._changed:
            taken = [self._sent.pop(number) for number in numbers if number in self._sent]
            for sent in taken:
                add_to(sent.engine._unanswered, sent.flow, -1)
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
                log.warning("no connection to the model process: %r", error)
                self._lost(GONE)
                time.sleep(CONNECT_AGAIN_AFTER_S)
                continue
            with self._changed:
                if self._closing:  # closed meanwhile, when there was no connection to close
                    connection.close()  # type: ignore[unreachable]  # another thread set it
                    break
                self._connection = connection
                self._changed.notify_all()
                wanted = [engine for engine in self._engines.values() if not engine._closing]
            for engine in wanted:
                self._send(Load(engine._name, engine._what))
            with suppress(EOFError, OSError):
                while True:
                    for message in receive(connection):
                        try:
                            self._take(message)
                        except Exception:
                            log.exception("a callback failed; the others are still called")
            self._lost(GONE)
            with self._sending:
                connection.close()
        self._lost(CLOSED)

    def _load_again(self, engine: "RemoteEngine") -> None:
        if not engine._closing:
            self._send(Load(engine._name, engine._what))

    def _lost(self, why: str) -> None:
        """Fail all that the process had, and whoever waits for a load."""
        with self._changed:
            self._connection, self._is_new = None, False
            lost, self._sent = list(self._sent.values()), {}
            for engine in list(self._engines.values()):
                engine._ready, engine._unanswered = False, Counter()
                if engine._asked:
                    engine._error = EngineGone(why)
                if engine._asked or engine._closing:
                    self._forget(engine)
            self._changed.notify_all()
        for sent in lost:
            sent.answer(EngineGone(why))

    def _take(self, message: Any) -> None:
        match message:
            case Ended(results):
                ended = dict(results)
                for sent in self._take_sent(ended):
                    result = ended[sent.number]
                    sent.answer(result if isinstance(result, Exception) else to_output(result))
            case NextToken(number, token_id):
                streaming = self._sent.get(number)
                if streaming is not None and streaming.on_token is not None:
                    streaming.on_token(token_id)
            case BatchFinished(name, record):
                if self._on_batch is not None:
                    self._on_batch(name, record)
            case Room():
                with self._changed:
                    self._rooms[message.measured] = message
                    self._changed.notify_all()
            case Loaded() | Unloaded() | Stats():
                with self._changed:
                    engine = self._engines.get(message.name)
                    if engine is not None:
                        self._note(engine, message)
                    unwanted = engine is not None and engine._closing and isinstance(message, Loaded)
                    self._changed.notify_all()
                if unwanted:
                    self._send(Unload(message.name))

    def _note(self, engine: "RemoteEngine", message: Loaded | Unloaded | Stats) -> None:
        """Note how an engine is, for those who wait for it."""
        match message:
            case Loaded(name, error, notes):
                self.notes = notes
                engine._ready, engine._error = error is None and not engine._closing, error
                if error is not None and not engine._asked:  # into a new process; another try may succeed
                    log.warning("%s could not be loaded again: %s", name, error)
                    timer = threading.Timer(LOAD_AGAIN_AFTER_S, self._load_again, [engine])
                    timer.daemon = True
                    timer.start()
            case Unloaded():
                engine._closed = True
                if not engine._ready:  # closed before it was loaded, so nobody waits
                    self._forget(engine)
            case Stats(_, stats):
                engine._stats = stats
                engine._num_stats += 1


class RemoteEngine:
    """An Engine in the other process; the client's lock guards it."""

    def __init__(self, client: EngineClient, name: str, what: Any):
        self._client = client
        self._name = name
        self._what = what
        self._asked = True
        """Somebody waits in `load` for its first coming."""
        self._ready = self._closing = self._closed = False
        self._error: Exception | None = None
        self._unanswered: Counter[str] = Counter()
        """By flow."""
        self._stats = EngineStats()
        self._num_stats = 0
        """How often its statistics came."""

    @property
    def ready(self) -> bool:
        """Whether the other process runs and has it."""
        return self._ready

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        """See `Engine.submit`; the futures' callbacks are called from the thread that reads."""
        client = self._client
        sent = [_Sent(next(client._numbers), self, each, client._cancelled) for each in generations]
        submission = from_generations(self._name, [each.number for each in sent], generations)
        flow = submission.flow
        with client._changed:
            while wait and self._unanswered[flow] >= MOST_WAITING and not self._closing:
                client._changed.wait()
            if self._closing:
                raise EngineFailed("the engine is closed")
            if not self._ready:
                raise self._error or EngineGone(GONE)
            if self._unanswered[flow] >= MOST_WAITING:
                raise Overloaded(f"the queue is full ({self._unanswered[flow]} generations wait)")
            client._sent.update((each.number, each) for each in sent)
            add_to(self._unanswered, flow, len(sent))
        client._send(submission)
        return [*sent]

    def stats(self) -> EngineStats:
        """See `Engine.stats`; what the process said last if it does not answer soon."""
        client, seen = self._client, self._num_stats
        if self._ready:
            client._send(AskStats(self._name))
        with client._changed:
            client._changed.wait_for(lambda: self._num_stats > seen or not self._ready, STATS_WITHIN_S)
            return self._stats if self._ready else replace(self._stats, ready=False, queued=0, running=0)

    def close(self) -> None:
        """Wait until all is answered, and let the other process free the engine.

        One that a new process is loading again is freed there once it is loaded.
        """
        client = self._client
        with client._changed:
            self._closing = True
            client._changed.notify_all()
            if not self._ready:
                if client._connection is None or self._error is not None:
                    client._forget(self)
                return
        client._send(Unload(self._name))
        with client._changed:
            client._changed.wait_for(lambda: not self._ready or (self._closed and not self._unanswered))
            self._ready = False
            client._forget(self)


class _Sent(OutputFuture):
    """A generation that is in the other process, and what its caller waits for."""

    def __init__(self, number: int, engine: RemoteEngine, sent: Generation, dropped: Callable[[Any], None]):
        super().__init__(dropped)
        self.number, self.engine, self.on_token = number, engine, sent.on_token
        self.flow = sent.flow


# ------------------------------------------------------------------------------------- the server


def prepare_process() -> None:
    """Suit Python in this process to engines: once, before the first is made."""
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(COLLECT_AFTER)


@dataclass(eq=False, slots=True)
class _SharedEngine:
    """An engine that several processes use, made of `what`. `making` is held while it is made or closed.

    All else is guarded by the server's lock.
    """

    what: Any
    making: threading.Lock = field(default_factory=threading.Lock)
    engine: Engine | None = None
    users: set[object] = field(default_factory=set)
    unanswered: int = 0
    used: float = field(default_factory=time.monotonic)


class EngineServer:
    """Serves engines that `make` makes out of what a Load names; `notes` is what to tell of all of them.

    `free_bytes` measures the device's memory.

    Each engine is made once for all, and closed after its last user. Where each user keeps its engines to a
    number, all users together would have more: so beyond `most` engines, the least recently used of those
    that rest are closed before another is made, and made again for whoever submits to them.
    """

    def __init__(
        self,
        make: Callable[[Any], Engine],
        notes: Callable[[], Sequence[str]] = tuple,
        *,
        most: int | None = None,
        free_bytes: Callable[[], int] = lambda: 0,
    ):
        self.notes = notes
        self._free_bytes = free_bytes
        self._make = make
        self._most = most
        self._engines: dict[str, _SharedEngine] = {}
        self._num_making = 0
        self._users: dict[_User, None] = {}  # in the order in which they came
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
            user = _User(self, connection)
            with self._lock:
                self._users[user] = None
            user.start()

    def on_batch(self, name: str, record: BatchRecord) -> None:
        """Tell one process of a batch that the engine `name` ran, so that all together count it once."""
        with self._lock:
            user = next(iter(self._users), None)
        if user is not None:
            user.send(BatchFinished(name, record))

    def lost(self) -> str:
        """Return why an engine answers nothing any more, if one does; then this process has to end."""
        with self._lock:
            engines = [shared.engine for shared in self._engines.values() if shared.engine is not None]
        return next((why for engine in engines if (why := engine.stats().lost)), "")

    # ------------------------------------------------------------------ what users need

    def room(self, *, measure: bool) -> Room:
        """Return what is here."""
        with self._lock:
            is_making = self._num_making > 0
            names = tuple(
                name
                for name, each in self._engines.items()
                if each.engine is not None or each.making.locked()
            )
        return Room(self._free_bytes() if measure and not is_making else 0, names, measure)

    def load(self, user: "_User", name: str, what: Any) -> _SharedEngine:
        """Return the engine of this name, which is made now if it does not exist."""
        with self._lock:
            shared = self._engines.setdefault(name, _SharedEngine(what))
            shared.users.add(user)
        self.engine_for(shared)
        return shared

    def unload(self, user: "_User", name: str) -> None:
        """Take a user from the engine, and close it after its last one."""
        with self._lock:
            shared = self._engines.get(name)
            if shared is None:
                return
            shared.users.discard(user)
            if shared.users:
                return
            del self._engines[name]
        with shared.making, self._lock:
            engine, shared.engine = shared.engine, None
        if engine is not None:
            engine.close()

    def gone(self, user: "_User") -> None:
        """Forget a process. The engines that it used alone stay, for the one that takes its place."""
        with self._lock:
            self._users.pop(user, None)
            for shared in self._engines.values():
                shared.users.discard(user)

    def engine_for(self, shared: _SharedEngine) -> Engine:
        """Return the engine, which is made now if it does not exist."""
        with shared.making:
            engine = shared.engine
            if engine is None:
                with self._lock:
                    self._num_making += 1
                try:
                    self._make_room()
                    engine = self._make(shared.what)
                finally:
                    with self._lock:
                        self._num_making -= 1
                with self._lock:
                    shared.engine, shared.used = engine, time.monotonic()
            return engine

    def begin(self, shared: _SharedEngine, generations: int) -> Engine | None:
        """Count generations that are to be submitted; return the engine, or None if it has to be made."""
        with self._lock:
            shared.unanswered += generations
            return shared.engine

    def ended(self, shared: _SharedEngine, generations: int = 1) -> None:
        """Count generations as answered."""
        with self._lock:
            shared.unanswered -= generations
            shared.used = time.monotonic()

    def _make_room(self) -> None:
        if self._most is None:
            return
        closed: list[Engine] = []
        with self._lock:
            by_use = sorted(self._engines.values(), key=lambda shared: shared.used)
            excess = sum(shared.engine is not None for shared in by_use) + 1 - self._most
            idle_since = time.monotonic() - IDLE_S
            for shared in by_use:
                rests = not shared.unanswered and shared.used <= idle_since
                if len(closed) < excess and rests and shared.engine is not None:
                    closed.append(shared.engine)
                    shared.engine = None
        for engine in closed:
            engine.close()


def serve_until_closed(server: EngineServer, address: str, key: bytes) -> None:
    """Serve until standard input ends, and end this process; earlier where an engine is lost.

    After some errors CUDA answers nothing more in a process, and in a new one it may.
    """
    with Listener(address, "AF_UNIX", backlog=64, authkey=key) as listener:
        _begin(server.serve, listener, name="engine-server")
        _begin(_end_when_lost, server, name="engine-watch")
        sys.stdin.buffer.read()
    os._exit(0)  # whoever started it has gone, or has closed all engines


def _end_when_lost(server: EngineServer) -> None:
    while not (why := server.lost()):
        time.sleep(WATCH_EVERY_S)
    end_process(why)


def end_process(why: str) -> None:
    """End this process at once; whoever started it starts another one."""
    log.error("the model process ends: %s", why)
    os._exit(1)


class _User:
    """A process that uses engines: a thread reads from it, and one writes to it."""

    def __init__(self, server: EngineServer, connection: Connection):
        self._server = server
        self._connection = connection
        self._engines: dict[str, _SharedEngine] = {}
        self._futures: dict[int, Future[Output] | None] = {}
        """By number, of what is not answered; None while a thread waits to submit it."""
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

    def _write(self) -> None:
        while (first := self._outgoing.get()) is not None:
            queued = [first]
            with suppress(Empty):
                while len(queued) < MOST_AT_ONCE:
                    queued.append(self._outgoing.get_nowait())
            ended = [_result(*each) for each in queued if type(each) is tuple]
            messages = [each for each in queued if each is not None and type(each) is not tuple]
            try:
                send(self._connection, [*messages, Ended(ended)] if ended else messages)
            except OSError:
                break  # the process has gone; its reader sees to the rest
            if queued[-1] is None:
                break
        self._connection.close()

    def _read(self) -> None:
        try:
            while True:
                for message in receive(self._connection):
                    self._take(message)
        except (EOFError, OSError):
            pass
        except Exception:
            log.exception("a process sent an unreadable message")
        finally:
            with self._lock:
                self._over = True
                futures = list(self._futures.values())
            _cancel(futures)
            self._server.gone(self)
            self._outgoing.put(None)

    def _take(self, message: Any) -> None:
        match message:
            case Submission():
                self._submit(message)
            case Cancel(numbers):
                with self._lock:
                    futures = [self._futures.pop(number, None) for number in numbers]
                _cancel(futures)
            case AskStats(name):
                if (shared := self._engines.get(name)) is not None:
                    engine = shared.engine
                    self.send(Stats(name, EngineStats() if engine is None else engine.stats()))
            case AskRoom(measure):  # which begins CUDA the first time
                _begin(self._tell_room, measure)
            case Load():  # this and unloading may take minutes, and other engines' work goes on
                _begin(self._load, message)
            case Unload(name):
                _begin(self._unload, name)

    def _tell_room(self, measure: bool) -> None:
        self.send(self._server.room(measure=measure))

    def _load(self, message: Load) -> None:
        try:
            self._engines[message.name] = self._server.load(self, message.name, message.what)
            self.send(Loaded(message.name, notes=self._server.notes()))
        except DragomanError as error:
            self.send(Loaded(message.name, error))
        except Exception as error:
            log.exception("%s could not be loaded", message.name)
            self.send(Loaded(message.name, EngineFailed(f"{type(error).__name__}: {error}")))

    def _unload(self, name: str) -> None:
        self._engines.pop(name, None)
        self._server.unload(self, name)
        self.send(Unloaded(name))

    def _submit(self, message: Submission) -> None:
        shared = self._engines.get(message.name)
        if shared is None:
            self._failed(message, EngineFailed(f"{message.name} is not loaded"))
        elif (engine := self._server.begin(shared, len(message.generations))) is not None:
            self._give(message, shared, engine)
        else:
            self._begin_later(self._make_and_give, message, shared)

    def _begin_later(self, work: Callable[..., None], message: Submission, *arguments: Any) -> None:
        """Submit the message in a thread of its own, which may wait; what is cancelled meanwhile is noted."""
        with self._lock:
            self._futures.update(dict.fromkeys(_numbers(message)))
        _begin(work, message, *arguments)

    def _make_and_give(self, message: Submission, shared: _SharedEngine) -> None:
        try:
            engine = self._server.engine_for(shared)
        except Exception as error:
            log.exception("%s could not be loaded again", message.name)
            self._server.ended(shared, len(message.generations))
            self._failed(message, error)
        else:
            self._give(message, shared, engine, True)

    def _give(self, message: Submission, shared: _SharedEngine, engine: Engine, later: bool = False) -> None:
        generations = to_generations(
            message, lambda number: lambda token: self.send(NextToken(number, token))
        )
        numbers = _numbers(message)
        try:
            futures = engine.submit(generations, wait=later)
        except Overloaded:  # its flow's queue is full, and the other flows' work goes on
            self._begin_later(self._give, message, shared, engine, True)
            return
        except Exception as error:  # noqa: BLE001 - whatever it was, it is these requests' end
            self._server.ended(shared, len(generations))
            self._failed(message, error)
            return
        with self._lock:
            cancelled = set(numbers) if self._over else set()
            if later:
                cancelled.update(number for number in numbers if number not in self._futures)
            self._futures.update(zip(numbers, futures, strict=True))
        for number, future in zip(numbers, futures, strict=True):
            future.add_done_callback(partial(self._ended, shared, number))
            if number in cancelled:
                future.cancel()

    def _failed(self, message: Submission, error: Exception) -> None:
        failure = error if isinstance(error, DragomanError) else EngineFailed(repr(error))
        for number in _numbers(message):
            self._futures.pop(number, None)
        self.send(Ended([(number, failure) for number in _numbers(message)]))

    def _ended(self, shared: _SharedEngine, number: int, future: Future[Output]) -> None:
        self._futures.pop(number, None)
        self._server.ended(shared)
        if not future.cancelled():
            self._outgoing.put((number, future))  # the engine's thread has better things to do than to write


def _numbers(message: Submission) -> list[int]:
    return [number for number, *_ in message.generations]


def _cancel(futures: Iterable[Future[Output] | None]) -> None:
    for future in futures:
        if future is not None:
            future.cancel()


def _result(number: int, future: Future[Output]) -> tuple[int, tuple[Any, ...] | Exception]:
    error = future.exception()
    assert error is None or isinstance(error, Exception)  # noqa: S101 - engines answer with no other
    return number, error or from_output(future.result())


def _begin(work: Callable[..., None], *arguments: Any, name: str = "engine-load") -> None:
    threading.Thread(target=work, args=arguments, name=name, daemon=True).start()
