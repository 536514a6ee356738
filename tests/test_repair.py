"""A sentence that is tried again: how often a model is asked for it, and which of its hypotheses is kept."""

from dataclasses import replace

from test_confidence import BUNDLED, TOLD, WRONG, Fixed, Said

from models.driver import run
from models.steps import Steps
from models.text.span import Span
from models.text.terms import Held
from models.translate.sentence import OTHER_BEAMS, Candidate, Sentence, Source

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


def test_a_wrong_fact_costs_one_more_search_with_beams() -> None:
    asked = Asked(WRONG, {TOLD: [replace(WRONG, text="L'Allemagne a vu QX7 mardi.")]})
    assert best(asked).text == "L'Allemagne a vu Ana mardi."
    masks = ("QX7",)
    assert asked.asks == [Source(MASKED, masks), Source(TOLD, masks, alternatives=OTHER_BEAMS - 1)]


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
