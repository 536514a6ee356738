"""Sentences translated, checked, and where something is wrong translated once more in other ways.

What is held (terms, inline code, addresses) goes through the model as a mask. A sentence that lost a word
that was held is also tried with the word itself, and one with a wrong fact (a day, a country, a number) with
what the fact is called in the target language in its source. Of all attempts at a sentence the best is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from models.checks.flag import Flag
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.pauses import Pausing
from models.checks.registry import TRANSLATION_CHECKS, run_pausing
from models.checks.severity import any_error, penalty
from models.checks.translation import repetition
from models.checks.translation.right_forms import right_forms
from models.errors import DeadlineExceeded, EngineFailed, InvalidInput
from models.tasks.doubt import confidence_of, doubtful, is_fitted
from models.tasks.hypothesis import Ask, Hypotheses, Hypothesis, Search
from models.tasks.route import Hop
from models.tasks.steps import Event, Steps, Together
from models.text.span import Span
from models.text.terms import Held, Masked, Unmasked, is_free, look_up, mask, masks_in, unmask

_LOST, _UNFINISHED, _MASK_LEFT = 3.0, 4.0, 6.0
"""The cost of each for an attempt, beside what the checks find, in the unit of `penalty`."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text that is translated in one go."""

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


def attempts(
    hypotheses: Hypotheses,
    sentences: Sequence[Sentence],
    min_confidence: float | None,
    event_of: Callable[[int, Attempt], Event],
    *,
    partial: bool = False,
) -> Steps[list[Attempt]]:
    """Return the best of at most four attempts at each sentence, all but the first made together.

    The event of a sentence's number and attempt is told once there is one, and again if it was tried again.
    If time runs out and there are some, `partial` returns them, and the other sentences as they are.
    """
    done: list[Attempt | None] = [None] * len(sentences)

    def steps(i: int, sentence: Sentence) -> Steps[Attempt]:
        yield None
        best, alone = yield from _first(hypotheses, sentence)
        done[i] = finished = _finished(hypotheses.hops, sentence, best, alone, min_confidence)
        facts = _facts(hypotheses.hops, sentence, best)
        again = bool(facts) or _is_worth_another(best)
        yield event_of(i, replace(finished, again=again))
        if again:
            better = yield from _improved(hypotheses, sentence, best, facts)
            done[i] = finished = _finished(hypotheses.hops, sentence, better, alone, min_confidence)
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


def _first(hypotheses: Hypotheses, sentence: Sentence) -> Steps[tuple[Attempt, dict[Span, list[str]]]]:
    """Return an attempt at the sentence, and each of its stretches as it is translated by itself."""
    masked = mask(sentence.text, sentence.held)
    parts = _stretches(sentence)
    asks = [Ask(masked.text), *(Ask(mask(part.text, part.held).text) for part in parts)]
    done: list[Hypothesis] = yield Together([hypotheses.steps(ask) for ask in asks])
    attempt = yield from _attempt(hypotheses.hops, sentence, masked, done[0])
    return attempt, _alone(sentence, parts, done[1:])


def _improved(
    hypotheses: Hypotheses, sentence: Sentence, best: Attempt, facts: Sequence[tuple[Span, str]]
) -> Steps[Attempt]:
    """Return the best of this attempt, another one, and a third and fourth with the words that were wrong.

    The third has the words that are held rather than masks, where one was lost; the fourth has `facts`, which
    were wrong, in their right form for the target language.
    """
    masked = mask(sentence.text, sentence.held)
    ways = [(masked, Ask(masked.text, _search(best)))]
    if None in best.places:
        unmasked = Masked(_with_words(sentence), ("",) * len(sentence.held))
        ways.append((unmasked, Ask(unmasked.text)))
    told = _with_facts(sentence, masked, facts)
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
    confidence = confidence_of(hops, pair, hypothesis, flags)
    doubt = 1 - confidence if confidence is not None and is_fitted(hops) else 0.0
    return Attempt(result.text, result.places, hypothesis.complete, confidence, tuple(flags), cost, doubt)


def _finished(
    hops: Sequence[Hop],
    sentence: Sentence,
    attempt: Attempt,
    alone: dict[Span, list[str]],
    min_confidence: float | None,
) -> Attempt:
    """The attempt with what became of its terms, or the source where the model is not sure enough."""
    if min_confidence is not None and attempt.confidence is not None and attempt.confidence < min_confidence:
        return replace(_as_it_is(sentence), confidence=attempt.confidence, abstained=True)
    whole = Span(0, len(attempt.text))
    doubts = doubtful(hops, attempt.text, attempt.confidence)
    lost = [
        Flag("term", whole, f"“{held.term}” was to be “{held.text}” here.", source=held.span)
        for held, place in zip(sentence.held, attempt.places, strict=True)
        if place is None and held.term is not None
    ]
    return replace(attempt, flags=(*attempt.flags, *lost, *doubts), alone=alone)


def _as_it_is(sentence: Sentence) -> Attempt:
    """Return the source in place of a translation."""
    places = tuple(
        held.span if sentence.text[held.span.start : held.span.end] == held.text else None
        for held in sentence.held
    )
    return Attempt(sentence.text, places, complete=True, confidence=None)


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
