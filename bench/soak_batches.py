"""Batch runs that are killed and started again: the output is an undisturbed run's, to the byte."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from server_process import ROOT, environment
from soak_load import SENTENCES

MOST_RUNS = 40
RUN_S = 900.0


class Batches:
    """Batches in a folder, with the bundled model or one that is stood in for."""

    def __init__(self, folder: Path, *, bundled: bool, records: int, seed: int):
        self._folder = folder
        self._rng = random.Random(seed)
        self._records = records
        program = str(ROOT / "bench" / "stand_in.py")
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
