"""Sentences, windows that lose nothing, long sentences cut at clauses, wrapped lines, lines of plain text."""

import textwrap
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text.markup.build import plain_lines, read_plain, restore
from models.text.sentences import (
    get_sentence_boundaries,
    pack,
    pausing_sentences,
    sentences,
    split_long,
    widths,
)
from models.text.span import Span

ARBITRARY = st.text(
    st.one_of(st.characters(), st.sampled_from(list(" .?!\n\r\u2028,;“”\"'aB1。！"))), max_size=120
)


def parts(text, language="en"):
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
@settings(max_examples=300)
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
    sizes = []
    cut = get_sentence_boundaries

    def counted(language, text):
        sizes.append(len(text))
        return cut(language, text)

    monkeypatch.setattr("models.text.sentences.get_sentence_boundaries", counted)
    text = unit * (30_000 // len(unit))
    steps = list(pausing_sentences(text, "en"))
    assert len(steps) == len(sizes)
    assert max(sizes) <= 10_000, "its time grows with the square of it: 0.1 s, or 5 s for eight times as much"
    assert sum(sizes) < 5 * len(text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Im 3. Quartal stieg der Umsatz."),
        ("de", "Der 2. Weltkrieg begann 1939."),
        ("de-AT", "Sie feierte in der 90. Minute ihren 80. Geburtstag."),
        ("fr", "Le ministre M. Dupont a vu MM. Roux et Petit."),
        ("it", "Secondo l'art. 3 il sig. Rossi ha ragione."),
        ("pl", "Dnia 3. maja był tu."),
        ("hu", "Itt volt 1939. május elején."),
        ("en", "It is approx. 5 km from here."),
    ],
)
def test_a_sentence_goes_on_after_an_ordinal_or_a_title(language, text):
    assert [text[a:b] for a, b in sentences(text, language)] == [text]


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [
        ("de", "Es kamen 25.", "Dann ging er."),
        ("de", "Das war im Jahr 1939.", "Der Krieg begann."),
        ("fr", "Il aime la lettre b.", "Dupont aussi."),
        ("fr", "Ils étaient au 12.", "Puis ils sont partis."),
        ("en", "He drew it in fig. 4.", "It is good."),
        ("pl", "Byliśmy tam w 1939.", "Potem nie."),
    ],
)
def test_a_sentence_that_ends_in_a_number_or_a_letter_ends(language, first, second):
    text = f"{first} {second}"
    assert [text[a:b] for a, b in sentences(text, language)] == [first, second]


def test_windows_are_as_few_as_can_be_and_even():
    assert pack([10, 10, 10, 10, 10], limit=40) == [range(0, 3), range(3, 5)]
    assert pack([30, 5, 5, 30], limit=40) == [range(0, 2), range(2, 4)]


def test_no_items_need_no_window():
    assert pack([], limit=5) == []


def test_an_item_over_the_limit_is_an_error():
    with pytest.raises(ValueError, match="41"):
        pack([3, 41], limit=40)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(50, 120))
def test_windows_hold_every_item_once_within_the_limit(lengths, limit):
    windows = pack(lengths, limit)
    assert [i for window in windows for i in window] == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in window) <= limit for window in windows)
    assert len(windows) <= max(1, 2 * sum(lengths) // limit + 1)


def split(text, most, language="en"):
    spans = split_long(text, Span(0, len(text)), lambda part: len(part) <= most, language)
    return [text[s.start : s.end] for s in spans]


def test_what_fits_stays_whole():
    assert split(" Short, and whole. ", 20) == ["Short, and whole."]


def test_a_long_sentence_is_cut_at_a_clause():
    text = "The mayor of the town opened the bridge, and the crowd of 1,000 people walked across it."
    assert split(text, 60) == [
        "The mayor of the town opened the bridge,",
        "and the crowd of 1,000 people walked across it.",
    ]


def test_without_clauses_it_is_cut_at_spaces_and_without_spaces_anywhere():
    assert split("one two three four five six", 14) == ["one two three", "four five six"]
    assert split("abcdefgh", 4) == ["abcd", "efgh"]
    assert split("市长今天上午开放了大桥，市民们随后走过了桥面。", 15) == [
        "市长今天上午开放了大桥，",
        "市民们随后走过了桥面。",
    ]


def test_a_space_ends_a_phrase_in_thai():
    assert split("นายกเทศมนตรี เปิดสะพาน", 14, "th") == ["นายกเทศมนตรี", "เปิดสะพาน"]


def test_an_accent_stays_with_its_letter():
    assert split("aaae\u0301bbb", 5) == ["aaae\u0301", "bbb"]


@pytest.mark.parametrize("mark", ["\u0301", "\u200d", "\ufe0f"])
def test_marks_without_end_are_halved_and_not_peeled_off_one_by_one(mark):
    asked = []
    text = "a" + mark * 20_000

    def fits(part):
        asked.append(len(part))
        return len(part) <= 100

    spans = split_long(text, Span(0, len(text)), fits, "en")
    assert "".join(text[s.start : s.end] for s in spans) == text
    assert sum(asked) < 20 * len(text)


def test_a_limit_below_one_character_is_an_error():
    with pytest.raises(ValueError, match="single character"):
        split("ab", 0)


@given(st.text(max_size=200), st.integers(1, 40))
def test_parts_fit_and_cover_every_visible_character(text, most):
    asked = []

    def fits(part):
        asked.append(part)
        return len(part) <= most

    spans = split_long(text, Span(0, len(text)), fits, "en")
    end = 0
    for span in spans:
        assert not text[end : span.start].strip()
        assert 0 < span.end - span.start <= most
        end = span.end
    assert not text[end:].strip()
    assert len(asked) <= 2 * max(1, len(spans)) - 1


LISTING = (
    "# News\r\n\r\n> “Quoted,” he said.\r\n  - first thing\n 12. second thing\n-----\n***\n2024\n\n— Oui.\n"
)


def test_marks_stand_before_the_content_of_a_line():
    found = [(line.prefix, LISTING[line.span.start : line.span.end]) for line in plain_lines(LISTING)]
    assert found == [
        ("# ", "News"),
        ("> ", "“Quoted,” he said."),
        ("  - ", "first thing"),
        (" 12. ", "second thing"),
        ("— ", "Oui."),
    ]


def test_translations_take_the_place_of_the_content_alone():
    restored = restore(LISTING, read_plain(LISTING), ["A", "B", "C", "D", "E"])
    assert restored == "# A\r\n\r\n> B\r\n  - C\n 12. D\n-----\n***\n2024\n\n— E\n"


def test_each_line_needs_a_translation():
    with pytest.raises(ValueError, match="shorter"):
        restore("One\nTwo", read_plain("One\nTwo"), ["Eins"])


@given(st.text(st.one_of(st.characters(), st.sampled_from(list("\n\r -*>1.a "))), max_size=150))
@settings(max_examples=300)
def test_a_text_with_its_own_lines_put_back_is_unchanged(text):
    found = plain_lines(text)
    assert restore(text, read_plain(text), [text[line.span.start : line.span.end] for line in found]) == text
    covered = {i for line in found for i in range(*line.span)}
    assert not any(c.isalpha() for i, c in enumerate(text) if i not in covered and not _listed(text, i))


def _listed(text, i):
    """A letter that marks a list item, as in "a) first"."""
    return text[i + 1 : i + 2] == ")"


PROSE = (
    "The ministers met on Sunday in the old town hall and spoke about trade until late in the evening. "
    "Nobody said what came of it, but the talks will go on next week, perhaps in another city."
)


@pytest.mark.parametrize(("width", "before"), [(40, ""), (72, ""), (72, "> "), (80, "  "), (60, ">> ")])
def test_a_wrapped_paragraph_is_one_run(width, before):
    text = (
        "Title\n\n" + textwrap.fill(PROSE, width, initial_indent=before, subsequent_indent=before) + "\n\nEnd"
    )
    runs = read_plain(text)
    assert [run.text for run in runs] == ["Title", PROSE, "End"]
    assert restore(text, runs, [run.text for run in runs]) == text
    at = runs[1].text.index("spoke")
    assert text[runs[1].starts[at] : runs[1].ends[at + 4]] == "spoke"


def test_a_wrapped_list_keeps_its_marks():
    wrapper = textwrap.TextWrapper(60, initial_indent="- ", subsequent_indent="  ")
    text = wrapper.fill(PROSE) + "\r\n" + wrapper.fill("Another item.")
    text = text.replace("\n", "\r\n").replace("\r\r", "\r")
    runs = read_plain(text)
    assert [run.text for run in runs] == [PROSE, "Another item."]
    assert (
        restore(text, runs, [PROSE.upper(), "x"])
        == wrapper.fill(PROSE.upper()).replace("\n", "\r\n") + "\r\n- x"
    )


def test_two_lines_are_wrapped_if_others_are():
    short = "He added that the council would have to decide it\nwithin a month."
    assert len(read_plain(short)) == 2
    assert len(read_plain(textwrap.fill(PROSE, 52) + "\n\n" + short)) == 2


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
def test_lines_that_end_by_themselves_stay(text):
    assert [run.text for run in read_plain(text)] == [
        line.removeprefix("- ") for line in text.split("\n") if line
    ]


WORD = st.text(st.sampled_from("abcdefghij"), min_size=1, max_size=9)


@settings(max_examples=100)
@given(st.lists(WORD, min_size=60, max_size=90), st.integers(45, 100))
def test_whatever_is_wrapped_is_found_and_wrapped_as_it_was(words, width):
    prose = " ".join(words)
    text = textwrap.fill(prose, width)
    assert widths([text.split("\n")]) != [None]
    runs = read_plain(text)
    assert [run.text for run in runs] == [prose]
    assert restore(text, runs, [prose]) == text
