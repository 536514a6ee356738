"""An article pasted as plain text: its paragraphs and its title, without what the web page put around.

What was left out is told, with the reason. Knows nothing of HTML, sentences or models.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.text.article.article import Article, Dropped, line_spans, read_verbatim
from models.text.article.clutter import ends_like_a_sentence, find_clutter, words
from models.text.article.headline import find_headline
from models.text.article.outline import find_article
from models.text.article.traits import Lines
from models.text.sentences.wrapped import widths
from models.text.span import Span

_MOST_TITLE_WORDS = 20
_MOST_LINES = 5000
_LEAST_PROSE_WORDS = 10
_MENU_WORDS = 7
_LIST_MARK = re.compile(r"[-*+•·‣▪◦–—>|#]|\d{1,3}[.)]\s")
_HEADED = ("comments", "reply form", "related links", "share buttons", "author box")


def read_pasted(text: str) -> Article:
    """Plain text as it is pasted from a web page, in the paragraphs that `paragraphs` finds.

    Text that no page was put around is left as it is: without an article's sentences (a poem, a list, code)
    only lines go that are clutter by their wording. Nothing goes if nothing would be left, or from more lines
    than any page has.
    """
    spans = paragraphs(text)
    if not 0 < len(spans) <= _MOST_LINES:
        return read_verbatim(text)
    lines = Lines([" ".join(text[s.start : s.end].split()) for s in spans], _after_blank(text, spans))
    worded = find_clutter(lines.lines)
    kept = find_article(lines) if _has_prose(lines) else np.ones(lines.count, dtype=bool)
    kept[list(worded)] = False
    if not kept.any():
        return read_verbatim(text)
    title_at = _find_title(lines, kept)
    title = None if title_at is None else text[spans[title_at].start : spans[title_at].end]
    repeats = _repeats(lines.lines, title_at)
    kept[[i for i in (title_at, *repeats) if i is not None]] = False
    if not kept.any():
        return read_verbatim(text)
    reasons = _Reasons(lines, kept, {**worded, **dict.fromkeys(repeats, "repeated headline")})
    left_out = (i for i in range(lines.count) if not kept[i] and i != title_at)
    return Article(
        text,
        title,
        tuple(span for i, span in enumerate(spans) if kept[i]),
        tuple(Dropped(text[spans[i].start : spans[i].end], reasons.of(i)) for i in left_out),
    )


def paragraphs(text: str) -> list[Span]:
    """The paragraphs of `text`: its lines, or, where they were wrapped, the lines that belong together.

    A paragraph of several lines is a span with line ends in it; `segment.sentences` can take them as spaces.
    """
    groups: list[list[Span]] = []
    for line in line_spans(text):
        if groups and _adjoin(text, groups[-1][-1], line):
            groups[-1].append(line)
        else:
            groups.append([line])
    found: list[Span] = []
    wrapped = widths([[text[line.start : line.end] for line in group] for group in groups])
    for group, width in zip(groups, wrapped, strict=True):
        found += group if width is None else [Span(group[0].start, group[-1].end)]
    return found


def _adjoin(text: str, line: Span, following: Span) -> bool:
    """Return whether the two stand on neighbouring lines, the second without an indent or a list's mark."""
    between = text[line.end : following.start].replace("\r\n", "\n")
    at_margin = between.count("\n") == 1 and between.endswith("\n")
    return at_margin and _LIST_MARK.match(text, following.start, following.end) is None


def _after_blank(text: str, spans: Sequence[Span]) -> list[bool]:
    between = (text[a.end : b.start].replace("\r\n", "\n") for a, b in pairwise(spans))
    return [False, *(gap.count("\n") > 1 for gap in between)]


def _has_prose(lines: Lines) -> bool:
    """Return whether there is at least one long sentence or two of some length."""
    sizes = lines.sizes[lines.ends]
    return bool((sizes >= 2 * _LEAST_PROSE_WORDS).any() or (sizes >= _LEAST_PROSE_WORDS).sum() >= 2)


def _find_title(lines: Lines, kept: NDArray[np.bool_]) -> int | None:
    """The headline: one that is found before the article, or a first line that looks like one."""
    found = find_headline(lines, kept)
    if found is not None:
        return lines.keys.index(lines.keys[found])
    first = int(kept.argmax())
    if lines.kinds[first] or lines.clear[first]:
        return None
    line = lines.lines[first]
    comes_twice = lines.keys.count(lines.keys[first]) > 1
    short = 0 < len(words(line)) <= _MOST_TITLE_WORDS and not line.endswith((",", ";", ":", "：", "，", "、"))
    # a headline has prose under it
    heads = first + 1 < lines.count and bool(lines.prose[first + 1 : first + 3].max() > 0.2)
    if short and first + 1 < lines.count and (comes_twice or (heads and not ends_like_a_sentence(line))):
        return first
    return None


def _repeats(lines: Sequence[str], title_at: int | None) -> list[int]:
    """The other lines that say the headline's words and no others."""
    if title_at is None:
        return []
    title = words(lines[title_at])
    return [i for i, line in enumerate(lines) if i != title_at and title and words(line) == title]


class _Reasons:
    """Why lines are dropped, in plain words."""

    def __init__(self, lines: Lines, kept: NDArray[np.bool_], known: dict[int, str]):
        self._lines = lines
        self._known = known
        # for each line, what heads the dropped lines that it is among
        self._headings: list[str | None] = []
        for i in range(lines.count):
            own = None if kept[i] else self._own(i)
            above = self._headings[-1] if i and not kept[i - 1] else None
            self._headings.append(own if own in _HEADED else None if kept[i] else above)

    def of(self, i: int) -> str:
        own = self._own(i)
        if own is not None:
            return own
        heading = self._headings[i]
        if heading is not None:
            return heading
        return "page navigation" if self._lines.sizes[i] <= _MENU_WORDS else "not part of the article"

    def _own(self, i: int) -> str | None:
        """Return the reason by the line's own wording; `wording.KINDS` has the more telling kinds first."""
        if i in self._known:
            return self._known[i]
        return next(iter(self._lines.kinds[i]), None)
