"""An article pasted as plain text: what of it is kept, what is dropped and why, and its headline."""

import textwrap
import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text.article import Dropped, read_verbatim
from models.text.article.boilerplate import KINDS
from models.text.article.paste import Lines, _copies, find_headline, read_pasted

BODY = [
    "The harbour of Port Ellery will close for two weeks in June, the council said on Monday.",
    "Fishermen fear for their income. “We were never asked,” said Mara Quill, who owns two boats.",
    "The council says that the sea wall can't wait: it lost forty stones in the winter storms.",
]

REST = [
    "Work on the wall starts on 2 June. Divers will set new stones along the northern arm of the harbour.",
    "Until it ends, boats may land their fish at Saint Orrin, eleven miles down the coast.",
]


def dropped(*lines):
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


ARTICLE = [
    "The lighthouse at Corran Point will be switched off in March after 164 years, keepers said on Friday.",
    "Ships no longer need it, they said, because satellites tell captains where they are to within a metre.",
    "“My grandfather lit that lamp with a match,” said Ewan Strachan, 71, who still climbs it each week.",
    "The tower will stay. A trust wants to open it to visitors, and has asked the county for 40,000 pounds.",
    "Not everyone is pleased. Two fishermen wrote to the council that satellites fail and lamps do not.",
    "The council will decide in January whether the light may be lit once a year, on the day it was built.",
]
HEADLINE = "Corran Point lighthouse to go dark in March"

LETTER = """Dear Anna,

thank you for the parcel, which came on Tuesday. The children have eaten the biscuits already.

We are thinking of coming up in May. Would the second week suit you?

Give my love to Peter.

Yours,
Tom"""
POEM = """By the water in the morning
Home is where the herons stand,
Silver light and no forewarning,
Then the tide upon the sand.

Follow me, the river told us,
Share the bread and leave the rest,
Nothing that we had could hold us
Like the wind out of the west."""
RECIPE = """Onion soup

A soup for cold evenings that asks for little more than onions and patience, and feeds four people.

Ingredients
1 kg onions
50 g butter
1 litre stock
200 g bread

Method
Slice the onions thinly and cook them in the butter for forty minutes, until they are soft and brown.
Add the stock and simmer for twenty minutes.
Toast the bread, put it into bowls and pour the soup over it.

Tips
Keeps for three days.
Freezes well."""
INTERVIEW = """A talk with the bell founder

Q: When did you cast your first bell?
A: In 1987. It cracked.
Q: Why?
A: I was too hasty with the cooling. Bronze wants a week in the pit, and I gave it three days.
Q: And the next one?
A: That one hangs in Saint Orrin and rings every hour.
Q: Do you hear it?
A: Yes."""
REPORT = """Quarterly report

Sales rose by four per cent in the third quarter, mostly because of demand in the north.

Region | Q2 | Q3
North | 120 | 141
South | 98 | 97
West | 77 | 75

The board expects the year to close slightly above plan, provided that freight prices do not rise again."""
CODE = """def area(width, height):
    # both in metres
    if width < 0:
        raise ValueError("width")
    return width * height

print(area(2, 3))"""
LIST = "\n".join(
    ["- bread", "- milk", "- email Sarah", "- print the tickets", "1. call home", "2. news at ten"]
)
HEADLINES = """Storm closes coast road
Two ferries cancelled until Sunday
School opens new science wing
Council to vote on parking"""
TIMETABLE = """The choir tours the islands in June, and tickets go on sale on the first Monday in May.

June 3 – Corran, Parish Hall
June 5 – Saint Orrin, Old School
June 8 – Port Ellery, Market
June 9 – Great Tarn, Church of All Saints
June 12 – Little Tarn, Boathouse"""
SHORT = [
    "It rained.",
    "It rained. It was cold. Nobody came.",
    "Read more books. They help.",
    "Home",
    "天気がいい。",
]
GERMAN = """Liebe Nachbarn,

am Samstag bauen wir ab neun Uhr den Spielplatz auf und freuen uns über jede helfende Hand.

Bitte bringt Handschuhe mit.

Eure Familie Brandt"""
PLAIN = [LETTER, POEM, RECIPE, INTERVIEW, REPORT, CODE, LIST, HEADLINES, TIMETABLE, GERMAN, *SHORT]


def kept(text):
    article = read_pasted(text)
    return [article.text[p.start : p.end] for p in article.paragraphs]


def reasons(text):
    return {d.text: d.reason for d in read_pasted(text).dropped}


@pytest.mark.parametrize("text", PLAIN)
def test_text_without_clutter_stays_whole(text):
    article = read_pasted(text)
    assert article.dropped == ()
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    assert ([article.title] if article.title else []) + kept(text) == lines


@pytest.mark.parametrize("text", [POEM, LETTER, CODE, LIST, GERMAN])
def test_text_that_has_no_headline_gets_none(text):
    assert read_pasted(text).title is None


def test_the_shape_that_many_news_sites_paste_as():
    call = "If you want to see more stories of the coast, you can click on the link given below:"
    follow = "Visit our Facebook page if you like to hear first what happens on the islands."
    bio = "Mara Quill is a graduate with a keen interest in boats. Mara wants to report on all coasts."
    lead = "Corran Point Lighthouse Goes Dark In March, Its Keepers Say!"
    middle = [
        HEADLINE,
        "",
        ARTICLE[2],
        "",
        call,
        "",
        "\n\n".join(ARTICLE[3:]),
        "",
        follow,
        "",
        "(Source Link)",
    ]
    box = ["", "About Mara Quill 311 Articles", bio, "", "Leave a Reply", ""]
    form = "Your email address will not be published."
    start = [HEADLINE, HEADLINE, "", lead, "", ARTICLE[0], "", ARTICLE[1], ""]
    text = "\n".join([*start, *middle, *box, form])
    article = read_pasted(text)
    assert article.title == HEADLINE
    assert kept(text) == [lead, *ARTICLE]
    assert [d.reason for d in article.dropped] == [
        "repeated headline",
        "repeated headline",
        "call to action",
        "call to action",
        "source link",
        "author box",
        "author box",
        "reply form",
        "reply form",
    ]


def test_a_whole_page():
    top = ["Home", "News", "Sport", "Weather", "Sign in", "", "Share on Facebook", "Share on Twitter", ""]
    stamp = ["By Mara Quill", "Updated 4 March 2021, 10:12", ""]
    tail = ["", "Related", "Ferry strike enters third week", "Why the herring left", "", "3 Comments", ""]
    tail += ["© 2021 The Coast Courier. All rights reserved.", "Privacy policy", "Terms of use"]
    text = "\n".join([*top, HEADLINE, "", *stamp, "\n\n".join(ARTICLE), *tail])
    article = read_pasted(text)
    assert article.title == HEADLINE
    assert kept(text) == ARTICLE
    told = reasons(text)
    assert told["Share on Twitter"] == "share buttons"
    assert told["By Mara Quill"] == "byline"
    assert told["Why the herring left"] == "related links"
    assert told["3 Comments"] == "comments"
    assert told["© 2021 The Coast Courier. All rights reserved."] == "copyright note"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Read more: Ferry strike enters third week", "related links"),
        ("Lesen Sie auch: Streik der Fähren geht weiter", "related links"),
        ("Advertisement", "advertisement"),
        ("Share this:", "share buttons"),
        ("Photo: Jo Fenn/Getty Images", "caption"),
    ],
)
def test_lines_set_between_paragraphs_go(line, reason):
    text = "\n\n".join([HEADLINE, *ARTICLE[:3], line, *ARTICLE[3:]])
    assert kept(text) == ARTICLE
    assert reasons(text) == {line: reason}


def test_a_hard_wrapped_mail_is_read_by_paragraph():
    wrapped = "\n\n".join(textwrap.fill(" ".join(ARTICLE[i : i + 2]), 62) for i in (0, 2, 4))
    assert kept(wrapped) == wrapped.split("\n\n")


WORDS = st.sampled_from(
    ["a", "the", "of", "sea", "home", "news", "share", "by", "comments", "reply", "12", "©", "read", "Mara"]
)
LINES = st.lists(WORDS, max_size=12).map(" ".join)


@given(st.lists(LINES | st.sampled_from(ARTICLE), max_size=40).map("\n".join) | st.text(max_size=300))
@settings(max_examples=150)
def test_any_text_is_accounted_for(text):
    article = read_pasted(text)
    assert article.text == text
    parts = kept(text) + [d.text for d in article.dropped] + ([article.title] if article.title else [])
    assert sorted("".join("".join(parts).split())) == sorted("".join(text.split()))
    assert all(a.end <= b.start for a, b in zip(article.paragraphs, article.paragraphs[1:], strict=False))


@given(st.lists(st.sampled_from(ARTICLE), min_size=1, unique=True))
@settings(max_examples=30)
def test_prose_alone_loses_nothing(paragraphs):
    assert kept("\n\n".join(paragraphs)) == paragraphs
    assert kept("\n".join(paragraphs)) == paragraphs


def test_the_credits_of_an_agency_go():
    credit = "(Reporting by Mara Quill in Halm; Additional reporting by Jo Fenn; Editing by Ada Moss)"
    printed = "A version of this article appears in print on Page 8 with the headline: Herring."
    text = "\n\n".join([HEADLINE, *ARTICLE, credit, printed])
    assert kept(text) == ARTICLE
    assert reasons(text) == {credit: "credit", printed: "credit"}


def test_what_somebody_is_quoted_with_is_no_call_to_action():
    quoted = "“If you share this account with your former wife, click here to lock her out,” a message read."
    assert kept("\n\n".join([HEADLINE, *ARTICLE[:2], quoted, *ARTICLE[2:]])) == [
        *ARTICLE[:2],
        quoted,
        *ARTICLE[2:],
    ]


def test_the_last_sentence_is_kept_behind_a_link_to_another_article():
    link, last = (
        "Read also: How the herring left the bay",
        "The harbour master will decide on the eleventh of May.",
    )
    tail = ["Follow us on Telegram", "Share", "Facebook", "© 2021 The Coast Courier"]
    assert kept("\n\n".join(["Home", "News", HEADLINE, *ARTICLE[:4], link, last, *tail])) == [
        *ARTICLE[:4],
        last,
    ]


def test_share_buttons_under_each_post_of_a_live_blog_end_nothing():
    posts = [ARTICLE[0:2], ARTICLE[2:4], ARTICLE[4:6]]
    lines = [line for post in posts for line in (*post, "Share")]
    assert kept("\n\n".join([HEADLINE, *lines])) == ARTICLE


def test_a_headline_of_few_shared_words_is_found_and_a_byline_is_none():
    headline = "Oil slips as the cartel weighs output, dollar firms"
    prose = [
        "Oil prices edged lower on Wednesday as investors waited for a decision on output by the cartel.",
        "Brent crude for May fell 43 cents to 62 dollars a barrel, and the dollar rose.",
    ]
    assert read_pasted("\n\n".join([headline, "By Mara Quill", "3 Min Read", *prose])).title == headline
    assert read_pasted("\n\n".join(["By Mara Quill", "3 Min Read", *prose])).title is None


def test_a_page_in_a_language_with_few_rules_loses_its_menu_too():
    menu, tail = ["Menu", "Zoeken", "Inloggen"], ["Deel artikel:", "Lees ook", "Reageren"]
    article = [
        "Het treinverkeer rond Halm is weer op gang gekomen na een storing die de hele ochtend duurde.",
        "Door een fout in de software reden er vanochtend geen treinen tussen Halm en de kust.",
        "De spoorwegen spreken van een zeer vervelende dag voor duizenden reizigers in de regio.",
    ]
    assert kept("\n\n".join([*menu, *article, *tail])) == article


def test_not_every_line_of_a_long_menu_is_held_against_every_other(monkeypatch):
    compared, alike = [], Lines.alike
    monkeypatch.setattr(Lines, "alike", lambda lines, i, j: compared.append(i) or alike(lines, i, j))
    names = ["".join(letters) for letters in product("bdfglmnr", "aeiou", "bdfglmnrst", "aeiou")]
    menu = [line for name in names[:500] for line in (f"{name.capitalize()}ham and {name}ton", "Sign in")]
    assert kept("\n".join([*menu, *ARTICLE])) == ARTICLE
    assert len(compared) < 100 * len(menu)


def test_a_word_without_an_end_takes_time_by_its_length_alone():
    sentence = (
        "The ministers met in the old town hall and spoke for a long time about the price of bread today.\n"
    )

    def seconds(size):
        start = time.thread_time()
        read_pasted(sentence + "a" * size)
        return time.thread_time() - start

    # with the square it takes four times, from 0.1 s on
    assert any(seconds(20_000) < 3 * seconds(10_000) + 0.02 for _ in range(5))


def test_a_headlines_copy_is_found_by_its_words_as_it_is_line_by_line():
    words = ["Mayor", "bridge", "opens", "again", "after", "flood", "town", "years"]
    texts = [" ".join(words[(i * k) % 8] for k in range(1, 2 + i % 6)) for i in range(60)] + [
        "",
        "word " * 40,
    ]
    lines = Lines(texts, [False] * len(texts))
    is_copied = _copies(lines)
    alike = [any(lines.alike(i, j) for j in range(lines.count)) for i in range(lines.count)]
    assert [is_copied(i) for i in range(lines.count)] == alike
    assert len(set(alike)) == 2


def test_lines_that_may_all_be_the_headline_are_not_each_compared_with_all(monkeypatch):
    compared, alike = [], Lines.alike
    monkeypatch.setattr(Lines, "alike", lambda lines, i, j: compared.append(i) or alike(lines, i, j))
    names = ["".join(letters) for letters in product("bdfglmnr", "aeiou", "bdfglmnrst", "aeiou")]
    menu = [f"{name.capitalize()}ham talks about bread {name}" for name in names[:600]]
    article = "The ministers met in the hall and spoke, one after another, for hours in talks about bread."
    lines = Lines([*menu, article], [False] * (len(menu) + 1))
    find_headline(lines, np.arange(lines.count) == len(menu))
    assert len(compared) < 200 * len(menu)  # line by line, 600 times


@pytest.mark.parametrize("unit", ["pin it ", "1.1 ", "1.1.", "copy link ", "google plus "])
def test_a_line_that_can_be_split_in_many_ways_is_split_once(unit):
    """Each of them could be read in 2 to the power of 28 ways, and was: for minutes."""
    line = unit * (200 // len(unit))
    assert KINDS["share buttons"].search(line)
    start = time.thread_time()
    KINDS["share buttons"].search(f"{line}and so on they went")
    assert time.thread_time() - start < 2.0
