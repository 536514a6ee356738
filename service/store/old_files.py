"""Copies what the SQLite files kept, one a kind, before there was one database.

Each is copied once and then renamed to `.old`. Whatever is in the database already stays as it is.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock
from sqlalchemy import Connection, Table, select

from service.errors import StoreUnavailable
from service.store import schema
from service.store.statements import put, rows_in

log = logging.getLogger(__name__)

_ROWS_AT_ONCE = 8
"""A row may hold a whole document."""

Queries = tuple[tuple[Table, str], ...]

FILES: dict[str, Queries] = {
    "jobs.sqlite": (
        (
            schema.job,
            "SELECT number, id, owner, caller, task, form, options, request_id, "
            "iif(status = 'running', 'queued', status) AS status, done, total, bytes, created, started, "
            "finished, problem, interruptions, claimed, callback, callback_status, callback_tries, "
            "callback_due FROM job ORDER BY number",
        ),
        (
            schema.job_item,
            "SELECT job, number, CAST(content AS BLOB) AS content, length(data) AS size, data, media_type, "
            "filename, notes FROM item",
        ),
        (schema.job_segment, "SELECT job, number, body FROM segment ORDER BY told"),
        (schema.job_output, "SELECT job, key, body FROM kept"),
    ),
    "keys.sqlite": (
        (
            schema.api_key,
            "SELECT id, name, prefix, hash, seconds(created) AS created, seconds(revoked) AS revoked, rate, "
            "daily_characters, id IN (SELECT id FROM admin) AS admin FROM key",
        ),
    ),
    "glossaries.sqlite": (
        (
            schema.glossary,
            "SELECT id, owner, caller, name, seconds(created) AS created, bytes FROM glossary",
        ),
        (
            schema.glossary_entry,
            "SELECT glossary, source, target, digest(term) AS digest, term, translation, "
            "100 + 2 * length(CAST(term AS BLOB)) + length(CAST(translation AS BLOB)) AS bytes FROM entry",
        ),
    ),
    "memory.sqlite": (
        (
            schema.memory,
            "SELECT caller, source, target, digest(text) AS digest, owner, text, translation, "
            "length(text) AS characters, bytes FROM remembered",
        ),
    ),
    "idempotency.sqlite": (
        (
            schema.idempotent_request,
            "SELECT caller, key, owner, fingerprint, reference, until, status, headers, body, bytes "
            "FROM request",
        ),
    ),
}
"""By file, the tables that get its rows and the queries that read them."""


def copy_old_files(
    folder: Path,
    transaction: Callable[[], AbstractContextManager[Connection]],
) -> None:
    """Copy the old files of a folder, each in a transaction of its own. Raises StoreUnavailable."""
    if not any((folder / name).exists() for name in FILES):
        return
    with FileLock(folder / "old_files.lock", mode=0o600):  # several processes may start at once
        for file in filter(Path.exists, (folder / name for name in FILES)):
            try:
                with closing(sqlite3.connect(file)) as old, transaction() as db:
                    number = _copy(old, db, FILES[file.name])
            except sqlite3.Error as error:
                raise StoreUnavailable("an older version's data", file, error) from error
            for suffix in ("-wal", "-shm", ""):  # the first two a killed process leaves
                with suppress(FileNotFoundError):
                    Path(f"{file}{suffix}").rename(f"{file}.old{suffix}")
            log.warning(
                "copied %d rows of %s into the database; the file is %s.old now", number, file, file.name
            )


def _copy(old: sqlite3.Connection, db: Connection, queries: Queries) -> int:
    """Return the number of rows read. Jobs get new numbers, as others' may be there."""
    old.row_factory = sqlite3.Row
    old.create_function("digest", 1, schema.digest, deterministic=True)
    old.create_function("seconds", 1, _seconds, deterministic=True)
    number, old_ids, numbers = 0, dict[str, int](), dict[int, int]()
    for table, query in queries:
        rows = old.execute(query)
        while some := [dict(row) for row in rows.fetchmany(_ROWS_AT_ONCE)]:
            number += len(some)
            for row in some:
                if table is schema.job:
                    old_ids[row["id"]] = row.pop("number")
                elif "job" in row:
                    row["job"] = numbers[row["job"]]
            put(db, table, some)
        if table is schema.job:
            known = rows_in(db, select(table.c.id, table.c.number), table.c.id, list(old_ids))
            numbers |= {old_ids[job_id]: new for job_id, new in known}
    return number


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()
