"""What each system is given to do, measured: its rate, CPU time and answers, and what others computed."""

import itertools
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cipher_model import Cipher
from peers_systems import Dragoman, System

ARRAY, ARTICLE, PARAGRAPH, CLIENTS, SUMMARIES = 64, 40, 4, 16, 64
QUIET = 0.12
"""Processors that others may keep busy in a case; with more of them its figures say nothing."""
WAITS_S = 30.0
TICK = os.sysconf("SC_CLK_TCK")


class Load:
    """CPU time from now on: of a system's session (or this process and its ended children), this program, and
    everybody else."""

    def __init__(self, session: int | None = None):
        self._session = session
        self._start, self._at = self._look(), time.perf_counter()

    def _look(self) -> tuple[float, int, int]:
        own = system = 0
        here = os.getsid(0)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks = sum(map(int, fields[11:15]))  # with those of children that have ended
            own += ticks if int(fields[3]) in (here, self._session) else 0
            system += ticks if int(fields[3]) == self._session else 0
        user, nice, kernel, _idle, _io, irq, soft, *_ = map(
            int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        )
        of_system = sum(os.times()[:4]) if self._session is None else system / TICK
        return of_system, own, user + nice + kernel + irq + soft

    def look(self) -> tuple[float, float]:
        """Return the system's CPU seconds, and how many processors everybody else kept busy."""
        cpu_s, own, busy = (b - a for a, b in zip(self._start, self._look(), strict=True))
        return cpu_s, max(0.0, (busy - own) / TICK / (time.perf_counter() - self._at))


def wait_for_quiet(most_s: float = WAITS_S) -> None:
    """Wait until others do little, or so many seconds are over."""
    end = time.perf_counter() + most_s
    while time.perf_counter() < end:
        load = Load()
        time.sleep(1.0)
        if load.look()[1] < QUIET:
            return


@contextmanager
def busy_process(wanted: bool) -> Iterator[None]:
    """Keep one processor busy from another process of this session."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if wanted else None
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


class Tally:
    """What was asked and answered in one case, from any thread."""

    def __init__(self, cipher: Cipher):
        self._cipher = cipher
        self._lock = threading.Lock()
        self.seconds: list[float] = []
        self.sentences = self.wrong = 0
        self.error = ""

    def ask(self, sources: list[list[str]], request: Callable[[], list[str]]) -> bool:
        """Time a request, and check its answers against the sentences of each text; False if it fails."""
        start = time.perf_counter()
        try:
            answers = request()
        except Exception as error:  # noqa: BLE001 - a case tells what happened
            self.error = repr(error)[:300]
            return False
        took = time.perf_counter() - start
        with self._lock:
            self.seconds.append(took)
        self.check(sources, answers)
        return True

    def check(self, sources: list[list[str]], answers: list[str]) -> None:
        """Count the sentences of each text, and those that its answer does not have."""
        wrong = sum(self._cipher.wrong(*each) for each in zip(sources, answers, strict=True))
        with self._lock:
            self.sentences += sum(map(len, sources))
            self.wrong += wrong

    def record(self, seconds: float) -> dict[str, Any]:
        ordered = sorted(self.seconds) or [float("nan")]
        return {
            "sentences": self.sentences,
            "sentences_per_s": round(self.sentences / seconds, 2),
            "median_s": round(statistics.median(ordered), 3),
            "p95_s": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
            "wrong": self.wrong,
            **({"error": self.error} if self.error else {}),
        }


def measured(session: int | None, run: Callable[[], dict[str, Any]], tries: int) -> dict[str, Any]:
    """Run a case when it is quiet; again if others computed meanwhile, and then say so.

    `cpu_ms` is the system's CPU time for a sentence, which says something beside others too.
    """
    record: dict[str, Any] = {}
    for _ in range(tries):
        if tries > 1:
            wait_for_quiet()
        load = Load(session)
        found = run()
        cpu_s, others = load.look()
        found |= {
            "cpu_ms": round(1000 * cpu_s / max(1, found["sentences"]), 1),
            "others_cores": round(others, 2),
        }
        if not record or found["others_cores"] < record["others_cores"]:
            record = found
        if record["others_cores"] < QUIET:
            return record
    return {**record, "noisy": True}


def from_clients(count: int, *, beside: bool = False) -> "Run":
    """So many clients, each sending one sentence after another."""

    def run(system: System, cipher: Cipher, seconds: float) -> dict[str, Any]:
        tally, order, lock = Tally(cipher), itertools.cycle(cipher.sentences), threading.Lock()

        def client() -> None:
            going = True
            while going and time.perf_counter() < end:
                with lock:
                    sentence = next(order)
                going = tally.ask([[sentence]], lambda sentence=sentence: [system.translate(sentence)])

        with busy_process(beside):
            start = time.perf_counter()
            end = start + seconds
            in_threads(client, count)
            return tally.record(time.perf_counter() - start)

    return run


def summarize_all(system: Dragoman, cipher: Cipher) -> None:
    """Have sixteen clients summarize some articles of 40 sentences."""
    texts = iter([" ".join(part) for part in in_parts(cipher.sentences, ARTICLE)][:SUMMARIES])
    lock = threading.Lock()

    def client() -> None:
        while True:
            with lock:
                text = next(texts, None)
            if text is None:
                return
            system.summarize(text)

    in_threads(client, CLIENTS)


def in_parts(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def as_article(sentences: list[str]) -> str:
    """Return a text of paragraphs, four sentences in each."""
    return "\n".join(" ".join(part) for part in in_parts(sentences, PARAGRAPH))


def in_threads(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def of_arrays(system: System, cipher: Cipher, seconds: float) -> dict[str, Any]:
    """Send requests of 64 sentences, one after another."""
    tally, order, start = Tally(cipher), itertools.cycle(cipher.sentences), time.perf_counter()
    going = True
    while going and time.perf_counter() < start + seconds:
        texts = list(itertools.islice(order, ARRAY))
        going = tally.ask([[text] for text in texts], lambda texts=texts: system.translate_all(texts))
    return tally.record(time.perf_counter() - start)


def of_articles(system: System, cipher: Cipher, seconds: float) -> dict[str, Any]:
    """Send articles of 40 sentences, one after another."""
    tally, order, start = Tally(cipher), itertools.cycle(cipher.sentences), time.perf_counter()
    going = True
    while going and time.perf_counter() < start + seconds:
        sentences = list(itertools.islice(order, ARTICLE))
        article = as_article(sentences)
        going = tally.ask([sentences], lambda article=article: [system.translate(article)])
    return tally.record(time.perf_counter() - start)


Run = Callable[[System, Cipher, float], dict[str, Any]]

CASES: dict[str, Run] = {
    "one": from_clients(1),
    "clients": from_clients(CLIENTS),
    "array": of_arrays,
    "article": of_articles,
    "one beside": from_clients(1, beside=True),
    "clients beside": from_clients(CLIENTS, beside=True),
    "one after": from_clients(1),
    "clients after": from_clients(CLIENTS),
}
"""`beside` one busy process; `after` 64 summaries from sixteen clients, which Dragoman alone is asked for."""
