"""Notices that a request's client has closed its connection, and so waits no more."""

import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

LOOK_EVERY_S = 0.5


@contextmanager
def watching(environ: Mapping[str, Any], on_gone: Callable[[], None]) -> Iterator[None]:
    """Call `on_gone`, from another thread, if the request's client closes its connection meanwhile.

    Only our own server says which socket that is; elsewhere nothing is watched.
    """
    sock = environ.get("gunicorn.socket")
    if sock is None:
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_EVERY_S):
            if _closed(sock):
                on_gone()
                break

    threading.Thread(target=look, name="watch-client", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _closed(sock: socket.socket) -> bool:
    try:
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0)) and sock.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True
    except ValueError:  # a socket that cannot be looked into, as with TLS
        return False
