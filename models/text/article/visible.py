"""All the text that a web page shows, article or not, laid out as on the page."""

from inscriptis import Inscriptis

from models.errors import InvalidInput, at_fault
from models.text.article.article import Article, read_verbatim
from models.text.article.tree import parse_page


def read_whole_page(html: str) -> Article:
    """The page's visible text, each line a paragraph, nothing dropped.

    Raises InvalidInput with field `html` if there is none.
    """
    tree = parse_page(html)
    with at_fault("html", "the HTML could not be read"):
        text = Inscriptis(tree).get_text()
    if not any(character.isalpha() for character in text):
        raise InvalidInput("there is no text in the HTML", field="html", allowed="a page with text in it")
    return read_verbatim(text)
