"""Two callers at once, of whom one attacks: what the other's requests take, against their time when idle.

    export PYTHONPATH=.:tests:tests/support
    python tests/slow/attack.py --seconds 1800 --workers 2
    python tests/slow/attack.py --seconds 60 --only mcp,places

The attacker is 127.0.0.1 and the other 127.0.0.2: addresses without a key are callers of their own. Each case
is what was once sent to hold up everybody. The other asks for a translation, a small document and a
language; in every case the median of each is to stay under twice its idle time and a batch. Exits with 1 if
one does not, or if one of them is not answered.
"""

import argparse
import json
import multiprocessing
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median, quantiles

import made_documents
from fuzz_requests import MutatedRequests, compatible
from server_process import BenchServer
from wire import Connection, Sent

JSON = ("Content-Type", "application/json")
ACCEPT = ("Accept", "application/json, text/event-stream")
SHORT = "The ferry to Sark did not sail on Monday."
DEADLINE_S = 30.0
BATCH_S = 0.1
IDLE_ROUNDS = 7
SPAWN = multiprocessing.get_context("spawn")


def posted(target: str, body: object, *headers: tuple[str, str]) -> Sent:
    return Sent("POST", target, (JSON, *headers), json.dumps(body).encode())


def document(suffix: str, data: bytes) -> Sent:
    """A request to translate a document of these bytes."""
    headers, body = made_documents.form(suffix, source="en", target="fr")
    sound = made_documents.sound(suffix)
    assert body.count(sound) == 1
    return Sent("POST", "/v1/documents/translate", tuple(headers), body.replace(sound, data))


def slow_pdf(pages: int = 200_000) -> bytes:
    """A small file of so many pages, all of them one."""
    page = zlib.compress(b"BT /F1 12 Tf 50 700 Td (Good morning.) Tj ET")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [" + b"3 0 R " * pages + b"] /Count %d >>" % pages,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, starts = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        starts.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    entries = b"".join(b"%010d 00000 n \n" % start for start in starts)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    tail = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(out))
    return out + head + entries + tail


# ------------------------------------------------------------------------------------- the attacker


class Attacker:
    """127.0.0.1. Each case sends from some threads, or holds connections, until it is over.

    It has a process of its own, so that the other's times are not those of the attacker's Python.
    """

    def __init__(self, port: int, seed: int = 0):
        self._port = port
        self._seed = seed
        self._over = SPAWN.Event()

    def cases(self) -> dict[str, Callable[[], None]]:
        listen = {"notifications": {"toolsListChanged": True}, "_meta": _mcp_meta()}
        modern = (ACCEPT, ("MCP-Protocol-Version", MCP_VERSION), ("Mcp-Method", "subscriptions/listen"))
        message = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": listen}
        many = " ".join(f"{SHORT} Number {i}." for i in range(30))
        chat = {"model": "translate:fr", "messages": [{"role": "system", "content": "[" * 190_000}]}
        deepl = {"text": ["a"], "target_lang": "FR", "source_lang": "EN", "glossary_ids": ["a" * 36] * 1000}
        values = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":[' + b"0," * 400_000 + b"0]}}"
        work = {"text": many, "source": "en", "target": "fr"}
        ask, hold = self._asking, self._holding
        return {
            "connections": hold(b"GET /", 1100),
            "half bodies": hold(posted("/v1/translate", work).raw()[:-5], 300),
            "unread answers": hold(Sent("GET", "/docs/swagger-ui-bundle.js").raw() * 12, 150),
            "mcp": ask(posted("/mcp", message, *modern), 64),
            "mcp values": ask(Sent("POST", "/mcp", (JSON, ACCEPT), values), 4),
            "places": ask(posted("/v1/translate", work), 90),
            "streams": ask(
                posted("/v1/translate", {"text": many, "source": "en", "target": "fr", "stream": True}), 40
            ),
            "documents": ask(document(".pdf", slow_pdf()), 12),
            "results": self._results,
            "memory": self._memory,
            "chat": ask(posted("/v1/chat/completions", chat), 6),
            "glossaries": ask(posted("/v2/translate", deepl), 6),
            "damaged": self._damaged,
        }

    @contextmanager
    def sending(self, case: str) -> Iterator[None]:
        """Attack in this context."""
        self._over.clear()
        process = SPAWN.Process(target=self._send, args=(case,), daemon=True)
        process.start()
        try:
            yield
        finally:
            self._over.set()
            process.join(2 * DEADLINE_S)
            process.kill()

    def _send(self, case: str) -> None:
        self.cases()[case]()

    def _asking(self, sent: Sent, threads: int) -> Callable[[], None]:
        return lambda: self._from_threads(lambda: sent, threads)

    def _from_threads(self, make: Callable[[], Sent], threads: int) -> None:
        def work() -> None:
            connection = Connection(self._port, 2 * DEADLINE_S)
            while not self._over.is_set():
                if connection.send(make()).status in (0, 429):
                    self._over.wait(0.05)
            connection.close()

        working = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
        for each in working:
            each.start()
        for each in working:
            each.join(2 * DEADLINE_S)

    def _holding(self, raw: bytes, number: int) -> Callable[[], None]:
        """Open so many connections, send `raw` on each, and read as little as keeps them open."""

        def hold() -> None:
            with ExitStack() as held:
                clients = [held.enter_context(socket.socket()) for _ in range(number)]
                for client in clients:
                    if self._over.is_set():
                        return
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    client.settimeout(5.0)
                    with suppress(OSError):
                        client.connect(("127.0.0.1", self._port))
                        client.sendall(raw)
                while not self._over.wait(1.0):
                    for client in clients:
                        with suppress(OSError):
                            client.setblocking(False)
                            client.recv(4096)

        return hold

    def _results(self) -> None:
        """Read a job's result of some megabytes slowly, many times at once."""
        connection = Connection(self._port, 2 * DEADLINE_S)
        body = {"task": "translate", "texts": [SHORT * 100] * 2000, "source": "en", "target": "fr"}
        address = f"/v1/jobs/{connection.send(posted('/v1/jobs', body)).json()['id']}"
        while not self._over.wait(0.5) and connection.send(Sent("GET", address)).json()["status"] != "done":
            pass
        self._holding(Sent("GET", f"{address}/result").raw(), 100)()
        connection.send(Sent("DELETE", address))
        connection.close()

    def _memory(self) -> None:
        """Keep many sentences and have all of them sent, over and over."""
        connection = Connection(self._port, 2 * DEADLINE_S)
        entries = {f"{SHORT} {i}": SHORT * 3 for i in range(5000)}
        connection.send(posted("/v1/memory", {"source": "en", "target": "fr", "entries": entries}))
        self._from_threads(lambda: Sent("GET", "/v1/memory.tmx"), 40)
        connection.send(Sent("DELETE", "/v1/memory"))
        connection.close()

    def _damaged(self) -> None:
        """Send what fuzz.py sends to other people's interfaces."""
        made, numbers = MutatedRequests(compatible(), self._seed), count()
        self._from_threads(lambda: made.make(next(numbers)), 20)


MCP_VERSION = "2026-07-28"


def _mcp_meta() -> dict[str, object]:
    own = "io.modelcontextprotocol/"
    info = {"name": "attack", "version": "1"}
    return {f"{own}protocolVersion": MCP_VERSION, f"{own}clientCapabilities": {}, f"{own}clientInfo": info}


# ------------------------------------------------------------------------------------- the other


@dataclass
class Times:
    """What the other's requests took, by kind, in seconds, and which were not answered as they should be."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def medians(self) -> dict[str, float]:
        return {kind: median(seconds) for kind, seconds in self.seconds.items()}


def ask_as_other(port: int, seconds: float, least: int = 3) -> Times:
    """Ask for one thing after another, each on a connection of its own, as 127.0.0.2."""
    kinds = {
        "translate": posted("/v1/translate", {"text": SHORT, "source": "en", "target": "fr"}),
        "document": document(".docx", made_documents.sound(".docx")),
        "detect": posted("/v1/detect", {"text": SHORT}),
    }
    times, end = Times(), time.monotonic() + seconds
    for number in count():
        if number >= least and time.monotonic() > end:
            return times
        for kind, sent in kinds.items():
            connection = Connection(port, 2 * DEADLINE_S, source="127.0.0.2")
            start = time.monotonic()
            answer = connection.send(sent)
            connection.close()
            times.seconds.setdefault(kind, []).append(time.monotonic() - start)
            if answer.status != 200:
                times.faults.append(f"{kind}: {answer.status} {answer.error}{answer.body[:200]!r}")
    return times


def attack(
    server: BenchServer, seconds: float, only: Sequence[str] = (), *, seed: int = 0
) -> Iterator[tuple[str, Times]]:
    """Yield the other's times when idle, and then in each case, which all have the same time."""
    probe = Connection(server.port, DEADLINE_S)
    while probe.send(Sent("GET", "/readyz")).status != 200:
        time.sleep(0.1)
    probe.close()
    attacker = Attacker(server.port, seed)
    cases = [name for name in attacker.cases() if not only or name in only]
    each_s = seconds / (len(cases) + 1)
    ask_as_other(server.port, 0.0)  # the first document starts what reads documents
    yield "idle", ask_as_other(server.port, each_s / 2, IDLE_ROUNDS)
    for name in cases:
        with attacker.sending(name):
            time.sleep(min(2.0, each_s / 4))
            times = ask_as_other(server.port, each_s)
        yield name, times


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", default="", help="cases, with commas between")
    parser.add_argument("--seed", type=int, default=random.randrange(1000))
    parser.add_argument("--folder", type=Path, help="keep the server's log and data there")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server ends too
    failed, idle = False, dict[str, float]()
    with ExitStack() as held:
        temporary = tempfile.TemporaryDirectory(prefix="dragoman-attack-", ignore_cleanup_errors=True)
        folder = asked.folder or Path(held.enter_context(temporary))
        given = {"request_timeout_s": DEADLINE_S, "workers": asked.workers}
        server = held.enter_context(BenchServer(folder, delay_ms=1000 * BATCH_S, **given))
        only = asked.only.split(",") if asked.only else ()
        for name, times in attack(server, asked.seconds, only, seed=asked.seed):
            idle = idle or times.medians()
            for kind, seconds in times.seconds.items():
                found, limit = median(seconds), 2 * idle[kind] + BATCH_S
                slow = quantiles(seconds, n=20)[-1]
                told = f"{found:6.3f} s of at most {limit:.3f}, 95% within {slow:.3f} s"
                print(f"{name:15} {kind:10} {len(seconds):5} answers, median {told}", flush=True)
                if found > limit:
                    times.faults.insert(0, f"{kind} is late")
            for fault in times.faults[:5]:
                print(f"  FAILED: {fault}", flush=True)
            failed = failed or bool(times.faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
