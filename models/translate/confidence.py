"""The chance that a reader finds no serious error in a translation, from the model's scores and the checks.

A logistic regression with a few coefficients per model, in confidence.toml, which bench/confidence.py fitted
to sentences that bilingual readers judged. A model that nobody fitted has no confidence. docs/decisions.md
has what was tried and did not earn its place.
"""

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate

from models.checks.flag import Flag, penalty
from models.checks.language.reading import common_words
from models.checks.pair import Pair
from models.text.sentences import is_unspaced
from models.text.span import Span

KIND = "doubtful"
WEAKEST_WORDS = 2
"""Words that are named of a doubtful sentence: two touch the worst error in two of three wrong sentences."""
_WORD = re.compile(r"[^\W\d_]+(?:[-’'ʼ][^\W\d_]+)*")
_NEAR = 2000
"""Characters after a word in which the next one is sought, so that the work grows no faster than the text."""
_LEAST_LOG_PROBABILITY = -12.0
_MOST_PENALTY = 4.0
_SURE = 0.01
"""Added to logarithms' arguments: outputs that are surer than this are alike."""
_MOST_LOG_ODDS = 30.0

ScoredWord = tuple[str, float]
"""A word of an output, and the log probability of its tokens together."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model's engine tells of one output."""

    log_probability: float
    """Of all tokens together, with the end."""
    tokens: int
    source_tokens: int
    """Beside those that any text gets."""
    rarity: float = 0.0
    """The mean logarithm of the tokens' ids: vocabularies list what is frequent first."""
    words: tuple[ScoredWord, ...] = ()
    """In order; empty where the engine does not tell the probabilities of tokens, as for beam search."""

    @classmethod
    def of(
        cls,
        token_ids: Sequence[int],
        pieces: Sequence[str],
        log_probability: float,
        token_log_probabilities: Sequence[float],
        source_tokens: int,
    ) -> "Scores":
        """Return what follows from an output's tokens; `pieces` are their texts."""
        rarity = sum(math.log(1 + token_id) for token_id in token_ids) / max(1, len(token_ids))
        words = scored_words(pieces, token_log_probabilities) if token_log_probabilities else ()
        return cls(log_probability, len(token_ids), source_tokens, rarity, words)


def scored_words(pieces: Sequence[str], log_probabilities: Sequence[float]) -> tuple[ScoredWord, ...]:
    """Return the words that the pieces make together, in order.

    In a script without spaces each piece is one, since most of them are words.
    """
    found: list[ScoredWord] = []
    text, ends = "".join(pieces), list(accumulate(map(len, pieces)))
    token = start = 0
    for match in _WORD.finditer(text):
        while ends[token] <= match.start():
            start, token = ends[token], token + 1
        first, begin = token, start
        while ends[token] < match.end():
            start, token = ends[token], token + 1
        if not is_unspaced(match[0]):
            found.append((match[0], sum(log_probabilities[first : token + 1])))
            continue
        for i in range(first, token + 1):
            word = text[max(begin, match.start()) : min(ends[i], match.end())]
            found.append((word, log_probabilities[i]))
            begin = ends[i]
    return tuple(found)


def weakest(text: str, language: str, words: Iterable[ScoredWord]) -> list[tuple[float, Span]]:
    """Return the places of the content words, the least sure first, each with its log probability.

    Words that the text has no longer are left out, such as masks of terms. A text of stop words has these.
    """
    common = common_words(language.split("-")[0])
    content: list[tuple[float, Span]] = []
    others: list[tuple[float, Span]] = []
    end = 0
    for word, log_probability in words:
        start = text.find(word, end, end + _NEAR)
        if start >= 0:
            end = start + len(word)
            own = others if word.lower() in common else content
            own.append((log_probability, Span(start, end)))
    return sorted(content or others)


def signs_of(pair: Pair, flags: Iterable[Flag], scores: Scores) -> dict[str, float]:
    """Return what tells a good translation from a bad one before anybody has read it, by name.

    The fewer characters a token has, the less the model knows the words: names spelled out, or a script that
    it seldom saw. The last sign is there only where the probabilities of words are known.
    """
    source, output = pair.source.text, pair.output.text
    cost = penalty(flags)
    loss = -min(0.0, scores.log_probability)
    signs = {
        "log_loss": math.log(_SURE + loss),
        "mean_log_probability": -loss / max(1, scores.tokens + 1),
        "log_source_characters_a_token": math.log(max(0.1, len(source) / max(1, scores.source_tokens))),
        "log_output_characters_a_token": math.log(max(0.1, len(output) / max(1, scores.tokens))),
        "rarity": scores.rarity,
        "flagged": float(cost > 0),
        "penalty": min(_MOST_PENALTY, cost),
    }
    if found := weakest(output, pair.output.language, scores.words):
        signs["least_sure_word"] = max(_LEAST_LOG_PROBABILITY, found[0][0])
    return signs


@dataclass(frozen=True, slots=True)
class Regression:
    """Coefficients of signs."""

    intercept: float
    signs: Mapping[str, float]

    def chance(self, signs: Mapping[str, float]) -> float:
        """Return the chance, 0 to 1."""
        total = self.intercept + sum(own * signs[name] for name, own in self.signs.items())
        return 1 / (1 + math.exp(-max(-_MOST_LOG_ODDS, min(_MOST_LOG_ODDS, total))))


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What one model's translations were fitted to."""

    doubtful_below: float
    """A sentence with a lower confidence is flagged."""
    with_words: Regression
    without_words: Regression
    """For outputs without the sign `least_sure_word`."""

    def confidence(self, signs: Mapping[str, float]) -> float:
        """Return the chance, 0 to 1."""
        return (self.with_words if "least_sure_word" in signs else self.without_words).chance(signs)

    def doubtful(
        self, text: str, language: str, confidence: float, words: Iterable[ScoredWord]
    ) -> tuple[Flag, ...]:
        """Return the flag of a translation that is likely wrong, with its weakest words; none for another."""
        if confidence >= self.doubtful_below:
            return ()
        spans = tuple(sorted(span for _, span in weakest(text, language, words)[:WEAKEST_WORDS]))
        reason = of_ten(confidence)
        if spans:
            reason += f" Least sure of: {', '.join(text[each.start : each.end] for each in spans)}."
        return (Flag(KIND, Span(0, len(text)), reason, "warning", weakest=spans or None),)


def of_ten(confidence: float) -> str:
    """Return a sentence that says what a confidence means."""
    number = round(10 * confidence)
    if number == 0:
        return "Hardly any such sentence is without a serious error."
    return f"About {number} of 10 such sentences {'has' if number == 1 else 'have'} no serious error."


def likely_right(total: float, sentences: int) -> str:
    """Return what a reader should know of a text, given the sum of its sentences' confidences."""
    told = f"about {round(total)} of {sentences} sentences are likely right"
    if sentences == 1:
        told = of_ten(total).rstrip(".")
    return f"{told}: compare with the source" if 2 * total < sentences else told


def coefficients(model: str) -> Coefficients | None:
    """Return the coefficients of a model, by its name in the catalog; None if it was not fitted."""
    return _fitted().get(model)


@cache
def _fitted() -> dict[str, Coefficients]:
    table = tomllib.loads(files("models.translate").joinpath("confidence.toml").read_text("utf-8"))
    return {
        model: Coefficients(
            own["doubtful_below"], Regression(**own["with_words"]), Regression(**own["without_words"])
        )
        for model, own in table.items()
    }
