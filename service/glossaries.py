"""Named glossaries, kept in SQLite: terms and what each is to be, by pairs of languages.

Each has an owner, the API key that it was made with, or none; whoever looks sees one owner's. Languages are
the table's own codes. Nothing here is translated; a task takes the terms with its request.
"""

import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.errors import DragomanError, InvalidInput
from models.languages import Languages
from service.terms import checked

MOST_GLOSSARIES = 1000
MOST_CHARACTERS = 10_000_000
"""Of a glossary's entries, so that a translation's terms fit into memory."""
LONGEST_NAME = 1024

_TABLES = """
CREATE TABLE IF NOT EXISTS glossary (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, created TEXT NOT NULL, owner TEXT
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

_DICTIONARIES = "SELECT source, target, count(*) FROM entry WHERE glossary = ? GROUP BY 1, 2 ORDER BY 1, 2"


class UnknownGlossary(InvalidInput):
    """No glossary has this id or name, or it has no dictionary for the pair."""


class StoreUnavailable(DragomanError):
    """The file that the glossaries are kept in cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Entries for one pair of languages, as they are put in."""

    source: str
    target: str
    entries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pair:
    """A dictionary that a glossary has, without its entries."""

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
    pairs: tuple[Pair, ...]


class Glossaries:
    """One owner's glossaries in a file, which is made when it is first asked for. It may be shared."""

    def __init__(self, file: Path, languages: Languages, owner: str | None = None):
        self._file = file
        self._languages = languages
        self._owner = owner

    def of(self, owner: str | None) -> "Glossaries":
        """Another owner's; None for those made without a key."""
        return Glossaries(self._file, self._languages, owner)

    def create(self, name: str, dictionaries: Sequence[Dictionary]) -> Glossary:
        """Keep a new glossary; names may repeat. Raises InvalidInput."""
        name, known = _name(name), self._checked(dictionaries)
        glossary_id = str(uuid.uuid4())
        with self._database() as db:
            (number,) = db.execute(
                "SELECT count(*) FROM glossary WHERE owner IS ?", (self._owner,)
            ).fetchone()
            if number >= MOST_GLOSSARIES:
                raise InvalidInput(f"there are {number} glossaries already; delete one first")
            db.execute(
                "INSERT INTO glossary (id, name, created, owner) VALUES (?, ?, ?, ?)",
                (glossary_id, name, datetime.now(UTC).isoformat(), self._owner),
            )
            _insert(db, glossary_id, known)
            return _get(db, glossary_id, self._owner)

    def all(self) -> list[Glossary]:
        """All glossaries, the oldest first."""
        with self._database() as db:
            ids = db.execute(
                "SELECT id FROM glossary WHERE owner IS ? ORDER BY created, id", (self._owner,)
            ).fetchall()
            return [_get(db, glossary_id, self._owner) for (glossary_id,) in ids]

    def get(self, glossary_id: str) -> Glossary:
        """One glossary. Raises UnknownGlossary."""
        with self._database() as db:
            return _get(db, glossary_id, self._owner)

    def find(self, named: str) -> Glossary:
        """The glossary with this id or name. Raises UnknownGlossary, also for a name that several have."""
        with self._database() as db:
            return _get(db, _find(db, named, self._owner), self._owner)

    def entries(self, named: str, source: str, target: str) -> dict[str, str]:
        """The entries for one pair, in the order of their terms; `named` is an id or a name.

        Raises UnknownGlossary, also where there are none for the pair, and for a name that several have.
        """
        pair = self._normal(source, "source"), self._normal(target, "target")
        with self._database() as db:
            glossary = _get(db, _find(db, named, self._owner), self._owner)
            found = _entries(db, glossary.id, *pair)
        if not found:
            raise _no_pair(glossary, *pair)
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
        with self._database() as db:
            _get(db, glossary_id, self._owner)
            if name is not None:
                db.execute("UPDATE glossary SET name = ? WHERE id = ?", (_name(name), glossary_id))
            if replace:
                for each in known:
                    _delete_pair(db, glossary_id, each.source, each.target)
            _insert(db, glossary_id, known)
            return _get(db, glossary_id, self._owner)

    def delete(self, glossary_id: str) -> None:
        """Forget a glossary. Raises UnknownGlossary."""
        with self._database() as db:
            _get(db, glossary_id, self._owner)
            db.execute("DELETE FROM glossary WHERE id = ?", (glossary_id,))

    def delete_dictionary(self, glossary_id: str, source: str, target: str) -> None:
        """Forget one pair's entries. Raises UnknownGlossary."""
        pair = self._normal(source, "source"), self._normal(target, "target")
        with self._database() as db:
            glossary = _get(db, glossary_id, self._owner)
            if _delete_pair(db, glossary_id, *pair) == 0:
                raise _no_pair(glossary, *pair)

    def targets(self, named: str, target: str) -> dict[str, dict[str, str]]:
        """The entries by source language, of all pairs that lead to `target`; raises as `entries` does."""
        target = self._normal(target, "target")
        with self._database() as db:
            glossary = _get(db, _find(db, named, self._owner), self._owner)
            sources = [pair.source for pair in glossary.pairs if pair.target == target]
            found = {source: _entries(db, glossary.id, source, target) for source in sources}
        if not found:
            raise _no_pair(glossary, "auto", target)
        return found

    # ------------------------------------------------------------------ inside

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own, in a transaction that is kept if nothing is raised."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._file, isolation_level=None)) as db:
                db.execute("PRAGMA foreign_keys = ON")
                db.executescript(_TABLES)
                _add_owners(db)
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")  # whoever raises closes the connection first, and so takes it back
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the glossaries in {self._file} cannot be used: {error}") from error

    def _checked(self, dictionaries: Sequence[Dictionary]) -> list[Dictionary]:
        known: dict[tuple[str, str], Dictionary] = {}
        for each in dictionaries:
            pair = self._normal(each.source, "source"), self._normal(each.target, "target")
            if pair[0] == pair[1]:
                raise InvalidInput(
                    f"{each.source} and {each.target} are the same language",
                    field="target",
                    allowed="another",
                )
            if pair in known:
                raise InvalidInput(f"there are two dictionaries for {pair[0]} to {pair[1]}", field="target")
            known[pair] = Dictionary(*pair, checked(each.entries))
        characters = sum(len(t) + len(to) for d in known.values() for t, to in d.entries.items())
        if characters > MOST_CHARACTERS:
            raise InvalidInput(
                f"the entries have {characters} characters",
                field="entries",
                allowed=f"at most {MOST_CHARACTERS}",
            )
        return list(known.values())

    def _normal(self, language: str, field: str) -> str:
        return self._languages.normalize(language, field)


def _name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidInput(
            f"the name has {len(name)} characters", field="name", allowed=f"1 to {LONGEST_NAME} characters"
        )
    return name


def _add_owners(db: sqlite3.Connection) -> None:
    """Bring a file up to date that was made before glossaries had owners."""
    if all(column[1] != "owner" for column in db.execute("PRAGMA table_info(glossary)")):
        db.execute("ALTER TABLE glossary ADD COLUMN owner TEXT")


def _get(db: sqlite3.Connection, glossary_id: str, owner: str | None) -> Glossary:
    row = db.execute(
        "SELECT id, name, created FROM glossary WHERE id = ? AND owner IS ?", (glossary_id, owner)
    ).fetchone()
    if row is None:
        raise _unknown(glossary_id)
    pairs = tuple(Pair(*pair) for pair in db.execute(_DICTIONARIES, (glossary_id,)))
    return Glossary(row[0], row[1], datetime.fromisoformat(row[2]), pairs)


def _find(db: sqlite3.Connection, named: str, owner: str | None) -> str:
    """The id of the glossary with this id or, failing that, this name."""
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


def _entries(db: sqlite3.Connection, glossary_id: str, source: str, target: str) -> dict[str, str]:
    rows = db.execute(
        "SELECT term, translation FROM entry WHERE glossary = ? AND source = ? AND target = ? ORDER BY term",
        (glossary_id, source, target),
    )
    return dict(rows.fetchall())


def _insert(db: sqlite3.Connection, glossary_id: str, dictionaries: Sequence[Dictionary]) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?)",
        [(glossary_id, d.source, d.target, t, to) for d in dictionaries for t, to in d.entries.items()],
    )


def _delete_pair(db: sqlite3.Connection, glossary_id: str, source: str, target: str) -> int:
    pair = "DELETE FROM entry WHERE glossary = ? AND source = ? AND target = ?"
    return db.execute(pair, (glossary_id, source, target)).rowcount


def _unknown(named: str) -> UnknownGlossary:
    return UnknownGlossary(f"there is no glossary {named[:100]!r}", field="glossary")


def _no_pair(glossary: Glossary, source: str, target: str) -> UnknownGlossary:
    return UnknownGlossary(
        f"the glossary {glossary.name!r} has nothing for {source} to {target}",
        field="glossary",
        allowed=[f"{pair.source} to {pair.target}" for pair in glossary.pairs],
    )
