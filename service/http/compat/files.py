"""Finished files, kept for a while under names that cannot be guessed, until they are fetched."""

import secrets
import threading
import time
from dataclasses import dataclass

from models.errors import Overloaded


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file as it is to be downloaded."""

    name: str
    data: bytes
    media_type: str
    until: float
    """On `time.monotonic()`'s clock."""


class KeptFiles:
    """Keeps files in memory for `ttl_s`, at most `max_bytes` of them together."""

    def __init__(self, *, ttl_s: float = 1800.0, max_bytes: int = 64 << 20):
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._files: dict[str, KeptFile] = {}

    def put(self, name: str, data: bytes, media_type: str) -> str:
        """Keep a file; returns the key that it is fetched by. Raises Overloaded where there is no room."""
        with self._lock:
            self._sweep()
            if sum(len(file.data) for file in self._files.values()) + len(data) > self._max_bytes:
                raise Overloaded("no more files can be kept now", retry_after_s=60.0)
            key = f"{secrets.token_urlsafe(18)}.{name}"
            self._files[key] = KeptFile(name, data, media_type, time.monotonic() + self._ttl_s)
            return key

    def get(self, key: str) -> KeptFile | None:
        """The file, unless its time is over."""
        with self._lock:
            self._sweep()
            return self._files.get(key)

    def _sweep(self) -> None:
        now = time.monotonic()
        self._files = {key: file for key, file in self._files.items() if file.until > now}
