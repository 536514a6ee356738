"""Subtitles (.srt): sentences that run over several of them are translated whole, and shared out again.

Times and numbers stay. A subtitle's own text is an element of the sentence's HTML, so that the translator
places the breaks between subtitles as it places any inline tag.
"""

import re
from html import escape
from typing import Any

import lxml.html
import srt

from models.errors import InvalidInput
from service.documents.document import File, Part, Reading
from service.documents.plain import decode

_ENDS = re.compile(r"[.!?…。！？♪\])][\"'”’»]*\s*$")
_OPENS_TURN = re.compile(r"\s*[-–—♪\[(]")
_TURN_MARK = re.compile(r"\s*[-–—]")
_TURN = re.compile(r"\s+(?=[-–—]\s?\w)")
_TAG = re.compile(r"</?[a-zA-Z][^>]*>|\{\\[^}]*\}")
_PLACE = re.compile(r"\s*(?:\{\\[^}]*\}\s*)*")
_AROUND = re.compile(r"((?:<[a-zA-Z][^>]*>)+)([^<{]*)((?:</[a-zA-Z]+>)+)\s*")
_LINE_BY_LINE = re.compile(r"</([a-zA-Z]+)>\n<\1>")
MOST_TOGETHER = 6
"""Subtitles in one group; a speech without full stops must not become one endless sentence."""


class Subtitles:
    """One .srt file. Raises InvalidInput with field `file` if it cannot be read as one."""

    def __init__(self, data: bytes):
        try:
            self._subtitles = list(srt.parse(decode(data)))
        except srt.SRTParseError as error:
            raise InvalidInput(f"the file is no SRT file: {error}", field="file") from error
        if not self._subtitles:
            raise InvalidInput("the file has no subtitles", field="file", allowed="an SRT file")
        self._groups = _groups([_plain(each.content) for each in self._subtitles])

    def article(self) -> Reading:
        sentences = (" ".join(_plain(self._subtitles[i].content) for i in group) for group in self._groups)
        return Reading(" ".join(sentences))

    def to_translate(self) -> Part:
        return Part("\n".join(map(self._as_html, self._groups)), "html")

    def translated(self, translation: str, language: str) -> File:
        contents: dict[int, str] = {}
        found = lxml.html.fromstring(f"<div>{translation}</div>").iterchildren("p")
        for group, paragraph in zip(self._groups, found, strict=True):
            contents.update(_shared_out(group, paragraph))
        for number, subtitle in enumerate(self._subtitles):
            before, after = _frame(subtitle.content)
            laid_out = _laid_out(contents.get(number, ""), subtitle.content.split("\n"))
            subtitle.content = f"{before}{laid_out}{after}" if laid_out else ""
        composed = srt.compose(self._subtitles, reindex=False, strict=False)
        return File(".srt", "application/x-subrip; charset=utf-8", composed.encode())

    def _as_html(self, group: range) -> str:
        spans = (f'<span id="{i}">{escape(_plain(self._subtitles[i].content))}</span>' for i in group)
        return f"<p>{' '.join(spans)}</p>"


def _plain(content: str) -> str:
    """A subtitle's words on one line, without tags: those around the whole of it come back, no others."""
    return " ".join(_TAG.sub("", content).split())


def _frame(content: str) -> tuple[str, str]:
    """What is set around a subtitle's words: its place on the screen, and tags that hold all of it."""
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
    words, out = content.split(" "), []
    for left in range(len(before), 1, -1):
        share = sum(map(len, words)) / left
        line: list[str] = []
        while len(words) > 1 and sum(map(len, line)) + len(words[0]) / 2 <= share:
            line.append(words.pop(0))
        if line:
            out.append(" ".join(line))
    return "\n".join([*out, " ".join(words)])
