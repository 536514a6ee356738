"""Translated documents that wait to be downloaded, for LibreTranslate's clients."""

import secrets
import time
from typing import Any

from sqlalchemy import delete, func, insert, literal, select

from models.errors import Overloaded
from service.shares import FILE_BYTES
from service.store.database import Database
from service.store.jobs import ResultFile
from service.store.schema import document_file as table
from service.store.statements import piece, total


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

    def open(self, key: str) -> ResultFile | None:
        """Return the file, unless its time is over; it is read by the piece."""
        this = table.c.key == key
        size, name = func.length(table.c.data).label("size"), table.c.name.label("filename")
        columns = size, table.c.media_type, name, literal("").label("notes")
        rows = self._database.read(select(*columns).where(this, table.c.until > time.time()))

        def read(_: Any, start: int, size: int) -> bytes:
            with self._database.transaction(write=False) as db:
                return piece(db, table.c.data, (this,), start, size)

        return ResultFile(read, "document", rows, lambda: None) if rows else None
