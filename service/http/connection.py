"""A connection of the worker's: what has come of its next request, and how long the rest may take.

Which request it is, gunicorn's parser says; here it is only looked at whether there is enough to begin with.
"""

import re
import time
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

from service.http.body import WHOLE_BYTES, TooSlow
from service.http.metrics import PROBES

STALL_S = 10.0
"""A client that sends nothing for so long, while a thread reads a request's head, is given up."""
GRACE_S = 20.0
"""Seconds that a request may take to arrive, head and body, beside the time for its bytes ..."""
BYTES_PER_S = 4096
"""... at this rate, which a poor mobile connection has."""
RECEIVE_BYTES = 1 << 16
HEAD_BYTES = 1 << 17
"""Of a head without an end so much is taken in; gunicorn then says what is too long in it."""

_PROBE = re.compile(rb"(?:GET|HEAD) (?:%s)[ ?]" % b"|".join(re.escape(path.encode()) for path in PROBES))
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.I)
_ASKS_FIRST = re.compile(rb"\r\nexpect:", re.I)
_HAS_BODY = re.compile(rb"\r\n(?:content-length|transfer-encoding):", re.I)


class SendingTime:
    """The time that a client has to send a request: so many seconds, and more for what has come."""

    def __init__(self) -> None:
        self._until = time.monotonic() + GRACE_S

    def add(self, size: int) -> None:
        self._until += size / BYTES_PER_S

    def left_s(self) -> float:
        return self._until - time.monotonic()


class Connection(TConn):  # type: ignore[misc]
    """A connection whose next request is taken in, and whose reads end, also before the application is asked.

    Which request it is, gunicorn's parser says; here it is only looked at when there is enough to begin with.
    """

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.taken = bytearray()
        self.pace = SendingTime()
        self.late = False
        self.answered = 0.0
        self._searched = 0
        self._enough: int | None = None

    def begin(self) -> None:
        """The next request is expected; what was read beyond the last one is its beginning."""
        self.pace, self._searched, self._enough = SendingTime(), 0, None
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
            self.parser.unreader = Unreader(self)
        if not self.late:
            self.pace = SendingTime()  # the time that it waited for a thread is not the client's
        self.parser.unreader.unread(bytes(self.taken))
        self.taken.clear()


class Unreader(SocketUnreader):  # type: ignore[misc]
    """Takes a client that is too slow for one that went away, which is no error to be logged."""

    def __init__(self, connection: Connection):
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
