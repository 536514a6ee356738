"""The chance that a reader finds a translated sentence good, from what the model and the checks tell of it.

A logistic regression with a few coefficients for each model, in confidence.toml, by bench/confidence.py. It
has none for languages: those told how hard each language's corpora were, and on news it did worse with them.
A model that was not fitted keeps the geometric mean of its tokens' probabilities, and no threshold: that says
how sure the model is, which is not how good the translation is.
"""

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_MOST_LOG_ODDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What tells a good translation from a bad one before anybody has read it."""

    log_probability: float
    """The mean over its tokens, the end included."""
    tokens: int
    """How many it has."""
    source_characters_a_token: float
    """The fewer, the less the source's words are known to the model."""
    output_characters_a_token: float
    """The fewer, the less its own words are: names spelled out, a script that the model seldom saw."""
    deviation: float
    """By how many standard deviations it is longer than expected, as in `checks.translation.length`."""
    penalty: float
    """How bad the flags are, as in `checks.severity`."""

    def values(self) -> dict[str, float]:
        """Return what the coefficients of the same names are for."""
        return {
            "log_probability": self.log_probability,
            "log_tokens": math.log(max(1, self.tokens)),
            "log_source_characters_a_token": math.log(max(0.1, self.source_characters_a_token)),
            "log_output_characters_a_token": math.log(max(0.1, self.output_characters_a_token)),
            "deviation": abs(self.deviation),
            "penalty": self.penalty,
        }


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What one model's translations were fitted to."""

    intercept: float
    by_sign: dict[str, float]
    doubtful_below: float
    """A sentence with a lower confidence is flagged."""

    def confidence(self, signs: Signs) -> float:
        """Return the chance, 0 to 1."""
        values = signs.values()
        total = self.intercept + sum(self.by_sign[name] * value for name, value in values.items())
        return 1 / (1 + math.exp(-max(-_MOST_LOG_ODDS, min(_MOST_LOG_ODDS, total))))


def coefficients(model: str) -> Coefficients | None:
    """Return the coefficients of a model, by its name in the catalog; None if it was not fitted."""
    return _fitted().get(model)


@cache
def _fitted() -> dict[str, Coefficients]:
    table = tomllib.loads(files("models").joinpath("confidence.toml").read_text("utf-8"))
    return {
        model: Coefficients(own["intercept"], own["signs"], own["doubtful_below"])
        for model, own in table.items()
    }
