"""Checks of translations on texts of one endless sentence: their time may not grow with its square."""

import time

import pytest
from checked import check_translation

from models.checks.language.reading import Reading, word_forms
from models.checks.pair import Pair
from models.checks.translation import form

SIZE = 60_000
MOST_S = 10.0
"""Process time. The slowest took a fortieth to a fifth of it; with its square, each takes longer."""


@pytest.mark.parametrize(
    "text",
    [
        "." * SIZE,
        "…" * SIZE,
        "%" * SIZE,
        "*" * SIZE,
        "A" * SIZE,
        " ".join(str(7 * i) for i in range(SIZE // 6)),
        " ".join(f"{i % 28 + 1}.{i % 12 + 1}.{1000 + i}" for i in range(SIZE // 9)),
        " ".join(
            f"Aa{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}er Bog{chr(97 + i % 7)}in" for i in range(4000)
        ),
    ],
    ids=["dots", "ellipses", "percent", "stars", "capitals", "numbers", "dates", "names"],
)
def test_a_long_line_is_checked_in_seconds(text):
    start = time.process_time()
    check_translation(f"{text} and so on.", f"Et puis {text[::-1]} est là.", "en", "fr")
    assert time.process_time() - start < MOST_S


def test_a_loop_far_into_a_long_text_is_found_where_it_is():
    text = " ".join(f"w{i} of the" for i in range(3000)) + " round and about" * 3
    flags = list(form.check_repetition(Pair(Reading("something else", "en"), Reading(text, "fr"))))
    assert [text[flag.span.start : flag.span.end] for flag in flags] == [("round and about " * 3).strip()]
    assert len(word_forms(text)) == 9009
