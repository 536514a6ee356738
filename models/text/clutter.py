"""Which paragraphs of a pasted article are the web page's and not the article's: a list of named rules.

A rule looks at one paragraph, its neighbours and the title. The rules are cautious: a leftover line costs a
reader less than a lost sentence. They know English wording first; the rules that look at form alone work in
any language.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")
_LIST_MARK = re.compile(r"[-*•·‣▪◦–—]|\d{1,3}[.)]")
_FULL_SENTENCE_WORDS = 10
_SCRAP_WORDS = 7
_FEWEST_SCRAPS = 6


@dataclass(frozen=True)
class Context:
    """All paragraphs of a text, as a rule may look at them."""

    paragraphs: Sequence[str]
    title: str | None
    title_at: int | None
    """The paragraph that is kept as the title."""

    @cached_property
    def navigation(self) -> frozenset[int]:
        """Paragraphs in long runs of scraps before the first full sentence or after the last."""
        full = [i for i, text in enumerate(self.paragraphs) if _is_full_sentence(text)]
        if not full:
            return frozenset()
        found: list[int] = []
        for edge in (range(full[0]), range(full[-1] + 1, len(self.paragraphs))):
            for scrap, run in groupby(edge, key=lambda i: _is_scrap(self.paragraphs[i])):
                numbers = list(run)
                if scrap and len(numbers) >= _FEWEST_SCRAPS:
                    found += numbers
        return frozenset(found)


Matches = Callable[[Context, int], bool]
"""Whether the paragraph with this number is clutter."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Why a paragraph is dropped, and how it is recognized."""

    reason: str
    matches: Matches


def words(text: str) -> list[str]:
    """The words of a text for comparing: case folded, without punctuation."""
    return _WORD.findall(text.casefold())


def ends_like_a_sentence(text: str) -> bool:
    return _SENTENCE_END.search(text) is not None


def _is_full_sentence(text: str) -> bool:
    return len(text.split()) >= _FULL_SENTENCE_WORDS and ends_like_a_sentence(text)


def _is_scrap(text: str) -> bool:
    """What menus, tags and teasers are made of; an item with a list mark may be the article's own."""
    return len(text.split()) <= _SCRAP_WORDS and not ends_like_a_sentence(text) and not _LIST_MARK.match(text)


def _repeats_title(context: Context, i: int) -> bool:
    if context.title is None or i == context.title_at:
        return False
    return words(context.paragraphs[i]) == words(context.title)


def _wording(pattern: str, *, most_words: int) -> Matches:
    """A rule that a paragraph of at most so many words matches by its wording."""
    compiled = re.compile(pattern, re.IGNORECASE)

    def matches(context: Context, i: int) -> bool:
        paragraph = context.paragraphs[i]
        return compiled.search(paragraph) is not None and len(words(paragraph)) <= most_words

    return matches


_AUTHOR_HEADING = re.compile(
    r"^about (?:the )?(?:author|(?P<name>[^\W\d_][\w.'’-]*(?: [\w.'’-]+){0,4}?)\s+\d+ (?:articles|posts))\b",
    re.IGNORECASE,
)
_ABOUT_A_WRITER = re.compile(
    r"\b(?:writer|journalist|reporter|editor|author|columnist|correspondent|blogger|writes|covers)\b", re.I
)


def _author_box(context: Context, i: int) -> bool:
    """The heading of the box, or the paragraph under it if that speaks of the author."""
    paragraphs = context.paragraphs
    if _AUTHOR_HEADING.match(paragraphs[i]) and len(words(paragraphs[i])) <= 12:
        return True
    heading = _AUTHOR_HEADING.match(paragraphs[i - 1]) if i else None
    if heading is None:
        return False
    name = heading["name"]
    if name is None:
        return _ABOUT_A_WRITER.search(paragraphs[i]) is not None
    return words(paragraphs[i])[:1] == words(name)[:1]


RULES = (
    Rule("repeated headline", _repeats_title),
    Rule(
        "call to action",
        _wording(
            r"click (?:on )?(?:the |this )?(?:link|here|below)"
            r"|(?:visit|follow|like) (?:us|our) (?:on |\w+ page)"
            r"|(?:subscribe|sign up) (?:to|for) (?:our|the)\b.*newsletter",
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
    Rule("page navigation", lambda context, i: i in context.navigation and i != context.title_at),
)


def find_clutter(context: Context) -> dict[int, str]:
    """The reason for each paragraph, by its number, that the article does without."""
    found = {}
    for i in range(len(context.paragraphs)):
        reason = next((rule.reason for rule in RULES if rule.matches(context, i)), None)
        if reason is not None:
            found[i] = reason
    return found
