"""The tables of named glossaries; reads, writes and measures one glossary in them.

Knows no limits: how many there may be, and how large, is the affair of `glossaries.py`.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.errors import UnknownGlossary

ENTRY_BYTES = 100
"""Bytes of an entry in the file, beside its term, which is there twice, and its translation."""

TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS glossary (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, created TEXT NOT NULL, owner TEXT,
    caller TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS entry (
    glossary TEXT NOT NULL REFERENCES glossary ON DELETE CASCADE,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    term TEXT NOT NULL,
    translation TEXT NOT NULL,
    PRIMARY KEY (glossary, source, target, term)
);
"""

_BYTES = f"""
UPDATE glossary SET bytes = (
    SELECT coalesce(sum({ENTRY_BYTES} + 2 * length(CAST(term AS BLOB)) + length(CAST(translation AS BLOB))),
        0)
    FROM entry WHERE glossary = glossary.id
) WHERE id = ?
"""  # noqa: S608 - of a constant
_DICTIONARIES = "SELECT source, target, count(*) FROM entry WHERE glossary = ? GROUP BY 1, 2 ORDER BY 1, 2"


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Entries for one pair of languages."""

    source: str
    target: str
    entries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DictionarySize:
    """The languages of a glossary's dictionary, and the number of its entries."""

    source: str
    target: str
    size: int
    """Entries."""


@dataclass(frozen=True, slots=True)
class Glossary:
    """A glossary, without its entries."""

    id: str
    name: str
    created: datetime
    pairs: tuple[DictionarySize, ...]


def get(db: sqlite3.Connection, glossary_id: str, owner: str | None) -> Glossary:
    row = db.execute(
        "SELECT id, name, created FROM glossary WHERE id = ? AND owner IS ?", (glossary_id, owner)
    ).fetchone()
    if row is None:
        raise _unknown(glossary_id)
    pairs = tuple(DictionarySize(*pair) for pair in db.execute(_DICTIONARIES, (glossary_id,)))
    return Glossary(row[0], row[1], datetime.fromisoformat(row[2]), pairs)


def find(db: sqlite3.Connection, named: str, owner: str | None) -> str:
    """Return the id of the glossary with this id or, failing that, this name. Raises UnknownGlossary."""
    own = "SELECT id FROM glossary WHERE owner IS ? AND "
    ids = db.execute(own + "id = ?", (owner, named)).fetchall()
    ids = ids or db.execute(own + "name = ?", (owner, named)).fetchall()
    if not ids:
        raise _unknown(named)
    if len(ids) > 1:
        raise UnknownGlossary(
            f"{len(ids)} glossaries are named {named!r}; say which by its id",
            field="glossary",
            allowed=[glossary_id for (glossary_id,) in ids],
        )
    return str(ids[0][0])


def entries_of(db: sqlite3.Connection, glossary_id: str, source: str, target: str) -> dict[str, str]:
    rows = db.execute(
        "SELECT term, translation FROM entry WHERE glossary = ? AND source = ? AND target = ? ORDER BY term",
        (glossary_id, source, target),
    )
    return dict(rows.fetchall())


def insert(db: sqlite3.Connection, glossary_id: str, dictionaries: Sequence[Dictionary]) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?)",
        ((glossary_id, d.source, d.target, t, to) for d in dictionaries for t, to in d.entries.items()),
    )
    db.execute(_BYTES, (glossary_id,))


def size_of(dictionaries: Sequence[Dictionary]) -> int:
    """Return the bytes that the entries take in the file."""
    return sum(
        ENTRY_BYTES + 2 * len(term.encode()) + len(to.encode())
        for each in dictionaries
        for term, to in each.entries.items()
    )


def delete_pair(db: sqlite3.Connection, glossary_id: str, source: str, target: str) -> int:
    pair = "DELETE FROM entry WHERE glossary = ? AND source = ? AND target = ?"
    gone = db.execute(pair, (glossary_id, source, target)).rowcount
    db.execute(_BYTES, (glossary_id,))
    return gone


def _unknown(named: str) -> UnknownGlossary:
    return UnknownGlossary(f"there is no glossary {named[:100]!r}", field="glossary")


def no_pair(glossary: Glossary, source: str, target: str) -> UnknownGlossary:
    return UnknownGlossary(
        f"the glossary {glossary.name!r} has nothing for {source} to {target}",
        field="glossary",
        allowed=[f"{pair.source} to {pair.target}" for pair in glossary.pairs],
    )
