"""Marks in a text where its checks found something: which sentences, why, and how many."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.answers import SegmentPart, SentencePart

OPEN, CLOSE = "⟦", "⟧"
DOUBTFUL = "doubtful"


def marked(text: str, sentences: "Sequence[SegmentPart] | Sequence[SentencePart]") -> str:
    """Return the text with a mark around each flagged sentence, and its number after it."""
    parts, end = list[str](), 0
    for number, sentence in _flagged(sentences):
        start = text.find(sentence.text, end) if sentence.text else -1
        if start >= 0:
            after = start + len(sentence.text)
            parts += [text[end:start], OPEN, sentence.text, CLOSE, f"[{number}]"]
            end = after
    return "".join([*parts, text[end:]])


def reasons(sentences: "Sequence[SegmentPart] | Sequence[SentencePart]") -> list[str]:
    """Return a line for each flag, with the number of its sentence's mark."""
    return [
        f"[{number}] {flag.severity}: {flag.kind}: {flag.reason}"
        for number, sentence in _flagged(sentences)
        for flag in sentence.flags
    ]


def counted(sentences: "Sequence[SegmentPart] | Sequence[SentencePart]") -> str | None:
    """Return how many sentences are flagged, in words; None if none is."""
    flagged = [sentence for _, sentence in _flagged(sentences)]
    if not flagged:
        return None
    errors = sum(any(flag.severity == "error" for flag in each.flags) for each in flagged)
    doubtful = sum(any(flag.kind == DOUBTFUL for flag in each.flags) for each in flagged)
    told = [f"{errors} with an error" if errors else "", f"{doubtful} doubtful" if doubtful else ""]
    more = ", ".join(filter(None, told))
    verb = "is" if len(flagged) == 1 else "are"
    return f"{len(flagged)} of {len(sentences)} sentences {verb} flagged" + (f": {more}" if more else "")


def others(segments: "Sequence[SegmentPart]") -> Iterator[str]:
    """Yield each sentence that has other translations, and these below it."""
    for each in segments:
        if each.alternatives:
            yield each.text.strip()
            yield from (f"  or: {other}" for other in each.alternatives)


def _flagged(
    sentences: "Sequence[SegmentPart] | Sequence[SentencePart]",
) -> "Iterator[tuple[int, SegmentPart | SentencePart]]":
    """The flagged ones, numbered from 1."""
    return enumerate((sentence for sentence in sentences if sentence.flags), 1)
