"""Starts engine processes, one for each card, watches them, and restarts those that end.

A file holds the current process's address, so that every process of the service can connect.
"""

import logging
import os
import pickle
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection
from pathlib import Path

from service.children import stops_held
from service.settings import Settings
from service.store.database import private

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 3.0
"""Pauses before a process that ended is replaced: each twice the last one, until one lives that long."""
KEY_BYTES = 32
COMMAND = (sys.executable, "-m", "service.engine_process")
ENGINES = "engines.at"
"""Begins the names of the files for `connect` in the workers' shared folder."""


@dataclass(frozen=True, slots=True)
class ProcessStart:
    """What the process reads from its standard input."""

    address: str
    key: bytes
    settings: Settings
    log_level: int
    """Of our own lines: a command's terminal is for what it says itself."""


def connect(file: Path) -> Connection:
    """Connect to the process that the file names. Raises OSError or EOFError while there is none."""
    content = file.read_bytes()
    return Client(content[KEY_BYTES:].decode(), "AF_UNIX", authkey=content[:KEY_BYTES])


class EngineSupervisor:
    """Keeps one process running from the first `look` to `close`, which one thread calls, or `watch` does.

    `file` is for `connect`. `card`, in the words of CUDA_VISIBLE_DEVICES, is all that the process sees of the
    cards; with None it sees what this one does. The process ends when its standard input does, so it never
    outlives this one.
    """

    def __init__(
        self,
        settings: Settings,
        file: Path,
        *,
        command: Sequence[str] = COMMAND,
        card: str | None = None,
    ):
        self._settings = settings
        self._environment = os.environ | ({} if card is None else {"CUDA_VISIBLE_DEVICES": card})
        self._name = "the model process" if card is None else f"the model process of card {card}"
        self._file = file
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._due: float | None = None
        """When a process that ended is replaced."""

    @property
    def pid(self) -> int | None:
        """The id of the process that runs now; None if there is none."""
        return None if self._process is None else self._process.pid

    def look(self) -> None:
        """Start the process if there is none, or start it again if its pause is over; returns at once.

        Raises OSError if it cannot be started the first time; later that is tried again and again.
        """
        now = time.monotonic()
        if self._process is None:
            self._begin()
        elif self._due is None and (code := self._process.poll()) is not None:
            log.error("%s ended (%s)", self._name, exit_words(code))
            longer_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            self._pause_s = FIRST_PAUSE_S if now - self._began > LONGEST_PAUSE_S else longer_s
            self._due = now + self._pause_s
        elif self._due is not None and now >= self._due:
            _close_input(self._process)
            log.error("restarting %s", self._name)
            try:
                self._begin()
            except OSError as error:  # no memory for a process, or no room for the file
                log.error("%s cannot be started: %s", self._name, error)
                self._due = now + LONGEST_PAUSE_S

    def watch(self, closing: threading.Event) -> None:
        """Look whenever the process ends, until `closing`."""
        while not closing.is_set():
            self.look()
            assert self._process is not None  # noqa: S101 - `look` has started one
            self._process.wait()
            closing.wait(FIRST_PAUSE_S / 2)

    def close(self) -> None:
        """End the process."""
        if (process := self._process) is None:
            return
        _close_input(process)
        try:
            process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _begin(self) -> None:
        """Start a process; each has an address of its own, so that nobody connects to one that has ended."""
        address = str(self._file.with_name(f"engines-{secrets.token_hex(4)}"))
        level = logging.getLogger("service").getEffectiveLevel()
        start = ProcessStart(address, secrets.token_bytes(KEY_BYTES), self._settings, level)
        fresh = self._file.with_name(f"{self._file.name}.new")
        private(fresh)
        fresh.write_bytes(start.key + address.encode())
        fresh.replace(self._file)
        home = Path(__file__).parent.parent
        with stops_held():
            process = subprocess.Popen(  # noqa: S603
                self._command, stdin=subprocess.PIPE, cwd=home, env=self._environment
            )
        assert process.stdin is not None  # noqa: S101 - it was asked for
        with suppress(BrokenPipeError):  # it ended at once, which the next look sees
            process.stdin.write(pickle.dumps(start))
            process.stdin.flush()
        self._process, self._began, self._due = process, time.monotonic(), None


def supervisors(
    settings: Settings, file: Path, cards: Sequence[str], *, command: Sequence[str] = COMMAND
) -> dict[Path, EngineSupervisor]:
    """Return a supervisor for each card, by its file; one where there are fewer than two cards."""
    if len(cards) < 2:
        return {file: EngineSupervisor(settings, file, command=command)}
    files = [file.with_name(f"{file.name}.{number}") for number in range(len(cards))]
    return {
        own: EngineSupervisor(settings, own, command=command, card=card)
        for own, card in zip(files, cards, strict=True)
    }


def _close_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101 - it was asked for
    with suppress(BrokenPipeError):  # it had not read what it was sent
        process.stdin.close()


def exit_words(code: int) -> str:
    """Return how a process ended, by the code that `subprocess` gives."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
