"""Protected terms and glossaries: found as written, masked, and put back wherever the mask came out."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text.sentences import is_unspaced
from models.text.span import Span
from models.text.terms import MASKS, Held, Terms, look_up, mask, unmask


def found(text, protect=(), glossary=None):
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
def test_where_a_term_is_found(text, protect, expected):
    assert [source for source, _ in found(text, protect)] == expected


def test_a_glossarys_word_takes_the_case_of_what_it_is_for():
    pairs = found("Talks, talks and TALKS with UNO", (), {"talks": "pourparlers", "UNO": "ONU"})
    assert [target for _, target in pairs] == ["Pourparlers", "pourparlers", "POURPARLERS", "ONU"]


def test_protection_goes_before_a_glossary():
    assert found("the Summit", ("Summit",), {"Summit": "Sommet"}) == [("Summit", "Summit")]


def test_addresses_and_placeholders_are_held_without_being_asked():
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


def test_masks_come_out_in_any_order_and_way_of_writing():
    text = "Blue Lantern beat Open Door."
    held = Terms(["Blue Lantern", "Open Door"], {}, text).find(text)
    masked, masks = mask(text, held)
    assert masked == "QX7 beat QX8."
    done, places = unmask("qx 8 a perdu contre Q-X7.", masks, held)
    assert done == "Open Door a perdu contre Blue Lantern."
    assert [done[p.start : p.end] for p in places if p] == ["Blue Lantern", "Open Door"]


def test_a_lost_mask_is_known_to_be_lost():
    text = "Blue Lantern beat Open Door."
    held = Terms(["Blue Lantern", "Open Door"], {}, text).find(text)
    done, places = unmask("QX7 a gagné.", mask(text, held)[1], held)
    assert done == "Blue Lantern a gagné."
    assert [place is None for place in places] == [False, True]


def test_a_text_that_has_a_mask_itself_gets_another():
    text = "The QX7 by Apple"
    held = Terms(["Apple"], {}, text).find(text)
    _, masks = mask(text, held)
    assert masks == ("QX8",)
    assert unmask("Le QX7 de QX8", masks, held)[0] == "Le QX7 de Apple"


def test_a_small_word_that_comes_first_begins_the_sentence():
    text = "Yesterday talks failed."
    held = Terms([], {"talks": "pourparlers"}, text).find(text)
    assert unmask("QX7 échoués hier.", mask(text, held)[1], held)[0] == "Pourparlers échoués hier."


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["Ada", "Bob", "went", "to", "Ada Bob", "x1", "京", "."]), max_size=30))
def test_what_is_masked_and_unmasked_is_what_it_was(words):
    text = " ".join(words)
    held = Terms(["Ada", "Bob", "Ada Bob", "京"], {}, text).find(text)
    masked, masks = mask(text, held)
    done, places = unmask(masked, masks, held)
    assert done == text
    assert None not in places
    assert masks[: len(MASKS)] == MASKS[: len(held)]


def test_no_two_terms_are_found_in_one_place():
    text = "Ada met Ada"
    held = Terms(["Ada"], {}, text).find(text)
    assert [place is None for place in look_up("Ada alone", held)] == [False, True]


# ---------------------------------------------------------------- the plain way, which takes long for many


def _plain(term):
    """A term between ends of words, as a pattern; white space in it may be any."""
    before, after = ("{}[^\\W京中])" if _joins(character) else "" for character in (term[0], term[-1]))
    return before.format("(?<!") + r"\s+".join(map(re.escape, term.split())) + after.format("(?!")


def _joins(character):
    return (character.isalnum() or character == "_") and not is_unspaced(character)


def _found_plainly(text, terms):
    ordered = sorted(terms, key=len, reverse=True)
    by_lower = {term.lower(): term for term in terms}
    found = []
    for match in re.finditer("|".join(map(_plain, ordered)), text, re.IGNORECASE):
        written = " ".join(match[0].split())
        term = written if written in terms else by_lower.get(written.lower())
        if term is not None and (term == written or term.islower() or written.isupper()):
            found.append((Span(*match.span()), term))
    return found


def _looked_up_plainly(text, held):
    places = []
    for each in held:
        flags = re.NOFLAG if each.exact else re.IGNORECASE
        spans = [Span(*match.span()) for match in re.finditer(_plain(each.text), text, flags)]
        places.append(next((s for s in spans if not any(_touch(s, p) for p in places if p)), None))
    return places


def _touch(a, b):
    return a.start < b.end and b.start < a.end


_TEXTS = st.text(st.sampled_from("aAbBσΣς \n.-_'京中"), max_size=40)


@st.composite
def _texts_with_words(draw):
    """A text, and words of which most are somewhere in it, in the same letters or in small ones."""
    text = draw(_TEXTS)
    places = st.tuples(st.integers(0, len(text)), st.integers(1, 8))
    own = places.map(lambda place: text[place[0] : sum(place)])
    words = (own | own.map(str.lower) | _TEXTS).map(lambda word: " ".join(word[:8].split()) or "a")
    return text, draw(st.lists(words, min_size=1, max_size=12, unique=True))


@given(_texts_with_words())
def test_terms_are_found_as_in_the_plain_way(made):
    text, terms = made
    found = Terms(terms, {}, text).find(text)
    assert [(each.span, each.term) for each in found if each.term is not None] == _found_plainly(text, terms)


@given(_texts_with_words(), st.data())
def test_words_are_looked_up_as_in_the_plain_way(made, data):
    text, words = made
    chosen = data.draw(st.lists(st.tuples(st.sampled_from(words), st.booleans()), max_size=12))
    held = [Held(Span(0, 1), word, exact=exact) for word, exact in chosen]
    assert look_up(text, held) == _looked_up_plainly(text, held)


# ---------------------------------------------------------------- time


def _seconds(work):
    taken = []
    for _ in range(4):
        start = time.thread_time()
        work()
        taken.append(time.thread_time() - start)
    return min(taken)


def _grows_by_length(work, size):
    """Whether twice as much takes less than three times as long; with the square it takes four times."""
    return any(_seconds(lambda: work(2 * size)) < 3 * _seconds(lambda: work(size)) + 0.001 for _ in range(10))


@pytest.mark.parametrize("unit", ["a", "_", "1.", "a@", "@a", "{a}", "www.", "http://"])
def test_finding_takes_time_by_length_alone(unit):
    def find(size):
        text = unit * (size // len(unit)) + "!x"
        Terms(["b c"], {"a": "b"}, text).find(text)

    assert _grows_by_length(find, 10_000)


def test_looking_up_takes_time_by_length_alone():
    def look(size):
        held = [Held(Span(0, 1), "@jo") for _ in range(size)]
        look_up("@jo " * size, held)

    assert _grows_by_length(look, 300)


def test_a_glossary_of_thousands_of_terms_takes_no_longer_than_their_letters():
    glossary = {f"word{i} no{i}": f"mot{i}" for i in range(3000)}
    text = ". ".join(glossary)
    start = time.thread_time()
    found = Terms([], glossary, text).find(text)
    assert len(found) == 3000
    assert (
        time.thread_time() - start < 5
    )  # takes 0.1 s; with a pattern of them all, compiling alone takes 20 s
