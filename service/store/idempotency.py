"""Answers kept for a day under the Idempotency-Key of their request, so that it is done once.

The rules are the IETF's (draft-ietf-httpapi-idempotency-key-header): the same key with the same request gets
the first one's answer; with another request, or while the first one is in work, it is an error.
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, update

from service.errors import KeyInUse, KeyReused
from service.shares import KEPT_ANSWER_BYTES, stored_shares
from service.store.database import Database
from service.store.schema import idempotent_request
from service.store.statements import put, total

KEPT_S = 86_400.0
ROW_BYTES = 1000
"""Bytes that an answer takes beside its body."""

_kept = idempotent_request.c


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
    """The answers in a database. Threads and processes may share it."""

    def __init__(self, database: Database, *, max_bytes: int = KEPT_ANSWER_BYTES):
        self._database = database
        self._max_bytes = max_bytes

    def begin(
        self, owner: str | None, caller: str, key: str, fingerprint: bytes, timeout_s: float
    ) -> Begun | KeptAnswer:
        """Return the kept answer, or take the key for a request that takes at most `timeout_s`.

        Raises KeyReused for a key that another request had, and KeyInUse while the first one is in work.
        """
        now, reference = time.time(), secrets.token_hex(16)
        with self._database.transaction(alone=f"{caller} {key}") as db:
            _expire(db, now)
            if (
                row := db.execute(select(idempotent_request).where(*_of(caller, key))).one_or_none()
            ) is not None:
                if row.fingerprint != fingerprint:
                    raise KeyReused("another request had this Idempotency-Key", field="Idempotency-Key")
                if row.status is not None:
                    return KeptAnswer(row.status, json.loads(row.headers), row.body)
                if row.until > now:
                    raise KeyInUse("a request with this Idempotency-Key is in work", field="Idempotency-Key")
                reference = row.reference
            new = {
                "caller": caller,
                "key": key,
                "owner": owner,
                "fingerprint": fingerprint,
                "reference": reference,
                "until": now + timeout_s,
                "bytes": 0,
            }
            put(db, idempotent_request, [new], change=("until",))
        return Begun(caller, key, reference)

    def finish(self, begun: Begun, owner: str | None, answer: KeptAnswer) -> None:
        """Keep the answer, and drop the caller's oldest ones beyond their share."""
        told = {
            "status": answer.status,
            "headers": json.dumps(dict(answer.headers)),
            "body": answer.body,
            "bytes": ROW_BYTES + len(answer.body),
            "until": time.time() + KEPT_S,
        }
        own = _kept.caller == begun.caller, _kept.status.is_not(None)
        with self._database.transaction() as db:
            db.execute(update(idempotent_request).where(*_begun(begun)).values(told))
            for _, column, value, share in stored_shares(begun.caller, owner):
                while total(db, _kept.bytes, _kept[column] == value) > share * self._max_bytes:
                    oldest = select(_kept.key).where(*own).order_by(_kept.until).limit(1).scalar_subquery()
                    if not db.execute(delete(idempotent_request).where(*own, _kept.key == oldest)).rowcount:
                        break

    def give_back(self, begun: Begun) -> None:
        """Let the key be used anew: its request failed, and nothing came of it."""
        self._database.write(delete(idempotent_request).where(*_begun(begun)))

    def expire(self) -> None:
        """Forget what is over a day old."""
        if not self._database.empty:
            with self._database.transaction() as db:
                _expire(db, time.time())


def _of(caller: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return _kept.caller == caller, _kept.key == key


def _begun(begun: Begun) -> tuple[ColumnElement[bool], ...]:
    return *_of(begun.caller, begun.key), _kept.reference == begun.reference, _kept.status.is_(None)


def _expire(db: Connection, now: float) -> None:
    """A request that was killed keeps its reference for a day; what ends still later had a wrong clock."""
    over = and_(_kept.until <= now, or_(_kept.status.is_not(None), _kept.until <= now - KEPT_S))
    db.execute(delete(idempotent_request).where(or_(over, _kept.until > now + KEPT_S)))
