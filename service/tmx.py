"""Translation memories as TMX 1.4 files: read with nothing followed or expanded, and written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from models.errors import InvalidInput

MEDIA_TYPE = "application/x-tmx+xml"
MOST_UNITS = 200_000

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_CODES = frozenset({"bpt", "ept", "ph", "it", "ut"})
"""Elements in a segment that hold another program's markup, and no words."""


@dataclass(frozen=True, slots=True)
class TmxPair:
    """A sentence in two languages, whose codes are as the file has them."""

    source: str
    target: str
    text: str
    translation: str


def read(data: bytes) -> list[TmxPair]:
    """Return the pairs of a file: of each unit its source language's sentence with each other language's.

    Raises InvalidInput, field `file`, for what is no TMX.
    """
    try:
        return list(_pairs(data))
    except etree.XMLSyntaxError as error:
        raise _no_tmx(str(error)[:200]) from None


def _pairs(data: bytes) -> Iterator[TmxPair]:
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
        yield from _of_unit(element, element.get("srclang", first))
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    if units.root is None or units.root.tag != "tmx":
        raise _no_tmx("its root is no <tmx>")


def _of_unit(unit: "etree._Element", source: str) -> Iterator[TmxPair]:
    texts = {
        variant.get(_LANG) or variant.get("lang") or "": " ".join(_text(segment).split())
        for variant in unit.iter("tuv")
        for segment in variant.findall("seg")[:1]
    }
    own = _language(source, texts)
    for language, translation in texts.items():
        if own is not None and language != own and texts[own] and translation:
            yield TmxPair(own, language, texts[own], translation)


def _language(source: str, languages: Iterable[str]) -> str | None:
    """Return the unit's language that is the source's, if need be but for the region; the first for any."""
    if source in ("", "*all*"):
        return next(iter(languages), None)
    wanted = source.lower()
    alike = [each for each in languages if each.lower().split("-")[0] == wanted.split("-")[0]]
    return next((each for each in alike if each.lower() == wanted), next(iter(alike), None))


def _text(element: "etree._Element") -> str:
    parts = [] if element.tag in _CODES else [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and element.tag not in _CODES:
            parts.append(_text(child))
        parts.append((child.tail or "") if element.tag not in _CODES else "")
    return "".join(parts)


def write(pairs: Iterable[TmxPair]) -> Iterator[str]:
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
