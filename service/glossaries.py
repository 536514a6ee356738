"""Named glossaries, kept in SQLite: terms and what each is to be, by pairs of languages.

Each has an owner, the API key that it was made with, or none; whoever looks sees one owner's. Its bytes are
counted against the caller who made it: the key, or without one the address. Languages are the table's own
codes. Nothing here is translated; a task takes the terms with its request.
"""

import sqlite3
import uuid
from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime
from pathlib import Path

from models.errors import InvalidInput
from models.languages import Languages
from service.database import Database
from service.glossary_tables import (
    TABLES,
    Dictionary,
    Glossary,
    delete_pair,
    entries_of,
    find,
    get,
    insert,
    no_pair,
    size_of,
)
from service.limits import shares
from service.terms import checked

MOST_GLOSSARIES = 1000
MOST_CHARACTERS = 10_000_000
"""Of a glossary's entries, so that a translation's terms fit into memory."""
MOST_BYTES = 64 << 20
"""Of a caller's glossaries together, where the settings say nothing else."""
LONGEST_NAME = 1024


class Glossaries:
    """One owner's glossaries in a file, which is made at its first use. Threads may share it.

    At first these are the glossaries made without a key; `of` gives another owner's. Those of one caller take
    at most `max_bytes`.
    """

    def __init__(self, file: Path, languages: Languages, *, max_bytes: int = MOST_BYTES):
        self._languages = languages
        self._owner: str | None = None
        self._caller = ""
        self._max_bytes = max_bytes
        self._database = Database(file, "the glossaries", TABLES)

    def of(self, owner: str | None, caller: str = "") -> "Glossaries":
        """Return the owner's glossaries, None being for those made without a key.

        Whatever is made through them is counted against `caller`.
        """
        other = copy(self)
        other._owner, other._caller = owner, caller
        return other

    def create(self, name: str, dictionaries: Sequence[Dictionary]) -> Glossary:
        """Keep a new glossary; names may repeat. Raises InvalidInput."""
        name, known = _name(name), self._checked(dictionaries)
        glossary_id = str(uuid.uuid4())
        with self._database.transaction() as db:
            self._require_room(db, size_of(known), glossaries=1)  # before all is written for nothing
            db.execute(
                "INSERT INTO glossary (id, name, created, owner, caller) VALUES (?, ?, ?, ?, ?)",
                (glossary_id, name, datetime.now(UTC).isoformat(), self._owner, self._caller),
            )
            insert(db, glossary_id, known)
            return get(db, glossary_id, self._owner)

    def all(self) -> list[Glossary]:
        """Return all glossaries, the oldest first."""
        with self._database.transaction(write=False) as db:
            ids = db.execute(
                "SELECT id FROM glossary WHERE owner IS ? ORDER BY created, id", (self._owner,)
            ).fetchall()
            return [get(db, glossary_id, self._owner) for (glossary_id,) in ids]

    def get(self, glossary_id: str) -> Glossary:
        """Return one glossary. Raises UnknownGlossary."""
        with self._database.transaction(write=False) as db:
            return get(db, glossary_id, self._owner)

    def find(self, named: str) -> Glossary:
        """Return the glossary with this id or name. Raises UnknownGlossary, also if several have the name."""
        with self._database.transaction(write=False) as db:
            return get(db, find(db, named, self._owner), self._owner)

    def entries(self, named: str, source: str, target: str) -> dict[str, str]:
        """Return the entries for one pair, in the order of their terms; `named` is an id or a name.

        Raises UnknownGlossary, also where there are none for the pair, and for a name that several have.
        """
        pair = self._normal(source, "source"), self._normal(target, "target")
        with self._database.transaction(write=False) as db:
            glossary = get(db, find(db, named, self._owner), self._owner)
            found = entries_of(db, glossary.id, *pair)
        if not found:
            raise no_pair(glossary, *pair)
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
            get(db, glossary_id, self._owner)
            if name is not None:
                db.execute("UPDATE glossary SET name = ? WHERE id = ?", (_name(name), glossary_id))
            if replace:
                for each in known:
                    delete_pair(db, glossary_id, each.source, each.target)
            if known:
                insert(db, glossary_id, known)
                # Who adds to it pays for it: without keys, others' glossaries are open to all.
                db.execute("UPDATE glossary SET caller = ? WHERE id = ?", (self._caller, glossary_id))
                self._require_room(db)
            return get(db, glossary_id, self._owner)

    def delete(self, glossary_id: str) -> None:
        """Forget a glossary. Raises UnknownGlossary."""
        with self._database.transaction() as db:
            get(db, glossary_id, self._owner)
            db.execute("DELETE FROM glossary WHERE id = ?", (glossary_id,))

    def delete_dictionary(self, glossary_id: str, source: str, target: str) -> None:
        """Forget one pair's entries. Raises UnknownGlossary."""
        pair = self._normal(source, "source"), self._normal(target, "target")
        with self._database.transaction() as db:
            glossary = get(db, glossary_id, self._owner)
            if delete_pair(db, glossary_id, *pair) == 0:
                raise no_pair(glossary, *pair)

    def targets(self, named: str, target: str) -> dict[str, dict[str, str]]:
        """Return the entries of all pairs to `target`, by source language; raises as `entries` does."""
        target = self._normal(target, "target")
        with self._database.transaction(write=False) as db:
            glossary = get(db, find(db, named, self._owner), self._owner)
            sources = [pair.source for pair in glossary.pairs if pair.target == target]
            found = {source: entries_of(db, glossary.id, source, target) for source in sources}
        if not found:
            raise no_pair(glossary, "auto", target)
        return found

    # ------------------------------------------------------------------ inside

    def _require_room(self, db: sqlite3.Connection, more: int = 0, *, glossaries: int = 0) -> None:
        """Raise InvalidInput if the caller, or all without a key together, would keep too much with these."""
        for whose, which, value, share in shares(self._caller, self._owner):
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
