"""Whether a server could listen at an address."""

import errno
import socket

from models.errors import DragomanError


def require_free(host: str, port: int) -> None:
    """Raise DragomanError if nobody can listen there: gunicorn would try five times, with a line for each."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        where = f"{f'[{host}]' if ':' in host else host}:{port}"
        if error.errno == errno.EADDRINUSE:
            raise DragomanError(
                f"{where} is in use by another program; end that, or choose another with --port"
            ) from error
        raise DragomanError(f"cannot listen on {where}: {error.strerror or error}") from error
