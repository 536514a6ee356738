"""HTML and XML: which stretches are translated in one go, and which stay as they are.

Elements that a browser puts on their own lines end a run, others are inline. XML has no such list: an element
beside text is inline. Code, scripts, `translate="no"`, the class `notranslate` and the elements that the
caller names are kept. In HTML `alt` and `title` are translated too.

The tag scanner is our own, because parsers give a tree, and writing a tree changes what was never translated.
It follows the HTML standard's tokenizer; its time is linear in the length for any input.
"""

import html
import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

from models.cooperative import Cooperative, finish
from models.text.markup.build import MOST_TAGS, PAUSE_TAGS, Run, RunBuilder, restore
from models.text.span import Span

_TAG = re.compile(r"<(/?)([A-Za-z_][^\s/>\x00]*+)((?:[^>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+)*+)>")
_OTHER = re.compile(r"<!--|<!\[CDATA\[|<[!?]|</?(?=[A-Za-z_])")
_ATTRIBUTE = re.compile(r"([^\s=/\"'>]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+)))?")
_RAW = {"script", "style", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"}
"""Elements of HTML that hold no tags."""

_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905


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
        """An attribute's value, in lower case; None if it does not exist."""
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
        empty = match[3].endswith("/") if xml else name in _VOID
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


_BLOCKS = """
address article aside audio blockquote body button caption center col colgroup dd details dialog dir div
dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html
iframe legend li link main menu meta nav noscript object ol optgroup option p pre section select summary
table tbody td textarea tfoot th thead title tr ul video
"""
_BLOCK = frozenset(_BLOCKS.split())
_HIDDEN = frozenset(("script", "style", "template", "svg", "math"))
_KEPT = _HIDDEN | {"code", "kbd", "samp", "var", "pre", "textarea"}
_REFERENCE = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")
_XML_ENTITIES = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"}
_SAID = re.compile(r"(?<![^\s\"'])(?:alt|title)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')", re.IGNORECASE)
_TAGS = re.compile(r"<[^>]*+(?:>|\Z)")  # what is looked at ends in ">"; at one without, it stops


def read(
    document: str, *, xml: bool = False, ignore: Collection[str] = (), within: Span | None = None
) -> list[Run]:
    """The runs of a document or fragment, in order. `ignore` names elements that stay as they are."""
    runs: list[Run] = []
    finish(read_into(runs, document, xml=xml, ignore=ignore, within=within))
    return runs


def read_into(
    runs: list[Run],
    document: str,
    *,
    xml: bool = False,
    ignore: Collection[str] = (),
    within: Span | None = None,
) -> Cooperative[None]:
    """Add to `runs` what `read` returns, with a pause after every thousand tags and texts."""
    reader = _HtmlReader(document, xml, frozenset(name if xml else name.lower() for name in ignore), runs)
    tags: list[Tag] = []
    for tag in scan(document, *(within or (0, len(document))), xml=xml):
        tags.append(tag)
        if len(tags) % PAUSE_TAGS == 0:
            yield None
    yield from reader.read(tags)


def attributes_into(runs: list[Run], document: str, *, ignore: Collection[str] = ()) -> Cooperative[None]:
    """Add to `runs` what `alt` and `title` of HTML say, each text once, with pauses as in `read_into`."""
    if _SAID.search(document) is None:
        return
    reader = _HtmlReader(document, False, frozenset(name.lower() for name in ignore), [])
    yield from reader.read(list(scan(document, 0, len(document), xml=False)))
    runs.extend({document[run.span.start : run.span.end]: run for run in reader.said}.values())


def put_attributes(document: str, translated: Mapping[str, str]) -> str:
    """The document with what its `alt` and `title` say, as it is written there, replaced."""
    reader = _HtmlReader(document, False, frozenset(), [])
    finish(reader.read(list(scan(document, 0, len(document), xml=False))))
    raw = [document[run.span.start : run.span.end] for run in reader.said]
    return restore(document, reader.said, [translated.get(each, each) for each in raw])


def escape(text: str) -> str:
    """Plain text as both formats write it."""
    return html.escape(text, quote=False)


class _HtmlReader:
    def __init__(self, document: str, xml: bool, ignore: frozenset[str], runs: list[Run]):
        self._document = document
        self._xml = xml
        self._ignore = ignore
        self._runs = runs
        self._builder = RunBuilder(document, escape)
        self.said: list[Run] = []

    def read(self, tags: list[Tag]) -> Cooperative[None]:
        pairs = partners(tags)
        structure = _structure(self._document, tags, pairs) if self._xml else set()
        i = 0
        for step in count():
            if i >= len(tags):
                break
            if step % PAUSE_TAGS == 0:
                yield None
            tag = tags[i]
            block = i in structure if self._xml else tag.name in _BLOCK
            if tag.kind == "open" and i in pairs and self._is_kept(tag):
                last = pairs[i]
                self._keep(tag, tags[last].end, block)
                i = last + 1
                continue
            if not self._xml and tag.attributes:
                self._attributes(tag)
            if block or self._builder.tags >= MOST_TAGS:
                self._flush()
            if not block:
                self._inline(tag)
            i += 1
        self._flush()

    def _attributes(self, tag: Tag) -> None:
        """Read what a reader is told of an element."""
        if tag.attribute("alt") is None and tag.attribute("title") is None:
            return
        offset = self._document.index(tag.attributes, tag.start)
        for found in _SAID.finditer(tag.attributes):
            span = found.span(1) if found[1] is not None else found.span(2)
            builder = RunBuilder(self._document, html.escape)
            _words(builder, self._document, offset + span[0], offset + span[1], xml=False)
            if (run := builder.run(is_attribute=True)) is not None:
                self.said.append(run)

    def _flush(self) -> None:
        if (run := self._builder.run()) is not None:
            self._runs.append(run)
        self._builder = RunBuilder(self._document, escape)

    def _is_kept(self, tag: Tag) -> bool:
        if tag.name in self._ignore or tag.attribute("translate") == "no":
            return True
        if self._xml:
            return False
        return tag.name in _KEPT or "notranslate" in (tag.attribute("class") or "").split()

    def _keep(self, tag: Tag, end: int, block: bool) -> None:
        if block:
            self._flush()
            return
        hidden = not self._xml and tag.name in _HIDDEN
        raw = "" if hidden else self._document[tag.start : end]
        visible = html.unescape(_TAGS.sub("", raw))
        self._builder.node("kept" if visible.strip() else "point", tag.start, end, visible)

    def _inline(self, tag: Tag) -> None:
        builder = self._builder
        if tag.kind == "text":
            _words(builder, self._document, tag.start, tag.end, xml=self._xml)
        elif tag.kind == "open":
            builder.open(tag.name, tag.start, tag.end)
        elif tag.kind == "close":
            builder.close(tag.name, tag.start, tag.end)
        elif tag.name == "br" and not self._xml:
            builder.node("break", tag.start, tag.end)
        elif self._document.startswith("<![CDATA[", tag.start) and self._xml:
            visible = self._document[tag.start + 9 : tag.end - 3]
            builder.node("kept" if visible.strip() else "point", tag.start, tag.end, visible)
        else:
            builder.node("point", tag.start, tag.end)


def _words(builder: RunBuilder, document: str, start: int, end: int, *, xml: bool) -> None:
    at = start
    for found in _REFERENCE.finditer(document, start, end):
        builder.text(document[at : found.start()], at, found.start())
        at = found.end()
        if xml and found[0] not in _XML_ENTITIES and not found[0].startswith("&#"):
            builder.node("point", *found.span())  # an entity of the document's own
        else:
            builder.text(html.unescape(found[0]), *found.span())
    builder.text(document[at:end], at, end)


def _structure(document: str, tags: list[Tag], pairs: dict[int, int]) -> set[int]:
    """Tags that stand beside no text of their own level, so that they part one text from another."""
    parents: list[int] = []
    stack, closes = [-1], {}
    mixed: set[int] = set()
    for i, tag in enumerate(tags):
        if i in closes:
            stack.pop()
        parents.append(stack[-1])
        if tag.kind == "text" and document[tag.start : tag.end].strip():
            mixed.add(stack[-1])
        if i in pairs:
            stack.append(i)
            closes[pairs[i]] = i
    return {
        i for i, tag in enumerate(tags) if tag.kind in ("open", "close", "empty") and parents[i] not in mixed
    }
