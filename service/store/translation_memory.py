"""Translation memory: sentences and their human translations by language pair.

Each caller has its own memory: no caller's translations reach another.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, select

from models.errors import InvalidInput
from models.languages import Languages
from models.translate.sentence import MemoryMatch
from service.shares import MEMORY_BYTES, stored_shares
from service.store.database import Database, PairSize
from service.store.schema import digest, memory
from service.store.statements import put, rows_in, total
from service.store.tmx import TmxPair, nearest, normal

LONGEST_SENTENCE = 5000
"""Characters of either side."""
NEAR_LENGTHS = 0.75, 1.34
"""Lengths of sentences that may be so near, beside the sentence's own."""
MOST_CANDIDATES = 2000
"""Sentences, the nearest in length, among which the nearest are looked for."""
COMPARED = 1_000_000_000
"""Fewer candidates for long sentences: comparing two takes time by the square of their length, 0.24 ms at the
longest, and holds the interpreter. So it takes some 10 ms for a sentence."""
ROW_BYTES = 200
"""Bytes that a sentence takes beside its texts."""
SENTENCES_AT_ONCE = 1000
"""Sentences read in one transaction."""

_CONTROL = re.compile("[^\\t\\n\\r -\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What XML cannot hold, and so no TMX file."""

_row = memory.c


class TranslationMemory:
    """One caller's memory in a database. Threads may share it.

    At first it is nobody's; `of` gives a caller's. It takes at most `max_bytes`.
    """

    def __init__(self, database: Database, languages: Languages, *, max_bytes: int = MEMORY_BYTES):
        self._languages = languages
        self._max_bytes = max_bytes
        self._owner: str | None = None
        self._caller = ""
        self._database = database

    def of(self, owner: str | None, caller: str) -> "TranslationMemory":
        """Return the memory of a caller, whose key's id is `owner`, if there is a key."""
        other = copy(self)
        other._owner, other._caller = owner, caller
        return other

    def add(self, pairs: Iterable[TmxPair]) -> int:
        """Keep pairs, the later of two for one sentence, and return how many. Raises InvalidInput."""
        rows = [self._values(each) for each in pairs]
        with self._database.transaction(alone=f"memory of {self._owner}") as db:
            put(db, memory, rows, change=("translation", "bytes"))
            for whose, column, value, share in stored_shares(self._caller, self._owner):
                kept = total(db, _row.bytes, _row[column] == value)
                if kept > share * self._max_bytes:
                    raise InvalidInput(
                        f"the translation memory of {whose} would take {kept} bytes",
                        field="entries",
                        allowed=f"at most {share * self._max_bytes} bytes",
                    )
        return len(rows)

    def recall(self, texts: Sequence[str], source: str, target: str, near: int) -> list[MemoryMatch]:
        """See `models.translate.translator.MemoryLookup`."""
        if self._database.empty:
            return [MemoryMatch() for _ in texts]
        own = select(_row.text, _row.translation).where(
            *self._own(), _row.source == source, _row.target == target
        )
        asked = [normal(text) for text in texts]
        digests = [digest(text) for text in dict.fromkeys(asked)]
        with self._database.transaction(write=False) as db:
            same = _texts(rows_in(db, own, _row.digest, digests))
            return [
                MemoryMatch(same.get(text), nearest(text, _around(db, text, own), near) if near else ())
                for text in asked
            ]

    def pairs(self) -> list[PairSize]:
        """Return the pairs of languages that it has sentences for."""
        pair = _row.source, _row.target
        query = select(*pair, func.count()).where(*self._own()).group_by(*pair).order_by(*pair)
        return [PairSize(*row) for row in self._database.read(query)]

    def sentences(self, source: str | None = None, target: str | None = None) -> Iterator[TmxPair]:
        """Return all that is kept, or what is kept from or into a language. Raises UnsupportedLanguage.

        It is read as it is asked for, by the piece: whoever reads slowly holds no connection.
        """
        place = _row.source, _row.target, _row.digest
        query = select(*place, _row.text, _row.translation).where(*self._own(source, target))
        rows = self._database.pages(query, SENTENCES_AT_ONCE, *place)
        return (TmxPair(row.source, row.target, row.text, row.translation) for row in rows)

    def forget(self, source: str | None = None, target: str | None = None, text: str | None = None) -> int:
        """Drop all, or what is from or into a language, or one sentence; return how many went."""
        which = self._own(source, target)
        if text is not None:
            which.append(_row.digest == digest(normal(text)))
        return self._database.write(delete(memory).where(*which))

    # ------------------------------------------------------------------ inside

    def _values(self, pair: TmxPair) -> dict[str, Any]:
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
        return {
            "caller": self._caller,
            "source": source,
            "target": target,
            "digest": digest(text),
            "owner": self._owner,
            "text": text,
            "translation": translation,
            "characters": len(text),
            "bytes": ROW_BYTES + 2 * len(text.encode()) + len(translation.encode()),
        }

    def _own(self, source: str | None = None, target: str | None = None) -> list[ColumnElement[bool]]:
        which = [_row.caller == self._caller]
        for name, language in (("source", source), ("target", target)):
            if language is not None:
                which.append(_row[name] == self._languages.normalize(language, name))
        return which


def _texts(rows: Iterable[Any]) -> dict[str, str]:
    return {row.text: row.translation for row in rows}


def _around(db: Connection, text: str, own: Select[Any]) -> Mapping[str, str]:
    """Return sentences of about this length, the nearest ones on either side."""
    size = _row.characters
    least, most = (int(len(text) * ratio) for ratio in NEAR_LENGTHS)
    number = max(1, min(MOST_CANDIDATES, COMPARED // (30_000 + len(text) ** 2)) // 2)
    shorter = own.where(size.between(least, len(text))).order_by(size.desc()).limit(number)
    longer = own.where(size > len(text), size <= most).order_by(size).limit(number)
    return _texts(db.execute(shorter)) | _texts(db.execute(longer))
