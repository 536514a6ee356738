"""The article of a web page, by trafilatura. Pasted text is read elsewhere."""

import re

import trafilatura
from trafilatura.settings import Document

from models.errors import InvalidInput
from models.text.article import Article, Dropped, line_spans
from models.text.clutter import words

_PAGE = re.compile(r"<(?:html|body)\b", re.IGNORECASE)
_TAG = re.compile(r"<[a-z][^<>]*>", re.IGNORECASE)
_VISIBLE_TEXT = "//body//text()[normalize-space() and not(ancestor::script or ancestor::style)]"


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
    spans = line_spans(text)
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
