"""Better translations that people sent in: one JSON line each, for whoever looks after the service."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

from models.errors import InvalidInput
from service.glossaries import StoreUnavailable

MAX_BYTES = 32 << 20


class Suggestions:
    """Appends to one file, up to MAX_BYTES. Threads may share it."""

    def __init__(self, file: Path):
        self._file = file
        self._lock = threading.Lock()

    def add(self, *, text: str, translation: str, source: str, target: str) -> None:
        """Keep a suggestion. Raises InvalidInput when the file is full, and StoreUnavailable."""
        made = datetime.now(UTC).isoformat(timespec="seconds")
        fields = {"source": source, "target": target, "text": text, "translation": translation, "sent": made}
        line = (json.dumps(fields, ensure_ascii=False) + "\n").encode()
        try:
            with self._lock:
                self._append(line)
        except OSError as error:
            raise StoreUnavailable(f"{self._file} cannot be written: {error.strerror}") from error

    def _append(self, line: bytes) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as stream:
            if stream.tell() + len(line) > MAX_BYTES:
                raise InvalidInput("no more suggestions are kept: the file is full", field="s")
            stream.write(line)
