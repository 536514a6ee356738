"""How good a hypothesis is likely to be, and the flag of one that is likely bad."""

import math
from collections.abc import Iterable, Sequence

from models.checks.flag import Flag, penalty
from models.checks.pair import Pair
from models.checks.translation.form import deviations, size
from models.confidence import Coefficients, Signs, coefficients
from models.tasks.hypothesis import Hypothesis
from models.tasks.route import Hop
from models.text.span import Span

KIND = "doubtful"
_LEAST_PROBABILITY = 1e-9


def signs_of(pair: Pair, hypothesis: Hypothesis, flags: Iterable[Flag]) -> Signs:
    """Return what tells how good the hypothesis is, which stands in `pair` with its source."""
    source, output = size(pair.source.text), size(pair.output.text)
    return Signs(
        log_probability=math.log(max(_LEAST_PROBABILITY, hypothesis.confidence or 0.0)),
        tokens=hypothesis.tokens,
        source_characters_a_token=len(pair.source.text) / max(1, hypothesis.source_tokens),
        output_characters_a_token=len(pair.output.text) / max(1, hypothesis.tokens),
        deviation=deviations(max(1, source), output, pair.source.language, pair.output.language),
        penalty=penalty(flags),
    )


def confidence_of(
    hops: Sequence[Hop], pair: Pair, hypothesis: Hypothesis, flags: Iterable[Flag]
) -> float | None:
    """Return the chance that the translation is good; its mean probability where the model was not fitted."""
    known = _coefficients(hops)
    if known is None or hypothesis.confidence is None:
        return hypothesis.confidence
    return known.confidence(signs_of(pair, hypothesis, flags))


def is_fitted(hops: Sequence[Hop]) -> bool:
    """Return whether there are coefficients for the way from language to language."""
    return _coefficients(hops) is not None


def doubtful(hops: Sequence[Hop], text: str, confidence: float | None) -> tuple[Flag, ...]:
    """Return the flag of a translation that is likely bad; none for another, or a model not fitted."""
    known = _coefficients(hops)
    if known is None or confidence is None or confidence >= known.doubtful_below:
        return ()
    chance = round(100 * confidence)
    reason = f"The model is not sure of this: of 100 such sentences about {chance} are translated well."
    return (Flag(KIND, Span(0, len(text)), reason, "warning"),)


def _coefficients(hops: Sequence[Hop]) -> Coefficients | None:
    return coefficients(hops[0].entry.name) if len(hops) == 1 else None
