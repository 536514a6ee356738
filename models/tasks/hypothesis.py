"""Texts through one model after another: each comes out as a hypothesis with what the model thinks of it.

Knows nothing of markup, terms or checks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import accumulate
from typing import Literal

from models.codec import Purpose
from models.engine.protocol import Decoding, Generation, Output
from models.pool import ModelPool, TextModel
from models.tasks.route import Hop
from models.tasks.steps import Call, Steps
from models.tasks.usage import Usage
from models.text.sentences.pack import split_long
from models.text.span import Span

UNSPACED = {"zh", "zh-Hant", "ja", "yue", "th", "lo", "km", "my"}
"""Languages that put no space between sentences."""

MORE_TOKENS = 3
"""An output may have this many times its source's tokens, and SPARE_TOKENS; then it is a loop."""

SPARE_TOKENS = 32

LEAST_NEW_TOKENS = 128
"""Every segment may have this many, so that most share one limit, and with it a batch."""

OTHER_BEAMS = 4
NO_REPEAT = 3
"""How many tokens in a row may not come twice, where a loop is to be avoided."""

Search = Literal["own", "other", "without loops"]
"""The model's own way; for what came out wrong another one, and for what came out as a loop one without."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A text to translate."""

    text: str
    search: Search = "own"


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A text's translation as the models gave it."""

    text: str
    complete: bool
    """False if a model stopped at its length limit rather than at an end of its own."""
    confidence: float | None
    """The geometric mean of its tokens' probabilities, the least of all models'; None if one gives none."""


OnDone = Callable[[int, Hypothesis], None]
"""Told of a text, by its number, as soon as its translation is there, where somebody listens."""


def translate(
    pool: ModelPool, hops: Sequence[Hop], asks: Sequence[Ask], on_done: OnDone | None = None
) -> Steps[tuple[list[Hypothesis], Usage]]:
    """Translate texts of a sentence or a paragraph each with all hops, in order."""
    usage = Usage()
    done = [Hypothesis(ask.text, True, 1.0) for ask in asks]
    for hop in hops:
        texts = [replace(ask, text=each.text) for ask, each in zip(asks, done, strict=True)]
        tell = None
        if on_done is not None and hop is hops[-1]:
            tell = partial(_tell_after, done, on_done)
        further, used = yield from _hop(pool, hop, texts, tell)
        done = [_after(a, b) for a, b in zip(done, further, strict=True)]
        usage += used
    return done, usage


def _tell_after(before: Sequence[Hypothesis], on_done: OnDone, i: int, hypothesis: Hypothesis) -> None:
    on_done(i, _after(before[i], hypothesis))


def _after(first: Hypothesis, second: Hypothesis) -> Hypothesis:
    known = first.confidence is not None and second.confidence is not None
    least = min(first.confidence or 0.0, second.confidence or 0.0) if known else None
    return Hypothesis(second.text, first.complete and second.complete, least)


def _hop(
    pool: ModelPool, hop: Hop, asks: Sequence[Ask], on_done: OnDone | None
) -> Steps[tuple[list[Hypothesis], Usage]]:
    """Translate texts with one model; one that is longer than its window goes in parts."""
    purpose = Purpose("translate", hop.source, hop.target)
    with pool.use(hop.entry) as model:
        assert isinstance(model, TextModel)  # noqa: S101 - the task of an entry decides its kind
        around = len(model.codec.encode("", purpose))
        parts: list[list[Generation]] = []
        for ask in asks:
            parts.append(_parts(model, ask, purpose, around))
            yield None
        generations = [generation for own in parts for generation in own]
        told = None if on_done is None else _told(model, hop.target, parts, on_done)
        outputs = (yield Call(model.engine, generations, on_output=told)) if generations else []
        answers = iter(outputs)
        done: list[Hypothesis] = []
        for own in parts:
            done.append(_joined(model, hop.target, own, [next(answers) for _ in own]))
            yield None
    return done, Usage.of(generations, outputs)


def _told(
    model: TextModel, target: str, parts: Sequence[Sequence[Generation]], on_done: OnDone
) -> Callable[[int, Output], None]:
    """For a call with all the parts: tells of a text when the last of its parts is there."""
    owners = [i for i, own in enumerate(parts) for _ in own]
    starts = list(accumulate((len(own) for own in parts), initial=0))
    outputs: dict[int, Output] = {}

    def tell(index: int, output: Output) -> None:
        outputs[index] = output
        i = owners[index]
        own = range(starts[i], starts[i + 1])
        if all(each in outputs for each in own):
            on_done(i, _joined(model, target, parts[i], [outputs[each] for each in own]))

    return tell


def _joined(
    model: TextModel, target: str, generations: Sequence[Generation], outputs: Sequence[Output]
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
    return [_generation(model, encoded[text[s.start : s.end]], purpose, around, ask.search) for s in spans]


def _generation(
    model: TextModel, ids: tuple[int, ...], purpose: Purpose, around: int, search: Search
) -> Generation:
    """One part to translate, with room for a translation longer than it and an end to loops.

    Limits are rounded up to powers of two, so that sentences of about a length can share a batch.
    """
    room = 1 << (MORE_TOKENS * (len(ids) - around) + SPARE_TOKENS - 1).bit_length()
    decoding = model.codec.decoding(purpose, max_new_tokens=max(LEAST_NEW_TOKENS, room))
    return Generation(ids, decoding if search == "own" else _other(decoding, search))


def _other(decoding: Decoding, search: Search) -> Decoding:
    """Beams where there were none; where there were, no repetition; where that was so too, none of both."""
    if decoding.num_beams == 1:
        repeat = NO_REPEAT if search == "without loops" else decoding.no_repeat_ngram_size
        return replace(decoding, num_beams=OTHER_BEAMS, no_repeat_ngram_size=repeat)
    if decoding.no_repeat_ngram_size == 0:
        return replace(decoding, no_repeat_ngram_size=NO_REPEAT)
    return replace(decoding, num_beams=1, no_repeat_ngram_size=0)


def join(texts: Sequence[str], language: str) -> str:
    """Sentences one after another, with a space between them where the language has one."""
    return separator(language).join(text for text in texts if text)


def separator(language: str) -> str:
    """What stands between sentences."""
    return "" if language in UNSPACED else " "
