"""`dragoman batch` as a program that tests can kill, and inputs for it; see `batch_runtime`."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from waiting import until

HERE = Path(__file__).parent

TRANSLATE = ("translate", "--to", "fr", "--from", "en")

SHARED = [f"This is sentence number {i}, which stands in many of the articles." for i in range(12)]


class Program:
    """`dragoman batch`, each time in a new process, and the sentences that its engine did."""

    def __init__(self, folder, module="batch_runtime", **given):
        self.folder = folder
        environment = {
            **os.environ,
            **given,
            "DRAGOMAN_DATA_DIR": str(folder),
            "DRAGOMAN_CACHE_DIR": str(folder),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),
        }
        self._stderr = (folder / "stderr").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=HERE,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )

    def run(self, source, out, *options, **how):
        """The exit code; -9 if it was killed before its end."""
        self.start(source, out, *options, **how)
        return self.end()

    def start(self, source, out, *options, delay_s=0.0):
        """Begin a run, which `end` waits for; returns the process's id."""
        arguments = ["batch", *TRANSLATE, str(source), str(out), *options]
        asked = {"arguments": arguments, "log": str(self.log(out)), "delay_s": delay_s}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self):
        """The run's exit code."""
        return int(self._process.stdout.readline())

    def cut_off(self, source, out, *, sentences, delay_s, late_s=0.0):
        """A run that is killed once more than so many sentences or all are done; its exit code."""
        process = self.start(source, out, delay_s=delay_s)
        until(lambda: self.done(out).total() > sentences or Path(out).exists())
        time.sleep(late_s)
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        return self.end()

    def log(self, out):
        return out.with_name(out.name + ".log")

    def done(self, out):
        """The sentences that were done for this output, with how often."""
        log = self.log(out)
        return Counter(log.read_text().splitlines()) if log.exists() else Counter()

    def forget(self, out):
        self.log(out).unlink(missing_ok=True)

    def opened(self, out):
        """The processes that opened a runtime for this output, in order."""
        log = self.log(out)
        pids = log.with_name(log.name + ".pids")
        return list(map(int, pids.read_text().split())) if pids.exists() else []

    def errors(self):
        """What all runs have said."""
        return (self.folder / "stderr").read_text()

    def close(self):
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()
        self._stderr.close()


def articles(count, seed=0):
    """Lines of an input: articles that share sentences, some the same, some poisoned, some nonsense."""
    rng = random.Random(seed)
    lines = []
    for i in range(count):
        text = " ".join([f"Article {i} is about something.", *rng.sample(SHARED, rng.randint(0, 3))])
        if i % 50 == 3:
            text = "This sentence ✗ is poison. And more."
        if i % 20 == 7:
            text = "The same article stands here again and again."
        lines.append("nonsense" if i % 70 == 5 else json.dumps({"id": i, "text": text}))
    return lines


def written(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return path
