"""An article without the web page around it: its paragraphs and its title.

`html_article` reads web pages, `paste` pasted text. What was dropped is listed, with the reason. Knows no
languages, sentences or models.
"""

from dataclasses import dataclass

from models.text.sentences import LINE, strip
from models.text.span import Span


@dataclass(frozen=True, slots=True)
class Dropped:
    """A paragraph that the article was read without."""

    text: str
    reason: str
    """Its kind in plain words, such as "repeated headline" or "author box"."""


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
    return Article(text, None, tuple(line_spans(text)))


def line_spans(text: str) -> list[Span]:
    """The lines of `text` that hold something, free of outer white space."""
    spans = (strip(text, Span(*match.span())) for match in LINE.finditer(text))
    return [span for span in spans if span.start < span.end]
