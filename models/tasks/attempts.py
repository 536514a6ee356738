"""Sentences translated, checked, and where something is wrong translated once more in other ways.

What is held (terms, inline code, addresses) goes through the model as a mask. A sentence that lost a word
that was held is also tried with the word itself, and one with a wrong fact (a day, a country, a number) with
what the fact is called in the target language in its source. Of all attempts at a sentence the best is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from models.checks.flag import Flag, any_error, penalty
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.registry import TRANSLATION_CHECKS, run
from models.checks.translation.facts import right_forms
from models.checks.translation.form import REPETITION
from models.cooperative import Cooperative
from models.errors import DeadlineExceeded, EngineFailed, InvalidInput
from models.tasks.doubt import confidence_of, doubtful, is_fitted
from models.tasks.hypothesis import OTHER_BEAMS, Ask, Hypotheses, Hypothesis, Search
from models.tasks.route import Hop
from models.tasks.sentence import Sentence
from models.tasks.steps import Event, Steps, Together
from models.tasks.translation import Recollection
from models.text.span import Span
from models.text.terms import Masked, Unmasked, is_free, look_up, masks_in, unmask

_LOST, _UNFINISHED, _MASK_LEFT = 3.0, 4.0, 6.0
"""The cost of each for an attempt, beside what the checks find, in the unit of `penalty`."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One translation of a sentence, and what can be said of it."""

    text: str
    places: tuple[Span | None, ...]
    """The place in `text` of each of the held words; None for one that is lost."""
    complete: bool
    confidence: float | None
    """The chance that it is good, 0 to 1, as `models.confidence` has it; None where an engine gives none."""
    flags: tuple[Flag, ...] = ()
    cost: float = 0.0
    """The lower, the better; 0 if nothing is wrong."""
    doubt: float = 0.0
    """The chance that it is bad all the same, for a model that was fitted."""
    abstained: bool = False
    missing: bool = False
    """True if time ran out before there was one: the text is the source's."""
    again: bool = False
    """True while the sentence is being tried once more."""
    alone: dict[Span, list[str]] = field(default_factory=dict)
    """The translations of the sentence's stretches, each by itself."""
    from_memory: bool = False
    """True if it is what a memory has of the sentence."""
    others: tuple["Attempt", ...] | None = None
    """Other attempts that a reader may like better, best first; None where none were asked for."""


def attempts(
    hypotheses: Hypotheses,
    sentences: Sequence[Sentence],
    min_confidence: float | None,
    event_of: Callable[[int, Attempt], Event],
    *,
    partial: bool = False,
    alternatives: int = 0,
    remembered: Sequence[Recollection] = (),
) -> Steps[list[Attempt]]:
    """Return the best of the attempts at each sentence, with at most so many `alternatives`.

    A sentence in which something is wrong is tried again, in other ways together. The event of a sentence's
    number and attempt is told once there is one, and again if it was tried again. What is `remembered` of a
    sentence, if anything is of any, takes the place of its attempts, and what is near of the first others.
    If time runs out and there are some, `partial` returns them, and the other sentences as they are.
    """
    done: list[Attempt | None] = [None] * len(sentences)

    def steps(i: int, sentence: Sentence) -> Steps[Attempt]:
        yield None
        known = remembered[i] if remembered else Recollection()
        near = [_recalled(sentence, text) for text in known.near]
        if known.text is not None and not sentence.stretches:
            others = tuple(near[:alternatives]) if alternatives else None
            done[i] = finished = replace(_recalled(sentence, known.text), others=others)
            yield event_of(i, finished)
            return finished
        made, alone = yield from _first(hypotheses, sentence, alternatives)
        best, facts = _best(hypotheses.hops, sentence, made)
        others = _others(best, made, alone, alternatives, near)
        done[i] = finished = _finished(hypotheses.hops, sentence, best, alone, others, min_confidence)
        again = bool(facts) or _is_worth_another(best)
        yield event_of(i, replace(finished, again=again))
        if again:
            made += yield from _more(hypotheses, sentence, best, facts)
            best = min(made, key=_badness)
            others = _others(best, made, alone, alternatives, near)
            done[i] = finished = _finished(hypotheses.hops, sentence, best, alone, others, min_confidence)
            yield event_of(i, finished)
        return finished

    try:
        yield Together([steps(i, sentence) for i, sentence in enumerate(sentences)])
    except DeadlineExceeded:
        if not partial or not any(done):
            raise
    return [
        attempt or replace(_as_it_is(sentence), complete=False, missing=True)
        for sentence, attempt in zip(sentences, done, strict=True)
    ]


def _first(
    hypotheses: Hypotheses, sentence: Sentence, alternatives: int
) -> Steps[tuple[list[Attempt], dict[Span, list[str]]]]:
    """Return attempts at the sentence by one search, and its stretches as each is translated by itself."""
    masked, parts = sentence.masked(), sentence.parts()
    asks = [Ask(masked.text, alternatives=alternatives), *(Ask(part.masked().text) for part in parts)]
    done: list[Hypothesis] = yield Together([hypotheses.steps(ask) for ask in asks])
    made = yield from _all(hypotheses.hops, sentence, masked, done[0])
    return made, _alone(sentence, parts, done[1:])


def _best(
    hops: Sequence[Hop], sentence: Sentence, made: Sequence[Attempt]
) -> tuple[Attempt, Sequence[tuple[Span, str]]]:
    """Return the model's own choice, or where that has something wrong the best, and its wrong facts."""
    first, *others = made
    facts = _facts(hops, sentence, first)
    if not others or not (facts or _is_worth_another(first)):
        return first, facts
    best = min(made, key=_badness)
    return best, _facts(hops, sentence, best)


def _others(
    best: Attempt,
    made: Sequence[Attempt],
    alone: dict[Span, list[str]],
    most: int,
    near: Sequence[Attempt],
) -> tuple[Attempt, ...] | None:
    """Return attempts that differ from the best one, those `near` by a memory first.

    The model's have something wrong only where the best one has too.
    """
    if not most:
        return None
    others = {best.text: best}
    for attempt in near:
        others.setdefault(attempt.text, replace(attempt, alone=alone))
    for attempt in sorted(made, key=_badness):
        if _is_worth_another(best) or not _is_worth_another(attempt):
            others.setdefault(attempt.text, replace(attempt, alone=alone))
    return tuple(others.values())[1 : most + 1]


def _more(
    hypotheses: Hypotheses, sentence: Sentence, best: Attempt, facts: Sequence[tuple[Span, str]]
) -> Steps[list[Attempt]]:
    """Return attempts in other ways: all the hypotheses of a beam search for each way."""
    ways = _ways(hypotheses.hops, sentence, best, facts)
    try:
        again: list[Hypothesis] = yield Together([hypotheses.steps(ask) for _, ask in ways])
    except (EngineFailed, InvalidInput):  # of this engine, not of the sentence: it did that before
        return []
    made: list[Attempt] = []
    for (masked, _), hypothesis in zip(ways, again, strict=True):
        made += yield from _all(hypotheses.hops, sentence, masked, hypothesis)
    return made


def _ways(
    hops: Sequence[Hop], sentence: Sentence, best: Attempt, facts: Sequence[tuple[Span, str]]
) -> list[tuple[Masked, Ask]]:
    """Return the texts to try: with `facts`, which were wrong, in their right form, else by another search.

    A model that follows instructions is told the right forms beside the text.

    Both where the translation is a loop, or where a first model would read words of a language that is not
    its target. Where a held word was lost, the text with the words rather than masks is one more.
    """
    masked, told, search = sentence.masked(), sentence.told(facts), _search(best)
    ways = []
    if facts and len(hops) == 1 and hops[0].entry.follows_instructions:
        named = tuple((sentence.text[span.start : span.end], form) for span, form in facts)
        ways.append((masked, Ask(masked.text, facts=named)))
    elif told.text != masked.text:
        ways.append((told, Ask(told.text, alternatives=OTHER_BEAMS - 1)))
    if not ways or search != "other" or len(hops) > 1:
        ways.append((masked, Ask(masked.text, search)))
    if None in best.places:
        unmasked = sentence.unmasked()
        ways.append((unmasked, Ask(unmasked.text)))
    return ways


def _badness(attempt: Attempt) -> float:
    """Return the checks' cost and, for a model that was fitted, the chance that it is bad all the same."""
    return attempt.cost + attempt.doubt


def _facts(hops: Sequence[Hop], sentence: Sentence, attempt: Attempt) -> list[tuple[Span, str]]:
    """Return the places of facts that the attempt got wrong, outside held words, with their right forms."""
    if not any(flag.source is not None for flag in attempt.flags):
        return []
    pair = Pair(Reading(sentence.text, hops[0].source), Reading(attempt.text, hops[-1].target))
    taken = [held.span for held in sentence.held]
    forms = sorted(right_forms(pair, attempt.flags))
    return [
        (span, form)
        for span, form in forms
        if form != sentence.text[span.start : span.end] and is_free(span, taken)
    ]


def _search(attempt: Attempt) -> Search:
    looped = not attempt.complete or any(flag.kind == REPETITION for flag in attempt.flags)
    return "without loops" if looped else "other"


def _is_worth_another(attempt: Attempt) -> bool:
    return any_error(attempt.flags) or not attempt.complete or attempt.cost >= _LOST


def _all(
    hops: Sequence[Hop], sentence: Sentence, masked: Masked, hypothesis: Hypothesis
) -> Cooperative[list[Attempt]]:
    """Return an attempt of the hypothesis, and of each that was ranked below it."""
    made = []
    for each in (hypothesis, *hypothesis.others):
        attempt = yield from _attempt(hops, sentence, masked, each)
        made.append(attempt)
    return made


def _attempt(
    hops: Sequence[Hop], sentence: Sentence, masked: Masked, hypothesis: Hypothesis
) -> Cooperative[Attempt]:
    if any(masked.masks) or not sentence.held:
        result = unmask(hypothesis.text, masked, sentence.held)
    else:
        result = Unmasked(hypothesis.text, tuple(look_up(hypothesis.text, sentence.held)))
    pair = Pair(Reading(sentence.text, hops[0].source), Reading(result.text, hops[-1].target))
    flags = yield from run(TRANSLATION_CHECKS, pair)
    cost = penalty(flags) + _LOST * result.places.count(None)
    cost += 0.0 if hypothesis.complete else _UNFINISHED
    cost += _MASK_LEFT * max(0, masks_in(result.text) - masks_in(sentence.text))
    confidence = confidence_of(hops, pair, hypothesis, flags)
    doubt = 1 - confidence if confidence is not None and is_fitted(hops) else 0.0
    return Attempt(result.text, result.places, hypothesis.complete, confidence, tuple(flags), cost, doubt)


def _finished(
    hops: Sequence[Hop],
    sentence: Sentence,
    attempt: Attempt,
    alone: dict[Span, list[str]],
    others: tuple[Attempt, ...] | None,
    min_confidence: float | None,
) -> Attempt:
    """The attempt with what became of its terms, or the source where the model is not sure enough."""
    if min_confidence is not None and attempt.confidence is not None and attempt.confidence < min_confidence:
        left = _as_it_is(sentence)
        return replace(left, confidence=attempt.confidence, abstained=True, others=others and ())
    whole = Span(0, len(attempt.text))
    doubts = doubtful(hops, attempt.text, attempt.confidence)
    lost = [
        Flag("term", whole, f"“{held.term}” was to be “{held.text}” here.", source=held.span)
        for held, place in zip(sentence.held, attempt.places, strict=True)
        if place is None and held.term is not None
    ]
    return replace(attempt, flags=(*attempt.flags, *lost, *doubts), alone=alone, others=others)


def _as_it_is(sentence: Sentence) -> Attempt:
    """Return the source in place of a translation."""
    places = tuple(
        held.span if sentence.text[held.span.start : held.span.end] == held.text else None
        for held in sentence.held
    )
    return Attempt(sentence.text, places, complete=True, confidence=None)


def _recalled(sentence: Sentence, text: str) -> Attempt:
    """Return what a person made of the sentence, or of one near it."""
    places = tuple(look_up(text, sentence.held))
    return Attempt(text, places, complete=True, confidence=None, from_memory=True)


def _alone(
    sentence: Sentence, parts: Sequence[Sentence], hypotheses: Sequence[Hypothesis]
) -> dict[Span, list[str]]:
    return {
        span: [unmask(hypothesis.text, part.masked(), part.held).text]
        for span, part, hypothesis in zip(sentence.stretches, parts, hypotheses, strict=True)
    }
