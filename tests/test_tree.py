"""A page is parsed to its end, or refused."""

import pytest

from models.errors import InvalidInput
from models.text.article.page import read_html
from models.text.article.tree import MOST_NESTED, parse_page
from models.text.article.visible import read_whole_page

FIRST = "The harbour of Port Ellery will close for two weeks in June, the council said on Monday."
DEEP = "Fishermen fear for their income, for nobody asked them before the council decided on it."
LAST = "A ferry will run from the old quay at six in the morning and at nine in the evening."


def nested(depth: int) -> str:
    around = "<div>" * depth, "</div>" * depth
    return f"<html><body><p>{FIRST}</p>{around[0]}<p>{DEEP}</p>{around[1]}<p>{LAST}</p></body></html>"


@pytest.mark.parametrize("depth", [10, 300, MOST_NESTED - 3])
def test_what_stands_deep_is_read_and_so_is_what_follows(depth):
    assert read_html(nested(depth)).content() == f"{FIRST}\n\n{DEEP}\n\n{LAST}"
    assert [" ".join(line.split()) for line in read_whole_page(nested(depth)).text.split("\n\n")][1:] == [
        DEEP,
        LAST,
    ]


@pytest.mark.parametrize("depth", [MOST_NESTED, 3000])
@pytest.mark.parametrize("read", [read_html, read_whole_page])
def test_what_stands_too_deep_is_refused(read, depth):
    with pytest.raises(InvalidInput, match="nested too deep") as raised:
        read(nested(depth))
    assert raised.value.field == "html"
    assert str(MOST_NESTED) in str(raised.value.allowed)


@pytest.mark.parametrize("character", ["\ud800", "\0", "\x0b", "\ufffe"])
def test_no_character_ends_a_page(character):
    page = f"<html><body><p>{FIRST}{character}</p><p>{LAST}</p></body></html>"
    assert LAST in parse_page(page).text_content()


def test_a_declaration_of_another_encoding_changes_nothing():
    page = f'<?xml version="1.0" encoding="utf-16"?><html><head><meta charset="latin-1"></head><p>À {LAST}'
    assert f"À {LAST}" in parse_page(page).text_content()
