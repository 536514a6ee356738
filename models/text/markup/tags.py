"""HTML and XML as a sequence of tags and texts, each with its place, so that nothing need be written anew.

A scanner of its own rather than a parser: parsers give a tree, and to write it out changes what was never
translated. Follows the HTML standard's tokenizer; its time grows with the length alone, whatever is in it.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

_TAG = re.compile(r"<(/?)([A-Za-z_][^\s/>\x00]*+)((?:[^>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+)*+)>")
_OTHER = re.compile(r"<!--|<!\[CDATA\[|<[!?]|</?(?=[A-Za-z_])")
_ATTRIBUTE = re.compile(r"([^\s=/\"'>]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+)))?")
_RAW = {"script", "style", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"}
"""Elements of HTML that hold no tags."""

VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track")
) | {"wbr"}


@dataclass(frozen=True, slots=True)
class Tag:
    """A piece of a document: text, a tag, or something else that no reader sees, such as a comment."""

    kind: Literal["text", "open", "close", "empty", "other"]
    start: int
    end: int
    name: str = ""
    """The element's name, in lower case in HTML."""
    attributes: str = ""
    """As they are written."""

    def attribute(self, name: str) -> str | None:
        """An attribute's value, in lower case; None if it is not there."""
        if name not in self.attributes.lower():
            return None
        for found in _ATTRIBUTE.finditer(self.attributes):
            if found[1].lower() == name:
                return (found[2] or found[3] or found[4] or "").lower()
        return None


def scan(document: str, start: int, end: int, *, xml: bool) -> Iterator[Tag]:
    """The pieces of `document[start:end]`, in order and without gaps."""
    at = start
    while at < end:
        found = _OTHER.search(document, at, end)
        if found is None:
            break
        if found.start() > at:
            yield Tag("text", at, found.start())
        tag = _piece(document, found, end, xml)
        yield tag
        at = tag.end
        if not xml and tag.kind == "open" and tag.name in _RAW:
            close = re.compile(f"</{tag.name}(?![\\w-])", re.IGNORECASE).search(document, at, end)
            stop = close.start() if close else end
            if stop > at:
                yield Tag("other", at, stop)
            at = stop
    if at < end:
        yield Tag("text", at, end)


def _piece(document: str, found: re.Match[str], end: int, xml: bool) -> Tag:
    """The piece that begins with what was found. What never ends reaches to the document's end."""
    start, head = found.start(), found[0]
    if head in ("<", "</"):
        match = _TAG.match(document, start, end)
        if match is None:
            return Tag("other", start, end)
        name = match[2] if xml else match[2].lower()
        if match[1]:
            return Tag("close", start, match.end(), name)
        empty = match[3].endswith("/") if xml else name in VOID
        return Tag("empty" if empty else "open", start, match.end(), name, match[3])
    closing = {"<!--": "-->", "<![CDATA[": "]]>" if xml else ">", "<?": "?>" if xml else ">"}.get(head, ">")
    stop = document.find(closing, start + 2 if head == "<!--" else start + len(head), end)
    return Tag("other", start, end if stop < 0 else stop + len(closing))


def partners(tags: Sequence[Tag]) -> dict[int, int]:
    """For each opening tag that is closed, the index of its closing one. Tags left open are passed over."""
    found: dict[int, int] = {}
    stack: list[int] = []
    by_name: dict[str, list[int]] = {}  # indices into the stack's tags, the innermost last
    for i, tag in enumerate(tags):
        if tag.kind == "open":
            stack.append(i)
            by_name.setdefault(tag.name, []).append(i)
        elif tag.kind == "close" and by_name.get(tag.name):
            start = by_name[tag.name][-1]
            for lost in stack[bisect_left(stack, start) :]:
                by_name[tags[lost].name].pop()
            del stack[bisect_left(stack, start) :]
            found[start] = i
    return found
