"""Texts of thousands of different numbers, names, dates and quotations take the checks little time."""

import random
import time
from collections.abc import Callable

import pytest

from models.checks.report import check_summary
from models.checks.report_translation import check_translation

LIMIT_S = 4.0
"""Of CPU time; they take 0.2 to 1.5 s. Comparing each with each, one of the two took 4.5 s and more for any
of these texts."""


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
    return (
        source,
        f"It met {' and '.join(f'Bar{_word(3 * i)} Zed{_word(3 * i)}' for i in range(count // 6))}.",
    )


def _false_quotations(count: int) -> tuple[str, str]:
    return "He said we will win it all " * count, " ".join(f'"we {_word(i)} will"' for i in range(count))


def _addresses(count: int) -> tuple[str, str]:
    return (f"See http://a.org/{')' * 100 * count} now.",) * 2


GROWING: dict[str, Callable[[int], tuple[str, str]]] = {
    "apostrophes": lambda count: ("O'" * 10 * count,) * 2,
    "pairs of names": _pairs_of_names,
    "names nearly alike": lambda count: (_names(count), _names(count, 50_000)),
    "false quotations": _false_quotations,
    "brackets after an address": _addresses,
    "groups of two digits": lambda count: ("10," * 20 * count,) * 2,
    "a word of many letters in a name": lambda count: (
        "He met John Smith.",
        f"He met Smith B{'aoe' * 20 * count}.",
    ),
}


def _time_s(source: str, output: str) -> float:
    start = time.thread_time()
    check_summary(source, output, language="en", warnings=True)
    check_translation(source, output, "en", "fr")
    return time.thread_time() - start


@pytest.mark.parametrize("form", GROWING)
def test_four_times_the_text_takes_four_times_the_time(form):
    """It was ten to sixty times for each of these; the limit is twice what it should be."""
    size = 100
    short = min(_time_s(*GROWING[form](size)) for _ in range(3))
    while short < 0.02:
        size *= 2
        short = min(_time_s(*GROWING[form](size)) for _ in range(3))
    limit_s = 8 * short
    assert any(_time_s(*GROWING[form](4 * size)) < limit_s for _ in range(3))
