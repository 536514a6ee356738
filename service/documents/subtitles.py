"""Subtitles (.srt): sentences that run over several of them are translated whole, and shared out again.

Times and numbers stay as they are written. A subtitle's own text is an element of the sentence's HTML, so
that the translator places the breaks between subtitles as it places any inline tag, and so are its tags. The
file is read line by line: the package `srt` has one expression for all of it, which takes hours for a
megabyte of line breaks.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import lxml.html

from models.errors import InvalidInput
from service.documents.document import Comment, DocumentArticle, DocumentText, File
from service.documents.formats import FORMATS
from service.documents.plain import decode
from service.documents.subtitle_tags import Framed, Mark, marked_up, without_tags, words_of, written

_ENDS = re.compile(r"[.!?…。！？♪\])][\"'”’»]*\s*$")
_OPENS_TURN = re.compile(r"\s*[-–—♪\[(]")
_TURN_MARK = re.compile(r"\s*[-–—]")
_TURN = re.compile(r"(?<!\s)\s++(?=[-–—]\s?\w)")
_LINE_END = re.compile(r"\r\n|\n")
_NUMBER = re.compile(r"\s*-?[0-9]+\.?[0-9]*\s*")
_TIME = r"[0-9]+(?:[,.:，．。：][0-9]+){2}[,.:，．。：]?[0-9]*"
_TIMES = re.compile(rf"\s*{_TIME} *-[ -] *> *{_TIME}")
MOST_TOGETHER = 6
"""Subtitles in one group; a speech without full stops must not become one endless sentence."""


class Subtitles:
    """One .srt file. Raises InvalidInput with field `file` if it cannot be read as one."""

    suffix = ".srt"

    def __init__(self, data: bytes):
        self._subtitles = list(self._read(decode(data)))
        if not self._subtitles:
            kind = self.suffix.lstrip(".").upper()
            raise InvalidInput("the file has no subtitles", field="file", allowed=f"an {kind} file")
        self._marks: list[Mark] = []
        self._framed = [Framed.of(each.content) for each in self._subtitles]
        self._plain = [self._seen(without_tags(each.content)) for each in self._subtitles]
        self._groups = _groups(self._plain)

    def article(self) -> DocumentArticle:
        sentences = (" ".join(self._plain[i] for i in group) for group in self._groups)
        return DocumentArticle(" ".join(sentences))

    def to_translate(self) -> DocumentText:
        self._marks = []
        return DocumentText("\n".join(map(self._as_html, self._groups)), "html")

    def translated(self, translation: str, language: str, comments: Sequence[Comment] = ()) -> File:
        self.to_translate()  # for the marks
        contents: dict[int, str] = {}
        found = lxml.html.fromstring(f"<div>{translation}</div>").iterchildren("p")
        for group, paragraph in zip(self._groups, found, strict=True):
            contents.update(_shared_out(group, paragraph, partial(written, self._marks, self._written)))
        composed = []
        for number, subtitle in enumerate(self._subtitles):
            framed = self._framed[number]
            laid_out = _laid_out(contents.get(number, ""), framed.content.split("\n"))
            content = f"{framed.before}{laid_out}{framed.after}" if laid_out else ""
            composed.append(self._composed(subtitle, content))
        return File(self.suffix, f"{FORMATS[self.suffix].media_type}; charset=utf-8", self._whole(composed))

    # ------------------------------------------------------------------ what differs between formats

    def _read(self, text: str) -> Iterator["Subtitle"]:
        return _read(text)

    def _seen(self, text: str) -> str:
        """Return what a reader reads of a subtitle's text."""
        return text

    def _written(self, text: str) -> str:
        """Return the text as a subtitle has it."""
        return text

    def _composed(self, subtitle: "Subtitle", content: str) -> str:
        return f"{subtitle.head}\n{content}\n\n"

    def _whole(self, composed: Sequence[str]) -> bytes:
        return "".join(composed).encode()

    # ------------------------------------------------------------------ inside

    def _escaped(self, text: str) -> str:
        return escape(self._seen(text))

    def _as_html(self, group: range) -> str:
        contents = (marked_up(self._framed[i].content, self._marks, self._escaped) for i in group)
        spans = (f'<span id="{i}">{content}</span>' for i, content in zip(group, contents, strict=True))
        return f"<p>{' '.join(spans)}</p>"


@dataclass(frozen=True, slots=True)
class Subtitle:
    """One subtitle, as it is written."""

    head: str
    """The line of its number, if it has one, and the line of its times."""
    content: str
    """Lines, with no blank one at either end."""


def _read(text: str) -> Iterator[Subtitle]:
    """Find the subtitles in an SRT file. Raises InvalidInput for text before the first of them.

    Blank lines inside a subtitle, and none between two of them, are taken as players take them.
    """
    lines = _LINE_END.split(text)
    times = [i for i, line in enumerate(lines) if _TIMES.match(line)]
    heads = [i - 1 if i and _NUMBER.fullmatch(lines[i - 1]) else i for i in times]
    if any(map(str.strip, lines[: heads[0] if heads else None])):
        raise InvalidInput(
            "the file is no SRT file: it does not begin with a subtitle's number and times",
            field="file",
            allowed="an SRT file",
        )
    for start, time, end in zip(heads, times, [*heads[1:], len(lines)], strict=True):
        content = "\n".join(lines[time + 1 : end]).strip("\n")
        yield Subtitle("\n".join(lines[start : time + 1]), content)


def _groups(contents: list[str]) -> list[range]:
    """Subtitles that make up a sentence, or a few."""
    groups, start = [], 0
    for i, content in enumerate(contents):
        last = i + 1 == len(contents)
        if (
            last
            or _ENDS.search(content)
            or _OPENS_TURN.match(contents[i + 1])
            or i + 1 - start >= MOST_TOGETHER
        ):
            groups.append(range(start, i + 1))
            start = i + 1
    return groups


def _shared_out(group: range, paragraph: Any, write: Callable[[Any], str]) -> dict[int, str]:
    """The translation's parts in its own order: who reads hears the sentence from its beginning."""
    parts = [paragraph.text or ""]
    for number, span in enumerate(paragraph.iterchildren("span")):
        part = write(span) + (span.tail or "")
        if 0 < number < len(group):
            parts.append(part)
        else:
            parts[-1] += part
    parts += [""] * (len(group) - len(parts))
    return {number: " ".join(part.split()) for number, part in zip(group, parts, strict=True)}


def _laid_out(content: str, before: list[str]) -> str:
    """The content on as many lines as before: one for each speaker, else broken at spaces, about as long."""
    turns = _TURN.split(content)
    if len(turns) == len(before) and all(map(_TURN_MARK.match, before)):
        return "\n".join(turns)
    words, out = deque(words_of(content)), []
    widths = deque(len(without_tags(word)) for word in words)
    characters = sum(widths)
    for left in range(len(before), 1, -1):
        share = characters / left
        line: list[str] = []
        width = 0
        while len(words) > 1 and width + widths[0] / 2 <= share:
            line.append(words.popleft())
            width += widths.popleft()
        characters -= width
        if line:
            out.append(" ".join(line))
    return "\n".join([*out, " ".join(words)])
