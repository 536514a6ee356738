"""Stored glossaries in SQLite: terms and translations by language pair; read from and written to TSV or CSV.

A glossary belongs to the API key that created it, or to nobody. Each owner sees only his own; nobody's are
found by their ids, unless the caller is known. Its bytes count against the creating key, or else the address.
Languages are the table's own codes. Translates nothing: a task gets the terms with its request.
"""

import csv
import io
import secrets
import sqlite3
import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from models.errors import InvalidInput
from models.languages import Languages
from service.errors import UnknownGlossary
from service.shares import GLOSSARY_BYTES, stored_shares
from service.store.database import Database, PairSize

MOST_GLOSSARIES = 1000
MOST_CHARACTERS = 10_000_000
"""Of a glossary's entries, so that a translation's terms fit into memory."""
LONGEST_NAME = 1024
LONGEST_TERM = 1024
"""Characters."""
ENTRY_BYTES = 100
"""Bytes of an entry in the file, beside its term, which is there twice, and its translation."""

_TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS glossary (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, created TEXT NOT NULL, owner TEXT,
    caller TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS glossary_by_name ON glossary (owner, name);
CREATE TABLE IF NOT EXISTS entry (
    glossary TEXT NOT NULL REFERENCES glossary ON DELETE CASCADE,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    term TEXT NOT NULL,
    translation TEXT NOT NULL,
    PRIMARY KEY (glossary, source, target, term)
);
"""
_COUNT_BYTES = f"""
UPDATE glossary SET bytes = (
    SELECT coalesce(sum({ENTRY_BYTES} + 2 * length(CAST(term AS BLOB)) + length(CAST(translation AS BLOB))),
        0)
    FROM entry WHERE glossary = glossary.id
) WHERE id = ?
"""  # noqa: S608 - of a constant
_SIZES = "SELECT source, target, count(*) FROM entry WHERE glossary = ? GROUP BY 1, 2 ORDER BY 1, 2"
_SOURCES = """
WITH RECURSIVE each (source) AS (
    SELECT min(source) FROM entry WHERE glossary = :glossary
    UNION ALL
    SELECT (SELECT min(source) FROM entry WHERE glossary = :glossary AND source > each.source) FROM each
    WHERE source IS NOT NULL
)
SELECT source FROM each WHERE source IS NOT NULL
"""
"""From one language to the next by the index: DISTINCT would read all entries."""
_DELETE_PAIR = "DELETE FROM entry WHERE glossary = ? AND source = ? AND target = ?"
_ENTRIES = (
    "SELECT term, translation FROM entry WHERE glossary = ? AND source = ? AND target = ? ORDER BY term"
)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Entries for one pair of languages."""

    source: str
    target: str
    entries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Glossary:
    """A glossary, without its entries."""

    id: str
    name: str
    created: datetime
    pairs: tuple[PairSize, ...]


class Glossaries:
    """One owner's glossaries in a file, which is made at its first use. Threads may share it.

    At first these are the glossaries made without a key; `of` gives another owner's. Those of one caller take
    at most `max_bytes`.
    """

    def __init__(self, file: Path, languages: Languages, *, max_bytes: int = GLOSSARY_BYTES):
        self._languages = languages
        self._owner: str | None = None
        self._caller = ""
        self._by_name = True
        self._max_bytes = max_bytes
        self._database = Database(file, "the glossaries", _TABLES)

    def of(self, owner: str | None, caller: str = "", *, by_name: bool = True) -> "Glossaries":
        """Return the glossaries of the key with the id `owner`, or of no key.

        Whatever is made through them is counted against `caller`. Without `by_name` they are found by their
        ids alone: a name can be guessed, and 128 random bits cannot.
        """
        other = copy(self)
        other._owner, other._caller, other._by_name = owner, caller, by_name
        return other

    def create(self, name: str, dictionaries: Sequence[Dictionary]) -> Glossary:
        """Keep a new glossary; names may repeat. Raises InvalidInput."""
        name, known = _checked_name(name), self._checked(dictionaries)
        size = sum(
            ENTRY_BYTES + 2 * len(term.encode()) + len(translation.encode())
            for each in known
            for term, translation in each.entries.items()
        )
        glossary_id = str(uuid.UUID(bytes=secrets.token_bytes(16)))
        with self._database.transaction() as db:
            self._require_room(db, size, glossaries=1)  # before all is written for nothing
            db.execute(
                "INSERT INTO glossary (id, name, created, owner, caller) VALUES (?, ?, ?, ?, ?)",
                (glossary_id, name, datetime.now(UTC).isoformat(), self._owner, self._caller),
            )
            _insert(db, glossary_id, known)
            return self._get(db, glossary_id)

    def all(self) -> list[Glossary]:
        """Return all glossaries, the oldest first."""
        with self._database.transaction(write=False) as db:
            ids = db.execute("SELECT id FROM glossary WHERE owner IS ? ORDER BY created, id", (self._owner,))
            return [self._get(db, glossary_id) for (glossary_id,) in ids.fetchall()]

    def get(self, glossary_id: str) -> Glossary:
        """Return one glossary. Raises UnknownGlossary."""
        with self._database.transaction(write=False) as db:
            return self._get(db, glossary_id)

    def find(self, named: str) -> Glossary:
        """Return the glossary with this id or name. Raises UnknownGlossary, also if several have the name."""
        with self._database.transaction(write=False) as db:
            return self._get(db, self._find(db, named))

    def entries(self, named: str, source: str, target: str) -> dict[str, str]:
        """Return the entries for one pair, in the order of their terms; `named` is an id or a name.

        Raises UnknownGlossary, also where there are none for the pair, and for a name that several have.
        """
        pair = self._pair(source, target)
        with self._database.transaction(write=False) as db:
            glossary_id = self._find(db, named)
            found = dict(db.execute(_ENTRIES, (glossary_id, *pair)).fetchall())
            if not found:
                raise _no_pair(self._get(db, glossary_id), *pair)
        return found

    def targets(self, named: str, target: str) -> dict[str, dict[str, str]]:
        """Return the entries of all pairs to `target`, by source language; raises as `entries` does."""
        target = self._languages.normalize(target, "target")
        with self._database.transaction(write=False) as db:
            glossary_id = self._find(db, named)
            found = {
                source: entries
                for (source,) in db.execute(_SOURCES, {"glossary": glossary_id}).fetchall()
                if (entries := dict(db.execute(_ENTRIES, (glossary_id, source, target)).fetchall()))
            }
            if not found:
                raise _no_pair(self._get(db, glossary_id), "auto", target)
        return found

    def update(
        self,
        glossary_id: str,
        *,
        name: str | None = None,
        dictionaries: Sequence[Dictionary] = (),
        replace: bool = False,
    ) -> Glossary:
        """Rename it, and add entries to its dictionaries, or with `replace` put these in their places."""
        known = self._checked(dictionaries)
        with self._database.transaction() as db:
            self._get(db, glossary_id)
            if name is not None:
                db.execute("UPDATE glossary SET name = ? WHERE id = ?", (_checked_name(name), glossary_id))
            if replace:
                db.executemany(_DELETE_PAIR, [(glossary_id, each.source, each.target) for each in known])
            if known:
                _insert(db, glossary_id, known)
                # Who adds to it pays for it: without keys, others' glossaries are open to all.
                db.execute("UPDATE glossary SET caller = ? WHERE id = ?", (self._caller, glossary_id))
                self._require_room(db)
            return self._get(db, glossary_id)

    def delete(self, glossary_id: str) -> None:
        """Forget a glossary. Raises UnknownGlossary."""
        with self._database.transaction() as db:
            self._get(db, glossary_id)
            db.execute("DELETE FROM glossary WHERE id = ?", (glossary_id,))

    def delete_dictionary(self, glossary_id: str, source: str, target: str) -> None:
        """Forget one pair's entries. Raises UnknownGlossary."""
        pair = self._pair(source, target)
        with self._database.transaction() as db:
            glossary = self._get(db, glossary_id)
            if db.execute(_DELETE_PAIR, (glossary_id, *pair)).rowcount == 0:
                raise _no_pair(glossary, *pair)
            db.execute(_COUNT_BYTES, (glossary_id,))

    # ------------------------------------------------------------------ inside

    def _get(self, db: sqlite3.Connection, glossary_id: str) -> Glossary:
        query = "SELECT id, name, created FROM glossary WHERE id = ? AND owner IS ?"
        row = db.execute(query, (glossary_id, self._owner)).fetchone()
        if row is None:
            raise _unknown(glossary_id)
        pairs = tuple(PairSize(*pair) for pair in db.execute(_SIZES, (glossary_id,)))
        return Glossary(row[0], row[1], datetime.fromisoformat(row[2]), pairs)

    def _find(self, db: sqlite3.Connection, named: str) -> str:
        """Return the id of the glossary with this id or, failing that, this name. Raises UnknownGlossary."""
        own = "SELECT id FROM glossary WHERE owner IS ? AND "
        ids: list[tuple[str]] = db.execute(own + "id = ?", (self._owner, named)).fetchall()
        if not ids and self._by_name:
            ids = db.execute(own + "name = ?", (self._owner, named)).fetchall()
        if not ids:
            raise _unknown(named, None if self._by_name else "without an API key, a glossary's id")
        if len(ids) > 1:
            raise UnknownGlossary(
                f"{len(ids)} glossaries are named {named!r}; say which by its id",
                field="glossary",
                allowed=[glossary_id for (glossary_id,) in ids],
            )
        return ids[0][0]

    def _require_room(self, db: sqlite3.Connection, more: int = 0, *, glossaries: int = 0) -> None:
        """Raise InvalidInput if the caller, or all without a key together, would keep too much with these."""
        for whose, which, value, share in stored_shares(self._caller, self._owner):
            query = f"SELECT count(*), coalesce(sum(bytes), 0) FROM glossary WHERE {which}"  # noqa: S608
            number, kept = db.execute(query, (value,)).fetchone()
            if number + glossaries > share * MOST_GLOSSARIES:
                raise InvalidInput(
                    f"there are {number} glossaries already of {whose}; delete one first",
                    allowed=f"at most {share * MOST_GLOSSARIES} glossaries",
                )
            if kept + more > share * self._max_bytes:
                raise InvalidInput(
                    f"the glossaries of {whose} would take {kept + more} bytes; delete one first",
                    field="entries",
                    allowed=f"at most {share * self._max_bytes} bytes",
                )

    def _checked(self, dictionaries: Sequence[Dictionary]) -> list[Dictionary]:
        known: dict[tuple[str, str], Dictionary] = {}
        for each in dictionaries:
            pair = self._pair(each.source, each.target)
            if pair[0] == pair[1]:
                raise InvalidInput(
                    f"{each.source} and {each.target} are the same language",
                    field="target",
                    allowed="another",
                )
            if pair in known:
                raise InvalidInput(f"there are two dictionaries for {pair[0]} to {pair[1]}", field="target")
            known[pair] = Dictionary(*pair, checked_entries(each.entries))
        characters = sum(len(t) + len(to) for d in known.values() for t, to in d.entries.items())
        if characters > MOST_CHARACTERS:
            raise InvalidInput(
                f"the entries have {characters} characters",
                field="entries",
                allowed=f"at most {MOST_CHARACTERS}",
            )
        return list(known.values())

    def _pair(self, source: str, target: str) -> tuple[str, str]:
        return self._languages.normalize(source, "source"), self._languages.normalize(target, "target")


def _insert(db: sqlite3.Connection, glossary_id: str, dictionaries: Sequence[Dictionary]) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?)",
        ((glossary_id, d.source, d.target, t, to) for d in dictionaries for t, to in d.entries.items()),
    )
    db.execute(_COUNT_BYTES, (glossary_id,))


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidInput(
            f"the name has {len(name)} characters", field="name", allowed=f"1 to {LONGEST_NAME} characters"
        )
    return name


def _unknown(named: str, allowed: str | None = None) -> UnknownGlossary:
    return UnknownGlossary(f"unknown glossary: {named[:100]!r}", field="glossary", allowed=allowed)


def _no_pair(glossary: Glossary, source: str, target: str) -> UnknownGlossary:
    return UnknownGlossary(
        f"the glossary {glossary.name!r} has nothing for {source} to {target}",
        field="glossary",
        allowed=[f"{pair.source} to {pair.target}" for pair in glossary.pairs],
    )


# ---------------------------------------------------------------------- entries as text

TextForm = Literal["tsv", "csv"]


def read_entries(text: str, form: TextForm, field: str = "entries") -> dict[str, str]:
    """Read one entry a line: a term and its translation. Empty lines are skipped.

    A term that comes twice, or a line without two columns, refuses the whole text, so that no entry is lost
    unnoticed: raises InvalidInput, naming `field` and the line.
    """
    return _entries(_tsv(text) if form == "tsv" else _csv(text, field), field)


def checked_entries(entries: Mapping[str, str]) -> dict[str, str]:
    """Return the entries without the spaces around them. Raises InvalidInput for what is no term."""
    rows = ((f"the term {term[:40]!r}", [term, translation]) for term, translation in entries.items())
    return _entries(rows, "entries")


def write_tsv(entries: Mapping[str, str]) -> str:
    """Write one line an entry."""
    return "".join(f"{term}\t{translation}\n" for term, translation in entries.items())


def _tsv(text: str) -> Iterable[tuple[str, list[str]]]:
    lines = text.removeprefix("\ufeff").split("\n")
    return ((f"line {i}", line.split("\t")) for i, line in enumerate(lines, 1) if line.strip())


def _csv(text: str, field: str) -> Iterable[tuple[str, list[str]]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                # DeepL's own files may name the two languages in a third and a fourth column.
                yield f"line {reader.line_num}", row[:2] if len(row) == 4 else row
    except csv.Error as error:
        raise InvalidInput(
            f"line {reader.line_num} is not CSV: {error}", field=field, allowed="term,translation"
        ) from None


def _entries(rows: Iterable[tuple[str, list[str]]], field: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for place, row in rows:
        if len(row) != 2:
            raise InvalidInput(
                f"{place} has {len(row)} columns", field=field, allowed="two columns: term, translation"
            )
        term, translation = (_checked_term(cell, place, field) for cell in row)
        if term in found:
            raise InvalidInput(f"{place}: {term!r} appears twice", field=field, allowed="each term once")
        found[term] = translation
    if not found:
        raise InvalidInput("there are no entries", field=field, allowed="at least one entry")
    return found


def _checked_term(cell: str, place: str, field: str) -> str:
    term = cell.strip()
    if not term:
        raise InvalidInput(f"{place} has an empty side", field=field, allowed="a term and its translation")
    if len(term) > LONGEST_TERM:
        raise InvalidInput(
            f"{place} has a term of {len(term)} characters", field=field, allowed=f"at most {LONGEST_TERM}"
        )
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in term):
        raise InvalidInput(
            f"{place} has a control character", field=field, allowed="characters that can be printed"
        )
    return term
