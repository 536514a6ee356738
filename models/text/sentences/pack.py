"""Sentences into windows that a model can read, and sentences that are too long into parts.

Nothing is ever cut silently: all that goes in comes out. Knows nothing of tokenizers: lengths are given, in
whatever unit the caller counts, and what fits is asked.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence

from models.text.sentences.segment import strip
from models.text.span import Span

_CLAUSE_END = re.compile(r"[,;:،؛](?=\s)|[，、；：]|\s[-–—](?=\s)|—")
_SPACE = re.compile(r"\s")
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
    low, high = max(longest, -(-sum(lengths) // fewest)), limit
    while low < high:
        middle = (low + high) // 2
        if len(_fill(lengths, middle)) <= fewest:
            high = middle
        else:
            low = middle + 1
    return _fill(lengths, high)


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
    return _character_cut(content)


def _character_cut(content: str) -> int:
    """The middle, moved past marks that belong to the character before; not out of the middle half."""
    middle, quarter = len(content) // 2, len(content) // 4
    for cuts in (range(middle, middle + quarter + 1), range(middle - 1, middle - quarter - 1, -1)):
        for cut in cuts:
            if 0 < cut < len(content) and not _is_mark(content[cut]):
                return cut
    return middle


def _is_mark(character: str) -> bool:
    return unicodedata.combining(character) > 0 or character in "\u200d\ufe0f"
