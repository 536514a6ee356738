"""Punctuation as it is fed: equal to Moses' normalizer, and in forms that a vocabulary has."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacremoses import MosesPunctNormalizer

from models.text.punctuation import normalized, spelled
from models.text.span import Span
from models.text.terms import MASKS, Held, unmask

PIECES = ["nº", "cm", "ºC", "´´", "''", " %", " :", "\u00a0", *"\r()`„“”–—´‘’‚…«» .,:;!?%'\"<a7º\n\t"]
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.text(max_size=20))


@settings(max_examples=500)
@given(text=TEXTS, language=st.sampled_from(["en", "de", "fr", "es", "cs", "ru"]))
def test_it_is_moses_normalizer(text, language):
    assert normalized(text, language) == MosesPunctNormalizer(language, norm_numbers=False).normalize(text)


@pytest.mark.parametrize(
    ("text", "language", "fed"),
    [
        ("“We can’t wait,” she said.", "en", '"We can\'t wait," she said.'),
        ("„Wir gehen“, sagte er …", "de", '"Wir gehen", sagte er ...'),
        ("« Non » : c’est fini\u00a0!", "fr", '" Non ": c\'est fini!'),
        ("It costs 10\u00a0000 euros", "en", "It costs 10\u00a0000 euros"),
        ("Nothing to do here.", "en", "Nothing to do here."),
    ],
)
def test_what_becomes_of_news(text, language, fed):
    assert normalized(text, language) == fed


def test_a_run_of_full_stops_takes_linear_time():
    text = "“a” " + "." * 200_000
    before = time.process_time()
    assert normalized(text, "de").endswith("....")
    assert time.process_time() - before < 2


@pytest.mark.parametrize("mask", MASKS)
def test_masks_of_held_terms_stay(mask):
    text = f"“{mask}” – the {mask}’s ({mask}), {mask}\u00a02019 and {mask} %…"
    for fed in (normalized(text, "en"), spelled(text, LETTERS)):
        assert unmask(fed, (mask,), [Held(Span(0, 1), "☃")])[0].count("☃") == 5


LETTERS = dict.fromkeys("abcdefghijklmnopqrstuvwxyzLSEUR0123456789\"'-.▁", 0)


@pytest.mark.parametrize(
    ("text", "fed"),
    [
        ("“so” – ‘he’", "\"so\" - 'he'"),
        ("a— b", "a -  b"),
        ("€5", " EUR 5"),
        ("Łódź, Şahin", "Lodz, Sahin"),
        ("£5 日", "£5 日"),
        ("plain", "plain"),
    ],
)
def test_what_a_vocabulary_lacks_is_spelled_as_it_can_be(text, fed):
    assert spelled(text, LETTERS) == fed


def test_what_begins_words_alone_is_kept_where_a_word_begins():
    assert spelled("a – b 1990–2000", {**LETTERS, "▁–": 1}) == "a – b 1990-2000"
