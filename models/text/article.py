"""An article as a person would read it: its paragraphs and its title, without what the web page put around.

HTML goes through trafilatura, pasted text through the line rules of `clutter`. What was left out is told,
with the reason. Knows nothing of languages, sentences or models.
"""

import re
from dataclasses import dataclass

import trafilatura
from trafilatura.settings import Document

from models.errors import InvalidInput
from models.text.clutter import Context, ends_like_a_sentence, find_clutter, words
from models.text.segment import LINE, strip
from models.text.span import Span

_PAGE = re.compile(r"<(?:html|body)\b", re.IGNORECASE)
_TAG = re.compile(r"<[a-z][^<>]*>", re.IGNORECASE)
_VISIBLE_TEXT = "//body//text()[normalize-space() and not(ancestor::script or ancestor::style)]"
_MOST_TITLE_WORDS = 20


@dataclass(frozen=True, slots=True)
class Dropped:
    """A paragraph that the article was read without."""

    text: str
    reason: str
    """In plain words, such as "repeated headline" or "author box"."""


@dataclass(frozen=True, slots=True)
class Article:
    """A text as it is read: all spans refer to `text`."""

    text: str
    """For pasted text the caller's own, to the character; for HTML the text that was extracted from it."""
    title: str | None
    """The headline, if one was recognized; it is no paragraph."""
    paragraphs: tuple[Span, ...]
    """The paragraphs that are read, in order, free of outer white space."""
    dropped: tuple[Dropped, ...] = ()

    def content(self) -> str:
        """The paragraphs that are read, set off by blank lines; the title is not among them."""
        return "\n\n".join(self.text[p.start : p.end] for p in self.paragraphs)


def read_verbatim(text: str) -> Article:
    """All of `text`, each line a paragraph, nothing dropped and no title."""
    return Article(text, None, tuple(_line_spans(text)))


def read_pasted(text: str) -> Article:
    """Plain text as it is pasted from a web page, each line a paragraph.

    If the rules would leave nothing, the text is read as it is.
    """
    spans = _line_spans(text)
    lines = [text[s.start : s.end] for s in spans]
    title_at = _find_title(lines)
    title = None if title_at is None else lines[title_at]
    clutter = find_clutter(Context(lines, title, title_at))
    kept = tuple(span for i, span in enumerate(spans) if i not in clutter and i != title_at)
    if not kept:
        return read_verbatim(text)
    return Article(text, title, kept, tuple(Dropped(lines[i], reason) for i, reason in clutter.items()))


def _line_spans(text: str) -> list[Span]:
    spans = (strip(text, Span(*match.span())) for match in LINE.finditer(text))
    return [span for span in spans if span.start < span.end]


def _find_title(lines: list[str]) -> int | None:
    """The first line, if it is short, doesn't end like a sentence or comes twice, and more follows."""
    if len(lines) < 2:
        return None
    first = words(lines[0])
    if not 0 < len(first) <= _MOST_TITLE_WORDS:
        return None
    twice = any(words(line) == first for line in lines[1:])
    return 0 if twice or not ends_like_a_sentence(lines[0]) else None


def read_html(html: str) -> Article:
    """The article of a web page, or of a piece of one, as trafilatura finds it.

    Raises InvalidInput with field `html` if there is none. `dropped` holds the stretches of the page's text
    that are not in the article; trafilatura doesn't say why it left them out.
    """
    page = html if _PAGE.search(html) else f"<html><body>{html}</body></html>"
    text, title = _extract(page) if _TAG.search(html) else ("", None)
    if not any(character.isalpha() for character in text):
        raise InvalidInput(
            "no article text was found in the HTML", field="html", allowed="a page with an article in it"
        )
    spans = _line_spans(text)
    repeats = [s for s in spans if title and words(text[s.start : s.end]) == words(title)]
    kept = tuple(s for s in spans if s not in repeats) or tuple(spans)
    return Article(text, title, kept, tuple(_left_out(page, text)))


def _extract(page: str) -> tuple[str, str | None]:
    """The text and the title of a page's article; empty if it has none."""
    try:
        document = trafilatura.bare_extraction(page, include_comments=False, with_metadata=True)
    except Exception as error:  # whatever a parser stumbles over is in the caller's page
        raise InvalidInput(f"the HTML could not be read: {error}", field="html") from error
    return (document.text or "", document.title or None) if isinstance(document, Document) else ("", None)


def _left_out(page: str, text: str) -> list[Dropped]:
    """The page's visible text that is not in `text`: one entry for each stretch between two read parts."""
    read = " ".join(text.split())
    stretches: list[list[str]] = [[]]
    tree = trafilatura.load_html(page)
    for node in () if tree is None else tree.xpath(_VISIBLE_TEXT):
        content = " ".join(str(node).split())
        if content in read:
            stretches.append([])
        else:
            stretches[-1].append(content)
    return [Dropped(" ".join(parts), "boilerplate (trafilatura)") for parts in stretches if parts]
