"""Wrapped text is read in paragraphs and wrapped again; lines that end by themselves stay."""

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text.markup import layout
from models.text.markup.run import restore
from models.text.sentences.wrapped import widths

PROSE = (
    "The ministers met on Sunday in the old town hall and spoke about trade until late in the evening. "
    "Nobody said what came of it, but the talks will go on next week, perhaps in another city."
)


@pytest.mark.parametrize(("width", "before"), [(40, ""), (72, ""), (72, "> "), (80, "  "), (60, ">> ")])
def test_a_wrapped_paragraph_is_one_run(width: int, before: str) -> None:
    text = (
        "Title\n\n" + textwrap.fill(PROSE, width, initial_indent=before, subsequent_indent=before) + "\n\nEnd"
    )
    runs = layout.read(text)
    assert [run.text for run in runs] == ["Title", PROSE, "End"]
    assert restore(text, runs, [run.text for run in runs]) == text
    at = runs[1].text.index("spoke")
    assert text[runs[1].starts[at] : runs[1].ends[at + 4]] == "spoke"


def test_a_wrapped_list_keeps_its_marks() -> None:
    wrapper = textwrap.TextWrapper(60, initial_indent="- ", subsequent_indent="  ")
    text = wrapper.fill(PROSE) + "\r\n" + wrapper.fill("Another item.")
    text = text.replace("\n", "\r\n").replace("\r\r", "\r")
    runs = layout.read(text)
    assert [run.text for run in runs] == [PROSE, "Another item."]
    assert (
        restore(text, runs, [PROSE.upper(), "x"])
        == wrapper.fill(PROSE.upper()).replace("\n", "\r\n") + "\r\n- x"
    )


def test_two_lines_are_wrapped_if_others_are() -> None:
    short = "He added that the council would have to decide it\nwithin a month."
    assert len(layout.read(short)) == 2
    assert len(layout.read(textwrap.fill(PROSE, 52) + "\n\n" + short)) == 2


HEADLINES = """Council votes to close the old bridge on Main Street
Government says that taxes will fall in the spring
Teachers go back to work after a week of strikes"""
ITEMS = """- The ministers met on Sunday in the old town hall and
- spoke about trade until late in the evening. But
- nobody said what came of it"""
VERSE = """Roses are red today and will be tomorrow,
violets blue,
sugar is sweet and so are you"""


@pytest.mark.parametrize(
    "text", ["Bread\nmilk\nand eggs", VERSE, HEADLINES, ITEMS, ITEMS.replace("- ", "").replace("\n", "\n\n")]
)
def test_lines_that_end_by_themselves_stay(text: str) -> None:
    assert [run.text for run in layout.read(text)] == [
        line.removeprefix("- ") for line in text.split("\n") if line
    ]


WORD = st.text(st.sampled_from("abcdefghij"), min_size=1, max_size=9)


@settings(max_examples=100, deadline=None)
@given(st.lists(WORD, min_size=60, max_size=90), st.integers(45, 100))
def test_whatever_is_wrapped_is_found_and_wrapped_as_it_was(words: list[str], width: int) -> None:
    prose = " ".join(words)
    text = textwrap.fill(prose, width)
    assert widths([text.split("\n")]) != [None]
    runs = layout.read(text)
    assert [run.text for run in runs] == [prose]
    assert restore(text, runs, [prose]) == text
