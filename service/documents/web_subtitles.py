"""Subtitles for the web (.vtt). All but the text of cues comes back to the character."""

import re
from collections.abc import Iterator, Sequence
from html import escape, unescape

from models.errors import InvalidInput
from service.documents.subtitles import Subtitle, Subtitles

_TIME = r"(?:[0-9]+:)?[0-9]{2}:[0-9]{2}\.[0-9]{3}"
_TIMES = re.compile(rf"[ \t]*+{_TIME}[ \t]++-->[ \t]++{_TIME}(?:[ \t][^\r\n]*+)?(?:\r\n|\n|\r|\Z)")
_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\n|\r|\Z)")
_LINE_END = re.compile(r"\r\n|\r")


class WebSubtitles(Subtitles):
    """One .vtt file. Raises InvalidInput with field `file` if it cannot be read as one."""

    suffix = ".vtt"

    def _read(self, text: str) -> Iterator[Subtitle]:
        if not text.startswith("WEBVTT"):
            raise InvalidInput(
                "the file is no WebVTT file: it does not begin with WEBVTT",
                field="file",
                allowed="a VTT file",
            )
        at = done = 0
        while at < len(text):
            times = _TIMES.match(text, at)
            at = times.end() if times else _LINE.match(text, at).end()  # type: ignore[union-attr]
            if times:
                end = _end_of_cue(text, at)
                content = text[at:end].rstrip("\r\n")
                if content.strip():
                    yield Subtitle(text[done:at], _LINE_END.sub("\n", content))
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
