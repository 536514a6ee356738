"""Tags in subtitles: those around all of one stay there, those inside go with the words that they are on."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<[0-9:.]++>|\{\\[^{}]*\}")
_PLACE = re.compile(r"\s*(?:\{\\[^{}]*\}\s*|<v[.\s][^<>]*>\s*)*")
_AROUND = re.compile(r"((?:<[a-zA-Z][^<>]*>)+)([^<{]*)((?:</[a-zA-Z]+>)+)\s*")
_LINE_BY_LINE = re.compile(r"</([a-zA-Z]+)>\n<\1>")
_WORD = re.compile(r"(?:</?[a-zA-Z][^<>]*+>|\{\\[^{}]*+\}|[^ ])++")
_NAME = re.compile(r"</?([a-zA-Z]+)")
VOICE_ENDS = "</v>"
MOST_DEEP = 4
"""Tags within tags; those deeper are left out."""

Mark = tuple[str, str]
"""A tag that opens and the one that closes it; or one that stands alone, and nothing."""


@dataclass(frozen=True, slots=True)
class Framed:
    """A subtitle's text and what is around all of it: its place on the screen, its speaker, its tags."""

    before: str
    content: str
    after: str

    @classmethod
    def of(cls, content: str) -> "Framed":
        place, rest = _PLACE.match(content)[0], _PLACE.sub("", content, count=1)  # type: ignore[index]
        end = ""
        if "<v" in place and rest.rstrip().endswith(VOICE_ENDS):
            rest, end = rest.rstrip().removesuffix(VOICE_ENDS), VOICE_ENDS
        if around := _AROUND.fullmatch(_LINE_BY_LINE.sub("\n", rest)):
            return cls(f"{place}{around[1]}", around[2], f"{around[3]}{end}")
        return cls(place, rest, end)


def without_tags(content: str) -> str:
    """Return a subtitle's words on one line."""
    return " ".join(TAG.sub("", content).split())


def words_of(content: str) -> list[str]:
    """Return what stands between spaces, of which tags hold some of their own."""
    return _WORD.findall(content)


def marked_up(content: str, marks: list[Mark], as_html: Callable[[str], str]) -> str:
    """Return HTML in which each tag is an element, whose number is its place in `marks`; those are added."""
    found = list(TAG.finditer(content))
    ends = _ends([tag[0] for tag in found])
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


def _ends(tags: list[str]) -> dict[int, int]:
    """Return for each tag that is closed the number of the one that closes it; pairs do not cross."""
    ends: dict[int, int] = {}
    stack: list[tuple[str, int]] = []
    open_names: dict[str, int] = {}
    for i, tag in enumerate(tags):
        name = _NAME.match(tag)
        if name is None:
            continue
        if not tag.startswith("</"):
            stack.append((name[1], i))
            open_names[name[1]] = open_names.get(name[1], 0) + 1
        elif open_names.get(name[1]):
            while stack:
                own, start = stack.pop()
                open_names[own] -= 1
                if own == name[1]:
                    ends[start] = i
                    break
    return ends
