"""Splits a text into sentences (as spans), finds ends of words and lines, and packs sentences in windows.

sentencex finds the ends of sentences; a line end is one too, except in wrapped paragraphs. Nothing is cut
silently: everything that goes in comes out. Knows no tokenizer: callers pass lengths in any unit.
"""

import re
import textwrap
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise
from typing import TypeVar

from sentencex import get_sentence_boundaries

from models.cooperative import Cooperative, finish
from models.text.span import Span

UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, kana and Chinese characters, as a class of a pattern: words end anywhere."""

_UNSPACED = re.compile(f"[{UNSPACED}]")


def is_unspaced(text: str) -> bool:
    """Return whether the text begins with a character of a script that writes words without spaces."""
    return text[:1] >= "\u0e00" and _UNSPACED.match(text) is not None


def inside_word(text: str, at: int) -> bool:
    """Return whether a cut at this offset would go through a word, or part a mark from its character."""
    if at <= 0 or at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    if unicodedata.combining(after) or unicodedata.category(after) in ("Mn", "Mc", "Cf"):
        return True
    if after in "'’" and at + 1 < len(text):
        return before.isalnum() and text[at + 1].isalnum()
    return before.isalnum() and after.isalnum() and not (is_unspaced(before) or is_unspaced(after))


T = TypeVar("T")
LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_LINE_END = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_QUOTE = re.compile(r"[\"“”„«»]+|(?<!\w)['‘’]+|['‘’]+(?!\w)")
_CLOSING_AFTER_STOP = re.compile(r"(?<=[.。])[\"“”»'’]+(?=\s|$)")
_END_IN_QUOTE = re.compile(r"(?<=\w\w\w)\.[\"“”»'’]+\s+\S")
_LONG_QUOTATION_CHARACTERS = 200
_PIECE_CHARACTERS = 10_000
"""As much as sentencex reads at once: on some texts its time grows with the square of that."""
_MOST_CHARACTERS = 80_000
"""A sentence with no end in so many is cut at a blank."""
_LEAST_PROGRESS = 1_000
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def sentences(text: str, language: str, within: Span | None = None, *, wrapped: bool = False) -> list[Span]:
    """The sentences of `text`, or of the part of it that `within` names, in order.

    Spans refer to `text`, are free of outer white space, don't overlap, and leave out no character but
    white space. `language` is an ISO 639-1 or BCP 47 code; an unknown one is split by common rules.
    With `wrapped` a line end is no more than a space, as in a paragraph of `paste.paragraphs`.
    """
    return finish(pausing_sentences(text, language, within, wrapped=wrapped))


def pausing_sentences(
    text: str, language: str, within: Span | None = None, *, wrapped: bool = False
) -> Cooperative[list[Span]]:
    """Return what `sentences` does, with a pause after each piece of a line."""
    within = within or Span(0, len(text))
    if wrapped:
        return (yield from _line_sentences(text, within, language))
    found: list[Span] = []
    for line in LINE.finditer(text, *within):
        found += yield from _line_sentences(text, Span(*line.span()), language)
    return found


def _line_sentences(text: str, line: Span, language: str) -> Cooperative[list[Span]]:
    # sentencex takes UTF-8, which lone surrogates have no form in
    content = _LINE_END.sub(" ", _SURROGATE.sub("\ufffd", text[line.start : line.end]))
    base = language.split("-")[0].lower()
    cuts = [line.start]
    for start, end in (yield from _boundaries(content, base)):
        piece = content[start:end]
        inner = [(0, end - start)]
        if _holds_several(piece):
            inner = yield from _boundaries(_unquoted(piece), base)
        cuts += [line.start + start + inner_end for _, inner_end in inner]
    cuts = [cut for cut in cuts if cut == line.start or not _goes_on(text, cut, base)]
    joined: list[Span] = []
    for span in (strip(text, Span(a, b)) for a, b in pairwise([*cuts, line.end])):
        if span.start == span.end:
            continue
        if joined and not any(map(str.isalnum, text[span.start : span.end])):
            joined[-1] = Span(joined[-1].start, span.end)  # without letter or digit
        else:
            joined.append(span)
    return joined


def _boundaries(content: str, base: str) -> Cooperative[list[tuple[int, int]]]:
    """A piece at a time; a sentence that has no end in one goes on in the next."""
    found: list[tuple[int, int]] = []
    begun = start = 0
    while True:
        stop = start + _PIECE_CHARACTERS
        is_last = stop >= len(content)
        ends = [each["end_index"] for each in get_sentence_boundaries(base, content[start:stop])]
        yield None
        if not is_last:  # those hold whatever follows
            near = [end for end in ends if end <= _PIECE_CHARACTERS // 2]
            far = [end for end in ends if end <= _PIECE_CHARACTERS - _LEAST_PROGRESS]
            ends = near if near and near[-1] >= _LEAST_PROGRESS else far
        found += pairwise([begun, *(start + end for end in ends)])
        begun = start + ends[-1] if ends else begun
        if is_last:
            return found
        if begun - start >= _LEAST_PROGRESS:
            start = begun
            continue
        blank = content.rfind(" ", start + _PIECE_CHARACTERS // 2, stop)
        start = blank if blank > 0 else stop
        if start - begun >= _MOST_CHARACTERS:
            found.append((begun, start))
            begun = start


def _holds_several(piece: str) -> bool:
    return _QUOTE.search(piece) is not None and (
        len(piece) > _LONG_QUOTATION_CHARACTERS or _END_IN_QUOTE.search(piece) is not None
    )


def _unquoted(piece: str) -> str:
    """`piece` with each quotation mark replaced, at the same place, so that it hides no sentence's end.

    sentencex never ends a sentence inside a quotation, nor after one if a small letter follows. So a long
    quotation is one sentence, and in lower-cased text, or where a mark has no partner, a whole passage is.
    """
    piece = _CLOSING_AFTER_STOP.sub(lambda mark: " " * len(mark[0]), piece)
    return _QUOTE.sub(lambda mark: "x" * len(mark[0]), piece)


def strip(text: str, span: Span) -> Span:
    """`span` without the white space at its ends; empty if there is nothing else."""
    content = text[span.start : span.end]
    start = span.start + len(content) - len(content.lstrip())
    return Span(start, max(start, span.start + len(content.rstrip())))


_REACH = 24
"""Characters before a place that are looked at."""
_ORDINALS = frozenset(
    ("bs", "cs", "da", "de", "et", "fi", "hr", "hu", "is", "lv", "nb", "nn", "no", "pl", "sk", "sl", "sr")
)
"""Languages that put a full stop after ordinal numbers."""
_ORDINAL = re.compile(r"(?<![\w.,:/-])\d{1,4}\.\s*$")
_GERMAN_ORDINAL = re.compile(
    r"\b(?:de[mnrs]|die|das|[ia]m|zu[mr]|vom|beim|ins|jede[mnrs]?|diese[mnrs]?|(?:k?ein|[mds]ein|ihr|unser|eur)(?:e[mnrs]?)?)"
    r"\s+\d{1,3}\.\s*$",
    re.IGNORECASE,
)
_BEFORE_NUMBER = re.compile(
    r"(?<!\w)(?:approx|arts?|cap|fig|pagg?|tab|vol|ziff|abs|kap)\.\s*$", re.IGNORECASE
)
_BEFORE_NAME = {
    "fr": re.compile(r"(?<![\w.])(?:MM?|Mmes?|Mlles?|Mgr|Me|Pr|Ste?)\.\s*$"),
    "it": re.compile(r"(?<![\w.])(?:[Oo]n|[Aa]vv|[Ii]ng|[Dd]ott(?:\.ssa)?|[Ss]ig(?:\.ra)?|[Mm]ons)\.\s*$"),
}


def _goes_on(text: str, at: int, language: str) -> bool:
    """Return whether the sentence goes on here, where another seems to begin. `language` has no region."""
    before, after = text[max(0, at - _REACH) : at], text[at : at + _REACH].lstrip()[:1]
    if not after or not before.rstrip().endswith("."):
        return False
    if after.isdigit():
        return _BEFORE_NUMBER.search(before) is not None
    if after.islower():
        return language in _ORDINALS and _ORDINAL.search(before) is not None
    if language == "de":
        return after.isupper() and _GERMAN_ORDINAL.search(before) is not None
    names = _BEFORE_NAME.get(language)
    return names is not None and after.isupper() and names.search(before) is not None


NARROWEST, WIDEST = 36, 130
"""Widths in characters that text is wrapped to; lists are narrower, and what is wider was not wrapped."""


def neighbours(spans: Iterable[T], adjoin: Callable[[T, T], bool]) -> list[list[T]]:
    """The lines in groups: each with those that follow, as long as each adjoins the one before it."""
    groups: list[list[T]] = []
    for span in spans:
        if groups and adjoin(groups[-1][-1], span):
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


def widths(groups: Sequence[Sequence[str]]) -> list[int | None]:
    """For each group of neighbouring lines the width that it is wrapped to, or None if it is not.

    A group of two lines says too little by itself: it counts if a longer one is wrapped to that width.
    """
    longer = [width for group in groups if len(group) > 2 and (width := _width(group, 0)) is not None]
    widest = max(longer, default=0)
    return [
        _width(group, widest if len(group) == 2 else 0) if widest or len(group) > 2 else None
        for group in groups
    ]


def wrap(text: str, width: int, line_end: str) -> str:
    """The text in lines of at most `width` characters, if its words allow it; `line_end` goes between."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return line_end.join(lines)


def _width(lines: Sequence[str], known: int) -> int | None:
    """The lines' width, or the one that is known, if they are wrapped to it."""
    widest = max(map(len, lines))
    width = known or widest
    breaks = list(pairwise(lines))
    if not breaks or widest > width or not NARROWEST <= width <= WIDEST:
        return None
    if any(len(line) + 1 + len(after.split(maxsplit=1)[0]) <= width for line, after in breaks):
        return None
    cased = any(character.isupper() for line in lines for character in line)
    goes_on = any(after[0].islower() for _, after in breaks)
    return width if goes_on or not cased else None


_CLAUSE_END = re.compile(r"[,;:،؛](?=\s)|[，、；：]|\s[-–—](?=\s)|—")
_SPACE = re.compile(r"\s")
_JOINERS = "\u200d\ufe0f"
# Languages that write words without spaces between them, where a space ends a phrase.
_SPACE_ENDS_PHRASE = {"th", "lo", "km", "my"}


def pack(lengths: Sequence[int], limit: int) -> list[range]:
    """Group consecutive items into windows whose lengths add up to at most `limit`.

    As few windows as can be, and of those groupings the one whose fullest window is emptiest, so that the
    last window is not a remnant. Raises ValueError if an item alone is over the limit.
    """
    if not lengths:
        return []
    longest = max(lengths)
    if longest > limit:
        raise ValueError(f"an item of length {longest} does not fit in a window of {limit}")
    fewest = len(_fill(lengths, limit))
    least = max(longest, -(-sum(lengths) // fewest))
    emptiest = bisect_left(range(limit), True, least, key=lambda most: len(_fill(lengths, most)) <= fewest)
    return _fill(lengths, emptiest)


def _fill(lengths: Sequence[int], limit: int) -> list[range]:
    windows, start, filled = [], 0, 0
    for i, length in enumerate(lengths):
        if filled + length > limit and i > start:
            windows.append(range(start, i))
            start, filled = i, 0
        filled += length
    windows.append(range(start, len(lengths)))
    return windows


def split_long(text: str, span: Span, fits: Callable[[str], bool], language: str) -> list[Span]:
    """Cut `text[span]` into parts that fit, in order; the span itself if it fits as it is.

    The cut is made near the middle, at the end of a clause if there is one, else at a space, else between
    any two characters, and again in each half: `fits` is asked about twice for each part. The parts are
    free of outer white space and leave out no character but white space. Raises ValueError if not even
    one character fits.
    """
    span = strip(text, span)
    if span.start == span.end:
        return []
    content = text[span.start : span.end]
    if fits(content):
        return [span]
    if len(content) == 1:
        raise ValueError("the limit is too small for a single character")
    cut = span.start + _best_cut(content, language)
    left, right = Span(span.start, cut), Span(cut, span.end)
    return split_long(text, left, fits, language) + split_long(text, right, fits, language)


def _best_cut(content: str, language: str) -> int:
    """The offset to cut at: in the middle half of the content unless there is no gap in it at all."""
    spaces = [match.end() for match in _SPACE.finditer(content)]
    clauses = [match.end() for match in _CLAUSE_END.finditer(content)]
    if language.split("-")[0].lower() in _SPACE_ENDS_PHRASE:
        clauses += spaces
    middle, quarter = len(content) / 2, len(content) / 4
    for cuts in (clauses, spaces):
        central = [cut for cut in cuts if abs(cut - middle) <= quarter]
        if central:
            return min(central, key=lambda cut: abs(cut - middle))
    # the middle, moved past marks that belong to the character before; not out of the middle half
    at, reach = len(content) // 2, len(content) // 4
    for cut in chain(range(at, at + reach + 1), range(at - 1, at - reach - 1, -1)):
        after = content[cut : cut + 1]
        if cut > 0 and after and not unicodedata.combining(after) and after not in _JOINERS:
            return cut
    return at
