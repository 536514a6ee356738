"""Stored glossaries: terms and translations by language pair.

A glossary belongs to the API key that created it, or to nobody. Each owner sees only his own; nobody's are
found by their ids, unless the caller is known. Its bytes count against the creating key, or else the address.
Languages are the table's own codes. Translates nothing: a task gets the terms with its request.
"""

import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, literal, select, update

from models.errors import InvalidInput
from models.languages import Languages
from service.errors import UnknownGlossary
from service.shares import GLOSSARY_BYTES, stored_shares
from service.store.database import Database, PairSize
from service.store.glossary_files import checked_entries
from service.store.schema import digest, glossary, glossary_entry
from service.store.statements import put, total

MOST_GLOSSARIES = 1000
MOST_CHARACTERS = 10_000_000
"""Of a glossary's entries, so that a translation's terms fit into memory."""
LONGEST_NAME = 1024
"""Characters."""
ENTRY_BYTES = 100
"""Bytes of an entry, beside its term, which is there twice, and its translation."""

_entry = glossary_entry.c


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
    """One owner's glossaries in a database. Threads may share it.

    At first these are the glossaries made without a key; `of` gives another owner's. Those of one caller take
    at most `max_bytes`.
    """

    def __init__(self, database: Database, languages: Languages, *, max_bytes: int = GLOSSARY_BYTES):
        self._languages = languages
        self._owner: str | None = None
        self._caller = ""
        self._by_name = True
        self._take: Callable[[int], None] = lambda _: None
        self._max_bytes = max_bytes
        self._database = database

    def of(
        self,
        owner: str | None,
        caller: str = "",
        *,
        by_name: bool = True,
        take: Callable[[int], None] = lambda _: None,
    ) -> "Glossaries":
        """Return the glossaries of the key with the id `owner`, or of no key.

        Whatever is made through them is counted against `caller`. Without `by_name` they are found by their
        ids alone: a name can be guessed, and 128 random bits cannot. `take` hears of the bytes of entries
        before they are read, and may raise.
        """
        other = copy(self)
        other._owner, other._caller, other._by_name, other._take = owner, caller, by_name, take
        return other

    def create(self, name: str, dictionaries: Sequence[Dictionary]) -> Glossary:
        """Keep a new glossary; names may repeat. Raises InvalidInput."""
        name, known = _checked_name(name), self._checked(dictionaries)
        glossary_id = str(uuid.UUID(bytes=secrets.token_bytes(16)))
        rows = _rows(glossary_id, known)
        size = sum(row["bytes"] for row in rows)
        with self._transaction() as db:
            self._require_room(db, size, glossaries=1)
            row = {"id": glossary_id, "name": name, "created": time.time(), "bytes": size}
            db.execute(insert(glossary).values(row | {"owner": self._owner, "caller": self._caller}))
            put(db, glossary_entry, rows)
            return self._get(db, glossary_id)

    def all(self) -> list[Glossary]:
        """Return all glossaries, the oldest first."""
        with self._database.transaction(write=False) as db:
            return self._known(db)

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
            self._take(total(db, _entry.bytes, *_pair(glossary_id, *pair)))
            found = _entries(db, glossary_id, *pair)
            if not found:
                raise _no_pair(self._get(db, glossary_id), *pair)
        return found

    def targets(self, named: str, target: str) -> dict[str, dict[str, str]]:
        """Return the entries of all pairs to `target`, by source language; raises as `entries` does."""
        target = self._languages.normalize(target, "target")
        with self._database.transaction(write=False) as db:
            glossary_id = self._find(db, named)
            self._take(total(db, _entry.bytes, *_to(glossary_id, target)))
            query = select(_entry.source, _entry.term, _entry.translation)
            found: dict[str, dict[str, str]] = {}
            for source, term, translation in db.execute(query.where(*_to(glossary_id, target))):
                found.setdefault(source, {})[term] = translation
            if not found:
                raise _no_pair(self._get(db, glossary_id), "auto", target)
        return {source: dict(sorted(entries.items())) for source, entries in sorted(found.items())}

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
        changes: dict[str, Any] = {} if name is None else {"name": _checked_name(name)}
        with self._transaction() as db:
            self._get(db, glossary_id)
            if replace:
                for each in known:
                    db.execute(delete(glossary_entry).where(*_pair(glossary_id, each.source, each.target)))
            if known:
                put(db, glossary_entry, _rows(glossary_id, known), change=("translation", "bytes"))
                # Who adds to it pays for it: without keys, others' glossaries are open to all.
                changes |= {"caller": self._caller, "bytes": _bytes(db, glossary_id)}
            if changes:
                db.execute(update(glossary).where(glossary.c.id == glossary_id).values(changes))
            if known:
                self._require_room(db)
            return self._get(db, glossary_id)

    def delete(self, glossary_id: str) -> None:
        """Forget a glossary. Raises UnknownGlossary."""
        with self._transaction() as db:
            self._get(db, glossary_id)
            db.execute(delete(glossary).where(glossary.c.id == glossary_id))

    def delete_dictionary(self, glossary_id: str, source: str, target: str) -> None:
        """Forget one pair's entries. Raises UnknownGlossary."""
        pair = self._pair(source, target)
        with self._transaction() as db:
            known = self._get(db, glossary_id)
            if db.execute(delete(glossary_entry).where(*_pair(glossary_id, *pair))).rowcount == 0:
                raise _no_pair(known, *pair)
            left = _bytes(db, glossary_id)
            db.execute(update(glossary).where(glossary.c.id == glossary_id).values(bytes=left))

    # ------------------------------------------------------------------ inside

    def _transaction(self) -> AbstractContextManager[Connection]:
        return self._database.transaction(alone=f"glossaries of {self._owner}")

    def _get(self, db: Connection, glossary_id: str) -> Glossary:
        found = self._known(db, glossary.c.id == glossary_id)
        if not found:
            raise _unknown(glossary_id)
        return found[0]

    def _known(self, db: Connection, *which: ColumnElement[bool]) -> list[Glossary]:
        own = self._own(*which)
        rows = db.execute(select(glossary).where(*own).order_by(glossary.c.created, glossary.c.id)).all()
        columns = _entry.glossary, _entry.source, _entry.target
        sizes = select(*columns, func.count()).where(_entry.glossary.in_(select(glossary.c.id).where(*own)))
        pairs: dict[str, list[PairSize]] = {}
        for glossary_id, *pair in db.execute(sizes.group_by(*columns).order_by(*columns)):
            pairs.setdefault(glossary_id, []).append(PairSize(*pair))
        return [
            Glossary(row.id, row.name, datetime.fromtimestamp(row.created, UTC), tuple(pairs.get(row.id, ())))
            for row in rows
        ]

    def _own(self, *which: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
        return glossary.c.owner == self._owner, *which

    def _find(self, db: Connection, named: str) -> str:
        """Return the id of the glossary with this id or, failing that, this name. Raises UnknownGlossary."""
        own = select(glossary.c.id)
        ids = db.scalars(own.where(*self._own(glossary.c.id == named))).all()
        if not ids and self._by_name:
            ids = db.scalars(own.where(*self._own(glossary.c.name == named))).all()
        if not ids:
            raise _unknown(named, None if self._by_name else "without an API key, a glossary's id")
        if len(ids) > 1:
            raise UnknownGlossary(
                f"{len(ids)} glossaries are named {named!r}; say which by its id",
                field="glossary",
                allowed=list(ids),
            )
        return str(ids[0])

    def _require_room(self, db: Connection, more: int = 0, *, glossaries: int = 0) -> None:
        """Raise InvalidInput if the caller, or all without a key together, would keep too much with these."""
        for whose, column, value, share in stored_shares(self._caller, self._owner):
            which = glossary.c[column] == value
            number, kept = total(db, literal(1), which), total(db, glossary.c.bytes, which)
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


def _rows(glossary_id: str, dictionaries: Sequence[Dictionary]) -> list[dict[str, Any]]:
    return [
        {
            "glossary": glossary_id,
            "target": each.target,
            "source": each.source,
            "digest": digest(term),
            "term": term,
            "translation": translation,
            "bytes": ENTRY_BYTES + 2 * len(term.encode()) + len(translation.encode()),
        }
        for each in dictionaries
        for term, translation in each.entries.items()
    ]


def _bytes(db: Connection, glossary_id: str) -> int:
    return total(db, _entry.bytes, _entry.glossary == glossary_id)


def _to(glossary_id: str, target: str) -> tuple[ColumnElement[bool], ...]:
    return _entry.glossary == glossary_id, _entry.target == target


def _pair(glossary_id: str, source: str, target: str) -> tuple[ColumnElement[bool], ...]:
    return *_to(glossary_id, target), _entry.source == source


def _entries(db: Connection, glossary_id: str, source: str, target: str) -> dict[str, str]:
    """Return them in the order of their terms, which is the same in every database."""
    query = select(_entry.term, _entry.translation).where(*_pair(glossary_id, source, target))
    return dict(sorted(tuple(row) for row in db.execute(query)))


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
