"""Sentences that pages add to articles, told by their wording alone: a list of named rules.

The rules are cautious: a leftover line costs a reader less than a lost sentence. They know English wording
first; for other languages, and for lines that only their place gives away, `outline` weighs traits.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.text.article.wording import LINK_MARK

_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?…。！？؟।][\"'”’»)\]」』]*$")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^“”]*”|«[^«»]*»|„[^„“”]*[“”]")
_MOST_CHARACTERS = 1000

Matches = Callable[[Sequence[str], int], bool]
"""A test of the line with this number: is it clutter?"""


@dataclass(frozen=True, slots=True)
class Rule:
    """Why a line is dropped, and how it is recognized."""

    reason: str
    matches: Matches


def words(text: str) -> list[str]:
    """The words of a text for comparing: case folded, without punctuation."""
    return _WORD.findall(text.casefold())


def ends_like_a_sentence(text: str) -> bool:
    return _SENTENCE_END.search(text) is not None


def _wording(pattern: str | re.Pattern[str], *, most_words: int) -> Matches:
    """A rule that a line of at most so many words matches by its wording, not by what it quotes."""
    compiled = re.compile(pattern, re.IGNORECASE) if isinstance(pattern, str) else pattern

    def matches(lines: Sequence[str], i: int) -> bool:
        short = len(lines[i]) <= _MOST_CHARACTERS
        found = short and compiled.search(lines[i]) and compiled.search(_QUOTED.sub(" ", lines[i]))
        return bool(found) and len(words(lines[i])) <= most_words

    return matches


_AUTHOR_HEADING = re.compile(
    r"^about (?:the )?(?:author|(?P<name>[^\W\d_][\w.'’-]*(?: [\w.'’-]+){0,4}?)\s+\d+ (?:articles"
    r"|posts))\b",
    re.IGNORECASE,
)
_ABOUT_A_WRITER = re.compile(
    r"\b(?:writer|journalist|reporter|editor|author|columnist|correspondent|blogger|writes|covers)\b", re.I
)


def _author_box(lines: Sequence[str], i: int) -> bool:
    """The heading of the box, or the line under it if that speaks of the author."""
    if _AUTHOR_HEADING.match(lines[i]) and len(words(lines[i])) <= 12:
        return True
    heading = _AUTHOR_HEADING.match(lines[i - 1]) if i else None
    if heading is None:
        return False
    name = heading["name"]
    if name is None:
        return _ABOUT_A_WRITER.search(lines[i]) is not None
    return words(lines[i])[:1] == words(name)[:1]


RULES = (
    Rule(
        "call to action",
        _wording(
            r"click (?:on )?(?:the |this )?(?:link|here|below)"
            r"|(?:visit|follow|like) (?:us|our) (?:on |\w+ page)"
            r"|(?:^|[.!?:,–-] ?|\b(?:please|you|and|or|to|now|can) )(?:subscribe|sign up) (?:to"
            r"|for) (?:our|the)\b"
            r".*newsletter",
            most_words=45,
        ),
    ),
    Rule(
        "related links", lambda lines, i: LINK_MARK.match(lines[i]) is not None and len(words(lines[i])) <= 30
    ),
    Rule(
        "share buttons",
        _wording(r"^\W*(?:click to )?(?:share|tweet|pin) (?:this|on|via|it)\b[^.,]{0,40}$", most_words=8),
    ),
    Rule(
        "advertisement",
        _wording(
            r"^\W*(?:advert|advertisement|advertising|sponsored(?: content)?|anzeige|werbung|publicité"
            r"|publicidade?|pubblicità|реклама|广告|広告|광고|iklan|إعلان)\W*$",
            most_words=2,
        ),
    ),
    Rule(
        "caption",
        _wording(
            r"^(?:photo|image|picture|foto|bild)(?: (?:credit|caption|copyright))?\s*:"
            r"|^(?:photo|image) (?:by|courtesy|credit|caption|copyright|via)\b|^media ?caption",
            most_words=25,
        ),
    ),
    Rule(
        "credit",
        _wording(
            r"^\((?:additional )?(?:reporting|writing|editing|compiled|translated)\b.{0,30}\bby\b.*\)$"
            r"|^(?:additional )?(?:reporting|writing) by\b[^.]{3,200};.*\bediting by\b"
            r"|^editing by [^.]{3,80}$"
            r"|^a version of this (?:article|story) appear(?:s|ed) in print\b",
            most_words=60,
        ),
    ),
    Rule(
        "disclaimer",
        _wording(
            r"\b(?:opinions|views) expressed (?:here|in this (?:article|column|piece|post))\b.{0,40}\bare\b"
            r"|\bwe (?:may|might) (?:earn|receive|get) (?:an? )?(?:small )?(?:affiliate )?commission",
            most_words=45,
        ),
    ),
    Rule("source link", _wording(r"^\W*(?:source|via)(?: link)?\W*$", most_words=3)),
    Rule("author box", _author_box),
    Rule(
        "reply form",
        _wording(
            r"^(?:leave a (?:reply|comment)|cancel reply|post comment"
            r"|your email address will not be published)\b",
            most_words=25,
        ),
    ),
    Rule(
        "cookie banner",
        _wording(r"\b(?:we|this (?:site|website)) uses? cookies\b|^accept (?:all )?cookies$", most_words=60),
    ),
)


def find_clutter(lines: Sequence[str]) -> dict[int, str]:
    """The reason for each line, by its number, that the article does without whatever stands around it."""
    found = {}
    for i in range(len(lines)):
        reason = next((rule.reason for rule in RULES if rule.matches(lines, i)), None)
        if reason is not None:
            found[i] = reason
    return found
