"""Subtitles (.srt): sentences that run over several of them are translated whole, and shared out again.

Times and numbers stay as they are written. A subtitle's own text is an element of the sentence's HTML, so
that the translator places the breaks between subtitles as it places any inline tag. The file is read line by
line: the package `srt` has one expression for all of it, which takes hours for a megabyte of line breaks.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import lxml.html

from models.errors import InvalidInput
from service.documents.document import Comment, DocumentArticle, DocumentText, File
from service.documents.plain import decode

_ENDS = re.compile(r"[.!?…。！？♪\])][\"'”’»]*\s*$")
_OPENS_TURN = re.compile(r"\s*[-–—♪\[(]")
_TURN_MARK = re.compile(r"\s*[-–—]")
_TURN = re.compile(r"(?<!\s)\s++(?=[-–—]\s?\w)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|\{\\[^{}]*\}")
_PLACE = re.compile(r"\s*(?:\{\\[^{}]*\}\s*)*")
_AROUND = re.compile(r"((?:<[a-zA-Z][^<>]*>)+)([^<{]*)((?:</[a-zA-Z]+>)+)\s*")
_LINE_BY_LINE = re.compile(r"</([a-zA-Z]+)>\n<\1>")
_LINE_END = re.compile(r"\r\n|\n")
_NUMBER = re.compile(r"\s*-?[0-9]+\.?[0-9]*\s*")
_TIME = r"[0-9]+(?:[,.:，．。：][0-9]+){2}[,.:，．。：]?[0-9]*"
_TIMES = re.compile(rf"\s*{_TIME} *-[ -] *> *{_TIME}")
MOST_TOGETHER = 6
"""Subtitles in one group; a speech without full stops must not become one endless sentence."""


class Subtitles:
    """One .srt file. Raises InvalidInput with field `file` if it cannot be read as one."""

    def __init__(self, data: bytes):
        self._subtitles = list(_read(decode(data)))
        if not self._subtitles:
            raise InvalidInput("the file has no subtitles", field="file", allowed="an SRT file")
        self._groups = _groups([_plain(each.content) for each in self._subtitles])

    def article(self) -> DocumentArticle:
        sentences = (" ".join(_plain(self._subtitles[i].content) for i in group) for group in self._groups)
        return DocumentArticle(" ".join(sentences))

    def to_translate(self) -> DocumentText:
        return DocumentText("\n".join(map(self._as_html, self._groups)), "html")

    def translated(self, translation: str, language: str, comments: Sequence[Comment] = ()) -> File:
        contents: dict[int, str] = {}
        found = lxml.html.fromstring(f"<div>{translation}</div>").iterchildren("p")
        for group, paragraph in zip(self._groups, found, strict=True):
            contents.update(_shared_out(group, paragraph))
        composed = []
        for number, subtitle in enumerate(self._subtitles):
            before, after = _frame(subtitle.content)
            laid_out = _laid_out(contents.get(number, ""), subtitle.content.split("\n"))
            content = f"{before}{laid_out}{after}" if laid_out else ""
            composed.append(f"{subtitle.head}\n{content}\n\n")
        return File(".srt", "application/x-subrip; charset=utf-8", "".join(composed).encode())

    def _as_html(self, group: range) -> str:
        spans = (f'<span id="{i}">{escape(_plain(self._subtitles[i].content))}</span>' for i in group)
        return f"<p>{' '.join(spans)}</p>"


@dataclass(frozen=True, slots=True)
class _Subtitle:
    """One subtitle, as it is written."""

    head: str
    """The line of its number, if it has one, and the line of its times."""
    content: str
    """Lines, with no blank one at either end."""


def _read(text: str) -> Iterator[_Subtitle]:
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
        yield _Subtitle("\n".join(lines[start : time + 1]), content)


def _plain(content: str) -> str:
    """A subtitle's words on one line, without tags: those around the whole of it come back, no others."""
    return " ".join(_TAG.sub("", content).split())


def _frame(content: str) -> tuple[str, str]:
    """Return the marks around a subtitle's words: its place on the screen, and tags that hold all of it."""
    place, rest = _PLACE.match(content)[0], _PLACE.sub("", content, count=1)  # type: ignore[index]
    around = _AROUND.fullmatch(_LINE_BY_LINE.sub("\n", rest))
    return (f"{place}{around[1]}", around[3]) if around else (place, "")


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


def _shared_out(group: range, paragraph: Any) -> dict[int, str]:
    """The translation's parts in its own order: who reads hears the sentence from its beginning."""
    parts = [paragraph.text or ""]
    for number, span in enumerate(paragraph.iterchildren("span")):
        part = (span.text_content() or "") + (span.tail or "")
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
    words, out = deque(content.split(" ")), []
    characters = sum(map(len, words))
    for left in range(len(before), 1, -1):
        share = characters / left
        line: list[str] = []
        width = 0
        while len(words) > 1 and width + len(words[0]) / 2 <= share:
            line.append(words.popleft())
            width += len(line[-1])
        characters -= width
        if line:
            out.append(" ".join(line))
    return "\n".join([*out, " ".join(words)])
