"""A text's sentences, as spans.

sentencex finds the boundaries; a line end is one too, except in wrapped paragraphs. Knows nothing of tokens,
models or clutter.
"""

import re
from collections.abc import Generator
from itertools import pairwise

from sentencex import get_sentence_boundaries

from models.text.sentences.stops import goes_on
from models.text.span import Span

LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_LINE_END = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_QUOTE = re.compile(r"[\"“”„«»]+|(?<!\w)['‘’]+|['‘’]+(?!\w)")
_CLOSING_AFTER_STOP = re.compile(r"(?<=[.。])[\"“”»'’]+(?=\s|$)")
_END_IN_QUOTE = re.compile(r"(?<=\w\w\w)\.[\"“”»'’]+\s+\S")
_LONG_QUOTATION_CHARACTERS = 200
_PIECE_CHARACTERS = 10_000
"""As much as sentencex reads at once: on some texts its time grows with the square of that."""
_MOST_CHARACTERS = 80_000
"""A sentence with no end in so many is cut at a blank."""
_LEAST_PROGRESS = 1_000
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def sentences(text: str, language: str, within: Span | None = None, *, wrapped: bool = False) -> list[Span]:
    """The sentences of `text`, or of the part of it that `within` names, in order.

    Spans refer to `text`, are free of outer white space, don't overlap, and leave out no character but
    white space. `language` is an ISO 639-1 or BCP 47 code; an unknown one is split by common rules.
    With `wrapped` a line end is no more than a space, as in a paragraph of `paste.paragraphs`.
    """
    spans: list[Span] = []
    for _ in _sentences(spans, text, language, within or Span(0, len(text)), wrapped=wrapped):
        pass
    return spans


def pausing_sentences(text: str, language: str) -> Generator[None, None, list[Span]]:
    """Return what `sentences` does, with a pause after each piece of a line."""
    spans: list[Span] = []
    yield from _sentences(spans, text, language, Span(0, len(text)), wrapped=False)
    return spans


def _sentences(
    found: list[Span], text: str, language: str, within: Span, *, wrapped: bool
) -> Generator[None, None, None]:
    """Put the sentences into `found`."""
    if wrapped:
        found += yield from _line_sentences(text, within, language)
        return
    for line in LINE.finditer(text, *within):
        found += yield from _line_sentences(text, Span(*line.span()), language)


def _line_sentences(text: str, line: Span, language: str) -> Generator[None, None, list[Span]]:
    # sentencex takes UTF-8, which lone surrogates have no form in
    content = _LINE_END.sub(" ", _SURROGATE.sub("\ufffd", text[line.start : line.end]))
    cuts = [line.start]
    for start, end in (yield from _boundaries(content, language)):
        piece = content[start:end]
        inner = [(0, end - start)]
        if _holds_several(piece):
            inner = yield from _boundaries(_unquoted(piece), language)
        cuts += [line.start + start + inner_end for _, inner_end in inner]
    base = language.split("-")[0].lower()
    cuts = [cut for cut in cuts if cut == line.start or not goes_on(text, cut, base)]
    return _joined(text, [strip(text, Span(a, b)) for a, b in pairwise([*cuts, line.end])])


def _boundaries(content: str, language: str) -> Generator[None, None, list[tuple[int, int]]]:
    """A piece at a time; a sentence that has no end in one goes on in the next."""
    found: list[tuple[int, int]] = []
    base = language.split("-")[0].lower()
    begun = start = 0
    while True:
        stop = start + _PIECE_CHARACTERS
        is_last = stop >= len(content)
        ends = [each["end_index"] for each in get_sentence_boundaries(base, content[start:stop])]
        yield None
        if not is_last:
            ends = _seen(ends)
        found += pairwise([begun, *(start + end for end in ends)])
        begun = start + ends[-1] if ends else begun
        if is_last:
            return found
        if begun - start >= _LEAST_PROGRESS:
            start = begun
            continue
        blank = content.rfind(" ", start + _PIECE_CHARACTERS // 2, stop)
        start = blank if blank > 0 else stop
        if start - begun >= _MOST_CHARACTERS:
            found.append((begun, start))
            begun = start


def _seen(ends: list[int]) -> list[int]:
    """Return the ends that hold whatever follows: in a piece's first half, else in all but its last part."""
    near = [end for end in ends if end <= _PIECE_CHARACTERS // 2]
    if near and near[-1] >= _LEAST_PROGRESS:
        return near
    return [end for end in ends if end <= _PIECE_CHARACTERS - _LEAST_PROGRESS]


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
