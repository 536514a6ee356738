"""A runtime for batches: the real tasks over an engine whose outputs depend on their company, as int8's do.

`python -m batch_runtime` reads commands as JSON lines from standard input and forks a process for each, so
that a test can kill many without each of them importing everything first. It answers with process ids.
"""

import fcntl
import gc
import hashlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from fake_pool import FakePool
from fake_runtime import PooledRuntime

import service.batch.executor as executor
import service.batch.run  # here, and not in each process
import service.batch.windows as windows
import service.problems  # noqa: F401
from models.engine.protocol import EngineStats, Output
from models.errors import DeadlineExceeded, EngineFailed
from service.cli.main import cli
from service.cli.session import Session

POISON = "✗"
SLOW = "☡"
"""A sentence with this takes as long as it may, unless it is alone and may take a second or more."""


class FileLock:
    """A lock that processes share, and that goes with the one that has it."""

    def __init__(self, path):
        self._file = path.open("w")

    def acquire(self, *, blocking):
        assert not blocking
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self):
        fcntl.flock(self._file, fcntl.LOCK_UN)


class CompanyEngine:
    """Capitals, and at the end a letter that tells what else was in the submission.

    `log` gets a line for each sentence that is done for the first time. Submissions must not overlap; all of
    one waits in the queue until it is done.
    """

    def __init__(self, log=None, delay_s=0.0):
        self._log = log
        self._delay_s = delay_s
        self.busy = threading.Lock()
        self.submissions = []
        self._queued = 0

    def submit(self, generations, *, wait=False):
        assert wait
        assert self.busy.acquire(blocking=False), "two submissions at once"
        self._queued = len(generations)
        self.submissions.append([_text(each) for each in generations])
        futures = [Future() for _ in generations]
        thread = threading.Thread(target=self._work, args=(generations, futures), daemon=True)
        thread.start()
        return futures

    def _work(self, generations, futures):
        company = hashlib.sha256(repr([each.source_ids for each in generations]).encode())
        mark = "abcdefghijklmnop"[company.digest()[0] % 16]
        time.sleep(self._delay_s)
        self._queued = 0
        self.busy.release()  # before the futures, whose waiters may submit at once
        for generation, future in zip(generations, futures, strict=True):
            if future.set_running_or_notify_cancel():
                self._answer(generation, future, mark)

    def _answer(self, generation, future, mark):
        text = _text(generation)
        searched = generation.decoding  # the echo is tried once more, with beams, and then scored
        first = searched.num_beams == 1 and not searched.only_scores
        if self._log is not None and first and text != "Yes.":
            with self._log.open("a") as file:
                file.write(text + "\n")
        if SLOW in text and generation.deadline is not None:
            future.set_exception(DeadlineExceeded("too slow"))
        elif POISON in text:
            future.set_exception(EngineFailed("the model failed on this text"))
        else:
            future.set_result(Output(tuple(map(ord, text.upper() + mark)), -1.0))

    def stats(self):
        return EngineStats(queued=self._queued)

    def close(self):
        pass


def _text(generation):
    return "".join(map(chr, generation.source_ids[1:-1]))


class BatchRuntime(PooledRuntime):
    """What the batch commands need of a runtime."""

    def __init__(self, settings, log=None, delay_s=0.0, revision="r1"):
        self._log = log
        self.engine = CompanyEngine(log, delay_s)
        pool = FakePool(engine=self.engine)
        pool.owner = lambda engine: pool.catalog.get(settings.translate_model)
        pool.store.revisions = dict.fromkeys((e.name for e in pool.catalog.entries), revision)
        super().__init__(settings.model_copy(update={"summarize_model": "facebook/bart-large-cnn"}), pool)
        self.settings = settings
        self.device = "cuda" if settings.device == "cuda" else "cpu"

    def part_engines(self, kept=None):
        """One engine a card for all processes, as it were: their submissions must not overlap either."""
        cards = range(int(os.environ.get("CARDS", 1)))
        files = kept or [self._log.with_name(f"{self._log.name}.busy{card}") for card in cards]
        self._cards = [FileLock(file) for file in files]
        self.engine.busy = self._cards[0]
        return files

    def prefer_card(self, card):
        self.engine.busy = self._cards[card]
        with self._log.with_name(self._log.name + ".cards").open("a") as file:
            file.write(f"{card}\n")


def opened(log, delay_s, settings):
    """A runtime; which process has it is told beside the log."""
    executor.GENERATIONS_AT_ONCE = {"cpu": 16, "cuda": 40}  # here, as Ray's actors are other processes
    with log.with_name(log.name + ".pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return BatchRuntime(settings, log, delay_s)


def forked(arguments, log, delay_s):
    """Run the program in a process of its own; returns its id."""
    if (pid := os.fork()) != 0:
        return pid
    code = 99
    try:
        from batch_runtime import opened  # by its name: other processes are to find it too

        sys.argv[1:] = arguments
        session = Session(partial(opened, log, delay_s))
        code = cli(arguments, obj=session, standalone_mode=False) or 0
    except BaseException:  # noqa: BLE001 - it is a process of its own
        traceback.print_exc()
    finally:
        os._exit(code)


def main():
    windows.WINDOW_SIZES.update(dict.fromkeys(("cpu", "cuda"), windows.Size(40, 2**20)))
    windows.UNIT_SIZES.update(cpu=windows.Size(8, 100_000), cuda=windows.Size(30, 100_000))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell has put the tests behind
    gc.freeze()  # a collector that walks what is imported copies all of it, in each process anew
    for line in sys.stdin:
        asked = json.loads(line)
        pid = forked(asked["arguments"], Path(asked["log"]), asked["delay_s"])
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
