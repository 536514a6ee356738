"""A text's sentences, as spans.

sentencex finds the boundaries; a line end always is one too. Knows nothing of tokens, models or clutter.
"""

import re
from itertools import pairwise

from sentencex import get_sentence_boundaries

from models.text.span import Span

_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def sentences(text: str, language: str, within: Span | None = None) -> list[Span]:
    """The sentences of `text`, or of the part of it that `within` names, in order.

    Spans refer to `text`, are free of outer white space, don't overlap, and leave out no character but
    white space. `language` is an ISO 639-1 or BCP 47 code; an unknown one is split by common rules.
    """
    begin, end = within if within is not None else (0, len(text))
    spans: list[Span] = []
    for line in _LINE.finditer(text, begin, end):
        spans.extend(_line_sentences(text, Span(*line.span()), language))
    return spans


def _line_sentences(text: str, line: Span, language: str) -> list[Span]:
    # sentencex takes UTF-8, which lone surrogates have no form in
    content = _SURROGATE.sub("\ufffd", text[line.start : line.end])
    found = get_sentence_boundaries(language.split("-")[0].lower(), content)
    cuts = [line.start, *(line.start + b["end_index"] for b in found), line.end]
    spans = (strip(text, Span(a, b)) for a, b in pairwise(cuts))
    return [span for span in spans if span.start < span.end]


def strip(text: str, span: Span) -> Span:
    """`span` without the white space at its ends; empty if there is nothing else."""
    content = text[span.start : span.end]
    start = span.start + len(content) - len(content.lstrip())
    return Span(start, max(start, span.start + len(content.rstrip())))
