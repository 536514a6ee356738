"""Translation memory, kept in SQLite: sentences and what people made of them, by pairs of languages.

A key has a memory of its own, and so has each address without one: nothing that one caller keeps reaches what
another reads.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from models.errors import InvalidInput
from models.languages import Languages
from models.translate.sentence import MemoryMatch
from service.database import Database, rows_in
from service.limits import shares
from service.recollection import NEAR_LENGTHS, nearest, normal
from service.tmx import TmxPair

MAX_BYTES = 64 << 20
"""Of the memory of a key, or of an address without one."""
LONGEST_SENTENCE = 5000
"""Characters of either side."""
MOST_CANDIDATES = 2000
"""Sentences, the nearest in length, among which the nearest are looked for."""
COMPARED = 1_000_000_000
"""Fewer candidates for long sentences: comparing two takes time by the square of their length, 0.24 ms at the
longest, and holds the interpreter. So it takes some 10 ms for a sentence."""
_CONTROL = re.compile("[^\\t\\n\\r -\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What XML cannot hold, and so no TMX file."""

TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS remembered (
    owner TEXT, caller TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
    text TEXT NOT NULL, translation TEXT NOT NULL, bytes INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS remembered_by_text ON remembered (caller, source, target, text);
CREATE INDEX IF NOT EXISTS remembered_by_length ON remembered (caller, source, target, length(text));
CREATE INDEX IF NOT EXISTS remembered_by_owner ON remembered (owner, bytes);
"""

_PUT = """
INSERT INTO remembered (owner, caller, source, target, text, translation, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (caller, source, target, text)
DO UPDATE SET translation = excluded.translation, bytes = excluded.bytes
"""
_OWN = "caller = ? AND source = ? AND target = ?"
ROW_BYTES = 200
"""Bytes that a sentence takes beside its texts."""


@dataclass(frozen=True, slots=True)
class MemoryPair:
    """Two languages, and how many sentences there are for them."""

    source: str
    target: str
    size: int


class Memory:
    """One caller's memory in a file, which is made at its first use. Threads may share it.

    At first it is nobody's; `of` gives a caller's. It takes at most `max_bytes`.
    """

    def __init__(self, file: Path, languages: Languages, *, max_bytes: int = MAX_BYTES):
        self._languages = languages
        self._max_bytes = max_bytes
        self._owner: str | None = None
        self._caller = ""
        self._database = Database(file, "the translation memory", TABLES)

    def of(self, owner: str | None, caller: str) -> "Memory":
        """Return the memory of a caller, whose key's id is `owner`, if there is a key."""
        other = copy(self)
        other._owner, other._caller = owner, caller
        return other

    def add(self, pairs: Iterable[TmxPair]) -> int:
        """Keep pairs, the later of two for one sentence, and return how many. Raises InvalidInput."""
        rows = [self._row(each) for each in pairs]
        with self._database.transaction() as db:
            db.executemany(_PUT, rows)
            self._require_room(db)
        return len(rows)

    def recall(self, texts: Sequence[str], source: str, target: str, near: int) -> list[MemoryMatch]:
        """See `Recall`."""
        if not self._database.file.exists():
            return [MemoryMatch() for _ in texts]
        asked = [normal(text) for text in texts]
        with self._database.transaction(write=False) as db:
            same = self._same(db, asked, source, target)
            return [
                MemoryMatch(same.get(text), nearest(text, self._around(db, text, source, target), near))
                if near
                else MemoryMatch(same.get(text))
                for text in asked
            ]

    def pairs(self) -> list[MemoryPair]:
        """Return the pairs of languages that it has sentences for."""
        with self._database.transaction(write=False) as db:
            rows = db.execute(
                "SELECT source, target, count(*) FROM remembered WHERE caller = ? "
                "GROUP BY source, target ORDER BY source, target",
                (self._caller,),
            )
            return [MemoryPair(*row) for row in rows]

    def sentences(self, source: str | None = None, target: str | None = None) -> Iterator[TmxPair]:
        """Return all that is kept, or what is kept from or into a language. Raises UnsupportedLanguage."""
        return self._rows(*self._which(source, target))

    def _rows(self, which: str, values: Sequence[str]) -> Iterator[TmxPair]:
        with self._database.transaction(write=False) as db:
            query = f"SELECT source, target, text, translation FROM remembered WHERE {which} ORDER BY 1, 2, 3"  # noqa: S608
            for row in db.execute(query, values):
                yield TmxPair(*row)

    def forget(self, source: str | None = None, target: str | None = None, text: str | None = None) -> int:
        """Drop all, or what is from or into a language, or one sentence; return how many went."""
        which, values = self._which(source, target)
        if text is not None:
            which, values = f"{which} AND text = ?", [*values, normal(text)]
        with self._database.transaction() as db:
            return db.execute(f"DELETE FROM remembered WHERE {which}", values).rowcount  # noqa: S608

    # ------------------------------------------------------------------ inside

    def _row(self, pair: TmxPair) -> tuple[str | None, str, str, str, str, str, int]:
        source = self._languages.normalize(pair.source, "source")
        target = self._languages.normalize(pair.target, "target")
        text, translation = normal(pair.text), pair.translation.strip()
        if source == target:
            raise InvalidInput(f"{source} is the language of both sides", field="target", allowed="another")
        if not text or not translation or max(len(text), len(translation)) > LONGEST_SENTENCE:
            raise InvalidInput(
                f"a pair has {len(text)} and {len(translation)} characters: {text[:40]!r}",
                field="entries",
                allowed=f"1 to {LONGEST_SENTENCE} characters on each side",
            )
        if _CONTROL.search(text + translation):
            raise InvalidInput("a pair holds control characters", field="entries", allowed="text")
        size = ROW_BYTES + 2 * len(text.encode()) + len(translation.encode())
        return self._owner, self._caller, source, target, text, translation, size

    def _same(self, db: sqlite3.Connection, texts: Sequence[str], source: str, target: str) -> dict[str, str]:
        query = f"SELECT text, translation FROM remembered WHERE {_OWN} AND text IN (%s)"  # noqa: S608
        return dict(rows_in(db, query, list(dict.fromkeys(texts)), self._caller, source, target))

    def _around(self, db: sqlite3.Connection, text: str, source: str, target: str) -> Mapping[str, str]:
        """Return sentences of about this length, the nearest ones on either side."""
        least, most = (int(len(text) * ratio) for ratio in NEAR_LENGTHS)
        number = max(1, min(MOST_CANDIDATES, COMPARED // (30_000 + len(text) ** 2)) // 2)
        found: dict[str, str] = {}
        for side, values in (
            ("length(text) BETWEEN ? AND ? ORDER BY length(text) DESC", (least, len(text))),
            ("length(text) > ? AND length(text) <= ? ORDER BY length(text)", (len(text), most)),
        ):
            query = f"SELECT text, translation FROM remembered WHERE {_OWN} AND {side} LIMIT ?"  # noqa: S608
            found.update(db.execute(query, (self._caller, source, target, *values, number)))
        return found

    def _which(self, source: str | None, target: str | None) -> tuple[str, list[str]]:
        which, values = "caller = ?", [self._caller]
        for name, language in (("source", source), ("target", target)):
            if language is not None:
                which += f" AND {name} = ?"
                values.append(self._languages.normalize(language, name))
        return which, values

    def _require_room(self, db: sqlite3.Connection) -> None:
        """Raise InvalidInput if the caller, or all without a key together, keep too much now."""
        for whose, which, value, share in shares(self._caller, self._owner):
            query = f"SELECT coalesce(sum(bytes), 0) FROM remembered WHERE {which}"  # noqa: S608
            (kept,) = db.execute(query, (value,)).fetchone()
            if kept > share * self._max_bytes:
                raise InvalidInput(
                    f"the translation memory of {whose} would take {kept} bytes",
                    field="entries",
                    allowed=f"at most {share * self._max_bytes} bytes",
                )
