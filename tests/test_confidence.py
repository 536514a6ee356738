"""The chance that a translation is good: by model, with a plain default, and flagged where it is low."""

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalog import Catalog
from models.confidence import Signs, coefficients
from models.languages import Languages
from models.tasks.attempts import Attempt, attempts
from models.tasks.doubt import KIND
from models.tasks.driver import run
from models.tasks.hypothesis import Ask, Hypothesis
from models.tasks.route import Hop
from models.tasks.sentence import Sentence
from models.tasks.steps import Event, Steps
from models.text.span import Span
from models.text.terms import Held

BUNDLED, OTHER = "dragoman/gemma3-270m-translate", "facebook/m2m100_418M"
SOURCE, OUTPUT = "The ministers met in the old town.", "Les ministres se sont réunis dans la vieille ville."


def signs(probability: float, **others: float) -> Signs:
    given = {"tokens": 12, "source_characters_a_token": 4.0, "output_characters_a_token": 4.0}
    given |= {"deviation": 0.0, "penalty": 0.0} | others
    return Signs(log_probability=math.log(probability), **given)


class Said(Event):
    """An attempt that was told of."""


class Fixed:
    """Gives one hypothesis for every text but some, and remembers what it was asked."""

    def __init__(self, model: str, hypothesis: Hypothesis, others: Mapping[str, Hypothesis] | None = None):
        self.hops = [Hop(Catalog.load(Languages.load()).get(model), "en", "fr")]
        self.asked: list[str] = []
        self._hypothesis = hypothesis
        self._others = others or {}

    def steps(self, ask: Ask) -> Steps[Hypothesis]:
        self.asked.append(ask.text)
        yield None
        return self._others.get(ask.text, self._hypothesis)


def attempt(model: str, probability: float | None, min_confidence: float | None = None) -> Attempt:
    fixed = Fixed(model, Hypothesis(OUTPUT, True, probability, tokens=12, source_tokens=8))
    told: list[Attempt] = []

    def event_of(i: int, found: Attempt) -> Event:
        told.append(found)
        return Said()

    done = run(attempts(fixed, [Sentence(SOURCE)], min_confidence, event_of)).unwrap()  # type: ignore[arg-type]
    assert told == done
    return done[0]


def test_a_model_that_was_fitted_flags_what_is_likely_bad():
    good, bad = attempt(BUNDLED, 0.8), attempt(BUNDLED, 0.3)
    assert good.flags == ()
    (flag,) = bad.flags
    assert (flag.kind, flag.severity) == (KIND, "warning")
    assert (flag.span.start, flag.span.end) == (0, len(OUTPUT))
    assert f"{100 * bad.confidence:.0f}" in flag.reason
    assert bad.confidence < coefficients(BUNDLED).doubtful_below < good.confidence


def test_another_model_keeps_its_mean_probability_and_is_never_doubtful():
    assert coefficients(OTHER) is None
    found = attempt(OTHER, 0.01)
    assert (found.confidence, found.flags) == (0.01, ())
    assert attempt(BUNDLED, None).confidence is None


def test_min_confidence_is_a_threshold_on_what_is_told():
    told = attempt(BUNDLED, 0.5).confidence
    assert not attempt(BUNDLED, 0.5, min_confidence=told - 0.01).abstained
    left = attempt(BUNDLED, 0.5, min_confidence=told + 0.01)
    assert (left.abstained, left.text, left.flags) == (True, SOURCE, ())


@pytest.mark.parametrize(
    "worse",
    [
        {"penalty": 3.0},
        {"deviation": 3.0},
        {"deviation": -3.0},
        {"source_characters_a_token": 1.5},
        {"output_characters_a_token": 1.5},
    ],
)
def test_what_counts(worse):
    known = coefficients(BUNDLED)
    plain = known.confidence(signs(0.6))
    assert known.confidence(signs(0.7)) > plain
    assert known.confidence(signs(0.6, **worse)) < plain


@given(
    st.floats(1e-9, 1.0),
    st.integers(0, 5000),
    st.floats(0, 100),
    st.floats(-50, 50),
    st.floats(0, 1000),
)
def test_it_is_a_probability(probability, tokens, characters, deviation, penalty):
    found = signs(
        probability,
        tokens=tokens,
        source_characters_a_token=characters,
        output_characters_a_token=characters,
        deviation=deviation,
        penalty=penalty,
    )
    assert 0 <= coefficients(BUNDLED).confidence(found) <= 1


WRONG = Hypothesis("L'Autriche a vu QX7 mercredi.", True, 0.8, tokens=9, source_tokens=8)
TOLD = "Allemagne saw QX7 on mardi."


def repaired(told: Hypothesis) -> tuple[Fixed, Attempt]:
    """A sentence with a held word, whose first translation has the wrong country and day."""
    fixed = Fixed(BUNDLED, WRONG, {TOLD: told})
    sentence = Sentence("Germany saw Ana on Tuesday.", (Held(Span(12, 15), "Ana", "Ana"),))
    done = run(attempts(fixed, [sentence], None, lambda i, found: Said())).unwrap()  # type: ignore[arg-type]
    return fixed, done[0]


def test_wrong_facts_are_told_to_the_model_in_their_right_form():
    told = Hypothesis("L'Allemagne a vu QX7 mardi.", True, 0.8, tokens=9, source_tokens=8)
    fixed, found = repaired(told)
    assert TOLD in fixed.asked
    assert found.text == "L'Allemagne a vu Ana mardi."
    assert (found.flags, found.places) == ((), (Span(17, 20),))


def test_an_attempt_that_mends_a_fact_and_is_no_translation_is_not_kept():
    told = Hypothesis(
        "Allemagne saw QX7 on mardi on mardi on mardi on mardi.", True, 0.1, tokens=20, source_tokens=8
    )
    assert "mardi on" not in repaired(told)[1].text
