"""A web page as a tree of elements, parsed by lxml: the whole of it, or an error.

Knows nothing of articles.
"""

import re

from lxml import etree, html

from models.errors import InvalidInput

MOST_NESTED = 500
"""Elements inside one another. By itself libxml2 drops what is more than 256 deep, and all that follows, and
says nothing; Python's own stack bears about 1,000."""
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BEGINNING = 50
_FATAL = etree.ErrorLevels.FATAL


def parse_page(page: str) -> html.HtmlElement:
    """The root of the page, without comments.

    Raises InvalidInput with field `html` if there is no element in it, if elements are nested deeper than
    MOST_NESTED, and if the parser does not come to the page's end.
    """
    from trafilatura.utils import repair_faulty_html

    page = _SURROGATE.sub("\ufffd", _DECLARATION.sub("", page))  # a lone surrogate would end the page
    page = repair_faulty_html(page, page[:_BEGINNING].lower())
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        tree = html.document_fromstring(page.encode(), parser=parser)
    except etree.LxmlError as error:
        raise InvalidInput(f"the HTML could not be read: {error}", field="html") from error
    wrong = next((entry for entry in parser.error_log if entry.level == _FATAL), None)
    if _is_nested_deeper(tree, MOST_NESTED) or (wrong and "depth" in wrong.message):
        raise InvalidInput(
            "the HTML has elements nested too deep in one another",
            field="html",
            allowed=f"elements at most {MOST_NESTED} deep",
        )
    if wrong:
        raise InvalidInput(f"the HTML could not be read to its end: {wrong.message}", field="html")
    return tree


def _is_nested_deeper(tree: etree._Element, limit: int) -> bool:
    depth = 0
    for event, _ in etree.iterwalk(tree, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > limit:
            return True
    return False
