"""Sentences as spans: where they end, and that no character is lost."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text.sentences import segment
from models.text.sentences.segment import pausing_sentences, sentences
from models.text.span import Span

ARBITRARY = st.text(
    st.one_of(st.characters(), st.sampled_from(list(" .?!\n\r\u2028,;“”\"'aB1。！"))), max_size=120
)


def parts(text: str, language: str = "en") -> list[str]:
    return [text[s.start : s.end] for s in sentences(text, language)]


def test_sentences_end_at_full_stops_but_not_after_titles_or_initials():
    text = "Dr. Ada Moss lives in the U.S. today. She was born in Leeds in 1961! Was she? Yes."
    assert parts(text) == [
        "Dr. Ada Moss lives in the U.S. today.",
        "She was born in Leeds in 1961!",
        "Was she?",
        "Yes.",
    ]


def test_lower_cased_text_is_split_as_well():
    text = (
        "mr. moss, 43, met the mayor of st. albans at 5 p.m. on friday. they spoke for 3.5 hours. it rained."
    )
    assert parts(text) == [
        "mr. moss, 43, met the mayor of st. albans at 5 p.m. on friday.",
        "they spoke for 3.5 hours.",
        "it rained.",
    ]


def test_a_quotation_of_several_sentences_is_one_unless_it_is_long():
    short = "He smiled. “We won. We all won. What a day!” she said, and left."
    assert parts(short) == ["He smiled.", short.removeprefix("He smiled. ")]
    long = "“" + "We have waited for this for a very long time. " * 5 + "Now it is here,” she said."
    assert len(parts(long)) == 6


def test_a_sentence_ends_with_its_quotation_in_lower_cased_text_too():
    text = 'he said "all of it is broken." koirala\'s group has ten homes. "who is it?" she asked.'
    assert parts(text) == [
        'he said "all of it is broken."',
        "koirala's group has ten homes.",
        '"who is it?" she asked.',
    ]


def test_a_mark_alone_belongs_to_the_sentence_before():
    assert parts("it rained for hours. ' three people left. '") == [
        "it rained for hours.",
        "' three people left. '",
    ]


def test_a_line_end_ends_a_sentence():
    assert parts("A headline\nIt rained\r\nall day\n\n. Then") == [
        "A headline",
        "It rained",
        "all day",
        ".",
        "Then",
    ]


@pytest.mark.parametrize(
    ("language", "text", "count"),
    [
        ("zh-Hant", "你好。今天天氣很好！是嗎？", 3),
        ("hi", "यह एक घर है। वह बड़ा है।", 2),
        ("ar", "هذا بيت. هل هو كبير؟ نعم.", 3),
        ("und", "Ein Haus. Noch ein Haus.", 2),
        ("", "Ein Haus. Noch ein Haus.", 2),
    ],
)
def test_any_language_code_is_taken(language, text, count):
    assert len(sentences(text, language)) == count


def test_spans_refer_to_the_whole_text_when_a_part_is_asked_for():
    text = "Not this one. 😀 This one here. And this. Not that."
    within = Span(14, 40)
    assert [text[s.start : s.end] for s in sentences(text, "en", within)] == [
        "😀 This one here.",
        "And this.",
    ]


@given(ARBITRARY, st.sampled_from(["en", "zh", "und", "fr-CA", ""]))
@settings(max_examples=300, deadline=None)
def test_spans_cover_every_visible_character_in_order(text, language):
    spans = sentences(text, language)
    end = 0
    for span in spans:
        assert not text[end : span.start].strip(), "characters between sentences are white space"
        assert span.start >= end
        content = text[span.start : span.end]
        assert content == content.strip() != ""
        assert "\n" not in content
        assert "\r" not in content
        end = span.end
    assert not text[end:].strip()


def test_in_a_wrapped_paragraph_a_line_end_is_a_space():
    text = "It rained all\nday. Nobody\r\ncame to see\nthe boats."
    found = sentences(text, "en", wrapped=True)
    assert [text[s.start : s.end] for s in found] == [
        "It rained all\nday.",
        "Nobody\r\ncame to see\nthe boats.",
    ]
    assert len(sentences(text, "en")) == 5


def test_a_long_line_is_cut_where_a_short_one_is():
    text = "部长们周日在维也纳开会。他说：“今天很好。明天更好！”会议结束了。" * 700
    own = len(text) // 700
    first = sentences(text[:own], "zh")
    assert sentences(text, "zh") == [
        Span(s.start + i * own, s.end + i * own) for i in range(700) for s in first
    ]


def test_a_line_without_a_sentence_end_is_one_sentence_however_long():
    assert sentences("word " * 9000, "en") == [Span(0, 44999)]
    assert sentences(" " * 30000, "en") == []


def test_a_book_without_a_sentence_end_is_cut_at_blanks():
    text = "word " * 60_000
    found = sentences(text, "en")
    assert len(found) > 1
    assert " ".join(text[s.start : s.end] for s in found) == text.strip()


def test_initials_without_blanks_are_not_read_again_for_each():
    start = time.process_time()
    sentences("A." * 10_000, "fr")
    assert time.process_time() - start < 1


@pytest.mark.parametrize("unit", ["„", "«。", "“ a! ", "中!", "( a. ", "word "])
def test_sentencex_reads_little_at_once_and_nothing_often(monkeypatch, unit):
    sizes: list[int] = []
    cut = segment.get_sentence_boundaries

    def counted(language: str, text: str) -> object:
        sizes.append(len(text))
        return cut(language, text)

    monkeypatch.setattr(segment, "get_sentence_boundaries", counted)
    text = unit * (60_000 // len(unit))
    steps = list(pausing_sentences(text, "en"))
    assert len(steps) == len(sizes)
    assert max(sizes) <= 10_000, "its time grows with the square of it: 0.1 s, or 5 s for eight times as much"
    assert sum(sizes) < 5 * len(text)
