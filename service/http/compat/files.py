"""Finished files, kept for a while under names that cannot be guessed, until they are fetched."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from models.errors import Overloaded
from service.http.admission import Shares


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file as it is to be downloaded."""

    name: str
    data: bytes
    media_type: str
    until: float
    """On `time.monotonic()`'s clock."""
    caller: str


class KeptFiles:
    """Keeps files in memory for `ttl_s`, at most `max_bytes` of them together.

    Of these each caller has the share that `Shares` gives him; beyond it his own oldest files go.
    """

    def __init__(
        self,
        caller: Callable[[], str] = lambda: "",
        *,
        ttl_s: float = 1800.0,
        max_bytes: int = 64 << 20,
    ):
        self._caller = caller
        self._ttl_s = ttl_s
        self._shares = Shares(max_bytes, retry_after_s=60.0)
        self._lock = threading.Lock()
        self._files: dict[str, KeptFile] = {}

    def put(self, name: str, data: bytes, media_type: str) -> str:
        """Keep a file; returns the key that it is fetched by. Raises Overloaded where there is no room."""
        caller = self._caller()
        with self._lock:
            self._sweep()
            self._make_room(caller, len(data))
            key = f"{secrets.token_urlsafe(18)}.{name}"
            until = time.monotonic() + self._ttl_s
            self._files[key] = KeptFile(name, data, media_type, until, caller)
            return key

    def get(self, key: str) -> KeptFile | None:
        """The file, unless its time is over."""
        with self._lock:
            self._sweep()
            return self._files.get(key)

    def _make_room(self, caller: str, size: int) -> None:
        own = (key for key, file in list(self._files.items()) if file.caller == caller)
        while True:
            try:
                self._shares.take(caller, size)
            except Overloaded:
                if (oldest := next(own, None)) is None:
                    raise Overloaded("no more files can be kept now", retry_after_s=60.0) from None
                self._drop(oldest)
            else:
                return

    def _drop(self, key: str) -> None:
        file = self._files.pop(key)
        self._shares.give(file.caller, len(file.data))

    def _sweep(self) -> None:
        now = time.monotonic()
        for key in [key for key, file in self._files.items() if file.until <= now]:
            self._drop(key)
