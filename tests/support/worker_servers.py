"""Servers with two workers, and connections to either of them."""

import json
import os
import signal
import socket
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from server_process import ServerProcess
from waiting import until

from service.store.database import Database
from service.store.keys import Keys

WITHIN_S = 60.0
SLEEP: Any = ("POST", "/v1/summarize", {"text": "!sleep"})


class Workers(ServerProcess):
    """A program with two workers, and perhaps a process of their engines."""

    def __init__(self, folder: Path, **given: Any):
        super().__init__(folder, workers=2, **given)
        self.data_dir = folder / "data"
        try:
            until(self._ready)
        except BaseException:
            self.kill()
            raise

    def _ready(self) -> bool:
        with suppress(TimeoutError):  # a worker that starts on a busy machine answers late
            return len(self.workers()) == 2 and self.request("GET", "/readyz")[0].status == 200
        return False

    def _children(self) -> dict[int, bool]:
        """The master's children, and whether each has the engine."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        children = {}
        for pid in map(int, found):
            with suppress(FileNotFoundError):  # it has just ended
                children[pid] = b"engine_pro" in Path(f"/proc/{pid}/cmdline").read_bytes()
        return children

    def processes(self) -> set[int]:
        """All processes of the server's session that are no zombies."""
        found = set()
        for path in Path("/proc").iterdir():
            if path.name.isdigit():
                with suppress(OSError):
                    fields = (path / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                    if int(fields[3]) == self.process.pid and fields[0] != "Z":
                        found.add(int(path.name))
        return found

    def workers(self) -> list[int]:
        return [pid for pid, has_engine in self._children().items() if not has_engine]

    def engine(self) -> int:
        (pid,) = [pid for pid, has_engine in self._children().items() if has_engine]
        return pid

    def line(self, worker: int) -> HTTPConnection:
        """Return a connection to one of the workers, which may be starting yet."""
        end = time.monotonic() + WITHIN_S
        while True:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=2.0)
            try:
                self._greet(worker, connection)
            except TimeoutError:
                connection.close()
                assert time.monotonic() < end
            else:
                connection.sock.settimeout(WITHIN_S)
                return connection

    def _greet(self, worker: int, connection: HTTPConnection) -> None:
        """Have it accepted by this worker, while the other sleeps."""
        others = [pid for i, pid in enumerate(sorted(self.workers())) if i != worker]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)

    def by(self, worker: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """Ask one of the workers."""
        return answer_to(self.line(worker), method, path, body, **headers)


class ReversingWorkers(Workers):
    """`workers_program.py`."""

    program = "workers_program.py"

    def __init__(self, folder: Path, **given: Any):
        super().__init__(folder, **given)
        for worker in (0, 1):  # the first use waits for the engine's process
            assert self.by(worker, "POST", "/v1/summarize", {"text": "!reverse a"})[0] == 200


class Door:
    """An address of one worker's own, for clients that make their connections themselves."""

    def __init__(self, server: Workers, worker: int):
        self._server = server
        self._worker = worker
        self._lines: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        for each in (self._listener, *self._lines):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _serve(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                outside, _ = self._listener.accept()
                inside = self._server.line(self._worker).sock
                inside.settimeout(None)  # a client may be silent for long
                self._lines += (outside, inside)
                for pair in ((outside, inside), (inside, outside)):
                    threading.Thread(target=_pass_on, args=pair, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def answer_to(
    line: HTTPConnection, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, bytes]:
    with closing(line):
        text = None if body is None else json.dumps(body)
        line.request(method, path, text, {"Content-Type": "application/json", **headers})
        with line.getresponse() as response:
            return response.status, response.read()


TEXT, KNOWN = "A joint statement.", "Une déclaration commune."


PAIR = {"source": "en", "target": "fr"}


class TinyWorkers(Workers):
    """`tiny_server.py`. `key` is an administrator's, and sent with all that `ask` asks."""

    program = "tiny_server.py"

    def __init__(self, *given: Any, **settings: Any):
        super().__init__(*given, **settings)
        _, self.key = Keys(Database(self.data_dir)).create("operator", admin=True)
        self.doors = [Door(self, worker) for worker in (0, 1)]

    def ask(self, worker: int, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Return what a good answer says."""
        status, answer = self.by(worker, method, path, body, **headers, **{"X-API-Key": self.key})
        assert status < 300, answer
        return json.loads(answer) if answer else None

    def translated(self, worker: int, text: str = TEXT, **given: Any) -> str:
        return str(self.ask(worker, "POST", "/v1/translate", {"text": text, **PAIR, **given})["translation"])

    def state(self, worker: int, name: str) -> str:
        """How far a model is, as this worker says."""
        listed = self.ask(worker, "GET", "/v1/models")["models"]
        return next((each["state"] for each in listed if each["name"] == name), "")

    def loading(self, worker: int, name: str) -> str:
        return str(self.ask(worker, "GET", "/readyz").get("loading", {}).get(name, ""))
