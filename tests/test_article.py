"""Reading articles: what of a pasted text is kept, what is dropped, and why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text.article.article import Dropped, read_verbatim
from models.text.article.paste import read_pasted

BODY = [
    "The harbour of Port Ellery will close for two weeks in June, the council said on Monday.",
    "Fishermen fear for their income. “We were never asked,” said Mara Quill, who owns two boats.",
    "The council says that the sea wall can't wait: it lost forty stones in the winter storms.",
]

REST = [
    "Work on the wall starts on 2 June. Divers will set new stones along the northern arm of the harbour.",
    "Until it ends, boats may land their fish at Saint Orrin, eleven miles down the coast.",
]


def dropped(*lines: str) -> list[tuple[str, str]]:
    """What is dropped of a paste with these lines between the body's paragraphs and its last one."""
    text = "\n\n".join(["Harbour to close in June", *BODY[:2], *lines, *REST, BODY[2]])
    article = read_pasted(text)
    assert article.title == "Harbour to close in June"
    assert [article.text[p.start : p.end] for p in article.paragraphs][:2] == BODY[:2]
    assert article.content().endswith(BODY[2])
    return [(d.text, d.reason) for d in article.dropped]


def test_a_repeated_headline_is_dropped_wherever_it_stands():
    text = "\n".join(["Harbour to close", "Harbour to close!", BODY[0], "HARBOUR TO CLOSE", *BODY[1:]])
    article = read_pasted(text)
    assert article.text == text
    assert article.title == "Harbour to close"
    assert article.content() == "\n\n".join(BODY)
    assert article.dropped == (
        Dropped("Harbour to close!", "repeated headline"),
        Dropped("HARBOUR TO CLOSE", "repeated headline"),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("For more on boats, click the link below:", "call to action"),
        ("Follow us on Facebook for the news of the day.", "call to action"),
        ("(Source Link)", "source link"),
        ("Source", "source link"),
        ("About the author", "author box"),
        ("About Jo Fenn 212 Articles", "author box"),
        ("Leave a Reply", "reply form"),
        ("Your email address will not be published. Required fields are marked *", "reply form"),
        ("This website uses cookies to give you the best experience.", "cookie banner"),
    ],
)
def test_clutter_is_dropped_with_its_reason(line, reason):
    assert dropped(line) == [(line, reason)]


def test_the_author_box_goes_with_what_it_says_of_the_author():
    box = ["About Jo Fenn 212 Articles", "Jo Fenn has covered the coast for ten years and loves long walks."]
    assert dropped(*box) == [(line, "author box") for line in box]
    box = ["About the Author", "Jo has been a reporter on the coast for ten years and loves long walks."]
    assert dropped(*box) == [(line, "author box") for line in box]


def test_long_runs_of_scraps_around_the_article_are_navigation():
    menu = ["Home", "News", "Sport", "Weather", "Your account", "Search this site", "Sign in"]
    article = read_pasted("\n".join([*menu, *BODY, *menu, "The end"]))
    assert article.content() == "\n\n".join(BODY)
    assert {d.reason for d in article.dropped} >= {"page navigation"}


def test_a_list_at_the_end_of_the_article_stays():
    items = [f"{mark} {word}" for mark in "-*•" for word in ("bread", "salt", "butter")]
    assert len(read_pasted("\n".join([*BODY, *items])).paragraphs) == len(BODY) + len(items)
    assert len(read_pasted("\n".join([*BODY, "bread", "salt", "butter"])).paragraphs) == len(BODY) + 3


@pytest.mark.parametrize(
    "line",
    [
        "She told visitors to click here on the map, where the old wall stood before the storms of that "
        "winter took it, and where, forty years on, a new one was promised by three mayors in a row, none "
        "of whom is in office now that the money has at last been found by the government.",
        "The source of the money is not known.",
        "Jo Fenn has two boats.",
        "“Leave us alone,” she said.",
        "The cookies on the table were gone.",
        "About 1849 people came.",
        "Read the small print, she said.",
        "Why now?",
    ],
)
def test_sentences_of_the_article_stay(line):
    assert dropped(line) == []


def test_a_first_line_that_is_a_sentence_is_no_title():
    article = read_pasted("\n".join(BODY))
    assert article.title is None
    assert len(article.paragraphs) == 3


def test_a_text_of_clutter_alone_is_read_as_it_is():
    article = read_pasted("Leave a Reply\n\nSource")
    assert article.content() == "Leave a Reply\n\nSource"
    assert article.dropped == ()


def test_verbatim_keeps_every_line():
    article = read_verbatim("Title\n\n Title \r\nLeave a Reply")
    assert article.content() == "Title\n\nTitle\n\nLeave a Reply"
    assert (article.title, article.dropped) == (None, ())


@given(st.text(max_size=200))
@settings(deadline=None)
def test_any_text_is_accounted_for(text):
    article = read_pasted(text)
    parts = [text[p.start : p.end] for p in article.paragraphs] + [d.text for d in article.dropped]
    parts += [article.title] if article.title else []
    assert sorted("".join("".join(parts).split())) == sorted("".join(text.split()))
