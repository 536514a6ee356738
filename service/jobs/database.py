"""The SQLite file of jobs, and its tables."""

from pathlib import Path

from service.store.database import Database

_TABLES = """
PRAGMA auto_vacuum = FULL;
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS job (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT,
    task TEXT NOT NULL,
    form TEXT NOT NULL,
    options TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status TEXT NOT NULL,
    done INTEGER NOT NULL,
    total INTEGER NOT NULL,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    problem BLOB,
    interruptions INTEGER NOT NULL DEFAULT 0,
    callback TEXT,
    callback_status TEXT,
    callback_tries INTEGER NOT NULL DEFAULT 0,
    callback_due REAL,
    caller TEXT NOT NULL DEFAULT '',
    bytes INTEGER NOT NULL DEFAULT 0,
    claimed REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS job_status ON job (status, number);
CREATE INDEX IF NOT EXISTS job_owner ON job (owner, number);
CREATE INDEX IF NOT EXISTS job_caller ON job (caller, claimed);
CREATE INDEX IF NOT EXISTS job_callback ON job (callback_due) WHERE callback_status = 'pending';
CREATE TABLE IF NOT EXISTS item (
    job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    number INTEGER NOT NULL,
    content,
    data BLOB,
    media_type TEXT,
    filename TEXT,
    notes TEXT,
    PRIMARY KEY (job, number)
);
CREATE TABLE IF NOT EXISTS segment (
    told INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    number INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (job, number)
);
CREATE INDEX IF NOT EXISTS segment_told ON segment (job, told);
CREATE TABLE IF NOT EXISTS kept (
    job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    key BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (job, key)
);
"""


def jobs_database(folder: Path) -> Database:
    """Return the database of a folder's jobs."""
    return Database(folder / "jobs.sqlite", "the jobs", _TABLES)
