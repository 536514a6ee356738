"""gunicorn's worker with threads, where one client or one signal could hold up everybody else.

Its event loop waited up to two seconds for a client to close after an answer, its threads for ever for the
rest of a request's head, and a SIGQUIT took locks that the interrupted loop might hold itself. Here the loop
itself takes in heads and short bodies: no thread is spent on a request before there is something to do.
"""

import contextlib
import re
import signal
import socket
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from service.http.body import WHOLE_BYTES, TooSlow
from service.http.metrics import PROBES

STOPS = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
STALL_S = 10.0
"""A client that sends nothing for so long, while a thread reads a request's head, is given up."""
GRACE_S = 20.0
"""What a request may take to arrive, head and body, beside the time for its bytes ..."""
BYTES_PER_S = 4096
"""... at this rate, which a poor mobile connection has."""
LINGER_S = 2.0
"""What a client may take to close, once it has its answer: what it still sends is thrown away ..."""
DISCARD_BYTES_PER_S = 1 << 18
"""... for longer, if it comes at this rate, ..."""
DISCARD_S = 15.0
"""... but not longer than this."""
RECEIVE_BYTES = 1 << 16
HEAD_BYTES = 1 << 17
"""Of a head without an end so much is taken in; gunicorn then says what is too long in it."""
LOOK_EVERY_S = 0.5
PROBE_THREADS = 4
"""For the health checks and metrics alone, whatever the other threads are busy with."""

_PROBE = re.compile(rb"(?:GET|HEAD) (?:%s)[ ?]" % b"|".join(re.escape(path.encode()) for path in PROBES))
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.I)
_ASKS_FIRST = re.compile(rb"\r\nexpect:", re.I)
_HAS_BODY = re.compile(rb"\r\n(?:content-length|transfer-encoding):", re.I)


class Worker(ThreadWorker):  # type: ignore[misc]
    """The worker. SIGTERM and SIGQUIT end it alike, when what is in work is answered.

    It ignores SIGINT and SIGHUP: a terminal sends its Ctrl-C, or its end, to the master too, which tells it.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._lingering: dict[TConn, None] = {}
        """Answered and half closed; they count in `nr_conns` until the end."""
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
        if self.nr_conns >= self.worker_connections and (longest := next(iter(self._arriving), None)):
            self._leave(longest)  # or whoever opens connections and says nothing would keep all others out
            self._close(longest)
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
            if conn.has_head:
                conn.late = True
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


class _Pace:
    """The time that a client has to send a request: so many seconds, and more for what has come."""

    def __init__(self) -> None:
        self._until = time.monotonic() + GRACE_S

    def add(self, size: int) -> None:
        self._until += size / BYTES_PER_S

    def left_s(self) -> float:
        return self._until - time.monotonic()


class _Connection(TConn):  # type: ignore[misc]
    """A connection whose next request is taken in, and whose reads end, also before the application is asked.

    Which request it is, gunicorn's parser says; here it is only looked at when there is enough to begin with.
    """

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.taken = bytearray()
        self.pace = _Pace()
        self.late = False
        self.answered = 0.0
        self._searched = 0
        self._enough: int | None = None

    def begin(self) -> None:
        """The next request is expected; what was read beyond the last one is its beginning."""
        self.pace, self._searched, self._enough = _Pace(), 0, None
        if self.parser is not None:
            self.taken += self.parser.unreader.take_buffered()
            self._look()

    def take(self) -> bool:
        """Take in what is there; False once there will be nothing more."""
        data = self.sock.recv(RECEIVE_BYTES)
        self.taken += data
        self.pace.add(len(data))
        self._look()
        return bool(data)

    @property
    def has_head(self) -> bool:
        return self._enough is not None

    @property
    def whole(self) -> bool:
        """True if the request is there, or enough of one that is long, or that says not how long."""
        return len(self.taken) >= (HEAD_BYTES if self._enough is None else self._enough)

    @property
    def probes(self) -> bool:
        """True if it asks, as its first request and without a body, how the service is."""
        return self.parser is None and bool(_PROBE.match(self.taken)) and not _HAS_BODY.search(self.taken)

    def _look(self) -> None:
        if self._enough is not None:
            return
        end = self.taken.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self.taken)
        if end < 0:
            return
        self._enough = end + 4
        if (length := _LENGTH.search(self.taken, 0, end + 2)) and not _ASKS_FIRST.search(self.taken, 0, end):
            self._enough += min(int(length[1]), WHOLE_BYTES)

    def init(self) -> None:
        """Called before each request, on a socket that was just made to wait for ever."""
        first = not self.initialized
        super().init()
        self.sock.settimeout(STALL_S)
        if first:
            self.parser.unreader = _Unreader(self)
        if not self.late:
            self.pace = _Pace()  # the time that it waited for a thread is not the client's
        self.parser.unreader.unread(bytes(self.taken))
        self.taken.clear()


class _Unreader(SocketUnreader):  # type: ignore[misc]
    """Takes a client that is too slow for one that went away, which is no error to be logged."""

    def __init__(self, connection: _Connection):
        super().__init__(connection.sock)
        self._connection = connection

    def chunk(self, size_hint: int | None = None) -> bytes:
        pace, usual_s = self._connection.pace, self.sock.gettimeout()
        left_s = pace.left_s()
        try:
            if left_s <= 0:
                raise TimeoutError
            self.sock.settimeout(left_s if usual_s is None else min(left_s, usual_s))
            data: bytes = super().chunk(size_hint)
        except TimeoutError:
            raise TooSlow from None
        finally:
            self.sock.settimeout(usual_s)
        pace.add(len(data))
        return data
