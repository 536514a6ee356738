"""Flags quotations in an output that are not the source's words."""

import re
from collections.abc import Iterator
from itertools import pairwise

from models.checks.flag import Flag
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.text.sentences import is_unspaced
from models.text.span import Span

_MARKS = re.compile(
    r"``([^`\n]{1,2000}?)''|“([^“”\n]+)[”“]|„([^“”„\n]+)[“”]|\"([^\"\n]+)\"|«\s?([^«»\n]+?)\s?»|»([^«»\n]+)«"
    r"|「([^「」\n]+)」|『([^『』\n]+)』"
    r"|(?<!\w)‘([^‘\n]{10,2000}?)’(?!\w)|(?<![\w'])'(?!')([^'\n]{12,2000}?)'(?![\w'])"
)
_LEFT_OUT = re.compile(r"\.\.\.|…|\[[^\[\]]*\]|\([^()]*\)")
_LEAST_WORDS = 2
_LEAST_CHARACTERS = 4
"""The least of a quotation in a script without blanks."""
_MOST_NEAREST = 50
"""After this many false quotations no nearest words are looked for: each search reads the whole source."""
_MOST_SOUGHT = 1000
"""The most different pieces that are looked for whole, once the source has all their pairs of words."""
_LETTERS = re.compile(r"[^\W_]+")


def check(pair: Pair) -> Iterator[Flag | None]:
    """Yield a flag for each false quotation of two words or more. `...` and brackets may replace words."""
    if pair.across_languages:
        return
    held: _SourceWords | None = None
    left = _MOST_NEAREST
    for match in _MARKS.finditer(pair.output.text):
        group = match.lastindex or 0
        held = held or _SourceWords(pair.source.text)
        pieces = [piece for piece in _LEFT_OUT.split(match[group]) if _is_telling(piece)]
        if not all(map(held.holds, pieces)):
            yield _flag(pair, Span(*match.span(group)), with_nearest=left > 0)
            left -= 1
        yield None


class _SourceWords:
    """The words of a source, to look for quoted pieces in."""

    def __init__(self, text: str):
        self._text = _squeezed(text)
        self._pairs = set(pairwise(self._text.split()))
        self._known: dict[str, bool] = {}

    def holds(self, piece: str) -> bool:
        """Return whether the source has the piece's words in a row.

        After very many pieces it is enough that the source has each two neighbouring words.
        """
        squeezed = _squeezed(piece)
        if not self._pairs.issuperset(pairwise(squeezed.split())):
            return False
        if squeezed not in self._known and len(self._known) < _MOST_SOUGHT:
            self._known[squeezed] = squeezed in self._text
        return self._known.get(squeezed, True)


def _squeezed(text: str) -> str:
    """Return the text's words, one blank around each, and around each character of an unspaced script."""
    plain = text.casefold().replace("’", "").replace("'", "").replace("ʼ", "")
    words = _LETTERS.findall(plain)
    return " " + " ".join(" ".join(word) if is_unspaced(word) else word for word in words) + " "


def _is_telling(piece: str) -> bool:
    words = _LETTERS.findall(piece)
    if any(is_unspaced(word) for word in words):
        return sum(map(len, words)) >= _LEAST_CHARACTERS
    return len(words) >= _LEAST_WORDS


def _flag(pair: Pair, span: Span, *, with_nearest: bool) -> Flag:
    nearest = _nearest(pair.source, pair.output.text[span.start : span.end]) if with_nearest else None
    if nearest is None:
        return Flag("quotation", span, "The source does not have these words.")
    words = pair.source.text[nearest.start : nearest.end]
    stop = "." if words[-1].isalnum() else ""
    return Flag("quotation", span, f"The source says: {words}{stop}", source=nearest)


def _nearest(source: Reading, quotation: str) -> Span | None:
    """Return the source's sentence with the most words of the quotation, if it has over 60% of them."""
    wanted = set(_LETTERS.findall(quotation.casefold()))
    best, share = None, 0.6
    for sentence in source.sentences:
        held = set(_LETTERS.findall(source.text[sentence.start : sentence.end].casefold()))
        if len(wanted & held) / len(wanted) > share:
            best, share = sentence, len(wanted & held) / len(wanted)
    return best
