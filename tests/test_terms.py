"""Protected terms and glossaries: found as written, masked, and put back wherever the mask came out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text.terms import MASKS, Held, Terms, look_up, mask, unmask


def found(
    text: str, protect: tuple[str, ...] = (), glossary: dict[str, str] | None = None
) -> list[tuple[str, str]]:
    held = Terms(protect, glossary or {}, text).find(text)
    return [(text[each.span.start : each.span.end], each.text) for each in held]


@pytest.mark.parametrize(
    ("text", "protect", "expected"),
    [
        ("Apple eats an apple.", ("Apple",), ["Apple"]),
        ("APPLE and apple.", ("Apple",), ["APPLE"]),
        ("Go, go, GO!", ("go",), ["Go", "go", "GO"]),
        ("Targets on Target", ("Target",), ["Target"]),
        ("Dragoman's new server", ("Dragoman",), ["Dragoman"]),
        ("Open  Door and Open\nDoor", ("Open Door",), ["Open  Door", "Open\nDoor"]),
        ("Open Door Ltd", ("Open Door", "Open Door Ltd"), ["Open Door Ltd"]),
        ("使用AI技术", ("AI",), ["AI"]),
        ("中国人民银行说", ("人民银行",), ["人民银行"]),
        ("C++ and C", ("C++",), ["C++"]),
        ("max_tokens or max", ("max",), ["max"]),
    ],
)
def test_where_a_term_is_found(text: str, protect: tuple[str, ...], expected: list[str]) -> None:
    assert [source for source, _ in found(text, protect)] == expected


def test_a_glossarys_word_takes_the_case_of_what_it_is_for() -> None:
    pairs = found("Talks, talks and TALKS with UNO", (), {"talks": "pourparlers", "UNO": "ONU"})
    assert [target for _, target in pairs] == ["Pourparlers", "pourparlers", "POURPARLERS", "ONU"]


def test_protection_goes_before_a_glossary() -> None:
    assert found("the Summit", ("Summit",), {"Summit": "Sommet"}) == [("Summit", "Summit")]


def test_addresses_and_placeholders_are_held_without_being_asked() -> None:
    text = (
        "See https://a.example/b?c=1, (www.b.example) or ask jo@c.example, {name} or %(n)s; 5%, {not this}."
    )
    assert [source for source, _ in found(text)] == [
        "https://a.example/b?c=1",
        "www.b.example",
        "jo@c.example",
        "{name}",
        "%(n)s",
    ]


def test_masks_come_out_in_any_order_and_way_of_writing() -> None:
    text = "Blue Lantern beat Open Door."
    held = Terms(["Blue Lantern", "Open Door"], {}, text).find(text)
    masked = mask(text, held)
    assert masked.text == "QX7 beat QX8."
    done = unmask("qx 8 a perdu contre Q-X7.", masked, held)
    assert done.text == "Open Door a perdu contre Blue Lantern."
    assert [done.text[p.start : p.end] for p in done.places if p] == ["Blue Lantern", "Open Door"]


def test_a_lost_mask_is_known_to_be_lost() -> None:
    text = "Blue Lantern beat Open Door."
    held = Terms(["Blue Lantern", "Open Door"], {}, text).find(text)
    done = unmask("QX7 a gagné.", mask(text, held), held)
    assert done.text == "Blue Lantern a gagné."
    assert [place is None for place in done.places] == [False, True]


def test_a_text_that_has_a_mask_itself_gets_another() -> None:
    text = "The QX7 by Apple"
    held = Terms(["Apple"], {}, text).find(text)
    masked = mask(text, held)
    assert masked.masks == ("QX8",)
    assert unmask("Le QX7 de QX8", masked, held).text == "Le QX7 de Apple"


def test_a_small_word_that_comes_first_begins_the_sentence() -> None:
    text = "Yesterday talks failed."
    held = Terms([], {"talks": "pourparlers"}, text).find(text)
    assert unmask("QX7 échoués hier.", mask(text, held), held).text == "Pourparlers échoués hier."


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["Ada", "Bob", "went", "to", "Ada Bob", "x1", "京", "."]), max_size=30))
def test_what_is_masked_and_unmasked_is_what_it_was(words: list[str]) -> None:
    text = " ".join(words)
    held = Terms(["Ada", "Bob", "Ada Bob", "京"], {}, text).find(text)
    masked = mask(text, held)
    done = unmask(masked.text, masked, held)
    assert done.text == text
    assert None not in done.places
    assert masked.masks[: len(MASKS)] == MASKS[: len(held)]


def test_no_two_terms_are_found_in_one_place() -> None:
    text = "Ada met Ada"
    held: list[Held] = Terms(["Ada"], {}, text).find(text)
    assert [place is None for place in look_up("Ada alone", held)] == [False, True]
