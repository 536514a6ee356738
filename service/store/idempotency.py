"""Answers kept for a day under the Idempotency-Key of their request, in SQLite, so that it is done once.

The rules are the IETF's (draft-ietf-httpapi-idempotency-key-header): the same key with the same request gets
the first one's answer; with another request, or while the first one is in work, it is an error.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.errors import KeyInUse, KeyReused
from service.shares import KEPT_ANSWER_BYTES, stored_shares
from service.store.database import Database

KEPT_S = 86_400.0
ROW_BYTES = 1000
"""Bytes that an answer takes beside its body."""

_TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS request (
    caller TEXT NOT NULL, key TEXT NOT NULL, owner TEXT, fingerprint BLOB NOT NULL, reference TEXT NOT NULL,
    until REAL NOT NULL, status INTEGER, headers TEXT, body BLOB, bytes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (caller, key)
);
CREATE INDEX IF NOT EXISTS request_until ON request (until);
CREATE INDEX IF NOT EXISTS request_owner ON request (owner, bytes);
"""
_BEGIN = """
INSERT OR REPLACE INTO request (caller, key, owner, fingerprint, reference, until) VALUES (?, ?, ?, ?, ?, ?)
"""
_FINISH = """
UPDATE request SET status = ?, headers = ?, body = ?, bytes = ?, until = ?
WHERE caller = ? AND key = ? AND reference = ? AND status IS NULL
"""
_DROP_OLDEST = """
DELETE FROM request WHERE rowid = (
    SELECT rowid FROM request WHERE caller = ? AND status IS NOT NULL ORDER BY until LIMIT 1
)
"""
_EXPIRE = (
    "DELETE FROM request WHERE until <= :now AND (status IS NOT NULL OR until <= :now - :kept)",
    "DELETE FROM request WHERE until > :now + :kept",
)
"""A request that was killed keeps its reference for a day; what ends still later had a wrong clock."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that is done for the first time, or again after its server was killed."""

    caller: str
    key: str
    reference: str
    """128 random bits, the same for both: whatever is made under it is made once."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a request was answered with."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class IdempotencyStore:
    """The answers in a file, which is made at its first use. Threads and processes may share it."""

    def __init__(self, file: Path, *, max_bytes: int = KEPT_ANSWER_BYTES):
        self._max_bytes = max_bytes
        self._database = Database(file, "the answers under idempotency keys", _TABLES)

    def begin(
        self, owner: str | None, caller: str, key: str, fingerprint: bytes, timeout_s: float
    ) -> Begun | KeptAnswer:
        """Return the kept answer, or take the key for a request that takes at most `timeout_s`.

        Raises KeyReused for a key that another request had, and KeyInUse while the first one is in work.
        """
        now = time.time()
        query = "SELECT fingerprint, reference, until, status, headers, body FROM request "
        with self._database.transaction() as db:
            _expire(db, now)
            row = db.execute(f"{query} WHERE caller = ? AND key = ?", (caller, key)).fetchone()
            reference = secrets.token_hex(16)
            if row is not None:
                known, reference, until, status, headers, body = row
                if known != fingerprint:
                    raise KeyReused("another request had this Idempotency-Key", field="Idempotency-Key")
                if status is not None:
                    return KeptAnswer(status, json.loads(headers), body)
                if until > now:
                    raise KeyInUse("a request with this Idempotency-Key is in work", field="Idempotency-Key")
            db.execute(_BEGIN, (caller, key, owner, fingerprint, reference, now + timeout_s))
        return Begun(caller, key, reference)

    def finish(self, begun: Begun, owner: str | None, answer: KeptAnswer) -> None:
        """Keep the answer, and drop the caller's oldest ones beyond their share."""
        told = (answer.status, json.dumps(dict(answer.headers)), answer.body, ROW_BYTES + len(answer.body))
        which = (begun.caller, begun.key, begun.reference)
        with self._database.transaction() as db:
            db.execute(_FINISH, (*told, time.time() + KEPT_S, *which))
            for _, condition, value, share in stored_shares(begun.caller, owner):
                query = f"SELECT coalesce(sum(bytes), 0) FROM request WHERE {condition}"  # noqa: S608
                while db.execute(query, (value,)).fetchone()[0] > share * self._max_bytes:
                    if not db.execute(_DROP_OLDEST, (begun.caller,)).rowcount:
                        break

    def give_back(self, begun: Begun) -> None:
        """Let the key be used anew: its request failed, and nothing came of it."""
        self._database.write(
            "DELETE FROM request WHERE caller = ? AND key = ? AND reference = ? AND status IS NULL",
            *(begun.caller, begun.key, begun.reference),
        )

    def expire(self) -> None:
        """Forget what is over a day old."""
        if self._database.file.exists():
            with self._database.transaction() as db:
                _expire(db, time.time())


def _expire(db: sqlite3.Connection, now: float) -> None:
    for statement in _EXPIRE:
        db.execute(statement, {"now": now, "kept": KEPT_S})
