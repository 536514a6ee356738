"""Sentences and their human translations as files, TMX 1.4, and the nearest of sentences to another."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from xml.sax.saxutils import escape, quoteattr

import regex
from lxml import etree
from rapidfuzz import fuzz, process

from models.errors import InvalidInput
from models.languages import Languages
from models.translate.sentence import MemoryMatch
from models.translate.translator import MemoryLookup

NEAR = 85.0
"""The least likeness, of 100, of a sentence whose translation is offered for another."""

_FACTS = regex.compile(r"\d+|(?<=\s)\p{Lu}[\w'’-]*+")
"""Numbers, and the words after the first that begin with a capital letter."""


@dataclass(frozen=True, slots=True)
class TmxPair:
    """A sentence in two languages; their codes may be any spelling."""

    source: str
    target: str
    text: str
    translation: str


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
