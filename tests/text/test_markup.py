"""HTML, XML and Markdown through translations of all kinds: every tag stays, once, and balanced."""

import re
import time
from collections import Counter

import pyromark
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.cooperative import finish
from models.text.markup import html, markdown
from models.text.markup.build import restore
from models.text.markup.html import scan
from models.text.markup.place import Piece, Target, _words, find, inside_word, place, stretches
from models.text.sentences import sentences
from models.text.span import Span

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Talks &amp; trade</title><style>p > a { color: red }</style>
<script>if (a < b) { document.write("<p>never</p>"); }</script></head>
<body class='x' data-y="a > b">
  <h1>Talks in <em>Vienna</em></h1>
  <p>The <a href="/t?a=1&b=2" title='a > b'>trade <b>agreement</b></a> was signed. It holds.<br>
     Run <code>pip install x</code> now. <img src="a.png" alt="A picture"><!-- a comment --></p>
  <ul><li>One thing<li>Another <b>thing</ul>
  <pre>left  as it is</pre><p translate="no">Not <i>this</i>.</p><p class="big notranslate">Nor this.</p>
  <p>Ask <span translate="no">Blue Lantern</span> &eacute;t al.</p>
</body></html>
"""

ARTICLE = """---
title: kept
---
# Talks in *Vienna*

> The **ministers** met
> on Sunday.

1. See [the site](http://a.example/x_y "T") or [this page].
2. Run `pip install x` now.\x20\x20
   Then wait. ![a picture](p.png)

| Country | Price |
|:--------|------:|
| A **big** one | 12 \\| 13 |

```python
print("never")
```

<details><summary>More <b>here</b></summary></details>

[this page]: http://b.example 'Title'
"""


def reversed_words(text):
    return " ".join(reversed(text.split()))


CHANGES = [str, str.upper, reversed_words, lambda text: text[:5], lambda _: ""]


def through(document, runs, change):
    """The document with every sentence changed, and what stands in pairs changed alone as well."""
    done = []
    for run in runs:
        pieces = []
        for span in sentences(run.text, "en"):
            names = {each: [change(run.text[each.start : each.end])] for each in stretches(run, span)}
            pieces.append(Piece(span, change(run.text[span.start : span.end]), alone=names))
        done.append(finish(place(run, pieces, " ")))
    return restore(document, runs, done)


def tags(document, *, xml=False):
    pieces = scan(document, 0, len(document), xml=xml)
    return Counter(document[tag.start : tag.end] for tag in pieces if tag.kind != "text")


def is_balanced(document):
    stack = []
    for tag in scan(document, 0, len(document), xml=True):
        if tag.kind == "open":
            stack.append(tag.name)
        elif tag.kind == "close" and (not stack or stack.pop() != tag.name):
            return False
    return not stack


def squeezed(text):
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("change", CHANGES)
def test_a_page_keeps_its_markup(change):
    done = through(PAGE, html.read(PAGE), change)
    assert tags(done) == tags(PAGE)
    for kept in (
        "document.write",
        "<code>pip install x</code>",
        "<pre>left  as it is</pre>",
        "Not <i>this</i>.",
    ):
        assert kept in done
    assert '<span translate="no">Blue Lantern</span>' in done
    assert '<p class="big notranslate">Nor this.</p>' in done


def test_a_page_of_one_language_is_unchanged_but_for_white_space_and_references():
    done = through(PAGE, html.read(PAGE), str).replace("pip install xpip install x", "pip install x")
    for code in ("pip install x", "Blue Lantern"):  # no pieces here say where what is kept stands
        done = done.replace(f"</code>{code}", "</code>").replace(f"</span>{code}", "</span>")
    assert squeezed(done) == squeezed(PAGE.replace("&eacute;", "é"))


def test_what_a_reader_reads_in_one_go_is_a_run():
    assert [run.text.strip() for run in html.read(PAGE)] == [
        "Talks & trade",
        "Talks in Vienna",
        "The trade agreement was signed. It holds. Run pip install x now.",
        "One thing",
        "Another thing",
        "Ask Blue Lantern ét al.",
    ]


def test_tags_follow_the_words_that_carry_them():
    document = "<p>The <b>red house</b> burns, says <a href=x>the mayor</a>.</p>"
    (run,) = html.read(document)
    (span,) = sentences(run.text, "en")
    red, mayor = stretches(run, span)
    piece = Piece(
        span, "Selon le maire, la maison rouge brûle.", alone={red: ["maison rouge"], mayor: ["Le maire."]}
    )
    assert finish(place(run, [piece], " ")) == "Selon <a href=x>le maire</a>, la <b>maison rouge</b> brûle."


def test_a_pair_around_a_whole_sentence_needs_no_search():
    document = "<p><i>The talks failed</i>. <b>They did.</b></p>"
    (run,) = html.read(document)
    first, second = sentences(run.text, "en")
    assert stretches(run, first) == stretches(run, second) == []
    pieces = [Piece(first, "Les pourparlers ont échoué."), Piece(second, "C'est vrai.")]
    assert finish(place(run, pieces, " ")) == "<i>Les pourparlers ont échoué</i>. <b>C'est vrai.</b>"


def test_where_nothing_is_like_it_the_same_part_of_the_sentence_is_taken_at_ends_of_words():
    document = "<p>aaaa bbbb <b>cccc</b> dddd eeee</p>"
    (run,) = html.read(document)
    (span,) = sentences(run.text, "en")
    assert (
        finish(place(run, [Piece(span, "zzz yyyyy xxxx wwww vvvv")], " "))
        == "zzz yyyyy <b>xxxx</b> wwww vvvv"
    )
    assert finish(place(run, [Piece(span, "会谈昨天失败了")], "")) == "会谈昨<b>天</b>失败了"


INLINE = st.sampled_from(
    ["<b>", "</b>", "<i class='a > b'>", "</i>", "<a href='x'>", "</a>", "<br>", "<img src=x>", "<!-- c -->"]
)
WORDS = st.sampled_from(
    ["one ", "two", " three. ", "Four", "&amp;", " < ", "é", "&lt;b&gt;", "中文。", "&x;", '"']
)
BLOCKS = st.sampled_from(["<p>", "</p>", "<div x=1>", "</div>", "<li>", "<hr>", "<td>"])
KEPT = st.sampled_from(
    ["<code>a <b>c</b></code>", "<script>'<b>'</script>", "<pre>p</pre>", "<", "<a", "</", "<!"]
)


@settings(max_examples=300)
@given(st.lists(st.one_of(INLINE, WORDS, BLOCKS, KEPT), max_size=25).map("".join), st.sampled_from(CHANGES))
@example("<b>one <i>two</b> three</i>", reversed_words)
@example("<b><b><b>one</b> two", str.upper)
def test_every_tag_of_any_soup_survives_once(document, change):
    assert tags(through(document, html.read(document), change)) == tags(document)


TREE = st.recursive(
    st.sampled_from(["one", "two three", " ", "Four. Five six", "<br/>", "&amp;", "<c>kept</c>"]),
    lambda inner: st.tuples(st.sampled_from("abi"), st.lists(inner, max_size=4)).map(
        lambda node: f'<{node[0]} n="1">{"".join(node[1])}</{node[0]}>'
    ),
    max_leaves=15,
)


@settings(max_examples=200)
@given(st.lists(TREE, max_size=4).map("".join), st.sampled_from(CHANGES))
def test_xml_stays_balanced(document, change):
    assert is_balanced(document)
    done = through(document, html.read(document, xml=True, ignore=["c"]), change)
    assert is_balanced(done)
    assert tags(done, xml=True) == tags(document, xml=True)


def test_xml_elements_beside_text_stand_within_it_and_others_part_it():
    document = "<doc><t>Hello &own; there</t><p>Some <u>more</u> text<![CDATA[ <raw> ]]></p><n>12</n></doc>"
    runs = html.read(document, xml=True)
    assert [run.text for run in runs] == ["Hello there", "Some more text<raw>"]
    assert "&own;" in through(document, runs, str)
    assert [r.text for r in html.read("<a><Code>x</Code> y</a>", xml=True, ignore=["Code"])] == ["x y"]


@pytest.mark.parametrize(
    "unit",
    ["<a", "<!--", '<a "', "<", "&", "&a", "<a b='", "</a", "<?", "<a =", "<script>", '<a "> "', "<b>"],
)
def test_reading_takes_time_by_length_alone(unit):
    document = unit * (60_000 // len(unit))
    start = time.process_time()
    through(document, html.read(document), str)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("change", CHANGES)
def test_markdown_keeps_its_markup(change):
    done = through(ARTICLE, markdown.read(ARTICLE), change)
    for kept in (
        "---\ntitle: kept\n---\n# ",
        '](http://a.example/x_y "T")',
        "][this page]",
        "`pip install x`",
        "![a picture](p.png)",
        "|:--------|------:|",
        '```python\nprint("never")\n```',
        "[this page]: http://b.example 'Title'",
        "<details><summary>",
    ):
        assert done.count(kept) == 1


def test_markdown_reads_as_the_same_document_when_its_words_change():
    done = through(ARTICLE, markdown.read(ARTICLE), lambda text: text.replace("t", "T").replace("e", "E"))

    def shape(document):
        options = markdown._OPTIONS
        return re.findall(r"<[^>]*>", pyromark.html(document, options=options))

    assert Counter(shape(done)) == Counter(shape(ARTICLE))
    assert "> ThE **minisTErs** mET on Sunday.\n" in done
    assert "| A **big** onE | 12 \\| 13 |" in done
    assert "now.  \n   ThEn waiT." in done


@settings(max_examples=300)
@given(
    st.text(st.sampled_from("ab \\`*_[]<>#&|~!-+1.)("), min_size=1, max_size=30).filter(
        lambda text: any(map(str.isalpha, text))
    )
)
def test_plain_text_written_as_markdown_reads_as_it_was(text):
    plain = " ".join(text.split())
    written = markdown.escape(plain)
    shown = pyromark.html(written, options=markdown._OPTIONS)
    assert shown == f"<p>{plain.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}</p>\n"


@settings(max_examples=200)
@given(st.text(st.sampled_from(list("ab. \n\r\t*_`[](){}#>-|<\\&;é中\ud800\0!")), max_size=60))
def test_any_markdown_can_be_read_and_its_runs_lie_in_order(document):
    end = 0
    for run in markdown.read(document):
        assert end <= run.span.start < run.span.end <= len(document)
        assert len(run.starts) >= len(run.text)
        end = run.span.end


def test_stretches_of_one_sentence_are_looked_for_in_one_list_of_words(monkeypatch):
    made = []
    monkeypatch.setattr("models.text.markup.place._words", lambda text: made.append(text) or _words(text))
    source = " ".join(f"word{i}" for i in range(300))
    target = source.upper()
    translation = Target(target)
    for found in re.finditer(r"\w+", source):
        assert find(["a"], source, Span(*found.span()), translation)[0] == Span(*found.span())
    assert made.count(target) <= 2


@pytest.mark.parametrize("filling", ["a", "a\u0301", "."])
def test_markup_within_an_endless_word_does_not_walk_it_for_each_tag(monkeypatch, filling):
    looked = []
    monkeypatch.setattr(
        "models.text.markup.place.inside_word", lambda text, at: looked.append(at) or inside_word(text, at)
    )
    document = filling * 1_000 + "<b>a</b>" * 150 + filling * 1_000
    done = through(document, html.read(document), str.upper)
    assert tags(done) == tags(document)
    assert len(looked) < 10 * len(document)  # tag by tag, a hundred times and more


@pytest.mark.parametrize("read_into", [html.read_into, markdown.read_into])
def test_reading_pauses(read_into):
    runs = []
    assert len(list(read_into(runs, "<b>a</b> " * 5_000))) >= 15
    assert len(runs) > 1


def test_placing_pauses_at_each_piece_of_markup():
    document = "<b>a</b> " * 190
    (run,) = html.read(document)
    assert len(list(place(run, [Piece(Span(0, len(run.text)), "b " * 190)], " "))) >= 190
