"""Markdown: which stretches are translated in one go, by the events and offsets of pulldown-cmark.

Code, front matter, addresses and all block marks stay. A line end within a paragraph is read as a space, so a
translated paragraph is one line.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

import pyromark

from models.cooperative import Cooperative, finish
from models.text.markup import html
from models.text.markup.build import MOST_TAGS, PAUSE_TAGS, Run, RunBuilder
from models.text.markup.html import scan
from models.text.span import Span

_OPTIONS = (
    pyromark.Options.ENABLE_TABLES
    | pyromark.Options.ENABLE_STRIKETHROUGH
    | pyromark.Options.ENABLE_TASKLISTS
    | pyromark.Options.ENABLE_FOOTNOTES
    | pyromark.Options.ENABLE_HEADING_ATTRIBUTES
    | pyromark.Options.ENABLE_YAML_STYLE_METADATA_BLOCKS
    | pyromark.Options.ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
)
_MARK_CHARACTERS = {"Emphasis": 1, "Strong": 2}
_ESCAPED = re.compile(
    r"""[`[\]~|]                                 # always marks
      | \*(?!\ )|(?<!\ )\*                       # but for one between spaces
      | (?<!\w)_|_(?!\w)
      | \\(?=[!-/:-@[-`{-~])
      | <(?=[A-Za-z/!?])
      | &(?=\#?\w+;)
      | ^>|^[-+=]                                # marks of a block
      | ^(?:\#{1,6}|:)(?=\s|$)""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_QUOTE_MARKS = re.compile(r"[ \t>]*")

Event = tuple[str, Any, int, int]
"""Its kind, what it holds, and its place."""


def read(document: str) -> list[Run]:
    """The runs of a document, in order."""
    runs: list[Run] = []
    finish(read_into(runs, document))
    return runs


def read_into(runs: list[Run], document: str) -> Cooperative[None]:
    """Add to `runs` what `read` returns, with a pause after every thousand events."""
    yield from _MarkdownReader(document, runs).read()


def escape(text: str) -> str:
    """Plain text as Markdown writes it."""
    return _NUMBER.sub(r"\1\\\2", _ESCAPED.sub(lambda found: f"\\{found[0]}", text))


class _MarkdownReader:
    def __init__(self, document: str, runs: list[Run]):
        self._document = document
        self._runs = runs
        self._builder = RunBuilder(document, escape)
        self._links: list[Any] = []
        self._end = 0  # of the last inline thing

    def read(self) -> Cooperative[None]:
        events: list[Event] = []
        for event in _events(self._document):
            events.append(event)
            if len(events) % PAUSE_TAGS == 0:
                yield None
        skipping: tuple[str, int] | None = None
        for i, (kind, value, start, end) in enumerate(events):
            if i % PAUSE_TAGS == 0:
                yield None
            if skipping is not None:
                skipping = None if kind == "End" and (value, end) == skipping else skipping
            elif kind == "Start" and value[0] in ("CodeBlock", "MetadataBlock", "HtmlBlock", "Image"):
                self._skip(value[0], start, end)
                skipping = (value[0], end)
            elif kind == "Start" and _is_autolink(value):
                self._builder.node("kept", start, end, self._document[start + 1 : end - 1])
                skipping = ("Link", end)
            else:
                after = events[i + 1][2] if i + 1 < len(events) else end
                self._event(kind, value, start, end, after)
        self._flush()

    def _flush(self) -> None:
        if (run := self._builder.run()) is not None:
            self._runs.append(run)
        self._builder = RunBuilder(self._document, escape)

    def _skip(self, name: str, start: int, end: int) -> None:
        if name == "Image":
            self._builder.node("point", start, end)
            self._end = end
            return
        self._flush()
        if name == "HtmlBlock":
            self._runs += html.read(self._document, within=Span(start, end))

    def _event(self, kind: str, value: Any, start: int, end: int, after: int) -> None:
        if self._builder.tags >= MOST_TAGS:
            self._flush()
        builder = self._builder
        if kind == "Start" and value[0] in ("Emphasis", "Strong", "Strikethrough", "Link"):
            self._open(value, start)
        elif kind == "End" and value in ("Emphasis", "Strong", "Strikethrough", "Link"):
            self._close(value, start, end)
        elif kind in ("Start", "End", "Rule"):
            self._flush()
        elif kind == "Text":
            builder.text(value, start, end)
            self._end = end
        elif kind == "Code":
            builder.node("kept", start, end, value)
            self._end = end
        elif kind == "SoftBreak":
            builder.text(" ", start, end)
        elif kind == "HardBreak":
            marks = _QUOTE_MARKS.match(self._document, end, max(end, after))
            builder.node("break", start, marks.end() if marks else end)
        elif kind == "InlineHtml":
            self._html(start, end)
        elif kind != "TaskListMarker":
            builder.node("point", start, end)
            self._end = end

    def _open(self, value: tuple[str, Any], start: int) -> None:
        name, details = value
        if name == "Link":
            self._links.append(details)
        self._end = start + self._mark(name, start)
        self._builder.open(f"*{name}", start, self._end)

    def _mark(self, name: str, start: int) -> int:
        if name == "Strikethrough":
            return 2 if self._document.startswith("~~", start) else 1
        return _MARK_CHARACTERS.get(name, 1)

    def _close(self, name: str, start: int, end: int) -> None:
        if name != "Link":
            self._builder.close(f"*{name}", end - self._mark(name, start), end)
        else:
            kind = self._links.pop()["link_type"]
            label = self._document[start + 1 : self._end]
            raw = f"][{label}]" if kind in ("Shortcut", "Collapsed") else None  # the text was the key as well
            self._builder.close("*Link", self._end, end, raw)
        self._end = end

    def _html(self, start: int, end: int) -> None:
        (tag, *_) = scan(self._document, start, end, xml=False)
        if tag.kind == "open":
            self._builder.open(tag.name, start, end)
        elif tag.kind == "close":
            self._builder.close(tag.name, start, end)
        else:
            self._builder.node("break" if tag.name == "br" else "point", start, end)
        self._end = end


def _is_autolink(value: tuple[str, Any]) -> bool:
    return value[0] == "Link" and value[1]["link_type"] in ("Autolink", "Email")


def _events(document: str) -> Iterator[Event]:
    """pulldown-cmark's events, with places counted in characters."""
    sizes = [len(character.encode("utf-8", "surrogatepass")) for character in document]
    places = {at: i for i, at in enumerate(accumulate(sizes, initial=0))}
    readable = _SURROGATE.sub("\ufffd", document)  # as many bytes
    found: Iterable[Any] = pyromark.events_with_range(readable, options=_OPTIONS)
    for event, span in found:
        held: tuple[str, Any] = (event, None) if isinstance(event, str) else next(iter(event.items()))
        kind, value = held
        if kind == "Start" or kind == "End":
            name = value if isinstance(value, str) else next(iter(value))
            value = name if kind == "End" else (name, None if isinstance(value, str) else value[name])
        yield kind, value, places[span["start"]], places[span["end"]]
