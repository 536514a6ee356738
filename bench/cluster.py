"""Three servers over one PostgreSQL and one Redis, behind nginx, killed under mixed load; two servers' rate.

    export PYTHONPATH=.:tests:tests/support:tests/slow
    python bench/cluster.py --seconds 600     # mixed load; a server is killed every 20 s
    python bench/cluster.py --rate            # two servers beside one

Needs Debian's packages `postgresql`, `redis-server` and `nginx`, which are started here, in folders of their
own. A cipher in place of models tells whether an answer is whole. Each caller has a key, and asks all that
tests/slow/soak_load.py knows. PostgreSQL is restarted twice, the second time as after a crash.

Exits with 1 if an accepted job is lost or ends twice, an answer is not whole, a callback comes again that was
taken (unless who sent it was killed), or there is another error than 502, 503 and an answer that was cut, or
one more than 5 s after a kill.
"""

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, cycle, groupby
from pathlib import Path
from typing import Any

import soak_load
from cluster_servers import Cluster
from fake_pool import cipher
from footprint import cpu_s
from listener import body_of, send
from server_process import CallbackReceiver
from soak_load import JSON, SENTENCES, Interrupted, SoakCaller, SoakFindings
from wire import Connection, Reply, Sent, faults

from service.store.database import Database
from service.store.keys import Keys

EXCUSED, EXCUSED_S = (0, 502, 503), 5.0  # 0 is an answer that was cut
KILL_EVERY_S = 20.0
PLAIN = [SENTENCES[i] for i in (1, 2, 3, 5)]  # without dates, of which more than a cipher is made
soak_load.WAIT_S = 180.0  # a job may meet several kills, each of which costs its lease


class Kills(list[float]):
    """When something was killed; what is missed within some seconds is excused."""

    def since(self, at: float) -> float:
        return at - max((each for each in self if each <= at), default=-float("inf"))

    def between(self, start: float, end: float) -> bool:
        return any(start - EXCUSED_S <= each <= end for each in self)


class Receiver(CallbackReceiver):
    """Counts callbacks, and refuses some at first."""

    def __init__(self) -> None:
        super().__init__()
        self.tries: dict[str, list[tuple[float, int]]] = defaultdict(list)

    def _take(self, http: Any) -> None:
        job = json.loads(body_of(http))["id"]
        refused = not self.tries[job] and len(self.tries) % 5 == 0
        status = 500 if refused else 204 if http.headers["Dragoman-Signature"] else 400
        self.tries[job].append((time.monotonic(), status))
        send(http, status)
        if status == 204:
            self._told.add(job)

    def repeated(self, kills: Kills) -> Counter[bool]:
        """Return how many came again after they were taken, by whether there was a kill when they were."""
        taken = [[at for at, status in tries if status == 204] for tries in self.tries.values()]
        return Counter(kills.between(at, at + EXCUSED_S) for each in taken for at in each[:-1])


class ClusterCaller(SoakCaller):
    """One client with a key; remembers errors, and each end of its jobs that it has seen."""

    def __init__(self, key: str, kills: Kills, cluster: Cluster, findings: SoakFindings, **more: Any):
        super().__init__(cluster, findings, kills, **more)
        self._key, self._kills = ("X-API-Key", key), kills
        self._kinds.remove(self.do_metrics)  # which nginx does not show
        self.answers: list[tuple[int, float]] = []  # statuses, and seconds after a kill
        self.ends: dict[str, set[tuple[str, str]]] = {}
        self.compared = 0

    def do_long_job(self) -> None:
        texts = [self._text() for _ in range(300)]
        body = {"task": "translate", "texts": texts, "source": "en", "target": "fr"}
        self._follow(self._post("/v1/jobs", body)["id"], texts)

    def _text(self, most: int = 4) -> str:
        return " ".join(self._rng.choices(PLAIN, k=self._rng.randint(1, most)))

    def _ask(self, method: str, target: str, headers: Any = (), body: bytes = b"") -> Reply:
        sent = Sent(method, target, (*headers, self._key), body)
        answer = self._connection.send(sent)
        after_s = self._kills.since(time.monotonic())
        self.answers.append((answer.status, after_s))
        if answer.status in EXCUSED and after_s <= EXCUSED_S:
            raise Interrupted
        found = list(faults(sent, answer, deadline_s=self._deadline_s))
        assert not found and answer.status < 400, f"{found} {answer} {after_s:.1f} s after a kill: {sent}"
        return answer

    def _same(self, asked: str, got: str) -> None:
        task, _, text = asked.partition(" ")
        assert task != "translate" or got == cipher(text), f"{got!r} is no whole answer to {asked}"
        self.compared += 1
        super()._same(asked, got)

    def _follow(self, job: str, *given: Any, **more: Any) -> None:
        self.ends[job] = set()
        super()._follow(job, *given, **more)

    def _ended(self, job: str) -> dict[str, Any] | None:
        if (told := super()._ended(job)) is not None:
            self.ends[job].add((told["status"], told["finished"]))
        return told

    def _remove(self, target: str) -> None:
        if target.removeprefix("/v1/jobs/") not in self.ends:  # these are looked at again
            super()._remove(target)

    def look_again(self) -> Counter[str]:
        """Return how the accepted jobs ended, and how many of all jobs have not."""
        for job in self.ends:
            self._ended(job)
        ends = ["twice" if len(each) > 1 else "".join(how for how, _ in each) for each in self.ends.values()]
        told, page = Counter(ends), {"next": 1 << 53}
        while "next" in page:
            page = self._insist("GET", f"/v1/jobs?limit=100&before={page['next']}").json()
            told["never"] += sum(job["status"] in ("queued", "running") for job in page["jobs"])
        return told


def disturb(cluster: Cluster, kills: Kills, seconds: float) -> list[float]:
    """Kill servers in turn and restart PostgreSQL twice; return how long each was away, in seconds."""
    turns = int(seconds / KILL_EVERY_S)
    ends = dict.fromkeys(range(1, turns), signal.SIGKILL)
    ends |= {turns // 3 + 0.5: signal.SIGINT, 2 * turns // 3 + 0.5: signal.SIGQUIT}
    start, away_s, number = time.monotonic(), [], cycle(range(len(cluster.servers)))
    for turn, how in sorted(ends.items()):
        time.sleep(max(0.0, start + turn * KILL_EVERY_S - time.monotonic()))
        kills.append(time.monotonic())
        if how == signal.SIGKILL:
            cluster.kill(next(number))
            away_s.append(time.monotonic() - kills[-1])
        else:
            cluster.postgresql.stop(how)
            cluster.postgresql.start()
            kills.append(time.monotonic())  # what was asked meanwhile is answered now
    time.sleep(max(0.0, start + seconds - time.monotonic()))
    return away_s


def mixed_load(folder: Path, seconds: float, callers: int = 6) -> int:
    """Run it and print the table; return the number of faults."""
    kills, findings, over = Kills(), SoakFindings(), threading.Event()
    with Receiver() as receiver, Cluster(folder / "cluster", 3, delay_ms=5.0) as cluster:
        stored = Keys(Database(folder, cluster.database))
        more = {"callback": receiver.url, "told": receiver.told, "deadline_s": 60.0, "exact": True}
        keys = [stored.create(f"caller-{i}")[1] for i in range(callers)]
        made = [ClusterCaller(key, kills, cluster, findings, rng=random.Random(key), **more) for key in keys]
        with ThreadPoolExecutor(callers) as pool:
            pool.map(lambda caller: [caller.one() for _ in iter(over.is_set, True)], made)
            try:
                away_s = disturb(cluster, kills, seconds)
            finally:
                over.set()
        jobs = sum((caller.look_again() for caller in made), Counter[str]())
        taken_over = sum(server.log.count(" jobs go on whose servers") for server in cluster.servers)
    answers = sorted(chain.from_iterable(caller.answers for caller in made))
    repeated = receiver.repeated(kills)
    findings.faults += ["a job did not end once"] * (jobs.total() - jobs["done"])
    findings.faults += ["a callback came again that was taken"] * repeated[False]
    rows: dict[str, Any] = {
        "servers killed": f"{len(away_s)}, each away for {statistics.median(away_s or [0]):.0f} s (median)",
        "answers compared": sum(caller.compared for caller in made),
        "jobs accepted": sum(len(caller.ends) for caller in made),
        **{f"jobs ended: {how}": number for how, number in sorted(jobs.items())},
        "times that jobs went on at another server": taken_over,
        "callbacks awaited and taken": findings.callbacks,
        "callbacks refused at first": sum(tries[0][1] == 500 for tries in receiver.tries.values()),
        "callbacks taken again after a kill": repeated[True],
    }
    for status, each in groupby(answers, key=lambda answer: answer[0]):
        after_s = [after_s for _, after_s in each]
        late = "" if 200 <= status < 300 else f", at most {after_s[-1]:.1f} s after a kill"
        rows[f"answers with status {status}" if status else "answers cut"] = f"{len(after_s)}{late}"
    lines = [f"{name:40} {value}" for name, value in {**rows, "faults": len(findings.faults)}.items()]
    print(*lines, *(f"FAILED: {each}" for each in findings.faults[:50]), sep="\n")
    return len(findings.faults)


def measure(cluster: Cluster, seconds: float = 10.0, clients: int = 8) -> list[float]:
    """Return articles a second, and the cores that the servers, this process and all else took."""
    leaders = [server.process.pid for server in cluster.servers]
    start, before = time.monotonic(), cpu_s(leaders)

    def ask(client: int) -> int:
        connection, done = Connection(cluster.port, 60.0), 0
        while time.monotonic() < start + seconds:
            text = " ".join([*PLAIN * 3, f"It was day {client}, hour {done}."])
            body = json.dumps({"text": text, "source": "en", "target": "fr"}).encode()
            answer = connection.send(Sent("POST", "/v1/translate", (JSON,), body))
            assert answer.json()["translation"] == cipher(text), answer
            done += 1
        return done

    with ThreadPoolExecutor(clients) as pool:
        done = sum(pool.map(ask, range(clients)))
    took_s = time.monotonic() - start
    servers, own, busy = ((now - then) / took_s for now, then in zip(cpu_s(leaders), before, strict=True))
    return [done / took_s, servers, own, busy - servers - own]


def rates(folder: Path, pairs: int = 3) -> None:
    """Print one server's rate and two servers', in turn."""
    ratios = []
    print(f"{len(os.sched_getaffinity(0))} cores\nservers  articles/s  cores: servers, clients, all else")
    with Cluster(folder / "one", 1) as one, Cluster(folder / "two", 2) as two:
        for _ in range(1 + pairs):  # the first to warm up
            told = measure(one), measure(two)
            ratios.append(told[1][0] / told[0][0])
            for servers, each in enumerate(told, 1):
                print(f"{servers:7}", *(f"{value:10.2f}" for value in each), flush=True)
    print(f"ratio {statistics.median(ratios[1:]):.2f}, median of {pairs} pairs after the first")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", action="store_true", help="measure two servers' rate beside one's")
    parser.add_argument("--folder", type=Path, help="keep the logs there")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all that was started ends too
    with tempfile.TemporaryDirectory(prefix="dragoman-cluster-", ignore_cleanup_errors=True) as temporary:
        folder = asked.folder or Path(temporary)
        return rates(folder) if asked.rate else min(1, mixed_load(folder, asked.seconds))


if __name__ == "__main__":
    sys.exit(main())
