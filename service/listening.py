"""The server's listening socket."""

import errno
import socket

from models.errors import DragomanError

BACKLOG = 2048
"""Connections that wait to be accepted."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there. Raises DragomanError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        where = f"{f'[{host}]' if ':' in host else host}:{port}"
        if error.errno == errno.EADDRINUSE:
            raise DragomanError(
                f"{where} is in use by another program; end that, or choose another with --port"
            ) from error
        raise DragomanError(f"cannot listen on {where}: {error.strerror or error}") from error
    return listener
