"""Sets how many threads each worker of a loaded CTranslate2 model computes with.

CTranslate2 takes that number when it loads a model, once for all workers. But a batch that runs alone is
quickest on all cores, and batches that run side by side are on one core each; two loaded models, one for
each, would take twice the memory. So the workers' own threads are told: CTranslate2 calls a callback from
them, and there `omp_set_num_threads` holds for that worker. Where OpenMP's library is not libgomp, as it is
in CTranslate2's packages for Linux, nothing is set.
"""

import ctypes
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

MEETING_S = 1.0
"""Workers that are told together wait no longer for each other; one of them may have got work meanwhile."""


def openmp(maps: Path = Path("/proc/self/maps")) -> list[ctypes.CDLL]:
    """Return the loaded copies of libgomp; none unless CTranslate2 has brought one.

    torch brings one too, and where it was imported before CTranslate2, both compute with torch's: its symbols
    are global. So all are told.
    """
    try:
        paths = {line.split()[-1] for line in maps.read_text().splitlines() if "/libgomp" in line}
        return [ctypes.CDLL(path) for path in sorted(paths)] if "ctranslate2" in str(paths) else []
    except OSError:
        return []


class WorkerThreads:
    """The threads of a model's workers. `probe(callback)` runs a greedy search of one token in a free worker.

    All methods may be called from any thread.
    """

    def __init__(
        self,
        libraries: Sequence[Any],
        probe: Callable[[Callable[[Any], bool]], None],
        workers: int,
    ):
        self._libraries = libraries
        self._probe = probe
        self._workers = workers
        self._threads: dict[int, int] = {}
        """By a worker's native thread."""
        self._lock = threading.Lock()

    def set(self, threads: int, *, free: int) -> None:
        """Have those workers compute with so many threads that have nothing to do, `free` of them."""
        with self._lock:
            known = list(self._threads.values())
            if known.count(threads) == self._workers:
                return
            setter = self._setter(threads, threading.Barrier(free))
            others = [threading.Thread(target=self._tell, args=[setter]) for _ in range(free - 1)]
            for other in others:
                other.start()
            self._tell(setter)
            for other in others:
                other.join()

    def _tell(self, setter: Callable[[Any], bool]) -> None:
        try:
            self._probe(setter)
        except Exception:
            log.exception("the number of threads could not be set; the model works all the same")

    def _setter(self, threads: int, meeting: threading.Barrier) -> Callable[[Any], bool]:
        def called(_: Any) -> bool:
            worker = threading.get_native_id()
            if self._threads.get(worker) != threads:
                for library in self._libraries:
                    library.omp_set_num_threads(threads)
                self._threads[worker] = threads
            if meeting.parties > 1 and not meeting.broken:
                with suppress(threading.BrokenBarrierError):
                    meeting.wait(MEETING_S)  # so that each of them is told, and none of them twice
            return True

        return called
