"""Texts that make bad code slow: a short unit that comes again and again, or two units by turns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from string import ascii_lowercase, punctuation

TAGS = (
    "<a", "<a>", "</p>", "<p>a", "<b>a", "<!--", "<![CDATA[",
    "<a href='", '<p class="', "<br/>", "&amp;", "&#",
    "<i>a</i> ", "<div>",
)  # fmt: skip
QUOTES = (*"„“”‘’‚‹›«»「」『』《》", "``", "''", '"a" ', "«a» ", " 'a ", '"A')
MARKS = (*punctuation, *"…–—·•¿¡。，、；：？！؟،؛।၊։【】（）©№°%"[:-1], "...", "[...]", "(a) ", "$1")
APOSTROPHES = ("O'", "l’", "a's ", "'a", "d'A")
WORDS = (
    "a", "A", "aB", "a ", "Ab ", "word ", "The ", "Anna Smith ", "ANNA ", "A.", "Mr. ",
    "e.g. ", "Is it? ",
    "a, ", "of the ", "de la ", "said ", "by ", "x-", "a_", "one ", "two hundred ", "half ",
    "QX7 ", "Read more: ",
)  # fmt: skip
NUMBERS = (
    "1", "1 ", "-1", "+1 ", "1,", "1.", "1:", "1/", "1'", "1 000 ", "1,000,", "10,", "100,", "½", "1st ",
    "12 March ", "March ",
    "03/04/", "2020-", "12:30 ", "5pm ", "mon ", "$1 ", "1% ", "1 million ",
    "1 January 2020. ", "XI ", "in 1 ",
)  # fmt: skip
SPACES = (" ", "\n", "\n\n", "\t", "\u00a0", "\r\n", "\f", "\u2028", "\u00ad\n", "\u200b", "\0", ". ", ".\n")
SCRIPTS = (
    "слово ", "Имя ", "Анна Ивановна. ", "كلمة ", "مرحبا", "中", "中文。", "三", "万", "1万", "年1月", "ไทย",
    "สวัสดี ", "한", "かな", "é", "e\u0301", "ß", "😀", "\u0301", "İ", "\ud800", "हिन्दी ",
    "Όνομα ", "aа", "中 a ",
)  # fmt: skip
ADDRESSES = ("a@", "@a", "a.b", "a@b.c ", "http://", "https://a/", "www.", "a.com/", "a.py ", "C:\\", "a-b.")
MARKUP = (
    "# ", "#a", "**", "**a** ", "*a", "`", "`a` ", "```\n", "[a](", "[a](b) ", "![", "[",
    "- ", "1. ", "> ", "| ",
    "|-", "__a", "~~", "    a\n", "a\n===\n", "{{", "{{a}} ", "{\\", "%(a)s ", "%s", "a  \n", "- a\n",
)  # fmt: skip
SUBTITLES = ("1\n00:00:01,000 --> 00:00:02,000\na\n\n", "00:00:01,000 --> ", "{\\an8}", "-a\n", "♪ ", "-->")
UNITS = tuple(
    dict.fromkeys(
        (
            *TAGS,
            *QUOTES,
            *MARKS,
            *APOSTROPHES,
            *WORDS,
            *NUMBERS,
            *SPACES,
            *SCRIPTS,
            *ADDRESSES,
            *MARKUP,
            *SUBTITLES,
        )
    )
)
PAIRED = (
    "<a", "</p>", "<!--", "&#", "„", "“", "'", '"', "«", "(", ")", "[", "]", "{", "}", "-",
    "_", "*", "`", "#", "@",
    "/", "\\", ":", ",", ".", "…", "!", "。", "%", "$", "|", "O'", "’", "a", "A", "Ab ",
    "the ", "1", "1 ", "-1",
    "March ", "two ", " ", "\n", "\n\n", "\u00a0", "Я", "слово ", "م", "中", "ไ", "é", "a@",
    "http://", "www.", "> ",
)  # fmt: skip
"""One or two of each kind: the pairs of all units would take days."""
SHORT = "It was so."
PIECE_CHARACTERS = 40


@dataclass(frozen=True)
class Fed:
    """What a function is given: a text, and for one that compares two texts the one beside it."""

    text: str
    beside: str


def pieces(fed: Fed) -> list[Fed]:
    """The text in pieces, for what takes many; one at least."""
    return [
        Fed(fed.text[at : at + PIECE_CHARACTERS] or "a", fed.beside[at : at + PIECE_CHARACTERS] or "a")
        for at in range(0, max(1, len(fed.text), len(fed.beside)), PIECE_CHARACTERS)
    ]


@dataclass(frozen=True)
class Case:
    """A way to make texts of any size."""

    name: str
    make: Callable[[int], Fed]


def _repeated(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


def _same(unit: str, tail: str = "") -> Callable[[int], Fed]:
    def make(size: int) -> Fed:
        text = _repeated(unit, size) + tail
        return Fed(text, text)

    return make


def _numbered(unit: str, size: int, first: int) -> str:
    """The unit and words and numbers that never come again: `a Baaa aaab 1a Baac `."""
    words, length, i = [], 0, first
    while length < size:
        name = "".join(ascii_lowercase[i // 26**place % 26] for place in range(3))
        words.append(f"{unit}{name} {i}" if i % 2 else f"{unit} B{name} ")
        length += len(words[-1])
        i += 1
    return "".join(words)[:size]


def _different(unit: str) -> Callable[[int], Fed]:
    """Words that never come again; half of one side's are the other's too."""
    return lambda size: Fed(_numbered(unit, size, 0), _numbered(unit, size, size // (2 * len(unit) + 14)))


def singles(unit: str) -> list[Case]:
    """Each unit alone, with an end that makes matches fail, among other words, and on one side only."""
    return [
        Case(repr(unit), _same(unit)),
        Case(f"{unit!r}, then '!x'", _same(unit, "!x")),
        Case(f"{unit!r}, numbered", _different(unit)),
        Case(f"{unit!r} in the first", lambda size: Fed(_repeated(unit, size), SHORT)),
        Case(f"{unit!r} in the second", lambda size: Fed(SHORT, _repeated(unit, size))),
    ]


def pairs() -> Iterator[Case]:
    """Two units by turns, in every order."""
    for one, other in product(PAIRED, PAIRED):
        if one != other:
            yield Case(repr(one + other), _same(one + other))
