"""Parses untrusted files and pages in child processes, each with a memory limit and a deadline.

A parser that loops or fills memory cannot be stopped from inside its process, and while it holds the
interpreter nothing else runs. So each call has its own process, which is killed when it takes too much. It is
forked from a server with the parsers loaded (multiprocessing's forkserver): about 3 ms to start, 15 ms in all
for a page of 2 MB. A pool that reuses processes (pebble) would save those, but shares a pipe and a lock that
a killed worker can break for all.
"""

import atexit
import contextlib
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from models.errors import DeadlineExceeded, DragomanError, InvalidInput
from service.shares import CALLER, READER, READER_CPU_S, Shares, idle

R = TypeVar("R")

PARSERS = (
    "trafilatura",
    "models.text.article.html_article",
    *(f"service.documents.{path.stem}" for path in sorted(Path(__file__).parent.glob("documents/[a-z]*.py"))),
)
"""Imported once, before the first fork. A server's own process has few of its modules: 17 MB less."""
LEAST_BYTES = 256 << 20
BYTES_FOR_EACH = 100
"""Memory for each byte of a file, above the least; honest pages of 2 MB take 100 of them in all."""
MOST_BYTES = 1 << 30
NICENESS = 5
"""The server and its engines go first where processors are short."""
STOPS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
LOOK_EVERY_S = 0.25
LONGEST_TEMP_DIR = 70
"""Bytes of the path of temporary files beyond which a socket in them has a name too long for the system."""


def _nobody_stops() -> None:
    """Stand for the caller's question whether it is still waited for."""


class Children:
    """Runs functions in processes of their own, `most` at a time, callers in turn. Threads may share it."""

    def __init__(self, most: int = 2 * (os.cpu_count() or 1)):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(PARSERS))
        shorten_socket_paths()
        self._readers = Shares(READER, most)
        self._starting = threading.Lock()

    def run(
        self,
        function: Callable[..., R],
        *arguments: Any,
        field: str,
        timeout_s: float,
        require: Callable[[], None] = _nobody_stops,
    ) -> R:
        """Return the function's value for the arguments. All three are pickled.

        Takes `CALLER`'s share. `field` is the request's field that the input came in. `require` is asked
        four times a second, and raises when nobody waits for the value any more. Raises whatever the function
        raises, InvalidInput if it takes too much memory or processor time or does not survive, and
        DeadlineExceeded after `timeout_s`, which includes the time until it is the caller's turn.
        """
        deadline = time.monotonic() + timeout_s
        with idle(), self._readers.turn(CALLER.get(), deadline=deadline, require=require):
            size = sum(len(each) for each in arguments if isinstance(each, (bytes, str)))
            most_bytes = min(MOST_BYTES, LEAST_BYTES + BYTES_FOR_EACH * size)
            received, sent = self._context.Pipe(duplex=False)
            with received:
                with sent:
                    child = self._context.Process(
                        target=_serve, args=(sent, function, arguments, most_bytes, READER_CPU_S), daemon=True
                    )
                    with self._starting, quiet_start():
                        child.start()
                value: R = _answer(received, child, deadline, field, require)
                return value


def shorten_socket_paths() -> None:
    """Put the fork server's socket where its name fits, if temporary files have a long path."""
    own = multiprocessing.current_process()._config  # type: ignore[attr-defined]  # nothing else sets it
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_TEMP_DIR and not own.get("tempdir"):
        own["tempdir"] = tempfile.mkdtemp(prefix="dragoman-", dir="/tmp")
        atexit.register(_remove, own["tempdir"], os.getpid())


def _remove(folder: str, pid: int) -> None:
    """Remove a folder in the process that made it; forked ones do at their end what it had planned."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def quiet_start(stops: Collection[int] = STOPS) -> Iterator[None]:
    """Start a process of multiprocessing in this context: `stops` are held, see `stops_held`.

    It does not import this process's main module anew, which it needs for nothing.
    """
    resource_tracker.ensure_running()  # its start, inside the other one's, would let the signals in again
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        with stops_held(stops):
            yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def stops_held(stops: Collection[int] = STOPS) -> Iterator[None]:
    """Block these signals, for good in a process that is started meanwhile, and in those that it starts.

    A terminal or a unit of systemd sends them to every process; the service says when its work is finished.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(
    received: Connection,
    child: BaseProcess,
    deadline: float,
    field: str,
    require: Callable[[], None],
) -> Any:
    """Wait for the child's value, raise its error, or end it."""
    try:
        while not received.poll(max(0.0, min(LOOK_EVERY_S, deadline - time.monotonic()))):
            require()
            if time.monotonic() >= deadline:
                raise DeadlineExceeded(f"the {field} could not be read before the request's deadline")
        good, value = pickle.loads(received.recv_bytes())  # noqa: S301 - our own functions' values
    except EOFError:  # it was ended by the system, or a library ended it
        child.join()
        if child.exitcode == -signal.SIGXCPU:
            allowed = f"{READER_CPU_S} seconds of a processor"
            raise InvalidInput(f"reading the {field} takes too long", field=field, allowed=allowed) from None
        raise InvalidInput(f"the {field} could not be read: its parser crashed", field=field) from None
    finally:
        child.kill()
        child.join()
        child.close()
    if not good:
        raise value or _too_large(field)
    return value


def _too_large(field: str) -> InvalidInput:
    return InvalidInput(
        f"reading the {field} takes too much memory",
        field=field,
        allowed=f"{LEAST_BYTES >> 20} MB, and {BYTES_FOR_EACH} bytes more for each of its own, "
        f"at most {MOST_BYTES >> 20} MB",
    )


# ------------------------------------------------------------------------------------- in the child


def _serve(
    sent: Connection, function: Callable[..., Any], arguments: tuple[Any, ...], most_bytes: int, cpu_s: int
) -> None:
    """Call the function within its limits, and send whether that went well, and the value or the error."""
    os.nice(NICENESS)
    if sys.platform == "linux":  # elsewhere nothing holds a process to it
        _limit(resource.RLIMIT_AS, _mapped_bytes() + most_bytes)
    _limit(resource.RLIMIT_CPU, cpu_s)
    _limit(resource.RLIMIT_CORE, 0)
    try:
        message = pickle.dumps((True, function(*arguments)))
    except MemoryError:
        message = pickle.dumps((False, None))
    except DragomanError as error:
        message = pickle.dumps((False, error))
    except Exception as error:  # noqa: BLE001 - a bug of ours, to be told where requests are answered
        message = pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
    with contextlib.suppress(OSError):  # nobody waits any more
        sent.send_bytes(message)


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _mapped_bytes() -> int:
    """Return the size of this process's address space, which the limit counts. Linux only."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
