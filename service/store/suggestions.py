"""Better translations that users suggested: one JSON line each, for the operator.

The file is never rotated: old parts would be lost unread, or pile up. Its size is limited, in total and per
caller; beyond that suggestions are refused until the operator moves the file.
"""

import fcntl
import json
import logging
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from models.errors import InvalidInput
from service.errors import StoreUnavailable
from service.shares import SUGGESTION_BYTES, SUGGESTION_BYTES_OF_A_CALLER
from service.store.database import private

log = logging.getLogger(__name__)


class Suggestions:
    """Appends to one file, up to SUGGESTION_BYTES. Threads may share it, and processes the file."""

    def __init__(self, file: Path):
        self._file = file
        self._counted: tuple[int, int] = 0, 0
        """The file's inode and the size up to which `_bytes` is true of it."""
        self._bytes: Counter[str] = Counter()

    def add(self, *, text: str, translation: str, source: str, target: str, caller: str = "") -> None:
        """Keep a suggestion, with a caller's name that is neither a key nor an address.

        Raises InvalidInput when the file, or the caller's part of it, is full, and StoreUnavailable.
        """
        made = datetime.now(UTC).isoformat(timespec="seconds")
        fields = {"source": source, "target": target, "text": text, "translation": translation, "sent": made}
        line = (json.dumps(fields | {"caller": caller}, ensure_ascii=False) + "\n").encode()
        try:
            self._append(line, caller)
        except OSError as error:
            raise StoreUnavailable("the suggestions", self._file, error) from error

    def _append(self, line: bytes, caller: str) -> None:
        private(self._file)
        with self._file.open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # threads, and other processes; closing it ends that
            self._count(stream.fileno())
            if self._bytes[caller] + len(line) > SUGGESTION_BYTES_OF_A_CALLER:
                raise InvalidInput(
                    f"this caller already has {self._bytes[caller]} bytes of suggestions waiting to be read",
                    field="s",
                    allowed=f"at most {SUGGESTION_BYTES_OF_A_CALLER} bytes",
                )
            if stream.tell() + len(line) > SUGGESTION_BYTES:
                log.error("%s is full: suggestions are refused until the file is moved", self._file)
                raise InvalidInput("suggestions are full", field="s")
            stream.write(line)
            stream.flush()
            self._bytes[caller] += len(line)
            stat = os.fstat(stream.fileno())
            self._counted = stat.st_ino, stat.st_size

    def _count(self, descriptor: int) -> None:
        """Count by callers what others have added since; all of a file that took the place of the last."""
        stat = os.fstat(descriptor)
        inode, start = self._counted
        if inode != stat.st_ino or start > stat.st_size:
            start = 0
            self._bytes.clear()
        with self._file.open("rb") as lines:
            lines.seek(start)
            for line in lines:
                try:
                    self._bytes[str(json.loads(line).get("caller", ""))] += len(line)
                except (ValueError, AttributeError):
                    continue  # not one of ours
        self._counted = stat.st_ino, stat.st_size
