"""Sentences translated, checked, and where something is wrong translated once more in other ways.

What is held (terms, inline code, addresses) goes through the model as a mask. A sentence that lost a word
that was held is also tried with the word itself, and one with a wrong fact (a day, a country, a number) with
what the fact is called in the target language in its source. Of all attempts at a sentence the best is kept.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from models.checks.flag import Flag
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.pauses import Pausing
from models.checks.registry import TRANSLATION_CHECKS, run_pausing
from models.checks.severity import any_error, penalty
from models.checks.translation import repetition
from models.checks.translation.length import deviations, size
from models.checks.translation.right_forms import right_forms
from models.confidence import Coefficients, Signs, coefficients
from models.errors import EngineFailed, InvalidInput
from models.tasks.hypothesis import Ask, Hypotheses, Hypothesis, Search
from models.tasks.route import Hop
from models.tasks.steps import Event, Steps, Together
from models.text.span import Span
from models.text.terms import Held, Masked, Unmasked, is_free, look_up, mask, masks_in, unmask

_LOST, _UNFINISHED, _MASK_LEFT = 3.0, 4.0, 6.0
"""What each costs an attempt beside what the checks find, in the unit of `penalty`."""
DOUBTFUL = "doubtful"
"""The flag of a sentence that is likelier bad than its model's threshold allows."""
_LEAST_PROBABILITY = 1e-9


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is translated in one go."""

    text: str
    held: tuple[Held, ...] = ()
    """In order, by their places in `text`."""
    stretches: tuple[Span, ...] = ()
    """Parts of it whose own translation is wanted as well, to find them again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One translation of a sentence, and what can be said of it."""

    text: str
    places: tuple[Span | None, ...]
    """Where in `text` each of the held words stands; None for one that is lost."""
    complete: bool
    confidence: float | None
    """The chance that it is good, 0 to 1, as `models.confidence` has it; None where an engine gives none."""
    flags: tuple[Flag, ...] = ()
    cost: float = 0.0
    """The lower, the better; 0 if nothing is wrong."""
    doubt: float = 0.0
    """The chance that it is bad all the same, for a model that was fitted."""
    abstained: bool = False
    alone: dict[Span, list[str]] = field(default_factory=dict)
    """What each of the sentence's stretches is called in the target language."""


def attempts(
    hypotheses: Hypotheses,
    sentences: Sequence[Sentence],
    min_confidence: float | None,
    event_of: Callable[[int, Attempt], Event],
) -> Steps[list[Attempt]]:
    """Return the best of at most three attempts at each sentence, the second and third made together.

    The event of a sentence's number and attempt is told once there is one, and again if it was tried again.
    """

    known = _coefficients(hypotheses.hops)
    doubtful_below = None if known is None else known.doubtful_below

    def steps(i: int, sentence: Sentence) -> Steps[Attempt]:
        yield None
        best, alone = yield from _first(hypotheses, sentence)
        finished = _finished(sentence, best, alone, min_confidence, doubtful_below)
        yield event_of(i, finished)
        if _is_worth_another(best) or _facts(hypotheses.hops, sentence, best):
            better = yield from _improved(hypotheses, sentence, best)
            finished = _finished(sentence, better, alone, min_confidence, doubtful_below)
            yield event_of(i, finished)
        return finished

    done: list[Attempt] = yield Together([steps(i, sentence) for i, sentence in enumerate(sentences)])
    return done


def _first(hypotheses: Hypotheses, sentence: Sentence) -> Steps[tuple[Attempt, dict[Span, list[str]]]]:
    """Return an attempt at the sentence, and each of its stretches as it is translated by itself."""
    masked = mask(sentence.text, sentence.held)
    parts = _stretches(sentence)
    asks = [Ask(masked.text), *(Ask(mask(part.text, part.held).text) for part in parts)]
    done: list[Hypothesis] = yield Together([hypotheses.steps(ask) for ask in asks])
    attempt = yield from _attempt(hypotheses.hops, sentence, masked, done[0])
    return attempt, _alone(sentence, parts, done[1:])


def _improved(hypotheses: Hypotheses, sentence: Sentence, best: Attempt) -> Steps[Attempt]:
    """Return the best of this attempt, another one, and a third and fourth with the words that were wrong.

    The third has the words that are held rather than masks, where one was lost; the fourth has the facts that
    were wrong in their right form for the target language.
    """
    masked = mask(sentence.text, sentence.held)
    ways = [(masked, Ask(masked.text, _search(best)))]
    if None in best.places:
        unmasked = Masked(_with_words(sentence), ("",) * len(sentence.held))
        ways.append((unmasked, Ask(unmasked.text)))
    told = _with_facts(sentence, masked, _facts(hypotheses.hops, sentence, best))
    if told.text != masked.text:
        ways.append((told, Ask(told.text)))
    try:
        again: list[Hypothesis] = yield Together([hypotheses.steps(ask) for _, ask in ways])
    except (EngineFailed, InvalidInput):  # of this engine, not of the sentence: it did that before
        return best
    for (own, _), hypothesis in zip(ways, again, strict=True):
        other = yield from _attempt(hypotheses.hops, sentence, own, hypothesis)
        best = min(best, other, key=_badness)
    return best


def _badness(attempt: Attempt) -> float:
    """What the checks found and, for a model that was fitted, the chance that it is bad all the same."""
    return attempt.cost + attempt.doubt


def _facts(hops: Sequence[Hop], sentence: Sentence, attempt: Attempt) -> list[tuple[Span, str]]:
    """The places of facts that the attempt got wrong, apart from what is held, with their right forms."""
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


def _with_facts(sentence: Sentence, masked: Masked, facts: Sequence[tuple[Span, str]]) -> Masked:
    """The sentence with masks for what is held, as in `masked`, and the facts' right forms."""
    held = zip(sentence.held, masked.masks, strict=True)
    others = sorted([*((each.span, name or each.text) for each, name in held), *facts])
    parts, end = [], 0
    for span, word in others:
        parts += [sentence.text[end : span.start], word]
        end = span.end
    return Masked("".join([*parts, sentence.text[end:]]), masked.masks)


def _search(attempt: Attempt) -> Search:
    looped = not attempt.complete or any(flag.kind == repetition.KIND for flag in attempt.flags)
    return "without loops" if looped else "other"


def _is_worth_another(attempt: Attempt) -> bool:
    return any_error(attempt.flags) or not attempt.complete or attempt.cost >= _LOST


def _attempt(
    hops: Sequence[Hop], sentence: Sentence, masked: Masked, hypothesis: Hypothesis
) -> Pausing[Attempt]:
    if any(masked.masks) or not sentence.held:
        result = unmask(hypothesis.text, masked, sentence.held)
    else:
        result = Unmasked(hypothesis.text, tuple(look_up(hypothesis.text, sentence.held)))
    pair = Pair(Reading(sentence.text, hops[0].source), Reading(result.text, hops[-1].target))
    flags = yield from run_pausing(TRANSLATION_CHECKS, pair)
    cost = penalty(flags) + _LOST * result.places.count(None)
    cost += 0.0 if hypothesis.complete else _UNFINISHED
    cost += _MASK_LEFT * max(0, masks_in(result.text) - masks_in(sentence.text))
    confidence = _confidence(hops, signs_of(pair, hypothesis, penalty(flags)), hypothesis.confidence)
    doubt = 0.0 if confidence is None or _coefficients(hops) is None else 1 - confidence
    return Attempt(result.text, result.places, hypothesis.complete, confidence, tuple(flags), cost, doubt)


def signs_of(pair: Pair, hypothesis: Hypothesis, flags_cost: float) -> Signs:
    """Return what tells how good the hypothesis is. `flags_cost` is the `penalty` of its flags."""
    source, output = size(pair.source.text), size(pair.output.text)
    return Signs(
        log_probability=math.log(max(_LEAST_PROBABILITY, hypothesis.confidence or 0.0)),
        tokens=hypothesis.tokens,
        characters_a_token=len(pair.source.text) / max(1, hypothesis.source_tokens),
        deviation=deviations(max(1, source), output, pair.source.language, pair.output.language),
        penalty=flags_cost,
    )


def _confidence(hops: Sequence[Hop], signs: Signs, mean_probability: float | None) -> float | None:
    """The chance that the translation is good, or for a model that was not fitted the mean probability."""
    known = _coefficients(hops)
    if known is None or mean_probability is None:
        return mean_probability
    return known.confidence(signs, hops[0].source, hops[-1].target)


def _coefficients(hops: Sequence[Hop]) -> Coefficients | None:
    return coefficients(hops[0].entry.name) if len(hops) == 1 else None


def _finished(
    sentence: Sentence,
    attempt: Attempt,
    alone: dict[Span, list[str]],
    min_confidence: float | None,
    doubtful_below: float | None,
) -> Attempt:
    """The attempt with what became of its terms, or the source where the model is not sure enough."""
    if min_confidence is not None and attempt.confidence is not None and attempt.confidence < min_confidence:
        places = tuple(
            held.span if sentence.text[held.span.start : held.span.end] == held.text else None
            for held in sentence.held
        )
        return Attempt(sentence.text, places, True, attempt.confidence, abstained=True)
    whole = Span(0, len(attempt.text))
    doubts = () if doubtful_below is None else tuple(_doubts(attempt, doubtful_below))
    lost = [
        Flag("term", whole, f"“{held.term}” was to be “{held.text}” here.", source=held.span)
        for held, place in zip(sentence.held, attempt.places, strict=True)
        if place is None and held.term is not None
    ]
    return replace(attempt, flags=(*attempt.flags, *lost, *doubts), alone=alone)


def _doubts(attempt: Attempt, below: float) -> Iterator[Flag]:
    if attempt.confidence is not None and attempt.confidence < below:
        chance = round(100 * attempt.confidence)
        reason = f"The model is not sure of this: of 100 such sentences about {chance} are translated well."
        yield Flag(DOUBTFUL, Span(0, len(attempt.text)), reason, "warning")


def _stretches(sentence: Sentence) -> list[Sentence]:
    """Each stretch as a sentence of its own."""
    return [Sentence(sentence.text[s.start : s.end], _within(sentence.held, s)) for s in sentence.stretches]


def _within(held: Sequence[Held], span: Span) -> tuple[Held, ...]:
    return tuple(
        replace(h, span=Span(h.span.start - span.start, h.span.end - span.start))
        for h in held
        if span.start <= h.span.start and h.span.end <= span.end
    )


def _alone(
    sentence: Sentence, parts: Sequence[Sentence], hypotheses: Sequence[Hypothesis]
) -> dict[Span, list[str]]:
    return {
        span: [unmask(hypothesis.text, mask(part.text, part.held), part.held).text]
        for span, part, hypothesis in zip(sentence.stretches, parts, hypotheses, strict=True)
    }


def _with_words(sentence: Sentence) -> str:
    """The sentence with the held words' translations in it, rather than masks."""
    parts, end = [], 0
    for held in sentence.held:
        parts += [sentence.text[end : held.span.start], held.text]
        end = held.span.end
    return "".join([*parts, sentence.text[end:]])
