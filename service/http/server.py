"""The server: waitress in one or several worker processes, which share one listening socket.

The first process owns the socket. It starts the workers, replaces those that end, and keeps the engine
process that several workers share. It has no threads, because it forks. A worker builds the application and
loads the models after the fork: threads and GPU contexts do not survive one.

waitress's loop reads whole requests and sends whole responses, long ones through temporary files; a thread
that runs a request never waits for its client.
"""

import logging
import multiprocessing.util
import os
import resource
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn

from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import BadRequest

from models import cpu
from models.engine.protocol import BatchRecord
from models.errors import DragomanError, Overloaded
from service.children import STOPS, shorten_socket_paths, stops_held
from service.engine_supervisor import ENGINES, EngineSupervisor, exit_words, supervisors
from service.errors import StoreUnavailable
from service.listening import listen
from service.log import configure_log, discreet
from service.settings import Settings
from service.shared import SharedState
from service.shares import (
    ANSWER,
    ANSWER_BYTES,
    CALLER,
    CONNECTION,
    CONNECTIONS,
    PLACES_TIMES,
    SPARE_THREADS,
    THREAD,
    Shares,
    TextTurns,
    named,
    pass_on,
)
from service.workers import VISIBLE, server_workers, visible_cards

if TYPE_CHECKING:
    from flask import Flask

    from service.http.status import Readiness
    from service.jobs import JobService
    from service.runtime import Runtime

OnBatch = Callable[[str, BatchRecord], None]
BuildRuntime = Callable[[Settings, OnBatch], "Runtime"]

METRICS = "metrics"
"""The folder of the workers' metrics, in what they share."""
SWITCH_S = 0.001
"""A thread that wants the interpreter gets it after so long from each one before it. Answers wait for it some
ten times: of the loop, of their own thread, of the engine's."""
CANNOT_START = 4
"""The exit code of a server whose application cannot be built."""
NOT_THIS_TIME = 1
"""The exit code of a worker that was to take another's place, and could not."""
REPLACED_S = 60.0
"""Seconds for which a worker that takes another's place loads its models before it takes requests."""
START_AGAIN_AFTER_S = 1.0
LOOK_EVERY_S = 0.25
FINISH_S = 5.0
"""Seconds beyond a request's time in which a stopping worker waits for the answer to be taken ..."""
CLOSING_S = 20.0
"""... and in which it then stops the jobs and closes the runtime."""
OTHER_MEANINGS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU)
"""Signals that change nothing; a terminal sends two of them to a program in its background."""

PROBE_THREADS = 4
"""For the health checks and metrics alone, whatever the other threads are busy with."""
IDLE_S = 30.0
"""A connection on which nothing comes and nothing is taken for so long is closed."""
LEAST_BYTES_PER_S = 1000
"""A request that comes more slowly, or an answer that is taken more slowly, is broken off; both have IDLE_S
more."""
ARRIVE_S = 5.0
"""Seconds that a request that is on its way has left when the server stops."""
HEAD_BYTES = 1 << 16
"""LibreTranslate clients send texts of 5,000 characters in the query: up to nine bytes each, encoded."""
CHUNK_HEAD_BYTES = 1 << 14
BUFFER_BYTES = 1 << 16
"""Of a body, and of an answer, so much is in memory while it is on its way; what is longer is in a file."""
DISCARD_BYTES = 64 << 20
"""Of a body beyond the longest allowed so much is thrown away before its refusal is told: a client that still
sends would not hear it. Beyond that waitress closes the connection."""
PIPELINED = 16
"""Requests that a client may send before it has an answer."""

log = logging.getLogger(__name__)


class Server:
    """The first process."""

    def __init__(
        self,
        settings: Settings,
        build_runtime: BuildRuntime,
        shared: SharedState | None = None,
        supervisors: Sequence[EngineSupervisor] = (),
    ):
        self._settings = settings
        self._build_runtime = build_runtime
        self._shared = shared or shared_state(settings)
        self._supervisors = supervisors
        self._number = max(1, settings.workers)
        self._workers: set[int] = set()
        self._started = 0

    def run(self) -> NoReturn:
        """Serve until a signal ends it, and the process with it. Raises DragomanError if it cannot listen."""
        listener = listen(self._settings.host, self._settings.port)
        signals: SimpleQueue[int] = SimpleQueue()
        for sig in STOPS:
            # Under nohup, which has its signal ignored, the server outlives its terminal.
            if sig != signal.SIGHUP or signal.getsignal(sig) is not signal.SIG_IGN:
                signal.signal(sig, lambda sig, _: signals.put(sig))
        signal.signal(signal.SIGCHLD, lambda sig, _: signals.put(sig))
        for sig in OTHER_MEANINGS:
            signal.signal(sig, signal.SIG_IGN)
        _announce(listener)

        code, start_at, kill_at = 0, 0.0, None
        while kill_at is None or self._workers:
            for supervisor in self._supervisors:
                supervisor.look()
            if kill_at is None and len(self._workers) < self._number and time.monotonic() >= start_at:
                self._start(listener)
                continue
            try:
                is_stop = signals.get(timeout=LOOK_EVERY_S) in STOPS
            except Empty:
                is_stop = False
            codes = self._ended(stopping=kill_at is not None)
            if CANNOT_START in codes:
                code, is_stop = CANNOT_START, True
            if NOT_THIS_TIME in codes:
                start_at = time.monotonic() + START_AGAIN_AFTER_S
            if is_stop and kill_at is None:
                listener.close()
                self._send(signal.SIGTERM)
                kill_at = time.monotonic() + self._settings.request_timeout_s + FINISH_S + CLOSING_S
            elif kill_at is not None and time.monotonic() > kill_at:
                self._send(signal.SIGKILL)
        for supervisor in self._supervisors:
            supervisor.close()
        sys.exit(code)

    def _start(self, listener: socket.socket) -> None:
        """Start a worker, in which this does not return. Stops that come meanwhile wait for its handlers."""
        replaces = 1 < self._number <= self._started
        self._started += 1
        with stops_held():
            if not (pid := os.fork()):
                sys.exit(_Worker(self._settings, self._build_runtime, self._shared, replaces).run(listener))
        self._workers.add(pid)

    def _send(self, sig: int) -> None:
        for pid in self._workers:
            os.kill(pid, sig)

    def _ended(self, *, stopping: bool) -> list[int]:
        """Reap the workers that have ended, and return their exit codes."""
        codes = []
        for pid in tuple(self._workers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            self._workers.remove(pid)
            codes.append(os.waitstatus_to_exitcode(status))
            if not stopping and codes[-1] not in (CANNOT_START, NOT_THIS_TIME):
                log.error("a worker ended (%s); starting another", exit_words(codes[-1]))
            if self._shared.folder is not None:
                try:
                    self._shared.ended(pid)
                except StoreUnavailable as error:
                    log.error("the slots of a worker that ended stay taken: %s", error.message)
        return codes


def _announce(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    example = """-H 'Content-Type: application/json' -d '{"text": "They signed nothing.", "target": "fr"}'"""
    sys.stdout.write(f"Dragoman listens on {url} - try: curl {url}/v1/translate {example}\n")
    sys.stdout.flush()


class _Worker:
    """A worker process. SIGTERM and SIGQUIT end it alike, when what is in work is answered.

    It ignores SIGINT and SIGHUP: a terminal sends its Ctrl-C, or its end, to the first process too, which
    tells it. `replaces`: it takes the place of one that has ended.
    """

    def __init__(self, settings: Settings, build_runtime: BuildRuntime, shared: SharedState, replaces: bool):
        self._settings = settings
        self._build_runtime = build_runtime
        self._shared = shared
        self._replaces = replaces
        self._first_process = os.getppid()
        self._http: _Http | None = None
        self._stopped = False

    def run(self, listener: socket.socket) -> int:
        """Serve until it is stopped, and return the exit code."""
        for sig in (signal.SIGTERM, signal.SIGQUIT):
            signal.signal(sig, self._stop)
        for sig in (signal.SIGINT, signal.SIGHUP):
            signal.signal(sig, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        sys.setswitchinterval(SWITCH_S)
        try:
            app, runtime, readiness, jobs = self._application()
        except Exception as error:
            if self._replaces:
                log.exception("a worker could not start; trying again")
                return NOT_THIS_TIME
            if isinstance(error, DragomanError):
                field = f"{error.field}: " if error.field else ""
                log.error("dragoman could not start: %s%s", field, error.message)
            else:
                log.exception("dragoman could not start")
            return CANNOT_START
        from service.http.metrics import PROBES

        self._shared.hold()
        threads = PLACES_TIMES * self._settings.max_queued_requests + SPARE_THREADS
        self._http = _Http(app, listener, threads, PROBES, self._settings.trusted_proxies, runtime.texts)
        while not self._stopping():
            self._http.turn()
        self._http.finish(self._settings.request_timeout_s + FINISH_S)
        jobs.close()
        if not readiness.warming_up:  # with models half loaded nothing runs that could be finished
            runtime.close()
            log.info("closed")
        if os.getppid() != self._first_process:
            self._shared.leave()
        return 0

    def _application(self) -> "tuple[Flask, Runtime, Readiness, JobService]":
        """Build the application, and let the models load behind it."""
        # Imported here, in the worker: the first process, which only watches, would hold 70 MB more.
        from service.http.app import create_app
        from service.http.metrics import Metrics
        from service.http.status import Readiness
        from service.jobs import JobService

        folder = self._shared.folder
        metrics = Metrics(None if folder is None else folder / METRICS)
        runtime = self._build_runtime(self._settings, metrics.observe_batch)
        readiness = Readiness(runtime, self._shared)
        readiness.start(announced=not self._replaces)
        jobs = JobService(runtime)
        jobs.start(lambda: not readiness.warming_up)
        end = time.monotonic() + REPLACED_S
        # The others serve meanwhile, and a request here would be refused.
        while self._replaces and readiness.warming_up and not self._stopping() and time.monotonic() < end:
            readiness.join(LOOK_EVERY_S)
        app = create_app(runtime, metrics=metrics, readiness=readiness, jobs=jobs, shared=self._shared)
        return app, runtime, readiness, jobs

    def _stopping(self) -> bool:
        return self._stopped or os.getppid() != self._first_process

    def _stop(self, *_: object) -> None:
        self._stopped = True
        if self._http is not None:
            self._http.pull_trigger()


# ------------------------------------------------------------------------------------- over waitress


class _Body(OverflowableBuffer):  # type: ignore[misc]
    """A body's bytes; those beyond `most` are counted, and thrown away."""

    def __init__(self, overflow: int, most: int):
        super().__init__(overflow)
        self._most = most
        self._size = 0

    def append(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._most:
            super().append(data)

    def __len__(self) -> int:
        return self._size


class _Chunks(ChunkedReceiver):  # type: ignore[misc]
    """A body in chunks, whose heads and trailer end: waitress would gather them for ever."""

    def received(self, data: bytes) -> int:
        size: int = super().received(data)
        if len(self.control_line) + len(self.trailer) > CHUNK_HEAD_BYTES:
            self.error = BadRequest("The head or the trailer of a chunk is too long")
        return size


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """A request on its way. Nothing of a body over its endpoint's limit is kept; the application refuses."""

    path = ""
    """Of one whose head cannot be read, which waitress logs if its client is gone."""

    def __init__(
        self,
        adj: Adjustments,
        most_bytes: Callable[[str, str], int],
        on_head: Callable[[Mapping[str, str]], None] = lambda headers: None,
    ):
        super().__init__(adj)
        self._most_bytes = most_bytes
        self._on_head = on_head

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        self._on_head(self.headers)
        if self.chunked and "CONTENT_LENGTH" in self.headers:  # a proxy may have read the other of the two
            raise ParsingError("A request has either a Content-Length or chunks")
        self.body_rcv: Any
        if self.body_rcv is None:
            self.expect_continue = False
            return
        most = self._most_bytes(self.command, "/" + self.path.lstrip("/"))
        if self.content_length > most and self.expect_continue:  # it need not be sent at all
            self.body_rcv, self.expect_continue = None, False
            self.headers["CONNECTION"] = "close"
            return
        body = _Body(self.adj.inbuf_overflow, 0 if self.content_length > most else most)
        if self.chunked:
            self.body_rcv = _Chunks(body)
        else:
            self.body_rcv.buf = body


class _Tasks:
    """In place of waitress's queue of connections with a request to do: callers take turns at the threads."""

    def __init__(self, threads: Shares):
        self._threads = threads

    def append(self, channel: "_Channel") -> None:
        channel.charged = channel.caller
        self._threads.put(channel.caller, channel)

    def popleft(self) -> "_Channel":
        channel = self._threads.next()
        assert isinstance(channel, _Channel)  # noqa: S101 - waitress asks first whether there is one
        return channel

    def __bool__(self) -> bool:
        return bool(self._threads)

    def __len__(self) -> int:
        return len(self._threads)


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection. A request begins when the answer before it was taken: no client has two kept for it."""

    waits = False
    """True while its next request waits for that."""
    charged: str | None = None
    """Who holds the thread that does its request, or waits for one."""
    answer_bytes = 0
    """Of its answer, those that are counted because they may be in a file."""

    def __init__(self, server: "_Http", sock: socket.socket, address: Any, adj: Adjustments, map: Any):
        super().__init__(server, sock, address, adj, map=map)
        self.caller = named(str(address[0]))
        """The address, or the one that a trusted proxy told of its last request."""
        self._arriving = self._leaving = (time.time(), 0)
        """When the request on its way, or the answer, began to move, and how many bytes have moved since."""
        server.took(self)

    def parser_class(self, adj: Adjustments) -> _Parser:
        return _Parser(adj, self.server.body_limits.most_bytes, self._told)

    def _told(self, headers: Mapping[str, str]) -> None:
        hops = self.server.trusted_proxies
        told = headers.get("X_FORWARDED_FOR", "").split(",")
        if hops and len(told) >= hops and told[-hops].strip():
            self.server.connections.give(self.caller)
            with self.outbuf_lock:
                self._uncount()  # of whoever the answer before it was for
                self.caller = named(told[-hops].strip())
            self.server.connections.crowd(self.caller)

    def received(self, data: bytes) -> bool:
        since, got = self._arriving if self.request is not None else (time.time(), 0)
        self._arriving = since, got + len(data)
        taken: bool = super().received(data)
        if len(self.requests) > PIPELINED:
            self.will_close = True
        return taken

    def send(self, data: bytes, do_close: bool = True) -> int:
        sent: int = super().send(data, do_close)
        self._leaving = self._leaving[0], self._leaving[1] + sent
        return sent

    def is_too_slow(self, now: float) -> bool:
        """Whether nothing moves, or too little, and no request is in work. To be asked every second."""
        if not self.total_outbufs_len:
            self._leaving = now, 0
        if self.requests or self.total_outbufs_len:
            self._arriving = now, 0
        if self.last_activity < now - IDLE_S and (self.total_outbufs_len or not self.requests):
            return True
        moving = self.total_outbufs_len or self.request is not None
        moves = (self._arriving, self._leaving) if moving else ()
        return any(moved < LEAST_BYTES_PER_S * (now - since - IDLE_S) for since, moved in moves)

    def writable(self) -> bool:
        return bool(self.waits or super().writable())

    def handle_write(self) -> None:
        super().handle_write()
        if self.total_outbufs_len or not self.connected:
            return
        self._uncount()
        if self.waits:
            self.waits = False
            self.server.add_task(self)

    def write_soon(self, data: Any) -> int:
        with self.outbuf_lock:  # nobody closes it before its bytes are counted
            written: int = super().write_soon(data)
            if not self.total_outbufs_len:
                self._uncount()
            elif isinstance(data, bytes) and self.total_outbufs_len > BUFFER_BYTES:
                try:
                    self.server.answers.take(self.caller, written)
                except Overloaded:
                    log.warning("an answer is broken off: its caller takes too little of %s", ANSWER.what)
                    self.will_close = True
                    self.server.pull_trigger()
                    raise ClientDisconnected from None
                self.answer_bytes += written
        pass_on()
        return written

    def service(self) -> None:
        charged, self.charged = self.charged, None
        if charged is None:  # a probe
            super().service()
            return
        CALLER.set("")  # that of the thread's request before
        try:
            with self.server.texts.working(charged):
                super().service()
        finally:
            self.server.threads.give(charged)

    def handle_close(self) -> None:
        super().handle_close()
        self._uncount()

    def del_channel(self, map: Any = None) -> None:
        if self.server.active_channels.get(self._fileno) is self:
            self.server.connections.give(self.caller)
        super().del_channel(map)

    def _uncount(self) -> None:
        with self.outbuf_lock:
            self.server.answers.give(self.caller, self.answer_bytes)
            self.answer_bytes = 0

    def finish(self, *, waits: bool) -> None:
        """Close it if there is nothing to do; its next answer is to be its last."""
        for request in tuple(self.requests):
            request.headers["CONNECTION"] = "close"
        arriving = waits and self.request is not None
        if not (arriving or self.requests or self.total_outbufs_len):
            self.handle_close()


class _Http(TcpWSGIServer):  # type: ignore[misc]
    """waitress's server, a turn of its loop at a time. `probes` are paths with threads of their own."""

    channel_class = _Channel

    def __init__(
        self,
        app: "Flask",
        listener: socket.socket,
        threads: int,
        probes: Collection[str],
        trusted_proxies: int,
        texts: TextTurns,
    ):
        self.body_limits = app.extensions["body_limits"]
        self.trusted_proxies = trusted_proxies
        self._probes = probes
        self._probing = ThreadedTaskDispatcher()
        self._probing.set_thread_count(PROBE_THREADS)
        self.threads = Shares(THREAD, threads)
        self.texts = texts
        self.answers = Shares(ANSWER, ANSWER_BYTES)
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.connections = Shares(CONNECTION, min(CONNECTIONS, files // 3))
        working = ThreadedTaskDispatcher()
        working.queue = _Tasks(self.threads)
        working.set_thread_count(threads)
        logging.getLogger("waitress").addFilter(discreet)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        settings = Adjustments(
            sockets=[listener],
            ident=None,
            clear_untrusted_proxy_headers=False,  # app.py knows which are to be believed
            connection_limit=2 * self.connections.capacity + 10,  # which is never reached
            cleanup_interval=1,
            channel_request_lookahead=1,  # or nobody would notice a client that goes away
            log_socket_errors=False,
            max_request_header_size=HEAD_BYTES,
            max_request_body_size=self.body_limits.longest + DISCARD_BYTES,
            inbuf_overflow=BUFFER_BYTES,
            outbuf_overflow=BUFFER_BYTES,
            outbuf_high_watermark=1 << 50,  # a thread would wait there
        )
        super().__init__(
            app,
            {},
            True,
            listener,
            dispatcher=working,
            adj=settings,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
        )

    def turn(self) -> None:
        """Wait at most a second for something to do, and do it."""
        self.asyncore.poll2(1.0, self._map)

    def finish(self, timeout_s: float) -> None:
        """Answer what is in work and what is about to be; take no connection and no further request."""
        self.accepting = False
        self.socket.close()
        start = time.monotonic()
        while (passed := time.monotonic() - start) < timeout_s and self.active_channels:
            for channel in tuple(self.active_channels.values()):
                channel.finish(waits=passed < ARRIVE_S)
            self.turn()

    def maintenance(self, now: float) -> None:
        """Close connections on which too little moves: waitress spares those whose client does not read."""
        for channel in tuple(self.active_channels.values()):
            if channel.is_too_slow(now):
                channel.handle_close()

    def took(self, channel: _Channel) -> None:
        """Count a new connection. Beyond the most, whoever has most of them loses one that is at rest."""
        if (largest := self.connections.crowd(channel.caller)) is not None:
            theirs = [each for each in self.active_channels.values() if each.caller == largest]
            others = [each for each in theirs if each is not channel]
            least = min(others or [channel], key=lambda each: (bool(each.requests), each.last_activity))
            least.handle_close()

    def add_task(self, channel: _Channel) -> None:
        """Begin the connection's next request, now or when the answer before it was taken."""
        if channel.total_outbufs_len:
            channel.waits = True
        elif getattr(channel.requests[0], "path", None) in self._probes:
            self._probing.add_task(channel)
        else:
            self.task_dispatcher.add_task(channel)


# ------------------------------------------------------------------------------------- of a command


def serve(settings: Settings) -> NoReturn:
    """Serve until SIGTERM or SIGINT, then finish what is in work; it ends the process.

    Raises DragomanError if it cannot listen on the settings' address.
    """
    configure_log()
    cards = visible_cards(settings.device)
    settings = settings.model_copy(update={"workers": server_workers(settings, cards=len(cards))})
    shared = shared_state(settings)
    own = {} if shared.folder is None else supervisors(settings, shared.folder / ENGINES, cards)
    shared.engines = list(own)
    Server(settings, partial(_runtime, shared, cards), shared, list(own.values())).run()


def shared_state(settings: Settings) -> SharedState:
    """Return what the settings' workers share: where there are several, in a folder that goes with us."""
    if settings.workers <= 1:
        return SharedState()
    shorten_socket_paths()  # the engines' socket is there too
    folder = Path(tempfile.mkdtemp(prefix="server-", dir=multiprocessing.util.get_temp_dir()))
    (folder / METRICS).mkdir()
    return SharedState(folder)


def _runtime(shared: SharedState, cards: Sequence[str], settings: Settings, on_batch: OnBatch) -> "Runtime":
    if settings.workers > 1 and len(cards) > 1:  # the models that only read are to be on all cards
        os.environ[VISIBLE] = cards[os.getpid() % len(cards)]
    # Imported here, in the worker: what it imports may start threads, which do not survive a fork.
    from models.better import BetterModels
    from service.runtime import Runtime

    if settings.workers > 1 and settings.entailment_model:  # which each worker has
        import torch

        torch.set_num_threads(max(1, cpu.whole(cpu.usable()) // settings.workers))
    make = partial(BetterModels, in_background=True)
    return Runtime(settings, on_batch=on_batch, strangers=True, shared=shared, make_better=make)
