"""Windows that lose nothing, long sentences that are cut at clauses, and lines that keep their places."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text.markup import layout
from models.text.markup.layout import lines
from models.text.markup.run import restore
from models.text.sentences.pack import pack, split_long
from models.text.span import Span


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


def split(text: str, most: int, language: str = "en") -> list[str]:
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

    def fits(part: str) -> bool:
        asked.append(len(part))
        return len(part) <= 100

    spans = split_long(text, Span(0, len(text)), fits, "en")
    assert "".join(text[s.start : s.end] for s in spans) == text
    assert sum(asked) < 20 * len(text)


def test_a_limit_below_one_character_is_an_error():
    with pytest.raises(ValueError, match="single character"):
        split("ab", 0)


@given(st.text(max_size=200), st.integers(1, 40))
@settings(deadline=None)
def test_parts_fit_and_cover_every_visible_character(text, most):
    asked = []

    def fits(part: str) -> bool:
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
    found = [(line.prefix, LISTING[line.span.start : line.span.end]) for line in lines(LISTING)]
    assert found == [
        ("# ", "News"),
        ("> ", "“Quoted,” he said."),
        ("  - ", "first thing"),
        (" 12. ", "second thing"),
        ("— ", "Oui."),
    ]


def test_translations_take_the_place_of_the_content_alone():
    restored = restore(LISTING, layout.read(LISTING), ["A", "B", "C", "D", "E"])
    assert restored == "# A\r\n\r\n> B\r\n  - C\n 12. D\n-----\n***\n2024\n\n— E\n"


def test_each_line_needs_a_translation():
    with pytest.raises(ValueError, match="shorter"):
        restore("One\nTwo", layout.read("One\nTwo"), ["Eins"])


@given(st.text(st.one_of(st.characters(), st.sampled_from(list("\n\r -*>1.a "))), max_size=150))
@settings(max_examples=300, deadline=None)
def test_a_text_with_its_own_lines_put_back_is_unchanged(text):
    found = lines(text)
    assert restore(text, layout.read(text), [text[line.span.start : line.span.end] for line in found]) == text
    covered = {i for line in found for i in range(*line.span)}
    assert not any(c.isalpha() for i, c in enumerate(text) if i not in covered and not _listed(text, i))


def _listed(text: str, i: int) -> bool:
    """A letter that marks a list item, as in "a) first"."""
    return text[i + 1 : i + 2] == ")"
