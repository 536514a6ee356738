"""A local receiver of callbacks: which jobs it was told of, each with a signature."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class CallbackReceiver:
    """Listens on a free port of this machine while in its context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[str] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signed = bool(self.headers["Dragoman-Signature"])
                self.send_response(204 if signed else 400)
                self.end_headers()
                if signed:
                    outer._take(json.loads(body)["id"])

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1})

    @property
    def url(self) -> str:
        """What a job gives as its callback."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/told"

    def told(self, job: str) -> bool:
        """Whether it has heard of the job's end."""
        with self._lock:
            return job in self._told

    def _take(self, job: str) -> None:
        with self._lock:
            self._told.add(job)

    def __enter__(self) -> "CallbackReceiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
