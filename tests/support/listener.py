"""An HTTP server on a free port of this machine: a function answers all that is asked."""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Listener(ThreadingHTTPServer):
    """Listens until it is closed. `answer` gets the handler of each GET, HEAD and POST."""

    daemon_threads = True
    request_queue_size = 128
    is_closed = False

    def __init__(
        self,
        answer: Callable[[BaseHTTPRequestHandler], None],
        tls: ssl.SSLContext | None = None,
        version: str = "HTTP/1.0",
    ):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = version

            def do_GET(self) -> None:
                if server.is_closed:
                    self.close_connection = True
                else:
                    answer(self)

            do_HEAD = do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""

    def close(self) -> None:
        self.is_closed = True
        self.shutdown()
        self.server_close()


def body_of(http: BaseHTTPRequestHandler) -> bytes:
    return http.rfile.read(int(http.headers.get("Content-Length", 0)))


def send(http: BaseHTTPRequestHandler, status: int, data: bytes = b"", **headers: str) -> None:
    """Answer with these headers, in whose names `_` stands for `-`."""
    http.send_response(status)
    for name, value in {"Content_Length": str(len(data)), **headers}.items():
        http.send_header(name.replace("_", "-"), value)
    http.end_headers()
    if http.command != "HEAD":
        http.wfile.write(data)
