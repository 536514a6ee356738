"""Texts of thousands of different numbers, names and dates, or of one endless sentence, take little time."""

import random
import time
from collections.abc import Callable

import pytest
from checked import check_summary, check_translation

from models.checks.language.names import are_transliterations
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.translation.form import check_repetition

LIMIT_S = 8.0
"""Of CPU time; they take 0.2 to 2 s, and twice that on busy cores. Comparing each with each, one of the two
took 4.5 s and more on quiet ones."""


def _name(rng: random.Random) -> str:
    return "".join(rng.choice("bcdfglmnprst") + rng.choice("aeiou") for _ in range(3)).capitalize()


def _text(form: str, rng: random.Random) -> str:
    made = {
        "numbers": lambda: f"{rng.randrange(10, 10**6)}",
        "sentences with a number": lambda: f"It sold {rng.randrange(10, 10**6)} cars.",
        "names": lambda: f"met {_name(rng)} {_name(rng)}",
        "names of one beginning": lambda: f"met Bara{_name(rng).lower()} Bera{_name(rng).lower()}",
        "a name without end": lambda: _name(rng),
        "dates": lambda: f"on {rng.randrange(1, 29)} March {rng.randrange(1900, 2020)}",
        "months": lambda: "in March, 3 May",
        "quotations": lambda: f'He said "we will win the {rng.randrange(9999)} game of {_name(rng)}".',
    }[form]
    return " ".join(made() for _ in range(9000))[:60_000]


@pytest.mark.parametrize(
    "form",
    [
        "numbers",
        "sentences with a number",
        "names",
        "names of one beginning",
        "a name without end",
        "dates",
        "months",
        "quotations",
    ],
)
def test_thousands_of_different_things_are_looked_up_and_not_compared_with_each_other(form):
    rng = random.Random(1)
    source, output = _text(form, rng), _text(form, rng)
    start = time.process_time()
    check_summary(source, output, language="en", warnings=True)
    assert time.process_time() - start < LIMIT_S
    start = time.process_time()
    check_translation(source, output, "en", "fr")
    assert time.process_time() - start < LIMIT_S


def _word(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in f"{number:05d}")


def _names(count: int, first: int = 0) -> str:
    return " ".join(f"He met Barbarossabarbarossa{_word(i)} there." for i in range(first, first + count))


def _pairs_of_names(count: int) -> tuple[str, str]:
    source = " ".join(f"Met Bar{_word(i)} Zed{_word(i)}." for i in range(count))
    stated = " and ".join(f"Bar{_word(i)} Zed{_word(i)}" for i in range(count // 2))
    return source, f"It met {stated}."


GROWING: dict[str, tuple[int, float, Callable[[int], tuple[str, str]]]] = {
    "apostrophes": (500, 8, lambda count: ("O'" * 10 * count,) * 2),
    "pairs of names": (40, 24, _pairs_of_names),
    "names nearly alike": (150, 8, lambda count: (_names(count), _names(count, 50_000))),
}
"""How many to begin with, and how many times as long four times as many may take."""


def _time_s(source: str, output: str) -> float:
    start = time.thread_time()
    check_summary(source, output, language="en", warnings=True)
    check_translation(source, output, "en", "fr")
    return time.thread_time() - start


@pytest.mark.parametrize("form", GROWING)
def test_four_times_the_text_takes_no_more_than_its_share(form):
    """Comparing each with each took sixteen times as long, and for pairs of names sixty-four."""
    count, most, text = GROWING[form]
    limit_s = most * max(0.01, min(_time_s(*text(count)) for _ in range(2)))
    assert any(_time_s(*text(4 * count)) < limit_s for _ in range(3))


def _spelling_s(count: int, name: str) -> float:
    start = time.thread_time()
    are_transliterations(name + "iy" * count, name, ("en", "fr"))
    return time.thread_time() - start


def test_the_spelling_of_a_long_name_takes_no_more_than_its_share():
    limit_s = 8 * max(0.01, min(_spelling_s(2000, name) for name in ("Bo", "Ba")))
    assert any(_spelling_s(8000, name) < limit_s for name in ("Bo", "Ba", "Bi"))


SIZE = 60_000
LONG_LINE_S = 10.0
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
    assert time.process_time() - start < LONG_LINE_S


def test_a_loop_far_into_a_long_text_is_found_where_it_is():
    text = " ".join(f"w{i} of the" for i in range(3000)) + " round and about" * 3
    flags = list(check_repetition(Pair(Reading("something else", "en"), Reading(text, "fr"))))
    assert [text[flag.span.start : flag.span.end] for flag in flags] == [("round and about " * 3).strip()]
    assert len(Reading(text, "fr").word_forms) == 9009
