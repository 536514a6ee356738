"""gunicorn's worker with threads, where one client or one signal could hold up everybody else.

Its event loop waited up to two seconds for a client to close after an answer, its threads for ever for the
rest of a request's head, and a SIGQUIT took locks that the interrupted loop might hold itself.
"""

import contextlib
import signal
import socket
import sys
import time
from concurrent.futures import Future
from functools import partial
from queue import Empty
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.errors import NoMoreData
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

STOPS = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
STALL_S = 10.0
"""A client that sends nothing for so long in the middle of a request's head is given up."""
LINGER_S = 2.0
"""What a client may take to close, once it has its answer: what it still sends is thrown away."""
DISCARD_BYTES = 1 << 16


class Worker(ThreadWorker):  # type: ignore[misc]
    """The worker. SIGTERM and SIGQUIT end it alike, when what is in work is answered.

    It ignores SIGINT and SIGHUP: a terminal sends its Ctrl-C, or its end, to the master too, which tells it.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._lingering: dict[TConn, None] = {}
        """Answered and half closed, in the order of their time; they count in `nr_conns` until the end."""

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
        self.enqueue_req(_Connection(self.cfg, client, address, listener.getsockname()))

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
        conn.timeout = time.monotonic() + LINGER_S
        self._lingering[conn] = None

    def _discard(self, conn: TConn, sock: socket.socket) -> None:
        try:
            if sock.recv(DISCARD_BYTES):
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
        for conn in [conn for conn in self._lingering if conn.timeout <= now]:
            self._end(conn)

    def _end(self, conn: TConn) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()


class _Connection(TConn):  # type: ignore[misc]
    """A connection whose reads end, also before the application is asked, which sets a time of its own."""

    def init(self) -> None:
        """Called before each request, on a socket that was just made to wait for ever."""
        first = not self.initialized
        super().init()
        self.sock.settimeout(STALL_S)
        if first:
            self.parser.unreader = _Unreader(self.sock)


class _Unreader(SocketUnreader):  # type: ignore[misc]
    """Takes a client that stalls for one that went away, which is no error to be logged."""

    def chunk(self, size_hint: int | None = None) -> bytes:
        try:
            data: bytes = super().chunk(size_hint)
        except TimeoutError:
            raise NoMoreData from None
        return data
