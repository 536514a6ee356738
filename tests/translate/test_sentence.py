"""A sentence's translation: how sure it is, when it is tried again, and which of the candidates is kept."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalog import Catalog
from models.checks.flag import Flag
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.driver import run
from models.languages import Languages
from models.pool import ModelPool
from models.steps import Event, Steps
from models.text.span import Span
from models.text.terms import Held
from models.translate.confidence import (
    KIND,
    Scores,
    coefficients,
    likely_right,
    scored_words,
    signs_of,
)
from models.translate.route import Hop
from models.translate.sentence import OTHER_BEAMS, Candidate, Sentence, SentenceTranslator, Source

BUNDLED, OTHER = "dragoman/gemma3-270m-translate", "facebook/m2m100_418M"
SOURCE, OUTPUT = "The ministers met in the old town.", "Les ministres se sont réunis dans la vieille ville."


class Said(Event):
    """A candidate that was told of."""


class Fixed(SentenceTranslator):
    """Gives one translation of every text but some, and remembers what it was asked."""

    def __init__(
        self,
        model: str,
        candidate: Candidate,
        others: Mapping[str, list[Candidate]] | None = None,
        min_confidence: float | None = None,
    ):
        hops = [Hop(Catalog.load(Languages.load()).get(model), "en", "fr")]
        super().__init__(cast(ModelPool, None), hops, min_confidence=min_confidence, quality="fast")
        self.asked: list[str] = []
        self._candidate = candidate
        self._others = others or {}

    def generate(self, source: Source) -> Steps[list[Candidate]]:
        self.asked.append(source.text)
        yield None
        return self._others.get(source.text, [self._candidate])


def scores(probability: float = 0.6, tokens: int = 12, source_tokens: int = 8, **more: Any) -> Scores:
    """Scores of an output, given the geometric mean of its tokens' probabilities."""
    total = math.log(max(probability, 1e-9)) * (tokens + 1)
    return Scores(total, tokens, source_tokens, **({"rarity": 8.0} | more))


def attempt(
    model: str, probability: float | None, min_confidence: float | None = None, **more: Any
) -> Candidate:
    candidate = Candidate(OUTPUT, True, None if probability is None else scores(probability, **more))
    fixed = Fixed(model, candidate, min_confidence=min_confidence)
    told: list[Candidate] = []

    def event_of(i: int, found: Candidate) -> Event:
        told.append(found)
        return Said()

    done = run(fixed.translate([Sentence(SOURCE)], event_of)).unwrap()
    assert told == done
    return done[0]


def test_a_model_that_was_fitted_flags_what_is_likely_bad():
    good, bad = attempt(BUNDLED, 0.9), attempt(BUNDLED, 0.4)
    assert good.flags == ()
    (flag,) = bad.flags
    assert (flag.kind, flag.severity, flag.weakest) == (KIND, "warning", None)
    assert (flag.span.start, flag.span.end) == (0, len(OUTPUT))
    assert flag.reason == f"About {10 * bad.confidence:.0f} of 10 such sentences have no serious error."
    assert bad.confidence < coefficients(BUNDLED).doubtful_below < good.confidence


WORDS = (("Les", -3.0), ("ministres", -0.2), ("QX", -9.0), ("réunis", -1.5), ("vieille", -2.5))


def test_the_weakest_content_words_of_a_doubtful_sentence_are_named_in_the_text_s_order():
    (flag,) = attempt(BUNDLED, 0.4, words=WORDS).flags
    assert [OUTPUT[each.start : each.end] for each in flag.weakest] == ["réunis", "vieille"]
    assert flag.reason.endswith(" Least sure of: réunis, vieille.")


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        ([" mal", "en", "chant", ",", " l", "'", "été"], [("malenchant", -6.0), ("l'été", -18.0)]),
        (["中国", "\n", "的人", "a"], [("中国", -1.0), ("的人", -3.0), ("a", -4.0)]),
        (["12", ".", ""], []),
    ],
)
def test_words_are_as_sure_as_all_their_tokens_together(pieces, found):
    assert list(scored_words(pieces, [-1.0 - i for i in range(len(pieces))])) == found


@pytest.mark.parametrize(
    ("total", "sentences", "told"),
    [
        (7.2, 24, "about 7 of 24 sentences are likely right: compare with the source"),
        (12.0, 24, "about 12 of 24 sentences are likely right"),
        (0.31, 1, "About 3 of 10 such sentences have no serious error: compare with the source"),
        (0.6, 1, "About 6 of 10 such sentences have no serious error"),
        (0.04, 1, "Hardly any such sentence is without a serious error: compare with the source"),
    ],
)
def test_how_much_of_a_text_is_likely_right(total: float, sentences: int, told: str) -> None:
    assert likely_right(total, sentences) == told


def test_a_model_that_nobody_fitted_has_no_confidence():
    assert coefficients(OTHER) is None
    found = attempt(OTHER, 0.01, min_confidence=0.5)
    assert (found.confidence, found.flags, found.text) == (None, (), OUTPUT)
    assert attempt(BUNDLED, None).confidence is None


def test_min_confidence_is_a_threshold_on_what_is_told():
    told = attempt(BUNDLED, 0.5).confidence
    assert not attempt(BUNDLED, 0.5, min_confidence=told - 0.01).abstained
    left = attempt(BUNDLED, 0.5, min_confidence=told + 0.01)
    assert (left.abstained, left.text, left.flags) == (True, SOURCE, ())


def confidence(source: str = SOURCE, output: str = OUTPUT, penalty: int = 0, **given: float) -> float:
    pair = Pair(Reading(source, "en"), Reading(output, "fr"))
    flags = [Flag("number", Span(0, 1), "wrong")] * penalty
    signs = signs_of(pair, flags, scores(**given))
    return coefficients(BUNDLED).confidence(signs)


@pytest.mark.parametrize(
    "worse",
    [
        {"penalty": 3},
        {"words": (("ministres", -9.0),)},
        {"source_tokens": 24},
        {"tokens": 40},
    ],
)
def test_what_counts(worse: dict[str, Any]) -> None:
    assert confidence(probability=0.7) > confidence()
    assert confidence(**worse) < confidence()


@given(
    st.text(max_size=300),
    st.text(max_size=300),
    st.floats(0, 1.0),
    st.integers(0, 5000),
    st.integers(0, 5000),
    st.integers(0, 1000),
)
def test_it_is_a_probability(source, output, probability, tokens, source_tokens, penalty):
    found = confidence(
        source, output, penalty, probability=probability, tokens=tokens, source_tokens=source_tokens
    )
    assert 0 <= found <= 1


WRONG = Candidate("L'Autriche a vu QX7 mercredi.", True, scores(0.8, tokens=9))
TOLD = "Allemagne saw QX7 on mardi."


def repaired(told: Candidate) -> tuple[Fixed, Candidate]:
    """A sentence with a held word, whose first translation has the wrong country and day."""
    fixed = Fixed(BUNDLED, WRONG, {TOLD: [told]})
    sentence = Sentence("Germany saw Ana on Tuesday.", (Held(Span(12, 15), "Ana", "Ana"),))
    done = run(fixed.translate([sentence], lambda i, found: Said())).unwrap()
    return fixed, done[0]


def test_wrong_facts_are_told_to_the_model_in_their_right_form():
    told = Candidate("L'Allemagne a vu QX7 mardi.", True, scores(0.95, tokens=9))
    fixed, found = repaired(told)
    assert TOLD in fixed.asked
    assert found.text == "L'Allemagne a vu Ana mardi."
    assert (found.flags, found.places) == ((), (Span(17, 20),))


def test_an_attempt_that_mends_a_fact_and_is_no_translation_is_not_kept():
    told = Candidate("Allemagne saw QX7 on mardi on mardi on mardi on mardi.", True, scores(0.1, tokens=20))
    assert "mardi on" not in repaired(told)[1].text


# ---------------------------------------------------------------------- tried again

SENTENCE = Sentence("Germany saw Ana on Tuesday.", (Held(Span(12, 15), "Ana", "Ana"),))

MASKED = "Germany saw QX7 on Tuesday."


class Asked(Fixed):
    """Remembers also how it was asked."""

    def __init__(self, *given: object):
        super().__init__(BUNDLED, *given)  # type: ignore[arg-type]
        self.asks: list[Source] = []

    def generate(self, source: Source) -> Steps[list[Candidate]]:
        self.asks.append(source)
        return super().generate(source)


def best(asked: Asked, sentence: Sentence = SENTENCE) -> Candidate:
    (found,) = run(asked.translate([sentence], lambda *_: Said())).unwrap()
    return found


@pytest.mark.parametrize(
    ("quality", "day", "others"),
    [
        ("auto", "mardi", [OTHER_BEAMS - 1]),
        ("fast", "mardi", [0]),
        ("fast", "mercredi", [0, OTHER_BEAMS - 1]),
    ],
)
def test_a_wrong_fact_costs_one_search_with_beams_or_a_greedy_one_that_mends_it(
    quality: Any, day: str, others: list[int]
) -> None:
    asked = Asked(WRONG, {TOLD: [replace(WRONG, text=f"L'Allemagne a vu QX7 {day}.")]})
    asked._quality = quality
    assert best(asked).text == f"L'Allemagne a vu Ana {day}."
    masks = ("QX7",)
    assert asked.asks == [Source(MASKED, masks), *(Source(TOLD, masks, alternatives=n) for n in others)]


def test_the_best_of_all_hypotheses_of_that_search_is_kept() -> None:
    half = replace(WRONG, text="L'Allemagne a vu QX7 mercredi.")
    right = replace(WRONG, text="L'Allemagne a vu QX7 mardi.")
    assert best(Asked(WRONG, {TOLD: [half, half, right]})).text == "L'Allemagne a vu Ana mardi."


def test_an_error_that_no_fact_explains_gets_another_search() -> None:
    wrong = replace(WRONG, text="Les paroles ont couté 13 euros.")
    asked = Asked(wrong)
    best(asked, Sentence("The talks cost 12 euros."))
    assert [ask.search for ask in asked.asks] == ["own", "other"]
    looped = replace(wrong, complete=False)
    asked = Asked(looped)
    best(asked, Sentence("The talks cost 12 euros."))
    assert [ask.search for ask in asked.asks] == ["own", "without loops"]


def test_a_pair_through_english_and_a_loop_get_both_ways() -> None:
    asked = Asked(WRONG)
    asked.hops *= 2
    best(asked)
    assert [(ask.text, ask.search) for ask in asked.asks[1:]] == [(TOLD, "own"), (MASKED, "other")]
    asked = Asked(replace(WRONG, complete=False))
    best(asked)
    assert [(ask.text, ask.search) for ask in asked.asks[1:]] == [(TOLD, "own"), (MASKED, "without loops")]


def test_a_lost_term_gets_its_word_too() -> None:
    asked = Asked(replace(WRONG, text="L'Autriche a vu mercredi."))
    best(asked)
    assert [ask.text for ask in asked.asks[1:]] == [TOLD, "Germany saw Ana on Tuesday."]
