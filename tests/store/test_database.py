"""The one database: made once, brought to this version, and filled from the files that were there before."""

import hashlib
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from models.errors import InvalidInput
from service.errors import StoreUnavailable
from service.store import migrations, schema
from service.store.database import FILE, Database
from service.store.glossaries import Glossaries
from service.store.idempotency import IdempotencyStore, KeptAnswer
from service.store.keys import Keys
from service.store.old_files import FILES, copy_old_files
from service.store.tmx import TmxPair
from service.store.translation_memory import TranslationMemory


def test_the_tables_are_those_of_the_schema_and_migrations_lead_to_its_version(database):
    with database.transaction() as db:
        assert compare_metadata(MigrationContext.configure(db), schema.METADATA) == []
        db.execute(text("DELETE FROM alembic_version"))
        migrations.migrate(db)
        assert migrations.is_current(db)


def test_changed_tables_are_a_new_version():
    """Users' databases have the old ones: the new VERSION needs a migration, tried on such a database."""
    made = []
    for table in schema.METADATA.sorted_tables:
        for each in (CreateTable(table), *map(CreateIndex, table.indexes)):
            made += [
                str(each.compile(dialect=dialect)) for dialect in (sqlite.dialect(), postgresql.dialect())
            ]
    digest = hashlib.sha256(" ".join(" ".join(sorted(made)).split()).encode()).hexdigest()
    assert (schema.VERSION, digest[:16]) == ("1", "31c5db26cdba5018")


def test_a_newer_version_is_left_alone(database, tmp_path, database_url):
    with database.transaction() as db:
        db.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(StoreUnavailable) as refused:
        Keys(Database(tmp_path, database_url)).all()
    assert "another version of Dragoman" in f"{refused.value.message} {refused.value.where}"


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request):
    """The URL of a database without tables; None for a file."""
    server = None if request.param == "sqlite" else request.getfixturevalue("postgresql")
    return None if server is None else server.new_database("template0")


def test_servers_that_start_at_once_make_the_tables_once(tmp_path, bare_url, monkeypatch):
    made = []
    create_all = schema.METADATA.create_all
    monkeypatch.setattr(schema.METADATA, "create_all", lambda db: (made.append(db), create_all(db)))
    servers = [Database(tmp_path, bare_url) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda each: Keys(each).create("ann"), servers))
    assert len(made) == 1 and len(Keys(servers[0]).all()) == 6
    for each in servers:
        each.close()


def test_text_commands_do_without_sqlalchemy_and_a_start_without_alembic(tmp_path):
    code = f"""
import sys
from pathlib import Path
import service.batch.processes, service.batch.task, service.cli.text, service.runtime, service.tasks
from service.store.database import Database
database = Database(Path({str(tmp_path)!r}))
assert database.empty and "sqlalchemy" not in sys.modules
with database.transaction(): pass
assert not database.empty
print("alembic" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_transaction_that_is_broken_off_changes_nothing(database):
    with pytest.raises(ZeroDivisionError), database.transaction() as db:
        db.execute(insert(schema.used).values(key="a", amount=1, expires=1.0))
        raise ZeroDivisionError
    assert database.read(select(schema.used)) == []


def test_transactions_of_a_name_run_one_by_one(database):
    def add(_):
        with database.transaction(alone="use") as db:
            amount = db.scalar(select(func.coalesce(func.max(schema.used.c.amount), 0)))
            db.execute(insert(schema.used).values(key=str(amount), amount=amount + 1, expires=1.0))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert len(database.read(select(schema.used))) == 40


def test_a_value_that_no_database_holds_is_refused_or_unknown(database, languages):
    try:
        assert Keys(database).all() == []
        TranslationMemory(database, languages).forget(text="a\0b")
        assert Glossaries(database, languages).find("a\0b")
    except InvalidInput as error:  # an unknown glossary is one
        assert "a\\x00b" in error.message or "NUL" in error.message


def test_callers_do_not_learn_where_the_database_is(tmp_path, caplog):
    pytest.importorskip("psycopg")
    database = Database(tmp_path, "postgresql+psycopg://ann:secret@127.0.0.1:1/dragoman?connect_timeout=1")
    with pytest.raises(StoreUnavailable) as refused:
        Keys(database).all()
    assert refused.value.message == "the database cannot be used"
    assert "127.0.0.1" in refused.value.where and "127.0.0.1" in caplog.text and "secret" not in caplog.text


def test_a_server_that_does_not_answer_holds_up_each_alone(tmp_path):
    pytest.importorskip("psycopg")
    silent = socket.create_server(("127.0.0.1", 0))
    silent.settimeout(30.0)
    url = f"postgresql+psycopg://ann@127.0.0.1:{silent.getsockname()[1]}/a?connect_timeout=60&sslmode=disable"
    database = Database(tmp_path, url)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(Keys(database).all) for _ in range(4)]
        with silent:
            connected = [silent.accept()[0] for _ in asked]
        for each in connected:
            each.close()
    assert all(isinstance(each.exception(), StoreUnavailable) for each in asked)


def test_a_stopped_process_holds_up_no_other_for_ever(postgresql, tmp_path):
    database = Database(tmp_path, postgresql.new_database())
    names = "lock_timeout", "idle_in_transaction_session_timeout"
    assert [database.run(f"SHOW {name}")[0][0] for name in names] == ["30s", "1min"]
    database.close()


# ---------------------------------------------------------------------- what was kept before

OLD = {
    "keys.sqlite": """
CREATE TABLE key (id TEXT PRIMARY KEY, name TEXT NOT NULL, prefix TEXT NOT NULL, hash BLOB NOT NULL,
    created TEXT NOT NULL, revoked TEXT, rate TEXT, daily_characters INTEGER);
CREATE TABLE admin (id TEXT PRIMARY KEY REFERENCES key (id));
INSERT INTO key VALUES ('k1', 'ann', 'drg_abc', X'HASH', '2026-01-02T03:04:05.678901+00:00', NULL,
    '60/minute', 1000);
INSERT INTO key VALUES ('k2', 'bob', 'drg_def', X'00', '2026-01-03T00:00:00+00:00',
    '2026-01-04T00:00:00+00:00', NULL, NULL);
INSERT INTO admin VALUES ('k1');
""".replace("HASH", hashlib.sha256(b"drg_secret").hexdigest()),
    "glossaries.sqlite": """
PRAGMA journal_mode = WAL;
CREATE TABLE glossary (id TEXT PRIMARY KEY, name TEXT NOT NULL, created TEXT NOT NULL, owner TEXT,
    caller TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL DEFAULT 0);
CREATE TABLE entry (glossary TEXT NOT NULL REFERENCES glossary ON DELETE CASCADE, source TEXT NOT NULL,
    target TEXT NOT NULL, term TEXT NOT NULL, translation TEXT NOT NULL,
    PRIMARY KEY (glossary, source, target, term));
INSERT INTO glossary VALUES ('g1', 'names', '2026-01-02T03:04:05+00:00', 'k1', 'key-k1', 118);
INSERT INTO entry VALUES ('g1', 'en', 'fr', 'Vienna', 'Vienne');
""",
    "memory.sqlite": """
PRAGMA journal_mode = WAL;
CREATE TABLE remembered (owner TEXT, caller TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
    text TEXT NOT NULL, translation TEXT NOT NULL, bytes INTEGER NOT NULL) STRICT;
INSERT INTO remembered VALUES ('k1', 'key-k1', 'en', 'fr', 'The talks go on.', 'Ils parlent.', 244);
""",
    "idempotency.sqlite": """
CREATE TABLE request (caller TEXT NOT NULL, key TEXT NOT NULL, owner TEXT, fingerprint BLOB NOT NULL,
    reference TEXT NOT NULL, until REAL NOT NULL, status INTEGER, headers TEXT, body BLOB,
    bytes INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (caller, key));
INSERT INTO request VALUES ('key-k1', 'a', 'k1', X'01', 'r', unixepoch() + 1000, 200, '{}', X'4F4B', 1002);
""",
    "jobs.sqlite": """
PRAGMA journal_mode = WAL;
CREATE TABLE job (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT,
    task TEXT NOT NULL, form TEXT NOT NULL, options TEXT NOT NULL, request_id TEXT NOT NULL,
    status TEXT NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, created REAL NOT NULL, started REAL,
    finished REAL, problem BLOB, interruptions INTEGER NOT NULL DEFAULT 0, callback TEXT,
    callback_status TEXT, callback_tries INTEGER NOT NULL DEFAULT 0, callback_due REAL,
    caller TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL DEFAULT 0, claimed REAL NOT NULL DEFAULT 0);
CREATE TABLE item (job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE, number INTEGER NOT NULL, content,
    data BLOB, media_type TEXT, filename TEXT, notes TEXT, PRIMARY KEY (job, number));
CREATE TABLE segment (told INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL REFERENCES job
    ON DELETE CASCADE, number INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (job, number));
CREATE TABLE kept (job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE, key BLOB NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (job, key));
INSERT INTO job (number, id, owner, task, form, options, request_id, status, done, total, created) VALUES
    (7, 'j7', 'k1', 'translate', 'text', '{}', 'r', 'running', 0, 1, 1.5),
    (9, 'j9', NULL, 'translate', 'document', '{}', 'r', 'done', 1, 1, 2.5);
INSERT INTO item VALUES (7, 0, 'é', NULL, NULL, NULL, NULL), (9, 0, NULL, X'00FF', 'a/b', 'f', '');
INSERT INTO segment (job, number, body) VALUES (7, 3, X'01');
INSERT INTO kept VALUES (7, X'02', X'03');
""",
}


def _old_files(folder, *names):
    for name in names:
        with closing(sqlite3.connect(folder / name)) as db:
            db.executescript(OLD[name])


def test_what_was_kept_in_files_before_is_there(tmp_path, database_url, languages, caplog):
    _old_files(tmp_path, *FILES)
    database = Database(tmp_path, database_url)
    ann, bob = Keys(database).all()
    assert Keys(database).find("drg_secret") == ann
    assert (ann.id, ann.rate, ann.daily_characters, ann.admin, ann.revoked) == (
        *("k1", "60/minute", 1000, True, None),
    )
    assert ann.created.isoformat() == "2026-01-02T03:04:05.678901+00:00"
    assert bob.revoked.isoformat() == "2026-01-04T00:00:00+00:00"
    own = Glossaries(database, languages).of("k1", "key-k1")
    assert own.entries("names", "en", "fr") == {"Vienna": "Vienne"}
    own.update("g1", dictionaries=[])
    memory = TranslationMemory(database, languages).of("k1", "key-k1")
    assert list(memory.sentences()) == [TmxPair("en", "fr", "The talks go on.", "Ils parlent.")]
    assert memory.recall(["The talks go on.", "The talk goes on."], "en", "fr", 1)[1].near == (
        "Ils parlent.",
    )
    assert IdempotencyStore(database).begin("k1", "key-k1", "a", b"\1", 1.0) == KeptAnswer(200, {}, b"OK")
    assert {file.name for file in tmp_path.glob("*.sqlite*")} == {f"{name}.old" for name in FILES}
    assert caplog.text.count("into the database") == len(FILES)
    Keys(database).revoke("k1")
    database.close()
    assert Keys(Database(tmp_path, database_url)).all()[0].revoked is not None


def test_jobs_get_numbers_of_their_own_and_are_copied_once(database, tmp_path):
    others = {"owner": None, "caller": "", "task": "translate", "form": "text", "options": "{}", "bytes": 0}
    others |= {"request_id": "r", "status": "done", "done": 0, "total": 0, "created": 1.0, "interruptions": 0}
    database.write(insert(schema.job).values(id="other", claimed=0, callback_tries=0, **others))
    for _ in range(2):  # the second time as after a kill between the copy and the new name
        _old_files(tmp_path, "jobs.sqlite")
        copy_old_files(tmp_path, partial(database.transaction, alone="old files"))
    jobs = database.read(select(schema.job).order_by(schema.job.c.number))
    assert [(row.id, row.status, row.created) for row in jobs] == [
        ("other", "done", 1.0),
        ("j7", "queued", 1.5),
        ("j9", "done", 2.5),
    ]
    numbers = {row.id: row.number for row in jobs}
    items = {row.job: (row.content, row.size, row.data) for row in database.read(select(schema.job_item))}
    assert items == {numbers["j7"]: ("é".encode(), None, None), numbers["j9"]: (None, 2, b"\0\xff")}
    (segment,) = database.read(select(schema.job_segment))
    assert (segment.job, segment.number, segment.body) == (numbers["j7"], 3, b"\1")
    assert [tuple(row) for row in database.read(select(schema.job_output))] == [(numbers["j7"], b"\2", b"\3")]


def test_a_broken_file_of_before_is_named(tmp_path):
    (tmp_path / "keys.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StoreUnavailable, match=r"\(keys\.sqlite\) cannot be used"):
        Keys(Database(tmp_path)).all()
    assert (tmp_path / "keys.sqlite").exists()


def test_a_file_that_is_no_database_is_said_so(tmp_path, languages):
    (tmp_path / FILE).write_bytes(b"this is no database, and long enough to look at " * 10)
    with pytest.raises(StoreUnavailable, match=r"the database \(dragoman\.db\) cannot be used"):
        Glossaries(Database(tmp_path), languages).all()
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable):
        Glossaries(Database(tmp_path / "file"), languages).all()


def test_reading_waits_for_no_writer(tmp_path):
    keys = Keys(Database(tmp_path))
    keys.create("ann")
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")  # somebody writes much
        assert [key.name for key in keys.all()] == ["ann"]
