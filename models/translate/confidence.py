"""The probability that a reader finds a translated sentence good, from the model's scores and the checks.

A logistic regression with a few coefficients per model, in confidence.toml, fitted by bench/confidence.py. It
has no coefficients for languages: those described how hard each corpus was, and did worse on news. A model
without coefficients gets the geometric mean of its tokens' probabilities and no threshold: how sure the model
is, not how good the translation is.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from models.checks.flag import Flag, penalty
from models.checks.pair import Pair
from models.checks.translation.form import deviations, size
from models.text.span import Span

KIND = "doubtful"
_LEAST_PROBABILITY = 1e-9
_MOST_LOG_ODDS = 30.0


def signs_of(
    pair: Pair, flags: Iterable[Flag], *, probability: float, tokens: int, source_tokens: int
) -> dict[str, float]:
    """Return what tells a good translation from a bad one before anybody has read it, by name.

    `probability` is the geometric mean over the output's tokens. The fewer characters a token has, the less
    the model knows the words: names spelled out, or a script that it seldom saw.
    """
    source, output = pair.source, pair.output
    deviation = deviations(max(1, size(source.text)), size(output.text), source.language, output.language)
    return {
        "log_probability": math.log(max(_LEAST_PROBABILITY, probability)),
        "log_tokens": math.log(max(1, tokens)),
        "log_source_characters_a_token": math.log(max(0.1, len(source.text) / max(1, source_tokens))),
        "log_output_characters_a_token": math.log(max(0.1, len(output.text) / max(1, tokens))),
        "deviation": abs(deviation),
        "penalty": penalty(flags),
    }


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What one model's translations were fitted to."""

    intercept: float
    signs: Mapping[str, float]
    doubtful_below: float
    """A sentence with a lower confidence is flagged."""

    def confidence(self, signs: Mapping[str, float]) -> float:
        """Return the chance, 0 to 1."""
        total = self.intercept + sum(self.signs[name] * value for name, value in signs.items())
        return 1 / (1 + math.exp(-max(-_MOST_LOG_ODDS, min(_MOST_LOG_ODDS, total))))

    def doubtful(self, text: str, confidence: float) -> tuple[Flag, ...]:
        """Return the flag of a translation that is likely bad; none for another."""
        if confidence >= self.doubtful_below:
            return ()
        chance = round(100 * confidence)
        reason = f"The model is not sure of this: of 100 such sentences about {chance} are translated well."
        return (Flag(KIND, Span(0, len(text)), reason, "warning"),)


def coefficients(model: str) -> Coefficients | None:
    """Return the coefficients of a model, by its name in the catalog; None if it was not fitted."""
    return _fitted().get(model)


@cache
def _fitted() -> dict[str, Coefficients]:
    table = tomllib.loads(files("models.translate").joinpath("confidence.toml").read_text("utf-8"))
    return {model: Coefficients(**own) for model, own in table.items()}
