"""A text's sentences, as spans.

sentencex finds the boundaries; a line end is one too, except in wrapped paragraphs. Knows nothing of tokens,
models or clutter.
"""

import re
from itertools import pairwise

from sentencex import get_sentence_boundaries

from models.text.span import Span
from models.text.stops import goes_on

LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_LINE_END = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_QUOTE = re.compile(r"[\"“”„«»]+|(?<!\w)['‘’]+|['‘’]+(?!\w)")
_CLOSING_AFTER_STOP = re.compile(r"(?<=[.。])[\"“”»'’]+(?=\s|$)")
_END_IN_QUOTE = re.compile(r"(?<=\w\w\w)\.[\"“”»'’]+\s+\S")
_LONG_QUOTATION_CHARACTERS = 200
_PIECE_CHARACTERS = 10_000
_MOST_PIECE_CHARACTERS = 80_000
"""So much text with hardly a sentence's end is cut at a blank, lest all of it be read again and again."""
_LEAST_PROGRESS = 1_000
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def sentences(text: str, language: str, within: Span | None = None, *, wrapped: bool = False) -> list[Span]:
    """The sentences of `text`, or of the part of it that `within` names, in order.

    Spans refer to `text`, are free of outer white space, don't overlap, and leave out no character but
    white space. `language` is an ISO 639-1 or BCP 47 code; an unknown one is split by common rules.
    With `wrapped` a line end is no more than a space, as in a paragraph of `paste.paragraphs`.
    """
    begin, end = within if within is not None else (0, len(text))
    if wrapped:
        return _line_sentences(text, Span(begin, end), language)
    spans: list[Span] = []
    for line in LINE.finditer(text, begin, end):
        spans.extend(_line_sentences(text, Span(*line.span()), language))
    return spans


def _line_sentences(text: str, line: Span, language: str) -> list[Span]:
    # sentencex takes UTF-8, which lone surrogates have no form in
    content = _LINE_END.sub(" ", _SURROGATE.sub("\ufffd", text[line.start : line.end]))
    cuts = [line.start]
    for start, end in _boundaries(content, language):
        piece = content[start:end]
        inner = _boundaries(_unquoted(piece), language) if _holds_several(piece) else [(0, end - start)]
        cuts += [line.start + start + inner_end for _, inner_end in inner]
    base = language.split("-")[0].lower()
    cuts = [cut for cut in cuts if cut == line.start or not goes_on(text, cut, base)]
    return _joined(text, [strip(text, Span(a, b)) for a, b in pairwise([*cuts, line.end])])


def _boundaries(content: str, language: str) -> list[tuple[int, int]]:
    """Of a long line a piece at a time: sentencex's time grows with the square of a Chinese one's length."""
    found: list[tuple[int, int]] = []
    base = language.split("-")[0].lower()
    start, size = 0, _PIECE_CHARACTERS
    while True:
        boundaries = get_sentence_boundaries(base, content[start : start + size])
        is_last = start + size >= len(content)
        # near a piece's end what follows would have to be seen
        ends = [each["end_index"] for each in boundaries if is_last or each["end_index"] <= size // 2]
        if not is_last and (not ends or ends[-1] < _LEAST_PROGRESS):
            if size < _MOST_PIECE_CHARACTERS:
                size *= 2
                continue
            blank = content.rfind(" ", start + size // 2, start + size)
            ends.append((blank if blank > 0 else start + size) - start)
        found += [(start + a, start + b) for a, b in pairwise([0, *ends])]
        if is_last:
            return found
        start, size = start + ends[-1], _PIECE_CHARACTERS


def _holds_several(piece: str) -> bool:
    return _QUOTE.search(piece) is not None and (
        len(piece) > _LONG_QUOTATION_CHARACTERS or _END_IN_QUOTE.search(piece) is not None
    )


def _unquoted(piece: str) -> str:
    """`piece` with each quotation mark replaced, at the same place, so that it hides no sentence's end.

    sentencex never ends a sentence inside a quotation, nor after one if a small letter follows. So a long
    quotation is one sentence, and in lower-cased text, or where a mark has no partner, a whole passage is.
    """
    piece = _CLOSING_AFTER_STOP.sub(lambda mark: " " * len(mark[0]), piece)
    return _QUOTE.sub(lambda mark: "x" * len(mark[0]), piece)


def _joined(text: str, spans: list[Span]) -> list[Span]:
    """The spans that hold something; one without letter or digit is added to the one before it."""
    joined: list[Span] = []
    for span in spans:
        if span.start == span.end:
            continue
        if joined and not any(map(str.isalnum, text[span.start : span.end])):
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined


def strip(text: str, span: Span) -> Span:
    """`span` without the white space at its ends; empty if there is nothing else."""
    content = text[span.start : span.end]
    start = span.start + len(content) - len(content.lstrip())
    return Span(start, max(start, span.start + len(content.rstrip())))
