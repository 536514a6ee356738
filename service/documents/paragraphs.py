"""Paragraphs of XML documents, whatever their dialect: each goes through the translator as HTML.

A leaf is a piece of text that looks the same all over, as a run of Word's is. Each is an element of its
paragraph's HTML, so that its words keep their font, weight and link as well as the translator can place them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any, Protocol

import lxml.html

TAB = '<br class="tab">'


class Leaf(Protocol):
    """A piece of a paragraph's text."""

    element: Any

    @property
    def text(self) -> str:
        """The text, with a line end for each break and a tab for each tab."""

    def put(self, text: str) -> None:
        """Replace the text."""


@dataclass(frozen=True, slots=True)
class LeafParagraph:
    """A paragraph that has something to read."""

    element: Any
    leaves: Sequence[Leaf]

    @property
    def text(self) -> str:
        return "".join(leaf.text for leaf in self.leaves)

    def as_html(self) -> str:
        """Return the paragraph as a translator reads it."""
        spans = (f'<span id="{i}">{_marked_up(leaf.text)}</span>' for i, leaf in enumerate(self.leaves))
        return f"<p>{''.join(spans)}</p>"

    def put(self, translated: Any) -> None:
        """Take the words, and their order, of the translated HTML's element."""
        texts, order = _texts(translated, len(self.leaves))
        self._reorder(order)
        for leaf, text in zip(self.leaves, texts, strict=True):
            leaf.put(text)

    def _reorder(self, order: Sequence[int]) -> None:
        """Put leaves into this order: within their links, and links and other leaves within the paragraph.

        Together they keep the places that they have; what stands between them stays.
        """
        if all(before < after for before, after in pairwise(order)):
            return
        units: dict[Any, dict[Any, None]] = {}
        for i in order:
            element = self.leaves[i].element
            while element is not self.element:
                parent = element.getparent()
                units.setdefault(parent, {})[element] = None
                element = parent
        for parent, children in units.items():
            _permute(parent, list(children))


def elements(translation: str) -> Iterator[Any]:
    """Return the paragraphs of a translation of what `as_html` gave."""
    found: Iterator[Any] = lxml.html.fromstring(f"<div>{translation}</div>").iterchildren("p")
    return found


def legible(text: str) -> str:
    """Return the text without characters that XML cannot hold."""
    return text if text.isprintable() else "".join(c for c in text if c in "\n\t\r" or _in_xml(ord(c)))


def _in_xml(code: int) -> bool:
    return code >= 32 and not 0xD800 <= code <= 0xDFFF and code not in (0xFFFE, 0xFFFF)


def _marked_up(text: str) -> str:
    # A tab parts columns, as in a form or a table of contents: it is no mere space.
    return escape(text).replace("\n", "<br>").replace("\t", TAB)


def _texts(paragraph: Any, leaves: int) -> tuple[list[str], list[int]]:
    """The text of each leaf, and the leaves in the translation's order.

    What stands between two of them goes to the one before.
    """
    texts, order = [""] * leaves, []
    texts[0] += paragraph.text or ""
    last = 0
    for span in paragraph.iterchildren():
        identity = span.get("id") or ""
        if identity.isdecimal() and int(identity) < leaves:
            last = int(identity)
            order.append(last)
        texts[last] += _content(span) + (span.tail or "")
    return texts, [*dict.fromkeys([*order, *range(leaves)])]


def _content(element: Any) -> str:
    if element.tag == "br":
        return "\t" if element.get("class") == "tab" else "\n"
    inside = "".join(_content(child) + (child.tail or "") for child in element.iterchildren())
    return (element.text or "") + inside


def _permute(parent: Any, elements: list[Any]) -> None:
    """Children into this order, in the places that they have together; text after a place stays there."""
    moved, order = set(elements), list(parent)
    places = [place for place, element in enumerate(order) if element in moved]
    tails = [element.tail for element in order]
    for place, element in zip(places, elements, strict=True):
        order[place] = element
    parent[:] = order
    for element, tail in zip(order, tails, strict=True):
        element.tail = tail
