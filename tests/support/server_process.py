"""A server in a process of its own on a free port, and a local receiver of its jobs' callbacks."""

import json
import os
import re
import signal
import subprocess
import sys
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from listener import Listener, body_of, send
from waiting import until

ROOT = Path(__file__).parents[2]
SUPPORT = Path(__file__).parent
STOPS_IN_S = 15.0


class BenchServer:
    """`given` are settings. Without `bundled` its models are stood in for, each answer after `delay_ms`."""

    def __init__(self, folder: Path, *, bundled: bool = False, delay_ms: float = 0.0, **given: Any):
        self.folder, self.data_dir = folder, folder / "data"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log.txt"
        settings = {"port": 0, "data_dir": self.data_dir, "offline": True, **given}
        if not bundled:
            settings["cache_dir"] = folder / "cache"
        own = [sys.executable, str(SUPPORT / "stand_in.py"), str(delay_ms)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve"] if bundled else own,
                env=environment(self.temporary, **settings),
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        address = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert address, f"it did not start: {line} {self.log[-2000:]}"
        self.port = int(address[1])

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def worker(self) -> int:
        """The process id of the one worker; waits until there is one."""
        return self.children()[0]

    def children(self) -> list[int]:
        """The process ids of the workers, and of their engines; waits until there is one."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(each) for each in until(lambda: children.read_text().split())]

    def tell_stacks(self) -> None:
        """Have the worker write into the log where each of its threads is."""
        os.kill(self.worker(), signal.SIGRTMIN)

    def stop(self) -> int:
        """Ask it to end; the exit code. What remains after a while is killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOPS_IN_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait()
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()

    def __enter__(self) -> "BenchServer":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()


def environment(temporary: Path, **settings: Any) -> dict[str, str]:
    """This process's environment with these settings in place of all others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN_")}
    given = {
        f"DRAGOMAN_{name.upper()}": str(value) for name, value in {"models": "bundled", **settings}.items()
    }
    paths = os.pathsep.join(
        filter(None, (str(ROOT), str(ROOT / "tests"), str(SUPPORT), os.environ.get("PYTHONPATH")))
    )
    return {
        **kept,
        "TMPDIR": str(temporary),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": paths,
        **given,
    }


class CallbackReceiver(Listener):
    """Takes what is signed while in its context."""

    def __init__(self) -> None:
        super().__init__(self._take)
        self._told: set[str] = set()
        self.url += "/told"

    def told(self, job: str) -> bool:
        """Whether it has heard of the job's end."""
        return job in self._told

    def _take(self, http: BaseHTTPRequestHandler) -> None:
        body, signed = body_of(http), bool(http.headers["Dragoman-Signature"])
        send(http, 204 if signed else 400)
        if signed:
            self._told.add(json.loads(body)["id"])

    def __exit__(self, *_: object) -> None:
        self.close()


STARTS_IN_S = 30.0


class ServerProcess:
    """`http_fakes.py`, or another `program`, in a process of its own, and connections to it."""

    program = "http_fakes.py"

    def __init__(self, folder: Path, **given: Any):
        self.closed, self._log = folder / "closed.txt", folder / "log.txt"
        argument = json.dumps({"closed": str(self.closed), "data_dir": str(folder / "data"), **given})
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "support" / self.program), argument],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline().decode()
        address = re.search(r"http://127\.0\.0\.1:(\d+)", self.first_line)
        self.port = int(address[1]) if address else 0

    @property
    def log(self) -> str:
        return self._log.read_text()

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=STARTS_IN_S)
        try:
            headers = {"Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def summarize(self, text: str) -> tuple[HTTPResponse, bytes]:
        return self.request("POST", "/v1/summarize", json.dumps({"text": text}))

    def in_work(self) -> int:
        _, metrics = self.request("GET", "/metrics")
        (value,) = re.findall(rb"^dragoman_requests_in_work (\S+)$", metrics, re.MULTILINE)
        return int(float(value))

    def wait_for_work(self, requests: int) -> None:
        until(lambda: self.in_work() == requests)

    def stop(self, sig: int = signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        try:
            return self.process.wait(20)
        finally:
            self.kill()

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
