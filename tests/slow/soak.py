"""A mixed load for as long as asked, with cancels and kills: what grows, and what gets lost.

    export PYTHONPATH=.:tests:tests/support
    python tests/slow/soak.py --seconds 600              # models stood in for, with small delays
    python tests/slow/soak.py --seconds 3600 --bundled   # the bundled models

Callers ask everything there is to ask: texts, streams, checks, documents, jobs with and without callbacks,
the compatible interfaces, glossaries; some go away in the middle. Batches run beside them, are killed and
started again. For the first 60% nothing happens to the server, and its memory, descriptors, threads and files
are to stay flat (footprint.py says how flat). Then its worker, or one of several, or the process of their
engines, is killed again and again: every accepted job still ends, with its result and its callback, and every
answer is whole. Exits with 1 if something fails.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from footprint import Footprint, family, look, table, unflat
from server_process import ROOT, SUPPORT, BenchServer, CallbackReceiver, environment
from soak_load import SENTENCES, Disturbances, SoakCaller, SoakFindings
from wire import Connection, Sent

MOST_RUNS = 40
RUN_S = 900.0


class Batches:
    """Batches in a folder, with the bundled model or one that is stood in for."""

    def __init__(self, folder: Path, *, bundled: bool, records: int, seed: int):
        self._folder = folder
        self._rng = random.Random(seed)
        self._records = records
        program = str(SUPPORT / "stand_in.py")
        self._program = ["-m", "service"] if bundled else [program, "4"]
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"data_dir": folder / "data", "offline": True}
        if not bundled:
            settings["cache_dir"] = folder / "cache"
        (folder / "tmp").mkdir(exist_ok=True)
        self._environment = environment(folder / "tmp", **settings)
        self.runs = self.kills = 0
        self.faults: list[str] = []

    def work(self, over: threading.Event) -> None:
        """One batch after another until it is over; at least one."""
        number = 0
        while number == 0 or not over.is_set():
            self._one(number, over)
            number += 1

    def _one(self, number: int, over: threading.Event) -> None:
        source, whole, out = (self._folder / f"{number}.{name}.jsonl" for name in ("in", "whole", "out"))
        texts = [" ".join(self._rng.sample(SENTENCES, 3)) + f" Number {i}." for i in range(self._records)]
        source.write_text("".join(json.dumps({"id": i, "text": t}) + "\n" for i, t in enumerate(texts)))
        killed = 0
        while not out.exists() and not self.faults:
            code = self._run(
                source, out, kill=killed == 0 or (self._rng.random() < 0.7 and not over.is_set())
            )
            killed += code == -signal.SIGKILL
            if code not in (0, -signal.SIGKILL) or killed > MOST_RUNS:
                self.faults.append(f"the batch {number} ended with {code} after {killed} kills")
        if not self.faults and self._run(source, whole, kill=False) == 0:
            if out.read_bytes() != whole.read_bytes():
                self.faults.append(f"the batch {number} came out differently after {killed} kills")
            if list(self._folder.glob("*.part")):
                self.faults.append(f"the batch {number} left a .part")
        self.kills += killed
        self.runs += 1
        for path in self._folder.glob(f"{number}.*"):
            path.unlink()

    def _run(self, source: Path, out: Path, *, kill: bool) -> int:
        """The exit code of one run, which `kill` ends a moment after it began to write."""
        process = subprocess.Popen(
            [sys.executable, *self._program, *_arguments(source, out)],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if kill:
                cache = Path(f"{out}.cache")
                while process.poll() is None and not cache.exists():
                    time.sleep(0.01)
                try:
                    process.wait(self._rng.uniform(0.0, 0.6))
                except subprocess.TimeoutExpired:
                    process.kill()
            return process.wait(RUN_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _arguments(source: Path, out: Path) -> Sequence[str]:
    return "batch", "translate", "--to", "fr", "--from", "en", str(source), str(out)


STEADY = 0.6
"""The part of the time before the first kill."""
LOOKS = 120
ENDS_IN_S = 90.0
EACH_IS_BACK_S = 1.0
"""Time for each worker to find new engines: only one of them says that it is ready."""
SECRET = "0123456789abcdef-soak"


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """How long, how many callers, and what with."""

    seconds: float = 600.0
    callers: int = 4
    kill_every_s: float = 15.0
    records: int = 400
    bundled: bool = False
    workers: int = 1
    seed: int = 0
    delay_ms: float = 5.0

    @property
    def deadline_s(self) -> float:
        """A request's, and what the two cores may add."""
        return 120.0 if self.bundled else 15.0


@dataclass
class SoakResult:
    """What came of it."""

    seen: list[Footprint]
    findings: SoakFindings
    kills: int
    batches: Batches
    faults: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The run in figures."""
        told = self.findings
        return {
            "requests": told.statuses.total(),
            "statuses": {str(status): count for status, count in sorted(told.statuses.items())},
            "kinds": dict(sorted(told.asked.items())),
            "answers_given_twice": told.repeated,
            "jobs_ended": told.jobs,
            "callbacks_told": told.callbacks,
            "worker_kills": self.kills,
            "batches": self.batches.runs,
            "batch_kills": self.batches.kills,
            "faults": len(self.faults),
        }


class Soak:
    """One run over a server in `folder`."""

    def __init__(self, plan: SoakPlan, folder: Path):
        self._plan = plan
        self._folder = folder
        self._over = threading.Event()
        self._disturbances = Disturbances()
        self._findings = SoakFindings()
        self._batches = Batches(
            folder / "batches", bundled=plan.bundled, records=plan.records, seed=plan.seed
        )
        self._kills = 0
        self._started = time.monotonic()

    def run(self) -> SoakResult:
        plan = self._plan
        settings = {
            "callback_secret": SECRET,
            "callback_private": True,
            "request_timeout_s": plan.deadline_s,
            "workers": plan.workers,
        }
        with (
            CallbackReceiver() as receiver,
            BenchServer(self._folder, bundled=plan.bundled, delay_ms=plan.delay_ms, **settings) as server,
        ):
            self._ready(server)
            threads = [self._thread(self._batches.work, self._over)]
            threads += [
                self._thread(self._call, server, receiver, random.Random(f"{plan.seed}:{i}"))
                for i in range(plan.callers)
            ]
            self._started = time.monotonic()
            seen = self._watch(server, plan.seconds * STEADY)
            self._kill_now_and_then(server, plan.seconds * (1 - STEADY))
            self._over.set()
            end = time.monotonic() + (ENDS_IN_S if not plan.bundled else 10 * ENDS_IN_S)
            for thread in threads:
                thread.join(max(0.0, end - time.monotonic()))
            hung = sum(thread.is_alive() for thread in threads)
            faults = [*self._findings.faults, *self._batches.faults, *unflat(seen)]
            faults += [f"{hung} callers or batches did not come to an end"] if hung else []
            faults += self._left(server)
        if orphans := self._orphans(server.process.pid):
            faults.append(f"{orphans} processes outlived the server")
        if shared := list(server.temporary.rglob("server-*")):
            faults.append(f"what the workers shared was left: {shared}")
        if server.process.returncode != 0:
            faults.append(f"the server ended with {server.process.returncode}")
        return SoakResult(seen, self._findings, self._kills, self._batches, faults)

    # ------------------------------------------------------------------ inside

    def _thread(self, work: Callable[..., None], *given: Any) -> threading.Thread:
        thread = threading.Thread(target=work, args=given, daemon=True)
        thread.start()
        return thread

    def _call(self, server: BenchServer, receiver: CallbackReceiver, rng: random.Random) -> None:
        caller = SoakCaller(
            server,
            self._findings,
            self._disturbances,
            rng,
            callback=receiver.url,
            told=receiver.told,
            deadline_s=self._plan.deadline_s + 5.0,
            exact=not self._plan.bundled,
        )
        while not self._over.is_set():
            caller.one()
        caller.close()

    def _watch(self, server: BenchServer, seconds: float) -> list[Footprint]:
        seen, start = [], time.monotonic()
        while (now := time.monotonic() - start) < seconds:
            seen.append(
                look(
                    server.process.pid,
                    started=self._started,
                    data=server.data_dir,
                    temporary=server.temporary,
                )
            )
            time.sleep(max(0.05, seconds / LOOKS - (time.monotonic() - start - now)))
        return seen

    def _kill_now_and_then(self, server: BenchServer, seconds: float) -> None:
        rng, end = random.Random(self._plan.seed), time.monotonic() + seconds
        every_s = min(self._plan.kill_every_s, seconds / 2)
        while time.monotonic() < end:
            with self._disturbances.one():
                before = server.children()
                killed = rng.choice(before)
                os.kill(killed, signal.SIGKILL)
                self._kills += 1
                while killed in (now := server.children()) or len(now) < len(before):
                    time.sleep(0.02)
                self._ready(server)
                if self._plan.workers > 1:
                    time.sleep(EACH_IS_BACK_S)
            time.sleep(max(0.0, min(every_s * rng.uniform(0.5, 1.5), end - time.monotonic())))

    def _ready(self, server: BenchServer) -> None:
        """Wait until it serves; a minute, or ten with models to load."""
        connection = Connection(server.port, 60.0)
        end = time.monotonic() + (600.0 if self._plan.bundled else 60.0)
        while connection.send(Sent("GET", "/readyz")).status != 200:
            if time.monotonic() > end:
                self._findings.fault("the server did not become ready")
                break
            time.sleep(0.1)
        connection.close()

    def _orphans(self, leader: int, limit_s: float = 5.0) -> int:
        """How many processes of a server's session are still there, some seconds after its end."""
        end = time.monotonic() + limit_s
        while (found := len(family(leader))) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def _left(self, server: BenchServer) -> list[str]:
        """What is still there, after everybody has taken away what they brought."""
        connection = Connection(server.port, 60.0)
        jobs = connection.send(Sent("GET", "/v1/jobs")).json()["jobs"]
        connection.close()
        waiting = [job for job in jobs if job["status"] in ("queued", "running")]
        faults = [f"{len(waiting)} jobs have not ended"] if waiting else []
        files = [path for path in server.temporary.rglob("*") if path.is_file()]
        files = [path for path in files if "server-" not in str(path)]  # what its workers share
        return faults + ([f"temporary files were left: {files[:5]}"] if len(files) > 2 else [])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument(
        "--kill-every", type=float, default=15.0, help="seconds, in the last 40%% of the time"
    )
    parser.add_argument("--records", type=int, default=400, help="of a batch")
    parser.add_argument("--bundled", action="store_true", help="with the bundled models")
    parser.add_argument("--workers", type=int, default=1, help="of the server")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep the server's log and data there")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server ends too
    plan = SoakPlan(
        asked.seconds,
        asked.callers,
        asked.kill_every,
        asked.records,
        asked.bundled,
        asked.workers,
        asked.seed,
    )
    with tempfile.TemporaryDirectory(prefix="dragoman-soak-", ignore_cleanup_errors=True) as temporary:
        result = Soak(plan, asked.folder or Path(temporary)).run()
    print(table(result.seen))
    print(json.dumps(result.summary(), indent=1))
    for fault in result.faults[:50]:
        print(f"FAILED: {fault}")
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
