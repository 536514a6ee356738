"""Translated documents that wait to be downloaded, for LibreTranslate's clients."""

import secrets
import time
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select

from models.errors import Overloaded
from service.shares import FILE_BYTES
from service.store.database import Database
from service.store.schema import document_file as table
from service.store.statements import total


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """A file as it is to be downloaded."""

    name: str
    data: bytes
    media_type: str


class DocumentFiles:
    """Keeps files for `ttl_s`, at most `max_bytes` of them together.

    Of these each caller has the share that `Shares` would give him; beyond it his own oldest files go.
    """

    def __init__(self, database: Database, *, ttl_s: float = 1800.0, max_bytes: int = FILE_BYTES):
        self._database = database
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes

    def put(self, caller: str, name: str, data: bytes, media_type: str) -> str:
        """Keep a file; returns the key that it is fetched by. Raises Overloaded where there is no room."""
        key, now, size = f"{secrets.token_urlsafe(18)}.{name}", time.time(), func.length(table.c.data)
        with self._database.transaction(alone="document files") as db:
            db.execute(delete(table).where(table.c.until <= now))
            held = total(db, size)
            own = db.execute(
                select(table.c.number, size).where(table.c.caller == caller).order_by(table.c.number)
            ).all()
            held_here = sum(row[1] for row in own)
            for number, length in own:
                if len(data) + held + held_here <= self._max_bytes:
                    break
                db.execute(delete(table).where(table.c.number == number))
                held, held_here = held - length, held_here - length
            if len(data) + held + held_here > self._max_bytes:
                raise Overloaded("there is no room for more files now", retry_after_s=60.0)
            row = {"key": key, "caller": caller, "name": name, "media_type": media_type, "data": data}
            db.execute(insert(table).values(**row, until=now + self._ttl_s))
        return key

    def get(self, key: str) -> DocumentFile | None:
        """The file, unless its time is over."""
        rows = self._database.read(
            select(table.c.name, table.c.data, table.c.media_type).where(
                table.c.key == key, table.c.until > time.time()
            )
        )
        return DocumentFile(*rows[0]) if rows else None
