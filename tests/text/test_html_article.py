"""Web pages: parsed to their end or refused, and which of their blocks are the article."""

import re
import time
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from models.errors import InvalidInput
from models.text.article import Dropped, boilerplate
from models.text.article.html_article import (
    MOST_NESTED,
    Block,
    Extraction,
    parse_page,
    read_blocks,
    read_html,
    read_page,
    words,
)

BODY = [
    "The harbour of Port Ellery will close for two weeks in June, the council said on Monday.",
    "Fishermen fear for their income. “We were never asked,” said Mara Quill, who owns two boats.",
    "The council says that the sea wall can't wait: it lost forty stones in the winter storms.",
    "A ferry will run from the old quay at six in the morning and at nine in the evening.",
]
NAV = "<nav><a href='/'>Home</a> <a href='/s'>Sport</a></nav>"
FOOTER = "<footer>All rights reserved by the Ellery Post</footer>"
HEADLINE = "Harbour to close in June"


def paragraphs(*texts):
    return "".join(f"<p>{text}</p>" for text in texts)


def page(article, *, before="", after="", title=f"{HEADLINE} | Ellery Post"):
    return (
        f"<html><head><title>{title}</title></head><body>{NAV}<main><h1>{HEADLINE}</h1>{before}"
        f"<div class='story-text'>{article}</div>{after}</main>{FOOTER}</body></html>"
    )


def reasons(html):
    return {dropped.text: dropped.reason for dropped in read_html(html).dropped}


def test_a_page_gives_its_article_and_title():
    article = read_html(page(paragraphs(*BODY)))
    assert article.title == HEADLINE
    assert article.text == article.content() == "\n\n".join(BODY)
    assert [article.text[p.start : p.end] for p in article.paragraphs] == BODY
    assert article.dropped == (
        Dropped("Home Sport", "navigation"),
        Dropped("All rights reserved by the Ellery Post", "page footer"),
    )


@pytest.mark.parametrize(
    ("html", "text", "reason"),
    [
        ("<figure><figcaption>The harbour in May</figcaption></figure>", "The harbour in May", "caption"),
        ("<aside>Tides of this week</aside>", "Tides of this week", "aside"),
        ("<div class='share-tools'>Share on Chirper</div>", "Share on Chirper", "share buttons"),
        ("<div id='relatedStories'><p>Boats for sale</p></div>", "Boats for sale", "related links"),
        ("<div class='newsletter-box'><p>News at nine.</p></div>", "News at nine.", "subscription box"),
        (
            "<p>Read more: <a href='/x'>Why walls fall down</a></p>",
            "Read more: Why walls fall down",
            "related links",
        ),
        ("<ul class='post-tags'><li>Harbours</li></ul>", "Harbours", "tags"),
        ("<p>Follow us on Twitter</p>", "Follow us on Twitter", "call to action"),
    ],
)
def test_boilerplate_in_the_article_is_dropped_by_name(html, text, reason):
    given_page = page(paragraphs(*BODY[:3]) + html + paragraphs(BODY[3]))
    assert reasons(given_page)[text] == reason
    assert read_html(given_page).content() == "\n\n".join(BODY)


def test_links_in_a_row_go_with_their_heading():
    links = "".join(f"<p><a href='/{n}'>The {n} wall that fell</a></p>" for n in ("first", "second", "third"))
    given_page = page(paragraphs(*BODY[:2]) + "<p>DON'T MISS</p>" + links + paragraphs(*BODY[2:]))
    assert read_html(given_page).content() == "\n\n".join(BODY)
    (found,) = [d for d in read_html(given_page).dropped if d.text.startswith("DON'T MISS")]
    assert (len(found.text.splitlines()), found.reason) == (4, "related links")


def test_byline_date_and_repeated_headline_are_dropped():
    top = f"<h1>{HEADLINE}</h1><p>By Jo Fenn</p><p>Monday, 4 May 2026</p>"
    found = reasons(page(top + paragraphs(*BODY)))
    assert found["By Jo Fenn\nMonday, 4 May 2026"] == "byline or date"
    assert found[HEADLINE] == "repeated headline"
    assert read_html(page(top + paragraphs(*BODY))).content() == "\n\n".join(BODY)


def test_lists_headings_and_quoted_posts_stay_in_the_article():
    post = "<blockquote class='twitter-tweet'><p>No boats, no fish!</p>— Mara (@quill)</blockquote>"
    items = [
        "<li>Bring a coat for the crossing, for it is cold.</li>",
        "<li>Dogs travel free of charge on the ferry.</li>",
    ]
    inner = paragraphs(*BODY[:2]) + post + "<h2>What to know</h2><ul>" + "".join(items) + "</ul>"
    content = read_html(page(inner + paragraphs(*BODY[2:]))).content()
    assert content == "\n\n".join(
        [*BODY[:2], "No boats, no fish!", "— Mara (@quill)", "What to know"]
        + [re.sub("<[^>]+>", "", item) for item in items]
        + BODY[2:]
    )


def test_the_lead_above_the_text_is_read_and_a_cut_teaser_is_not():
    lead = "A wall is to blame, and the fishing town has to pay for it."
    assert read_html(page(paragraphs(*BODY), before=f"<div>{lead}</div>")).content().startswith(lead)
    teaser = "A wall is to blame, and the fishing town has to pay..."
    assert read_html(page(paragraphs(*BODY), before=f"<div>{teaser}</div>")).content() == "\n\n".join(BODY)


def test_every_post_of_a_live_blog_is_read():
    posts = "".join(
        f"<div class='live-post'><h2>Update {i}: the harbour is still closed</h2><div class='post-body'>"
        f"<div>{text}</div></div><div class='post-share'><button>Share</button></div></div>"
        for i, text in enumerate(BODY)
    )
    head = f"<html><head><title>{HEADLINE}</title></head>"
    html = f"{head}<body><div><h1>{HEADLINE}</h1>{posts}</div></body></html>"
    assert all(text in read_html(html).content() for text in BODY)


def test_dates_with_names_of_months_and_calls_in_other_languages_go():
    call = "Подписывайтесь на наш канал в Telegram."
    html = page(f"<p>12 марта, 14:05</p>{paragraphs(*BODY)}<p>{call}</p>")
    assert reasons(html).items() >= {"12 марта, 14:05": "byline or date", call: "call to action"}.items()


def test_of_several_articles_the_one_with_the_headline_is_read():
    others = "".join(
        f"<article><h2>Story {n}</h2><p>In the {n} story lighthouse keeper {n} finds a letter.</p></article>"
        for n in ("second", "third", "fourth")
    )
    own = f"<article><h1>{HEADLINE}</h1>{paragraphs(*BODY)}</article>"
    html = f"<html><head><title>{HEADLINE}</title></head><body><main>{own}{others}</main></body></html>"
    article = read_html(html)
    assert article.content() == "\n\n".join(BODY)
    assert sum(d.text.count("lighthouse") for d in article.dropped) == 3


def test_hidden_text_is_left_out_unless_it_is_the_article():
    hidden = "<p style='display: none'>You have read all your free articles of this month, sorry.</p>"
    assert read_html(page(paragraphs(*BODY) + hidden)).content() == "\n\n".join(BODY)
    shown_by_script = f"<html><body><div style='display:none'>{paragraphs(*BODY)}</div></body></html>"
    assert read_html(shown_by_script).content() == "\n\n".join(BODY)


def test_an_article_in_the_data_of_the_page_is_found():
    data = f'{{"@type": "NewsArticle", "articleBody": "{" ".join(BODY)}"}}'
    html = f"<html><body><script type='application/ld+json'>{data}</script><div id='app'></div></body></html>"
    assert read_html(html).content() == " ".join(BODY)


@pytest.mark.parametrize(
    "body",
    [
        [
            "El puerto cerrará dos semanas en junio.",
            "Los pescadores temen por sus ingresos y piden ayuda al alcalde.",
        ],
        ["港は六月に二週間閉鎖されると市議会が月曜日に発表した。", "漁師たちは収入を心配している。"],
        ["Гавань закроют на две недели в июне.", "Рыбаки боятся за свои доходы и просят мэра о помощи."],
        ["سيغلق الميناء أسبوعين في يونيو.", "يخشى الصيادون على دخلهم ويطلبون المساعدة من البلدية."],
    ],
)
def test_other_languages_are_read_too(body):
    aside = "<aside><a href='/a'>1</a></aside>"
    assert read_html(page(paragraphs(*body) + aside)).content() == "\n\n".join(body)


def test_a_piece_of_a_page_is_enough():
    article = read_html("<p>It rained. It was cold.</p>")
    assert (article.content(), article.title, article.dropped) == ("It rained. It was cold.", None, ())


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("Walls and boats", "Walls and boats"),
        ("Walls and boats - Ellery Post", "Walls and boats"),
        ("", None),
    ],
)
def test_a_page_without_a_headline_has_its_own_title(title, found):
    html = f"<html><head><title>{title}</title></head><body>{paragraphs(*BODY)}</body></html>"
    assert read_html(html).title == found


@pytest.mark.parametrize(
    "html",
    [
        *(
            "",
            "no markup",
            "a < b",
            "<html></html>",
            "<p></p>",
            "\0<p",
            "<script>let a = 1</script>",
            "<p>12</p>",
        ),
        "<html><frameset><frame src=x></frameset></html>",
        "<div>" * 10_000,
    ],
)
def test_html_without_an_article_is_invalid(html):
    with pytest.raises(InvalidInput) as caught:
        read_html(html)
    assert caught.value.field == "html"


def test_a_declared_encoding_does_not_matter():
    head = "<?xml version='1.0' encoding='utf-16'?><html><meta charset='latin-1'>"
    html = f"{head}<body><p>Früh kam Regen.</p></body></html>"
    assert read_html(html).content() == "Früh kam Regen."


_tags = st.sampled_from(
    [
        "p",
        "div",
        "span",
        "a",
        "h1",
        "h2",
        "li",
        "ul",
        "article",
        "aside",
        "br",
        "b",
        "td",
        "blockquote",
        "script",
    ]
)
_text = st.one_of(st.sampled_from([*BODY, HEADLINE, "More", "By Jo", "Share this"]), st.text(max_size=20))
_html = st.recursive(
    _text.map(lambda text: text.replace("<", "&lt;")),
    lambda inner: st.builds(
        lambda tag, parts, close: f"<{tag}>" + "".join(parts) + (f"</{tag}>" if close else ""),
        _tags,
        st.lists(inner, max_size=4),
        st.booleans(),
    ),
    max_leaves=25,
)


@given(
    st.one_of(
        _html, st.text(st.one_of(st.characters(), st.sampled_from(list("<>/&;\"'phtml "))), max_size=120)
    )
)
@example("<p>&#xD800;\ud800 \x01 a</p>")
@settings(max_examples=150)
def test_any_html_is_read_or_refused(html):
    try:
        article = read_html(html)
    except InvalidInput as error:
        assert error.field == "html"
        return
    assert article.paragraphs
    assert "".join(article.content().split()) == "".join(article.text.split())
    assert all(d.text and d.reason for d in article.dropped)


@given(st.lists(st.sampled_from(BODY), min_size=4, max_size=12, unique=False), st.integers(0, 3))
@settings(max_examples=20)
def test_nothing_of_a_plain_page_is_lost_or_told_twice(body, at):
    """Each paragraph is either read or dropped, in order and once."""
    noise = "<div class='share'>Share this</div>"
    html = page(paragraphs(*body[:at]) + noise + paragraphs(*body[at:]))
    article = read_html(html)
    everything = article.content() + "\n" + "\n".join(d.text for d in article.dropped)
    for paragraph in set(BODY):
        assert everything.count(paragraph) == body.count(paragraph)


def test_lines_of_a_song_count_as_seen_though_no_run_of_words_is_whole():
    """The runs of four words that the text has across line ends are in no block."""
    lines = ["Row the boat", "row it home", "high the waves", "cold the foam"]
    tree = etree.HTML(f"<html><body><p>{'<br>'.join(lines)}</p></body></html>")
    assert Extraction(" ".join(lines)).share_in(read_blocks(tree)) == 1.0
    assert Extraction("Nothing of this stands there").share_in(read_blocks(tree)) == 0.0


def test_elements_around_many_blocks_are_looked_at_once(monkeypatch):
    tree = parse_page("<body>" + "<div>" * 100 + "<p>a</p>" * 50)
    asked = []
    monkeypatch.setattr(boilerplate, "element_reason", asked.append)
    known = {}
    blocks = read_blocks(tree)
    for block in blocks:
        boilerplate.look_around(block.path, known)
    assert len(blocks) == 50
    assert len(asked) == len(set(asked)) == 151


def test_an_element_is_known_by_the_beginning_of_its_class():
    start = time.thread_time()
    element = parse_page(f"<body><div class='share {'-a' * 100_000}'>a").find(".//div")
    assert boilerplate.element_reason(element) == "share buttons"
    assert time.thread_time() - start < 1


@pytest.mark.parametrize("text", ["Read more…", "Read more... »", "And so on....", "…"])
def test_a_block_that_ends_in_dots_is_cut_short(text):
    assert Block(text, words(text), 0.0, ()).is_cut_short
    assert not Block(text + " a", words(text), 0.0, ()).is_cut_short


FIRST = "The harbour of Port Ellery will close for two weeks in June, the council said on Monday."
DEEP = "Fishermen fear for their income, for nobody asked them before the council decided on it."
LAST = "A ferry will run from the old quay at six in the morning and at nine in the evening."


def nested(depth):
    around = "<div>" * depth, "</div>" * depth
    return f"<html><body><p>{FIRST}</p>{around[0]}<p>{DEEP}</p>{around[1]}<p>{LAST}</p></body></html>"


@pytest.mark.parametrize("depth", [10, 300, MOST_NESTED - 3])
def test_what_stands_deep_is_read_and_so_is_what_follows(depth):
    assert read_html(nested(depth)).content() == f"{FIRST}\n\n{DEEP}\n\n{LAST}"
    shown = read_page(nested(depth), clean=False).text.split("\n\n")
    assert [" ".join(line.split()) for line in shown][1:] == [DEEP, LAST]


@pytest.mark.parametrize("depth", [MOST_NESTED, 3000])
@pytest.mark.parametrize("read", [read_html, partial(read_page, clean=False)])
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
