"""Reading web pages: what is the article, what is dropped, and why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.text.page import read_html

BODY = [
    "The harbour of Port Ellery will close for two weeks in June, the council said on Monday.",
    "Fishermen fear for their income. “We were never asked,” said Mara Quill, who owns two boats.",
    "The council says that the sea wall can't wait: it lost forty stones in the winter storms.",
]

PAGE = (
    "<html><head><title>Harbour to close</title></head><body><nav><a href='/'>Home</a> <a href='/s'>Sport</a>"
    "</nav><article><h1>Harbour to close</h1>"
    + "".join(f"<p>{paragraph}</p>" for paragraph in BODY * 2)
    + "</article><footer>All rights reserved by the Ellery Post</footer></body></html>"
)


def test_a_page_gives_its_article_and_title():
    article = read_html(PAGE)
    assert article.title == "Harbour to close"
    assert article.content() == "\n\n".join(BODY * 2)
    assert ("Home Sport", "boilerplate (trafilatura)") in [(d.text, d.reason) for d in article.dropped]
    assert not any("Fishermen" in d.text for d in article.dropped)


def test_a_piece_of_a_page_is_enough():
    assert read_html("<p>It rained. It was cold.</p>").content() == "It rained. It was cold."


@pytest.mark.parametrize(
    "html",
    ["", "no markup", "a < b", "<html></html>", "<p></p>", "\0<p", "<script>let a = 1</script>", "<p>12</p>"],
)
def test_html_without_an_article_is_invalid(html):
    with pytest.raises(InvalidInput) as caught:
        read_html(html)
    assert caught.value.field == "html"


@given(st.text(st.one_of(st.characters(), st.sampled_from(list("<>/&;\"'phtml "))), max_size=120))
@settings(deadline=None, max_examples=60)
def test_no_html_raises_anything_else(html):
    try:
        assert read_html(html).paragraphs
    except InvalidInput as error:
        assert error.field == "html"
