"""Texts through one model after another: each comes out as a hypothesis with what the model thinks of it.

Knows nothing of markup or checks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

from models.codec import Purpose
from models.engine.protocol import Decoding, Generation, Output
from models.loaded import TextModel
from models.pool import ModelPool
from models.tasks.route import Hop
from models.tasks.steps import Call, Steps
from models.tasks.usage import Usage
from models.text.sentences import split_long
from models.text.span import Span
from models.text.terms import without_masks

UNSPACED = {"zh", "zh-Hant", "ja", "yue", "th", "lo", "km", "my"}
"""Languages that put no space between sentences."""

MORE_TOKENS = 3
"""An output may have this many times its source's tokens, and SPARE_TOKENS; then it is a loop."""

SPARE_TOKENS = 32

LEAST_NEW_TOKENS = 128
"""Every segment may have this many, so that most share one limit, and with it a batch."""

OTHER_BEAMS = 4
SERVER_HYPOTHESES = 2
"""A server has no beams, and each hypothesis is a request: its likeliest answer and a sampled one."""
NO_REPEAT = 3
"""So many tokens in a row may not come twice, where a loop is to be avoided."""

Search = Literal["own", "other", "without loops"]
"""The model's own way; for what came out wrong another one, and for what came out as a loop one without."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A text to translate."""

    text: str
    search: Search = "own"
    facts: tuple[tuple[str, str], ...] = ()
    """See `Purpose`."""
    alternatives: int = 0
    """So many other hypotheses are wanted; a greedy search becomes one with beams for it."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A text's translation as the models gave it."""

    text: str
    complete: bool
    """False if a model stopped at its length limit rather than at an end of its own."""
    confidence: float | None
    """The geometric mean of its tokens' probabilities, the least of all models'; None if one gives none."""
    tokens: int = 0
    """How many the last model wrote."""
    source_tokens: int = 0
    """How many it read, beside those that any text gets."""
    others: tuple["Hypothesis", ...] = ()
    """Those that the last model ranks below it, best first; none of a text that went in parts."""


class Hypotheses:
    """Texts of a sentence or a paragraph each through the models of all hops, in order."""

    def __init__(self, pool: ModelPool, hops: Sequence[Hop]):
        self.hops = hops
        self._pool = pool
        self._around: dict[str, int] = {}
        """Tokens of a model's input beside the text's, by the language that it reads."""
        self.has_region = True
        """False once the last model, asked for a region's form of its language, has one form alone."""
        self._generated: dict[Generation, Output] = {}

    def steps(self, ask: Ask) -> Steps[Hypothesis]:
        """Translate one text; one without a word in it stays as it is."""
        if not any(character.isalpha() for character in without_masks(ask.text)):
            return Hypothesis(ask.text, True, None)
        done = Hypothesis(ask.text, True, 1.0)
        for hop in self.hops:
            alternatives = ask.alternatives if hop is self.hops[-1] else 0
            further = yield from self._hop(hop, replace(ask, text=done.text, alternatives=alternatives))
            done = _after(done, further)
        return done

    def usage(self) -> Usage:
        """Count the tokens of all different generations so far."""
        return Usage.of(self._generated.keys(), self._generated.values())

    def _hop(self, hop: Hop, ask: Ask) -> Steps[Hypothesis]:
        """Translate a text with one model; one that is longer than its window goes in parts."""
        purpose = Purpose("translate", hop.source, hop.target, region=hop.region, facts=ask.facts)
        with self._pool.use(hop.entry) as model:
            assert isinstance(model, TextModel)  # noqa: S101 - the task of an entry decides its kind
            if hop.source not in self._around:
                self._around[hop.source] = len(model.codec.encode("", replace(purpose, facts=())))
                self.has_region = hop.region is None or model.codec.has_region(purpose)
            parts = _parts(model, ask, purpose, self._around[hop.source])
            yield None
            outputs: list[Output] = yield Call(model.engine, parts)
            self._generated.update(zip(parts, outputs, strict=True))
            around = self._around[hop.source]
            others = outputs[0].others if len(outputs) == 1 else ()
            return replace(
                _joined(model, hop.target, parts, outputs, around),
                others=tuple(_joined(model, hop.target, parts, [other], around) for other in others),
            )


def _after(first: Hypothesis, second: Hypothesis) -> Hypothesis:
    known = first.confidence is not None and second.confidence is not None
    least = min(first.confidence or 0.0, second.confidence or 0.0) if known else None
    complete = first.complete and second.complete
    others = tuple(_after(first, other) for other in second.others)
    return replace(second, complete=complete, confidence=least, others=others)


def _joined(
    model: TextModel, target: str, generations: Sequence[Generation], outputs: Sequence[Output], around: int
) -> Hypothesis:
    scores = [log_probability(o, g.decoding) for o, g in zip(outputs, generations, strict=True)]
    tokens = sum(len(output.token_ids) + 1 for output in outputs)
    confidence = None
    if all(score is not None for score in scores):
        total = reduce(lambda a, b: a + (b or 0.0), scores, 0.0)
        confidence = math.exp(min(0.0, total / max(1, tokens)))
    return Hypothesis(
        join([model.codec.decode(output.token_ids) for output in outputs], target),
        all(output.finish == "stop" for output in outputs),
        confidence,
        sum(len(output.token_ids) for output in outputs),
        sum(len(generation.source_ids) - around for generation in generations),
    )


def log_probability(output: Output, decoding: Decoding) -> float | None:
    """The log probability of all of an output's tokens, its end included; None if the engine gives none."""
    if output.score is None:
        return None
    tokens = len(output.token_ids) + 1 + (decoding.forced_bos_token_id is not None)
    return output.score * float(tokens**decoding.length_penalty)


def _parts(model: TextModel, ask: Ask, purpose: Purpose, around: int) -> list[Generation]:
    """The text whole, or cut so that each part fits the window and its translation the output.

    `around` is how many tokens the model's input has beside the text's.
    """
    most = min(model.entry.max_source_tokens, around + model.entry.max_new_tokens // 2)
    encoded: dict[str, tuple[int, ...]] = {}

    def fits(part: str) -> bool:
        encoded[part] = model.codec.encode(part, purpose)
        return len(encoded[part]) <= most

    text = ask.text
    spans = split_long(text, Span(0, len(text)), fits, purpose.source)
    return [_generation(model, encoded[text[s.start : s.end]], purpose, around, ask) for s in spans]


def _generation(
    model: TextModel, ids: tuple[int, ...], purpose: Purpose, around: int, ask: Ask
) -> Generation:
    """One part to translate, with room for a translation longer than it and an end to loops.

    Limits are rounded up to powers of two, so that sentences of about a length can share a batch.
    """
    room = 1 << (MORE_TOKENS * (len(ids) - around) + SPARE_TOKENS - 1).bit_length()
    decoding = model.codec.decoding(purpose, max_new_tokens=max(LEAST_NEW_TOKENS, room))
    if ask.search != "own" and model.entry.kind == "server":
        decoding = replace(decoding, num_return_sequences=SERVER_HYPOTHESES)
    elif ask.search != "own":
        decoding = _other(decoding, ask.search)
    elif ask.alternatives:
        wanted = ask.alternatives + 1
        beams = max(decoding.num_beams, wanted)
        decoding = replace(decoding, num_beams=beams, num_return_sequences=wanted)
    return Generation(ids, decoding)


def _other(decoding: Decoding, search: Search) -> Decoding:
    """Beams where there were none; where there were, no repetition; where that was so too, none of both.

    All hypotheses of a search with beams are wanted.
    """
    beams, repeat = decoding.num_beams, decoding.no_repeat_ngram_size
    if beams == 1:
        beams, repeat = OTHER_BEAMS, NO_REPEAT if search == "without loops" else repeat
    elif repeat == 0:
        repeat = NO_REPEAT
    else:
        beams, repeat = 1, 0
    return replace(decoding, num_beams=beams, num_return_sequences=beams, no_repeat_ngram_size=repeat)


def join(texts: Sequence[str], language: str) -> str:
    """Sentences one after another, with a space between them where the language has one."""
    return separator(language).join(text for text in texts if text)


def separator(language: str) -> str:
    """Return the white space between sentences."""
    return "" if language in UNSPACED else " "
