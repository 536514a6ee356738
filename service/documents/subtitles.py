"""Subtitles (.srt, .vtt): sentences that span several cues are translated whole, then split again.

Times and numbers stay as written. A cue's text is an element of the sentence's HTML, so the translator places
breaks between cues as it places any inline tag. Tags around a whole cue stay there; tags inside move with
their words. The file is read line by line: the package `srt` uses one regular expression, which takes hours
for a megabyte of line breaks.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape, unescape
from typing import Any

import lxml.html

from models.errors import InvalidInput
from models.text.markup.html import Tag, partners
from service.documents.formats import FORMATS, Comment, DocumentArticle, DocumentText, File
from service.documents.plain import decode

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<[0-9:.]++>|\{\\[^{}]*\}")
_PLACE = re.compile(r"\s*(?:\{\\[^{}]*\}\s*|<v[.\s][^<>]*>\s*)*")
_AROUND = re.compile(r"((?:<[a-zA-Z][^<>]*>)+)([^<{]*)((?:</[a-zA-Z]+>)+)\s*")
_LINE_BY_LINE = re.compile(r"</([a-zA-Z]+)>\n<\1>")
_WORD = re.compile(r"(?:</?[a-zA-Z][^<>]*+>|\{\\[^{}]*+\}|[^ ])++")
_NAME = re.compile(r"</?([a-zA-Z]+)")
_VOICE_ENDS = "</v>"
MOST_DEEP = 4
"""Tags within tags; those deeper are left out."""

Mark = tuple[str, str]
"""A tag that opens and the one that closes it; or one that stands alone, and nothing."""


def _framed(content: str) -> tuple[str, str, str]:
    """Return a subtitle's text between what is around all of it: place on the screen, speaker, tags."""
    place, rest = _PLACE.match(content)[0], _PLACE.sub("", content, count=1)  # type: ignore[index]
    end = ""
    if "<v" in place and rest.rstrip().endswith(_VOICE_ENDS):
        rest, end = rest.rstrip().removesuffix(_VOICE_ENDS), _VOICE_ENDS
    if around := _AROUND.fullmatch(_LINE_BY_LINE.sub("\n", rest)):
        return f"{place}{around[1]}", around[2], f"{around[3]}{end}"
    return place, rest, end


def without_tags(content: str) -> str:
    """Return a subtitle's words on one line."""
    return " ".join(_TAG.sub("", content).split())


def marked_up(content: str, marks: list[Mark], as_html: Callable[[str], str]) -> str:
    """Return HTML in which each tag is an element, whose number is its place in `marks`; those are added."""
    found = list(_TAG.finditer(content))
    tags = []
    for tag in found:
        name = _NAME.match(tag[0])
        if name is None:
            tags.append(Tag("other", *tag.span()))
        else:
            tags.append(Tag("close" if tag[0].startswith("</") else "open", *tag.span(), name[1]))
    ends = partners(tags)
    parts, at, skipped, depth, open_until = [], 0, set(ends.values()), 0, set[int]()
    for i, tag in enumerate(found):
        parts.append(as_html(content[at : tag.start()]))
        at = tag.end()
        if i in open_until:
            parts.append("</span>")
            depth -= 1
        elif i in ends and depth < MOST_DEEP:
            marks.append((tag[0], found[ends[i]][0]))
            parts.append(f'<span id="t{len(marks) - 1}">')
            open_until.add(ends[i])
            depth += 1
        elif i not in ends and i not in skipped:
            marks.append((tag[0], ""))
            parts.append(f'<img id="t{len(marks) - 1}">')
    parts.append(as_html(content[at:]))
    return " ".join("".join(parts).split())


def written(marks: list[Mark], write: Callable[[str], str], element: Any) -> str:
    """Return the subtitle's text of a translated element: the way back of `marked_up`."""
    parts = [write(element.text or "")]
    for child in element.iterchildren():
        number = (child.get("id") or "").removeprefix("t")
        before, after = marks[int(number)] if number.isdecimal() and int(number) < len(marks) else ("", "")
        parts += [before, written(marks, write, child), after, write(child.tail or "")]
    return "".join(parts)


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
        self._framed = [_framed(each.content) for each in self._subtitles]
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
            before, old, after = self._framed[number]
            laid_out = _laid_out(contents.get(number, ""), old.split("\n"))
            content = f"{before}{laid_out}{after}" if laid_out else ""
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

    def _as_html(self, group: range) -> str:
        def as_html(text: str) -> str:
            return escape(self._seen(text))

        contents = {i: marked_up(self._framed[i][1], self._marks, as_html) for i in group}
        spans = (f'<span id="{i}">{content}</span>' for i, content in contents.items())
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
            "the file is not an SRT file: it does not begin with a subtitle's number and times",
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
    words, out = deque(_WORD.findall(content)), []
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


_WEB_TIME = r"(?:[0-9]+:)?[0-9]{2}:[0-9]{2}\.[0-9]{3}"
_WEB_TIMES = re.compile(
    rf"[ \t]*+{_WEB_TIME}[ \t]++-->[ \t]++{_WEB_TIME}(?:[ \t][^\r\n]*+)?(?:\r\n|\n|\r|\Z)"
)
_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\n|\r|\Z)")
_WEB_LINE_END = re.compile(r"\r\n|\r")


class WebSubtitles(Subtitles):
    """One .vtt file. Raises InvalidInput with field `file` if it cannot be read as one."""

    suffix = ".vtt"

    def _read(self, text: str) -> Iterator[Subtitle]:
        if not text.startswith("WEBVTT"):
            raise InvalidInput(
                "the file is not a WebVTT file: it does not begin with WEBVTT",
                field="file",
                allowed="a VTT file",
            )
        at = done = 0
        while at < len(text):
            times = _WEB_TIMES.match(text, at)
            at = times.end() if times else _LINE.match(text, at).end()  # type: ignore[union-attr]
            if times:
                end = _end_of_cue(text, at)
                content = text[at:end].rstrip("\r\n")
                if content.strip():
                    yield Subtitle(text[done:at], _WEB_LINE_END.sub("\n", content))
                    done = at + len(content)
                at = end
        self._rest = text[done:]

    def _seen(self, text: str) -> str:
        return unescape(text)

    def _written(self, text: str) -> str:
        return escape(text, quote=False)

    def _composed(self, subtitle: Subtitle, content: str) -> str:
        line_end = "\r\n" if subtitle.head.endswith("\r\n") else "\n"
        return f"{subtitle.head}{content.replace(chr(10), line_end)}"

    def _whole(self, composed: Sequence[str]) -> bytes:
        return "".join([*composed, self._rest]).encode()


def _end_of_cue(text: str, start: int) -> int:
    """Return the place of the blank line, or of the next cue's times, after a cue's text."""
    at = start
    while at < len(text):
        line = _LINE.match(text, at)
        assert line is not None  # noqa: S101 - it matches anything
        if not line[0].strip() or "-->" in line[0]:
            return at
        at = line.end()
    return at
