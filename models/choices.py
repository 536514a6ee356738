"""The values that requests choose from: summary lengths, layouts, formats. Each list is defined once.

Imports nothing heavy, so that `--help` is fast.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Length = Literal["headline", "short", "medium", "long"]
SummaryFormat = Literal["paragraph", "bullets"]
OnUnsupported = Literal["flag", "drop", "retry"]
TextFormat = Literal["text", "html", "markdown", "xml"]
Quality = Literal["auto", "best", "fast"]
"""How a translation is searched: as the model does by itself, and once more with beams where a greedy search
leaves a sentence in doubt; with beams from the start; or greedily. Of a model without a confidence nobody has
measured what more beams than its own are worth: it gets none by `best`."""
CheckedKind = Literal["summary", "translation"]
"""The kinds of output that are checked."""

MAX_SENTENCES = 100
"""The most that a request may ask for in `max_sentences`."""

MOST_ALTERNATIVES = 4
"""The most other translations of a segment that a request may ask for."""

AIM = 0.75
"""The share of `max_words` that a summary aims at, so that whole sentences fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryLength:
    """One length of summaries."""

    max_words: int
    sentences: int
    """The number of sentences that an instruct model is asked for."""
    max_sentences: int | None = None

    @property
    def about(self) -> str:
        """The length in words that users read."""
        if self.max_sentences == 1:
            return "one sentence"
        return f"about {10 * round(AIM * self.max_words / 10)} words"


LENGTHS: Mapping[Length, SummaryLength] = {
    "headline": SummaryLength(max_words=50, sentences=1, max_sentences=1),
    "short": SummaryLength(max_words=66, sentences=2),
    "medium": SummaryLength(max_words=120, sentences=4),
    "long": SummaryLength(max_words=240, sentences=8),
}
DEFAULT_LENGTH: Length = "short"
ABOUT_LENGTHS = ", ".join(f"{name} ({length.about})" for name, length in LENGTHS.items())

SUMMARY_FORMATS: tuple[SummaryFormat, ...] = get_args(SummaryFormat)
TEXT_SUFFIXES: Mapping[str, TextFormat] = {
    ".txt": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
}
"""The suffixes of files that are their own text. Other documents have a reader each, in service/documents."""
TEXT_FORMATS: tuple[TextFormat, ...] = get_args(TextFormat)
