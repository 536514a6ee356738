"""Mutated requests over every route of a server: no 5xx but 503 and 504, and nobody waits over a deadline.

    export PYTHONPATH=.:tests:tests/support
    python tests/slow/fuzz.py                                    # its own server, models stood in for
    python tests/slow/fuzz.py --requests 5000 --seed 3
    python tests/slow/fuzz.py --url http://127.0.0.1:8080 --deadline 120
    python tests/slow/fuzz.py --replay failures.jsonl

The routes are those of the server's own OpenAPI document and of the compatible interfaces. Beside all of it
/healthz must answer within a second, each error have the form that its address promises, and no answer hold a
trace or a path. Request N of a seed is always the same, but for the ids that the server gives. A failure is
printed, and written whole to `--failures`, which `--replay` sends again. Exits with 1 if there was one.
"""

import argparse
import contextlib
import json
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fuzz_requests import MutatedRequests, compatible, documented
from server_process import ROOT, BenchServer
from wire import Connection, Reply, Sent, faults, loopback_port

FRAME = re.compile(r'  File "([^"]+)", line (\d+) in (\S+)')
TEXT_WORK = (
    "/models/",
    "/service/documents/",
    "/service/options.py",
    "/service/validation.py",
    "/service/http/compat/",
    "/service/store/",
)
"""Where the places of a stall are looked for, from the innermost call outwards."""


@dataclass
class Report:
    """What came of a run; threads add to it under its lock."""

    failures: list[dict[str, Any]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""
    healthz_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sent(self) -> int:
        return self.statuses.total()

    def add(self, number: int, sent: Sent, answer: Reply, found: Sequence[str]) -> None:
        with self.lock:
            self.statuses[answer.status] += 1
            if answer.seconds > self.slowest_s:
                self.slowest_s, self.slowest = answer.seconds, f"{number} {sent.method} {sent.target[:60]}"
            if found:
                told = {"number": number, "faults": list(found), "status": answer.status}
                self.failures.append({**told, "seconds": round(answer.seconds, 2), "request": sent.to_json()})

    def summary(self) -> dict[str, Any]:
        """The run in figures."""
        return {
            "requests": self.sent,
            "seconds": round(self.seconds, 1),
            "requests_per_s": round(self.sent / max(self.seconds, 1e-9)),
            "failures": len(self.failures),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "slowest_s": round(self.slowest_s, 2),
            "slowest": self.slowest,
            "healthz_worst_s": round(max(self.healthz_s, default=0.0), 3),
            "healthz_probes": len(self.healthz_s),
        }


def traces(log: str) -> list[str]:
    """The last line of each trace in a log: what failed without anybody's knowing of it."""
    return re.findall(r"^Traceback .*?\n(?:[ \t].*\n|\n)*(\S.*)$", log, re.MULTILINE)


def stalls(log: str) -> Counter[str]:
    """The innermost calls of threads that worked on texts while /healthz was late, by the log's stacks."""
    found: Counter[str] = Counter()
    for stack in re.split(r"^(?:Current thread|Thread) 0x.*$", log, flags=re.MULTILINE)[1:]:
        frames = [match for match in FRAME.findall(stack) if any(part in match[0] for part in TEXT_WORK)]
        if frames and "/http/run_request.py" not in frames[0][0]:
            path, line, name = frames[0]
            found[f"{'/'.join(Path(path).parts[-3:])}:{line} in {name}"] += 1
    return found


def show_log(log: str) -> bool:
    """Print what a log has of failures; whether there were traces."""
    found = traces(log)
    for line, count in Counter(found).most_common():
        print(f"TRACE in the log, {count} times: {line}")
    for place, count in stalls(log).most_common(10):
        print(f"STALLED {count} times while a thread was at {place}")
    return bool(found)


def show(report: Report, failures: Path) -> None:
    """Print the run, and write its failures, whole, into a file."""
    failures.write_text("".join(json.dumps(each) + "\n" for each in report.failures))
    for each in report.failures:
        print(f"FAILED {each['number']}: {'; '.join(each['faults'])}")
        print(f"  {Sent.from_json(each['request'])}")
    print(json.dumps(report.summary(), indent=1))
    if report.failures:
        print(f"{failures} has them whole; send them again with --replay {failures}")


HEALTHY_S = 1.0
DEADLINE_S = 10.0
"""Of requests to a server that is started here."""
MARGIN_S = 5.0
"""Beyond the deadline: for the work before it begins, and for two cores that others use as well."""
GIVE_UP_S = 10.0
"""Beyond the deadline: an answer that is not there then will not be waited for."""
KEPT = 40
"""Glossaries and jobs that were made here and not yet deleted; the oldest beyond that goes."""
ID = re.compile(rb'"(?:glossary_)?id": ?"([0-9a-f-]{32,36})"')


class Given:
    """The ids that the server gave, put into requests in place of what stands in braces."""

    def __init__(self) -> None:
        self._ids: dict[str, deque[str]] = {"glossaries": deque(), "jobs": deque()}
        self._lock = threading.Lock()

    def fill(self, sent: Sent) -> Sent:
        with self._lock:
            glossary, job = (ids[-1] if ids else "none" for ids in self._ids.values())
        target = sent.target.replace("{job_id}", job)
        for name in ("{glossary}", "{named}"):
            target = target.replace(name, glossary)
        chunked = any(value == "chunked" for _, value in sent.headers)  # whose sizes are written in the body
        body = sent.body if chunked else sent.body.replace(b"{glossary}", glossary.encode())
        return replace(sent, target=target, body=body)

    def learn(self, sent: Sent, answer: Reply) -> Sent | None:
        """Take note of what was made; the request that deletes the oldest where there are many."""
        kind = next((kind for kind in self._ids if f"/{kind}" in sent.target), None)
        if kind is None or answer.status not in (201, 202) or not (made := ID.search(answer.body)):
            return None
        with self._lock:
            self._ids[kind].append(made[1].decode())
            if len(self._ids[kind]) <= KEPT:
                return None
            return Sent("DELETE", f"/v1/{kind}/{self._ids[kind].popleft()}")


class Fuzz:
    """Sends requests to a port from some threads; `secrets` are what no answer may hold.

    `on_stall` is called when /healthz is late, while it still is.
    """

    def __init__(
        self,
        port: int,
        *,
        deadline_s: float,
        secrets: Sequence[str] = (),
        margin_s: float = MARGIN_S,
        healthy_s: float = HEALTHY_S,
        threads: int = 4,
        on_stall: Callable[[], None] = lambda: None,
    ):
        self._port = port
        self._limit_s = deadline_s + margin_s
        self._healthy_s = healthy_s
        self._secrets = [secret.encode() for secret in secrets]
        self._threads = threads
        self._on_stall = on_stall
        self._given = Given()
        self.report = Report()

    def document(self) -> dict[str, Any]:
        """The server's OpenAPI document."""
        connection = Connection(self._port, self._limit_s + GIVE_UP_S)
        answer = connection.send(Sent("GET", "/openapi.json"))
        connection.close()
        assert answer.status == 200, f"no OpenAPI document: {answer.status} {answer.error}"
        document: dict[str, Any] = answer.json()
        return document

    def run(self, requests: Iterable[tuple[int, Sent]], *, most_s: float, most_failures: int = 50) -> Report:
        """Send them all, or as many as `most_s` and `most_failures` allow."""
        start = time.monotonic()
        todo, lock, over = iter(requests), threading.Lock(), threading.Event()

        def work() -> None:
            connection = Connection(self._port, self._limit_s + GIVE_UP_S)
            while time.monotonic() - start < most_s and len(self.report.failures) < most_failures:
                with lock:
                    number, sent = next(todo, (-1, None))
                if sent is None:
                    break
                self._one(connection, number, self._given.fill(sent))
            connection.close()

        prober = threading.Thread(target=self._probe, args=(over,))
        workers = [threading.Thread(target=work) for _ in range(self._threads)]
        for thread in (prober, *workers):
            thread.start()
        for thread in workers:
            thread.join()
        over.set()
        prober.join()
        self.report.seconds = time.monotonic() - start
        return self.report

    def _one(self, connection: Connection, number: int, sent: Sent) -> None:
        answer = connection.send(sent)
        found = list(faults(sent, answer, deadline_s=self._limit_s, secrets=self._secrets))
        self.report.add(number, sent, answer, found)
        if (surplus := self._given.learn(sent, answer)) is not None:
            connection.send(surplus)

    def _probe(self, over: threading.Event) -> None:
        """Ask /healthz ten times a second. What this machine let the prober itself wait is taken off."""
        connection = Connection(self._port, self._limit_s + GIVE_UP_S)
        asked = Sent("GET", "/healthz")
        while True:
            before = time.monotonic()
            ended = over.wait(0.1)
            stalled_s = 0.0 if ended else time.monotonic() - before - 0.1
            stall = threading.Timer(self._healthy_s, self._on_stall)
            stall.start()
            answer = connection.send(asked)
            stall.cancel()
            seconds = max(0.0, answer.seconds - stalled_s)
            self.report.healthz_s.append(seconds)
            if answer.status != 200 or seconds > self._healthy_s:
                told = f"/healthz answered {answer.status} {answer.error} after {seconds:.2f} s"
                self.report.failures.append({"number": -1, "faults": [told], "request": asked.to_json()})
            if ended:
                connection.close()
                return


@contextlib.contextmanager
def own_server(folder: Path) -> Iterator[tuple[BenchServer, list[str]]]:
    """A server over models that are stood in for, and keys: one that is good, one revoked, one never made."""
    from service.store.database import Database  # here, since with --url nothing of the service is needed
    from service.store.keys import Keys

    (folder / "data").mkdir(parents=True, exist_ok=True)
    keys = Keys(Database(folder / "data"))
    good, revoked = keys.create("fuzz"), keys.create("revoked")
    keys.revoke(revoked[0].id)
    with BenchServer(folder, request_timeout_s=DEADLINE_S) as server:
        yield server, [good[1], revoked[1], "drg_never-made"]


def fuzz_own(
    folder: Path, *, requests: int, seed: int, most_s: float, **given: Any
) -> tuple[Report, list[str]]:
    """Fuzz a server that is started here; its report, and the traces in its log. `given` as Fuzz takes it."""
    with own_server(folder) as (server, keys):
        secrets = [str(ROOT), str(folder), sys.prefix]
        fuzz = Fuzz(server.port, deadline_s=DEADLINE_S, secrets=secrets, on_stall=server.tell_stacks, **given)
        made = MutatedRequests([*documented(fuzz.document()), *compatible()], seed, keys)
        report = fuzz.run(((n, made.make(n)) for n in range(requests)), most_s=most_s)
    return report, traces(server.log)


def _replayed(path: Path) -> list[tuple[int, Sent]]:
    told = [json.loads(line) for line in path.read_text().splitlines()]
    return [(each["number"], Sent.from_json(each["request"])) for each in told]


def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="dragoman-fuzz-", ignore_cleanup_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a server on this machine, http://127.0.0.1:PORT; else one is started")
    parser.add_argument("--deadline", type=float, default=120.0, help="the request_timeout_s of that server")
    parser.add_argument("--key", action="append", default=[], help="an API key of that server")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first request")
    parser.add_argument("--seconds", type=float, default=3600.0, help="at most")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--failures", type=Path, default=Path(tempfile.gettempdir()) / "fuzz_failures.jsonl")
    parser.add_argument("--folder", type=Path, help="keep the server's log and data there")
    parser.add_argument("--replay", type=Path, help="send these failures again, and nothing else")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server ends too
    with contextlib.ExitStack() as held:
        secrets, server = [], None
        if asked.url is None:
            folder = str(asked.folder) if asked.folder else held.enter_context(_temporary())
            server, keys = held.enter_context(own_server(Path(folder)))
            port, deadline_s, secrets = server.port, DEADLINE_S, [str(ROOT), folder, sys.prefix]
        else:
            port, deadline_s, keys = loopback_port(asked.url), asked.deadline, asked.key
        fuzz = Fuzz(
            port,
            deadline_s=deadline_s,
            secrets=secrets,
            threads=asked.threads,
            on_stall=server.tell_stacks if server is not None else lambda: None,
        )
        if asked.replay:
            requests: Iterable[tuple[int, Sent]] = _replayed(asked.replay)
        else:
            made = MutatedRequests([*documented(fuzz.document()), *compatible()], asked.seed, keys)
            requests = ((n, made.make(n)) for n in range(asked.first, asked.first + asked.requests))
        report = fuzz.run(requests, most_s=asked.seconds)
        show(report, asked.failures)
        found = server is not None and show_log(server.log)
    return 1 if report.failures or found else 0


if __name__ == "__main__":
    sys.exit(main())
