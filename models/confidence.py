"""The chance that a reader finds a translated sentence good, from what the model and the checks tell of it.

A logistic regression with a few coefficients for each model, in confidence.toml, by bench/confidence.py. A
model that has none there keeps the geometric mean of its tokens' probabilities, and no threshold: that says
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
    characters_a_token: float
    """Of the source: the fewer, the less its words are known to the model."""
    deviation: float
    """By how many standard deviations it is longer than expected, as in `checks.translation.length`."""
    penalty: float
    """How bad the flags are, as in `checks.severity`."""

    def values(self) -> dict[str, float]:
        """Return what the coefficients of the same names are for."""
        return {
            "log_probability": self.log_probability,
            "log_tokens": math.log(max(1, self.tokens)),
            "log_characters_a_token": math.log(max(0.1, self.characters_a_token)),
            "deviation": self.deviation,
            "penalty": self.penalty,
        }


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What one model's translations were fitted to."""

    intercept: float
    by_sign: dict[str, float]
    by_source: dict[str, float]
    by_target: dict[str, float]
    doubtful_below: float
    """A sentence with a lower confidence is flagged."""

    def confidence(self, signs: Signs, source: str, target: str) -> float:
        """Return the chance, 0 to 1. A language that was not fitted counts as the mean of the others."""
        values = signs.values()
        total = self.intercept + sum(self.by_sign[name] * value for name, value in values.items())
        total += self.by_source.get(source.split("-")[0], 0.0) + self.by_target.get(target.split("-")[0], 0.0)
        return 1 / (1 + math.exp(-max(-_MOST_LOG_ODDS, min(_MOST_LOG_ODDS, total))))


def coefficients(model: str) -> Coefficients | None:
    """Return the coefficients of a model, by its name in the catalog; None if it was not fitted."""
    return _fitted().get(model)


@cache
def _fitted() -> dict[str, Coefficients]:
    table = tomllib.loads(files("models").joinpath("confidence.toml").read_text("utf-8"))
    return {
        model: Coefficients(
            own["intercept"], own["signs"], own["source"], own["target"], own["doubtful_below"]
        )
        for model, own in table.items()
    }
