"""A web page as blocks: its visible paragraphs, headings and list items, in order.

A block knows the elements that it stands in and how much of it is links. Knows nothing of articles.
"""

import re
from dataclasses import dataclass

from lxml import etree

from models.text.sentences.boundary import UNSPACED

_UNSEEN = frozenset(
    """head title script style noscript template svg math iframe object embed canvas audio video picture map
    area button select option input textarea datalist""".split()  # noqa: SIM905
)
_INLINE = frozenset(
    """a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark nobr q rp rt ruby
    s samp small span strike strong sub sup time tt u var wbr""".split()  # noqa: SIM905
)
_BREAKS = frozenset(("br", "hr"))
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_HIDING_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
_SENTENCE_END = re.compile(r"[.!?…:。！？：؟۔।።։][\"'”’»」』)\]]*$")
_WORD_CHARACTER = re.compile(r"\w")
_ADDRESS = re.compile(r"https?://\S+")
_SENTENCE_WORDS = 8
_MOST_SENTENCE_LINKS = 0.5


def words(text: str) -> tuple[str, ...]:
    """The words of a text for comparing; in scripts that set no spaces, each character is one."""
    return tuple(_WORD.findall(text.casefold()))


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A stretch of text that no block element and no line break interrupts, its white space collapsed."""

    text: str
    words: tuple[str, ...]
    link_share: float
    """Characters in links, or of addresses written out, as a share of the text's, 0 to 1."""
    path: tuple[etree._Element, ...]
    """The block elements around it, the body first."""

    @property
    def tag(self) -> str:
        return str(self.path[-1].tag)

    @property
    def is_heading(self) -> bool:
        return self.tag in _HEADINGS

    @property
    def is_prose(self) -> bool:
        """Return whether it reads like one sentence at least, and not like a link or a label."""
        ends = _SENTENCE_END.search(self.text) is not None
        return len(self.words) >= _SENTENCE_WORDS and ends and self.link_share < _MOST_SENTENCE_LINKS

    @property
    def is_cut_short(self) -> bool:
        """Return whether it ends in dots, as teasers do."""
        last = next((i for i in reversed(range(len(self.text))) if _WORD_CHARACTER.match(self.text[i])), -1)
        return "..." in self.text[last + 1 :] or "…" in self.text[last + 1 :]


def read_blocks(tree: etree._Element, *, with_hidden: bool = False) -> list[Block]:
    """The blocks of a page's body. `with_hidden` takes those too that only a script would show."""
    body = tree if tree.tag == "body" else tree.find(".//body")
    body = tree if body is None else body
    reader = _BlockReader(with_hidden)
    for event, element in etree.iterwalk(body, events=("start", "end", "comment", "pi")):
        if event == "start":
            reader.start(element)
        elif event == "end":
            reader.end(element)
        if event != "start" and element is not body:
            reader.add(element.tail)
    return reader.blocks


class _BlockReader:
    """Takes the elements as they start and end, and sets their text together."""

    def __init__(self, with_hidden: bool):
        self.blocks: list[Block] = []
        self._with_hidden = with_hidden
        self._path: list[etree._Element] = []
        self._parts: list[str] = []
        self._link_characters = 0
        self._links = 0
        self._skipped: etree._Element | None = None

    def start(self, element: etree._Element) -> None:
        if self._skipped is not None:
            return
        if element.tag in _UNSEEN or (self._path and not self._with_hidden and _is_hidden(element)):
            self._skipped = element
            return
        if element.tag not in _INLINE:
            self._finish()
            if element.tag not in _BREAKS:
                self._path.append(element)
        self._links += element.tag == "a"
        self.add(element.text)

    def end(self, element: etree._Element) -> None:
        if self._skipped is not None:
            self._skipped = None if element is self._skipped else self._skipped
            return
        self._links -= element.tag == "a"
        if element.tag not in _INLINE and element.tag not in _BREAKS:
            self._finish()
            self._path.pop()

    def add(self, text: str | None) -> None:
        if text and self._skipped is None:
            self._parts.append(text)
            self._link_characters += len(" ".join(text.split())) if self._links else 0

    def _finish(self) -> None:
        text = " ".join("".join(self._parts).split())
        if text and self._path:
            addresses = sum(len(address) for address in _ADDRESS.findall(text))
            share = min(1.0, max(self._link_characters, addresses) / len(text))
            self.blocks.append(Block(text, words(text), share, tuple(self._path)))
        self._parts.clear()
        self._link_characters = 0


def _is_hidden(element: etree._Element) -> bool:
    return (
        "hidden" in element.attrib
        or element.get("aria-hidden") == "true"
        or _HIDING_STYLE.search(element.get("style") or "") is not None
    )
