"""gunicorn's worker with threads, where one client or one signal could hold up everybody else.

Its event loop waited up to two seconds for a client to close after an answer, its threads for ever for the
rest of a request's head, and a SIGQUIT took locks that the interrupted loop might hold itself. Here the loop
itself takes in heads and short bodies: no thread is spent on a request before there is something to do.
"""

import contextlib
import signal
import socket
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from service.http.connection import GRACE_S, RECEIVE_BYTES
from service.http.connection import STALL_S as STALL_S
from service.http.connection import Connection as _Connection

STOPS = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
LINGER_S = 2.0
"""Seconds that a client may take to close, once it has its answer: what it still sends is thrown away ..."""
DISCARD_BYTES_PER_S = 1 << 18
"""... for longer, if it comes at this rate, ..."""
DISCARD_S = 15.0
"""... but not longer than this."""
LOOK_EVERY_S = 0.5
PROBE_THREADS = 4
"""For the health checks and metrics alone, whatever the other threads are busy with."""


class Worker(ThreadWorker):  # type: ignore[misc]
    """The worker. SIGTERM and SIGQUIT end it alike, when what is in work is answered.

    It ignores SIGINT and SIGHUP: a terminal sends its Ctrl-C, or its end, to the master too, which tells it.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._lingering: dict[TConn, None] = {}
        """Outcomes and half closed; they count in `nr_conns` until the end."""
        self._arriving: dict[_Connection, None] = {}
        """Those whose next request is not there yet, the longest first."""
        self._looked = 0.0
        self._probes = ThreadPoolExecutor(PROBE_THREADS, thread_name_prefix="probe")

    @staticmethod
    def begin(arbiter: Any, worker: Any) -> None:
        """gunicorn's hook right after the fork, when the master's handlers would swallow a signal."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        with contextlib.suppress(Empty):
            while True:
                if arbiter.SIG_QUEUE.get_nowait() in STOPS:
                    sys.exit(0)

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def handle_quit(self, sig: int, frame: Any) -> None:
        self.handle_exit(sig, frame)

    def accept(self, listener: socket.socket) -> None:
        try:
            client, address = listener.accept()
        except OSError:
            return  # gone already; anything else will be there again at the next turn
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        self.enqueue_req(_Connection(self.cfg, client, address, listener.getsockname()))

    def enqueue_req(self, conn: TConn) -> None:
        """Called with a new connection, and with one on which another request is to come."""
        conn.begin()
        if conn.whole:
            self._run(conn)
            return
        conn.sock.setblocking(False)
        self.poller.register(conn.sock, EVENT_READ, partial(self._take, conn))
        self._arriving[conn] = None

    def _make_room(self) -> None:
        """End the longest of the idle connections, or whoever opens many would keep all others out."""
        if self._arriving:
            conn = next(iter(self._arriving))
            self._leave(conn)
            self._close(conn)
        elif self._lingering:
            self._end(next(iter(self._lingering)))
        elif self.keepalived_conns:
            self.keepalived_conns[0].timeout = 0.0
            self.murder_keepalived()

    def _take(self, conn: "_Connection", sock: socket.socket) -> None:
        try:
            ended = not conn.take()
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended and not conn.has_head:
            self._leave(conn)
            self._close(conn)
        elif ended or conn.whole:
            self._leave(conn)
            self._run(conn)

    def _leave(self, conn: "_Connection") -> None:
        del self._arriving[conn]
        self.poller.unregister(conn.sock)

    def _run(self, conn: "_Connection") -> None:
        conn.data_ready = True
        threads = self._probes if conn.probes else self.tpool
        future = threads.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        # What the application left of a body, `BodyDrain` has had its try at; no thread waits for more.
        return keepalive and bool(conn.parser.finish_body(deadline=time.monotonic() + 0.1))

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        if fs.cancelled() or (fs.exception() is None and not fs.result()):
            self._linger(conn)
        else:
            super().finish_request(conn, fs)

    def _linger(self, conn: TConn) -> None:
        """Close a connection so that its client gets the answer's end, and not a reset (RFC 9112, 9.6)."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_READ, partial(self._discard, conn))
        except (OSError, ValueError):  # closed already
            self._close(conn)
            return
        conn.answered = time.monotonic()
        conn.timeout = conn.answered + LINGER_S
        self._lingering[conn] = None

    def _discard(self, conn: TConn, sock: socket.socket) -> None:
        try:
            if data := sock.recv(RECEIVE_BYTES):
                conn.timeout += len(data) / DISCARD_BYTES_PER_S
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # reset
        self._end(conn)

    def murder_pending(self) -> None:
        """Called at every turn of the loop, once a second at least."""
        super().murder_pending()
        now = time.monotonic()
        if now < self._looked + LOOK_EVERY_S:
            return
        self._looked = now
        for conn in [conn for conn in self._lingering if min(conn.timeout, conn.answered + DISCARD_S) <= now]:
            self._end(conn)
        for conn in [conn for conn in self._arriving if conn.pace.left_s() <= self._least_s(conn)]:
            self._leave(conn)
            conn.late = True
            if conn.has_head:
                self._run(conn)  # to be told that it is too slow
            else:
                self._close(conn)

    def _least_s(self, conn: "_Connection") -> float:
        """The time left at which an arriving request is given up; a stop waits for none that is not begun."""
        return 0.0 if self.alive or conn.taken else GRACE_S - STOP_KEEPALIVE_LINGER

    def _end(self, conn: TConn) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()
