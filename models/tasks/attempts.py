"""Sentences translated, checked, and where something is wrong translated once more in another way.

What is held (terms, inline code, addresses) goes through the model as a mask. A sentence that lost a word
that was held is also tried with the word itself. Of all attempts at a sentence the best is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from models.checks.flag import Flag
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.pauses import Pausing, finish
from models.checks.registry import TRANSLATION_CHECKS, run_pausing
from models.checks.severity import any_error, penalty
from models.checks.translation import repetition
from models.pool import ModelPool
from models.tasks.hypothesis import Ask, Hypothesis, OnDone, Search, translate
from models.tasks.route import Hop
from models.tasks.steps import Steps
from models.tasks.usage import Usage
from models.text.span import Span
from models.text.terms import Held, Masked, Unmasked, look_up, mask, masks_in, unmask, without_masks

_LOST, _UNFINISHED, _MASK_LEFT = 3.0, 4.0, 6.0
"""What each costs an attempt beside what the checks find, in the unit of `penalty`."""


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
    flags: tuple[Flag, ...] = ()
    cost: float = 0.0
    """The lower, the better; 0 if nothing is wrong."""
    abstained: bool = False
    alone: dict[Span, list[str]] = field(default_factory=dict)
    """What each of the sentence's stretches is called in the target language."""


OnAttempt = Callable[[int, Attempt], None]
"""Told of a sentence, by its number, once there is an attempt at it; again, if a later one may be better."""


def translate_checked(
    pool: ModelPool,
    hops: Sequence[Hop],
    sentences: Sequence[Sentence],
    min_confidence: float | None,
    on_attempt: OnAttempt | None = None,
) -> Steps[tuple[list[Attempt], Usage]]:
    """The best of at most three attempts at each sentence, the second and third in one round.

    Pauses after each sentence's work, and within its checks.
    """
    masked: list[Masked] = []
    parts: list[list[Sentence]] = []
    for sentence in sentences:
        masked.append(mask(sentence.text, sentence.held))
        parts.append(_stretches(sentence))
        yield None
    asks = [Ask(each.text) for each in masked]
    asks += [Ask(mask(part.text, part.held).text) for part in chain.from_iterable(parts)]

    def tell(i: int, hypothesis: Hypothesis) -> None:
        if on_attempt is not None and i < len(sentences):
            attempt = finish(_attempt(hops, sentences[i], masked[i], hypothesis))
            on_attempt(i, _finished(sentences[i], attempt, {}, min_confidence))

    done, usage = yield from _translate_live(pool, hops, asks, tell if on_attempt is not None else None)
    names = iter(done[len(sentences) :])
    best: list[Attempt] = []
    alone: list[dict[Span, list[str]]] = []
    for sentence, own, each, hypothesis in zip(sentences, masked, parts, done[: len(sentences)], strict=True):
        best.append((yield from _attempt(hops, sentence, own, hypothesis)))
        alone.append(_alone(sentence, each, names))

    wrong = [i for i, attempt in enumerate(best) if _is_worth_another(attempt)]
    if wrong:
        usage += yield from _improve(pool, hops, sentences, best, wrong)
    finished = [
        _finished(sentence, attempt, names_of, min_confidence)
        for sentence, attempt, names_of in zip(sentences, best, alone, strict=True)
    ]
    if on_attempt is not None:
        for i in wrong:
            on_attempt(i, finished[i])
    return finished, usage


def _improve(
    pool: ModelPool,
    hops: Sequence[Hop],
    sentences: Sequence[Sentence],
    best: list[Attempt],
    wrong: Sequence[int],
) -> Steps[Usage]:
    """Another attempt at the sentences numbered in `wrong`, and a third where a held word was lost.

    Puts what is better into `best`.
    """
    ways = [(i, mask(sentences[i].text, sentences[i].held), _search(best[i])) for i in wrong]
    lost = [i for i in wrong if None in best[i].places]
    unmasked = [Masked(_with_words(sentences[i]), ("",) * len(sentences[i].held)) for i in lost]
    ways += [(i, masked, "own") for i, masked in zip(lost, unmasked, strict=True)]
    asks = [Ask(masked.text, search) for _, masked, search in ways]
    again, usage = yield from _translate_live(pool, hops, asks)
    for (i, masked, _), hypothesis in zip(ways, again, strict=True):
        other = yield from _attempt(hops, sentences[i], masked, hypothesis)
        best[i] = min(best[i], other, key=lambda attempt: attempt.cost)
    return usage


def _search(attempt: Attempt) -> Search:
    looped = not attempt.complete or any(flag.kind == repetition.KIND for flag in attempt.flags)
    return "without loops" if looped else "other"


def _is_worth_another(attempt: Attempt) -> bool:
    return any_error(attempt.flags) or not attempt.complete or attempt.cost >= _LOST


def _translate_live(
    pool: ModelPool, hops: Sequence[Hop], asks: Sequence[Ask], on_done: OnDone | None = None
) -> Steps[tuple[list[Hypothesis], Usage]]:
    """Translate each different text once, and pass over those that have nothing to translate but masks."""
    places: dict[Ask, list[int]] = {}
    for i, ask in enumerate(asks):
        if _has_words(ask.text):
            places.setdefault(ask, []).append(i)
    live = list(places)

    def tell(i: int, hypothesis: Hypothesis) -> None:
        if on_done is not None:
            for place in places[live[i]]:
                on_done(place, hypothesis)

    done, usage = yield from translate(pool, hops, live, tell if on_done is not None else None)
    found = dict(zip(live, done, strict=True))
    return [found.get(ask, Hypothesis(ask.text, True, None)) for ask in asks], usage


def _has_words(text: str) -> bool:
    return any(character.isalpha() for character in without_masks(text))


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
    return Attempt(result.text, result.places, hypothesis.complete, hypothesis.confidence, tuple(flags), cost)


def _finished(
    sentence: Sentence, attempt: Attempt, alone: dict[Span, list[str]], min_confidence: float | None
) -> Attempt:
    """The attempt with what became of its terms, or the source where the model is not sure enough."""
    if min_confidence is not None and attempt.confidence is not None and attempt.confidence < min_confidence:
        places = tuple(
            held.span if sentence.text[held.span.start : held.span.end] == held.text else None
            for held in sentence.held
        )
        return Attempt(sentence.text, places, True, attempt.confidence, abstained=True)
    whole = Span(0, len(attempt.text))
    lost = [
        Flag("term", whole, f"“{held.term}” was to be “{held.text}” here.", source=held.span)
        for held, place in zip(sentence.held, attempt.places, strict=True)
        if place is None and held.term is not None
    ]
    return replace(attempt, flags=(*attempt.flags, *lost), alone=alone)


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
    sentence: Sentence, parts: Sequence[Sentence], hypotheses: Iterator[Hypothesis]
) -> dict[Span, list[str]]:
    """What each stretch became by itself; takes one hypothesis for each."""
    return {
        span: [unmask(next(hypotheses).text, mask(part.text, part.held), part.held).text]
        for span, part in zip(sentence.stretches, parts, strict=True)
    }


def _with_words(sentence: Sentence) -> str:
    """The sentence with the held words' translations in it, rather than masks."""
    parts, end = [], 0
    for held in sentence.held:
        parts += [sentence.text[end : held.span.start], held.text]
        end = held.span.end
    return "".join([*parts, sentence.text[end:]])
