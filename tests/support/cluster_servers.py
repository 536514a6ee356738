"""Several servers over one PostgreSQL and one Redis, behind nginx: all that there is but the models."""

import getpass
import os
import random
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from databases import PostgreSQL, Redis
from server_process import ROOT, BenchServer
from waiting import until
from wire import Connection, Sent

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
_PARTS = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")


def nginx_configuration(folder: Path, port: int, servers: Sequence[int]) -> Path:
    """Write deploy/nginx.conf with these ports on this machine; it runs in the folder, in the foreground."""
    text = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    listed = "".join(f"server 127.0.0.1:{each} max_fails=0; " for each in servers)
    text, found = re.subn(r"server dragoman-1:8080 .*;\s+server dragoman-2:8080 .*;", listed, text)
    assert found == 1, "deploy/nginx.conf has other servers"
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    own = "".join(f"{part}_temp_path {folder};" for part in _PARTS)
    head = f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;"
    if os.getuid() == 0:
        head += f"user {getpass.getuser()};"
    file = folder / "nginx.conf"
    file.write_text(head + text.replace("http {", f"http {{ {own}", 1))
    return file


class Cluster:
    """The servers, with a cipher in place of models; callers use `port`, which is nginx's."""

    def __init__(self, folder: Path, servers: int, delay_ms: float = 0.0):
        folder.mkdir()
        self._folder, self._delay_ms = folder, delay_ms
        self._ports = [free_port() for _ in range(servers)]
        self.port = free_port()
        self.servers: list[BenchServer] = []
        self._stack = ExitStack()
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise

    def _build(self) -> None:
        self.postgresql, redis = PostgreSQL("synchronous_commit=on"), Redis()
        self._stack.callback(redis.close)
        self._stack.callback(self.postgresql.close)
        self.database = self.postgresql.new_database()
        self._settings = {
            "database": self.database,
            "limits_storage": redis.url,
            "rate_limit": "1000000/hour",
            "daily_characters": 10**12,
            "trusted_proxies": 1,
            "workers": 1,
            "callback_secret": "0123456789abcdef-cluster",
            "callback_private": True,
        }
        self._stack.callback(lambda: [server.__exit__() for server in self.servers])
        for i in range(len(self._ports)):
            self.servers.append(self._start(i))
        file = nginx_configuration(self._folder, self.port, self._ports)
        # All callers have one address here.
        file.write_text(file.read_text("utf-8").replace("rate=20r/s", "rate=2000r/s"))
        nginx = subprocess.Popen([NGINX or "nginx", "-c", file], stderr=subprocess.DEVNULL)
        self._stack.callback(nginx.wait)
        self._stack.callback(nginx.terminate)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def kill(self, i: int) -> None:
        """Kill a server, and start it anew; return when it is ready."""
        process = self.servers[i].process
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        self.servers[i] = self._start(i)

    def _start(self, i: int) -> BenchServer:
        own = {"delay_ms": self._delay_ms, "port": self._ports[i]}
        server = BenchServer(self._folder / f"server-{i}", **own, **self._settings)
        connection = Connection(server.port, 60.0)
        until(lambda: connection.send(Sent("GET", "/readyz")).status == 200)
        connection.close()
        return server


def free_port() -> int:
    """Return a port that no connection gets by itself, so that a server finds it free again."""
    while True:
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port := random.randrange(20_000, 32_000)))
            return port
