"""Drafts of summaries: the article's best sentences picked, or new ones written, window by window.

A text longer than the model's window is summarized in windows, and the summaries as a whole, so that all of
it is read. Knows nothing of how an article is read, or of what becomes of a draft.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from models.choices import AIM, LENGTHS
from models.codec import Purpose
from models.engine.protocol import Decoding, Generation, Output
from models.extractive.summarizer import pick_headline
from models.extractive.summarizer import summarize as pick_sentences
from models.loaded import ExtractiveModel, TextModel
from models.tasks.hypothesis import join
from models.tasks.steps import Call, Steps
from models.tasks.summary import SummaryRequest, SummarySentence
from models.tasks.usage import Usage
from models.text.sentences import pack, sentences, split_long
from models.text.span import Span

TOKENS_A_WORD = 1.5
LEAST_SHARE = 0.4
"""A written summary has at least this share of the words that it may have."""
MORE_BEAMS = 2
"""A second attempt searches this many times as wide, and at least LEAST_BEAMS."""
LEAST_BEAMS = 4


@dataclass(slots=True)
class Draft:
    """A summary before it is checked, translated and laid out."""

    sentences: list[SummarySentence]
    windows: int
    """The number of pieces in which the text was read."""
    coverage: float
    """The share of the text's characters that the model was given, 0 to 1."""
    usage: Usage = field(default_factory=Usage)
    notes: list[str] = field(default_factory=list)
    basis: list[str] = field(default_factory=list)
    """The source of the last writing: the article's sentences, or the summaries of its windows."""
    cautions: tuple[str, ...] = ()
    """See `Translation`."""


def most_sentences(request: SummaryRequest) -> int | None:
    """Return the most sentences that the summary may have; None if only its words are limited."""
    return LENGTHS[request.length].max_sentences or request.max_sentences


def most_words(request: SummaryRequest) -> int:
    """Return the most words that the summary may have."""
    if request.max_tokens is not None:
        return max(1, int(request.max_tokens / TOKENS_A_WORD))
    least = (request.min_tokens or 0) / TOKENS_A_WORD
    return max(LENGTHS[request.length].max_words, math.ceil(least / AIM))


def pick(
    model: ExtractiveModel,
    request: SummaryRequest,
    texts: Sequence[str],
    spans: Sequence[Span],
    language: str,
) -> Steps[Draft]:
    """Pick the article's own sentences; for a headline one, which is cut."""
    clean = [" ".join(text.split()) for text in texts]
    encoder = model.encoder if model.knows(language) else None
    if request.length == "headline":
        number, cut = yield from pick_headline(clean, encoder, language, max_words=most_words(request))
        return Draft([SummarySentence(cut, spans[number])], windows=1, coverage=1.0)
    picked = yield from pick_sentences(
        clean, encoder, max_words=most_words(request), max_sentences=most_sentences(request)
    )
    return Draft([SummarySentence(clean[i], spans[i]) for i in picked], windows=1, coverage=1.0)


def write(
    model: TextModel,
    request: SummaryRequest,
    texts: Sequence[str],
    language: str,
    *,
    again: bool = False,
    is_shown: bool = False,
) -> Steps[Draft]:
    """Have the model write; windows first, then the whole, until one window is left: its words may be shown.

    `again` searches wider and asks for no least length, which a model fills with inventions.
    """
    purpose = _purpose(request, language)
    usage, first, coverage = Usage(), 0, 0.0
    parts = list(texts)
    while True:
        windows = _windows(model, parts, purpose)
        if not first:
            first, coverage = len(windows), _share(windows, texts)
        generations = [_generation(model, window, purpose, request, again) for window in windows]
        last = len(windows) == 1
        outputs: list[Output] = yield Call(
            model.engine, generations, model.codec.decode_begun if is_shown and last else None
        )
        usage += Usage.of(generations, outputs)
        written = [model.codec.decode(output.token_ids) for output in outputs]
        if last:
            break
        shorter = [s for text in written for s in _split(text, language)]
        if sum(map(len, shorter)) >= sum(map(len, parts)):
            break  # a model that does not shorten would never end
        parts = shorter
    found, notes = _whole_sentences(written, outputs, language)
    return Draft(
        [SummarySentence(text) for text in found[: most_sentences(request)]],
        first,
        coverage,
        usage,
        notes,
        parts,
    )


def _purpose(request: SummaryRequest, language: str) -> Purpose:
    sentences = request.max_sentences or LENGTHS[request.length].sentences
    return Purpose("summarize", language, sentences=sentences)


def _share(windows: Sequence[str], texts: Sequence[str]) -> float:
    """Return the share of the texts that is in the windows, white space aside."""
    read, whole = (sum(len("".join(text.split())) for text in side) for side in (windows, texts))
    return min(1.0, read / whole) if whole else 1.0


def _windows(model: TextModel, texts: Sequence[str], purpose: Purpose) -> list[str]:
    """The sentences packed into as few windows as they fit, none left out."""
    around = len(model.codec.encode("", purpose))
    room = model.entry.max_source_tokens - around

    @functools.cache
    def size(text: str) -> int:
        return len(model.codec.encode(" " + text, purpose)) - around + 1  # the space between two sentences

    parts = [
        text[span.start : span.end]
        for text in texts
        for span in split_long(text, Span(0, len(text)), lambda part: size(part) <= room, purpose.source)
    ]
    return [
        join([parts[i] for i in window], purpose.source) for window in pack([size(p) for p in parts], room)
    ]


def _generation(
    model: TextModel, text: str, purpose: Purpose, request: SummaryRequest, again: bool
) -> Generation:
    most = request.max_tokens or round(most_words(request) * TOKENS_A_WORD)
    least = round(most * LEAST_SHARE)
    if model.entry.free_length:
        most, least = request.max_tokens or model.entry.max_new_tokens, 0
    least = least if request.min_tokens is None else request.min_tokens
    decoding = model.codec.decoding(purpose, max_new_tokens=most, min_new_tokens=least)
    return Generation(model.codec.encode(text, purpose), _wider(decoding) if again else decoding)


def _wider(decoding: Decoding) -> Decoding:
    return replace(decoding, num_beams=max(LEAST_BEAMS, MORE_BEAMS * decoding.num_beams), min_new_tokens=0)


def _split(text: str, language: str) -> list[str]:
    lines = [line.removeprefix("- ").removeprefix("* ") for line in text.splitlines()]
    return [line[s.start : s.end] for line in lines for s in sentences(line, language)]


def _whole_sentences(
    texts: Sequence[str], outputs: Sequence[Output], language: str
) -> tuple[list[str], list[str]]:
    """The summary's sentences; one that the length limit broke off is left out, with a note."""
    found, broken = [], False
    for text, output in zip(texts, outputs, strict=True):
        own = _split(text, language)
        if output.finish == "length" and len(own) > 1 and own[-1][-1] not in '.!?…。！？"”»':
            own, broken = own[:-1], True
        found += own
    note = "the model reached its length limit; its last, unfinished sentence was left out"
    return found, [note] if broken else []
