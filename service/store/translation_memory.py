"""Translation memory: sentences and their human translations by language pair, in SQLite or as TMX.

Each caller has its own memory: no caller's translations reach another.
"""

import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import regex
from lxml import etree
from rapidfuzz import fuzz, process

from models.errors import InvalidInput
from models.languages import Languages
from models.translate.sentence import MemoryMatch
from models.translate.translator import MemoryLookup
from service.shares import MEMORY_BYTES, stored_shares
from service.store.database import Database, PairSize, rows_in

LONGEST_SENTENCE = 5000
"""Characters of either side."""
NEAR = 85.0
"""The least likeness, of 100, of a sentence whose translation is offered for another."""
NEAR_LENGTHS = 0.75, 1.34
"""Lengths of sentences that may be so near, beside the sentence's own."""
MOST_CANDIDATES = 2000
"""Sentences, the nearest in length, among which the nearest are looked for."""
COMPARED = 1_000_000_000
"""Fewer candidates for long sentences: comparing two takes time by the square of their length, 0.24 ms at the
longest, and holds the interpreter. So it takes some 10 ms for a sentence."""
ROW_BYTES = 200
"""Bytes that a sentence takes beside its texts."""

_FACTS = regex.compile(r"\d+|(?<=\s)\p{Lu}[\w'’-]*+")
"""Numbers, and the words after the first that begin with a capital letter."""
_CONTROL = re.compile("[^\\t\\n\\r -\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What XML cannot hold, and so no TMX file."""

_TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS remembered (
    owner TEXT, caller TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
    text TEXT NOT NULL, translation TEXT NOT NULL, bytes INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS remembered_by_text ON remembered (caller, source, target, text);
CREATE INDEX IF NOT EXISTS remembered_by_length ON remembered (caller, source, target, length(text));
CREATE INDEX IF NOT EXISTS remembered_by_owner ON remembered (owner, bytes);
CREATE INDEX IF NOT EXISTS remembered_by_caller ON remembered (caller, bytes);
"""
_PUT = """
INSERT INTO remembered (owner, caller, source, target, text, translation, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (caller, source, target, text)
DO UPDATE SET translation = excluded.translation, bytes = excluded.bytes
"""
_OWN = "SELECT text, translation FROM remembered WHERE caller = ? AND source = ? AND target = ? AND "


@dataclass(frozen=True, slots=True)
class TmxPair:
    """A sentence in two languages; their codes may be any spelling."""

    source: str
    target: str
    text: str
    translation: str


class TranslationMemory:
    """One caller's memory in a file, which is made at its first use. Threads may share it.

    At first it is nobody's; `of` gives a caller's. It takes at most `max_bytes`.
    """

    def __init__(self, file: Path, languages: Languages, *, max_bytes: int = MEMORY_BYTES):
        self._languages = languages
        self._max_bytes = max_bytes
        self._owner: str | None = None
        self._caller = ""
        self._database = Database(file, "the translation memory", _TABLES)

    def of(self, owner: str | None, caller: str) -> "TranslationMemory":
        """Return the memory of a caller, whose key's id is `owner`, if there is a key."""
        other = copy(self)
        other._owner, other._caller = owner, caller
        return other

    def add(self, pairs: Iterable[TmxPair]) -> int:
        """Keep pairs, the later of two for one sentence, and return how many. Raises InvalidInput."""
        rows = [self._row(each) for each in pairs]
        with self._database.transaction() as db:
            db.executemany(_PUT, rows)
            for whose, which, value, share in stored_shares(self._caller, self._owner):
                query = f"SELECT coalesce(sum(bytes), 0) FROM remembered WHERE {which}"  # noqa: S608
                (kept,) = db.execute(query, (value,)).fetchone()
                if kept > share * self._max_bytes:
                    raise InvalidInput(
                        f"the translation memory of {whose} would take {kept} bytes",
                        field="entries",
                        allowed=f"at most {share * self._max_bytes} bytes",
                    )
        return len(rows)

    def recall(self, texts: Sequence[str], source: str, target: str, near: int) -> list[MemoryMatch]:
        """See `models.translate.translator.MemoryLookup`."""
        if not self._database.file.exists():
            return [MemoryMatch() for _ in texts]
        own = self._caller, source, target
        asked = [normal(text) for text in texts]
        with self._database.transaction(write=False) as db:
            same = dict(rows_in(db, f"{_OWN}text IN (%s)", list(dict.fromkeys(asked)), *own))
            return [
                MemoryMatch(same.get(text), nearest(text, _around(db, text, own), near) if near else ())
                for text in asked
            ]

    def pairs(self) -> list[PairSize]:
        """Return the pairs of languages that it has sentences for."""
        with self._database.transaction(write=False) as db:
            rows = db.execute(
                "SELECT source, target, count(*) FROM remembered WHERE caller = ? "
                "GROUP BY source, target ORDER BY source, target",
                (self._caller,),
            )
            return [PairSize(*row) for row in rows]

    def sentences(self, source: str | None = None, target: str | None = None) -> Iterator[TmxPair]:
        """Return all that is kept, or what is kept from or into a language. Raises UnsupportedLanguage."""
        which, values = self._which(source, target)
        query = f"SELECT source, target, text, translation FROM remembered WHERE {which} ORDER BY 1, 2, 3"  # noqa: S608

        def rows() -> Iterator[TmxPair]:
            with self._database.transaction(write=False) as db:
                for row in db.execute(query, values):
                    yield TmxPair(*row)

        return rows()

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

    def _which(self, source: str | None, target: str | None) -> tuple[str, list[str]]:
        which, values = "caller = ?", [self._caller]
        for name, language in (("source", source), ("target", target)):
            if language is not None:
                which += f" AND {name} = ?"
                values.append(self._languages.normalize(language, name))
        return which, values


def _around(db: sqlite3.Connection, text: str, own: Sequence[str]) -> Mapping[str, str]:
    """Return sentences of about this length, the nearest ones on either side."""
    least, most = (int(len(text) * ratio) for ratio in NEAR_LENGTHS)
    number = max(1, min(MOST_CANDIDATES, COMPARED // (30_000 + len(text) ** 2)) // 2)
    shorter = "length(text) BETWEEN ? AND ? ORDER BY length(text) DESC LIMIT ?"
    longer = "length(text) > ? AND length(text) <= ? ORDER BY length(text) LIMIT ?"
    found = dict(db.execute(_OWN + shorter, (*own, least, len(text), number)).fetchall())
    found.update(db.execute(_OWN + longer, (*own, len(text), most, number)))
    return found


def file_memory(pairs: Iterable[TmxPair], languages: Languages) -> MemoryLookup:
    """Look sentences up among these pairs, the later of two for one sentence. Raises UnsupportedLanguage."""
    known: dict[tuple[str, str], dict[str, str]] = {}
    for each in pairs:
        pair = languages.normalize(each.source, "source"), languages.normalize(each.target, "target")
        known.setdefault(pair, {})[normal(each.text)] = each.translation

    def recall(texts: Sequence[str], source: str, target: str, near: int) -> list[MemoryMatch]:
        own = known.get((source, target), {})
        return [MemoryMatch(own.get(text), nearest(text, own, near)) for text in map(normal, texts)]

    return recall


# ---------------------------------------------------------------------- sentences


def normal(text: str) -> str:
    """Return the sentence as it is compared: composed, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def nearest(text: str, known: Mapping[str, str], most: int) -> tuple[str, ...]:
    """Return the translations of the nearest of `known` sentences with the same numbers and names."""
    if not most or not known:
        return ()
    wanted = sorted(_FACTS.findall(text))
    found = process.extract(text, known.keys(), scorer=fuzz.ratio, score_cutoff=NEAR, limit=8 * most)
    same = [known[each] for each, _, _ in found if each != text and sorted(_FACTS.findall(each)) == wanted]
    return tuple(dict.fromkeys(same))[:most]


# ---------------------------------------------------------------------- TMX 1.4 files

TMX_TYPE = "application/x-tmx+xml"
MOST_UNITS = 200_000

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_CODES = frozenset({"bpt", "ept", "ph", "it", "ut"})
"""Elements in a segment that hold another program's markup, and no words."""


def read_tmx(data: bytes) -> list[TmxPair]:
    """Return the pairs of a file: of each unit its source language's sentence with each other language's.

    Nothing is followed or expanded. Raises InvalidInput, field `file`, for what is no TMX.
    """
    try:
        return list(_tmx_pairs(data))
    except etree.XMLSyntaxError as error:
        raise _no_tmx(str(error)[:200]) from None


def _tmx_pairs(data: bytes) -> Iterator[TmxPair]:
    units = etree.iterparse(
        BytesIO(data), tag=("header", "tu"), resolve_entities=False, no_network=True, load_dtd=False
    )
    first, number = "", 0
    for _, element in units:
        if element.tag == "header":
            first = element.get("srclang", "")
            continue
        number += 1
        if number > MOST_UNITS:
            raise InvalidInput(
                f"the file has over {MOST_UNITS} units", field="file", allowed=f"at most {MOST_UNITS}"
            )
        yield from _unit_pairs(element, element.get("srclang", first))
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    if units.root is None or units.root.tag != "tmx":
        raise _no_tmx("its root is no <tmx>")


def _unit_pairs(unit: "etree._Element", source: str) -> Iterator[TmxPair]:
    texts = {
        variant.get(_LANG) or variant.get("lang") or "": " ".join(_words(segment).split())
        for variant in unit.iter("tuv")
        for segment in variant.findall("seg")[:1]
    }
    own = _source_of(texts, source)
    for language, translation in texts.items():
        if own is not None and language != own and texts[own] and translation:
            yield TmxPair(own, language, texts[own], translation)


def _source_of(languages: Iterable[str], source: str) -> str | None:
    """Return the unit's language that is the source's, if need be but for the region; the first for any."""
    if source in ("", "*all*"):
        return next(iter(languages), None)
    wanted = source.lower()
    alike = [each for each in languages if each.lower().split("-")[0] == wanted.split("-")[0]]
    return next((each for each in alike if each.lower() == wanted), next(iter(alike), None))


def _words(element: "etree._Element") -> str:
    if element.tag in _CODES:
        return ""
    parts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str):
            parts.append(_words(child))
        parts.append(child.tail or "")
    return "".join(parts)


def write_tmx(pairs: Iterable[TmxPair]) -> Iterator[str]:
    """Yield a TMX file, piece by piece."""
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4">\n'
        '<header creationtool="dragoman" creationtoolversion="1" segtype="sentence" o-tmf="dragoman" '
        'adminlang="en" srclang="*all*" datatype="plaintext"/>\n<body>\n'
    )
    for pair in pairs:
        yield (
            f"<tu srclang={quoteattr(pair.source)}>"
            f"<tuv xml:lang={quoteattr(pair.source)}><seg>{escape(pair.text)}</seg></tuv>"
            f"<tuv xml:lang={quoteattr(pair.target)}><seg>{escape(pair.translation)}</seg></tuv></tu>\n"
        )
    yield "</body>\n</tmx>\n"


def _no_tmx(why: str) -> InvalidInput:
    return InvalidInput(f"this is not a TMX file: {why}", field="file", allowed="TMX 1.4")
