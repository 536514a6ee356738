"""Where in a translation the words are that a stretch of the source became. No model: texts alone."""

from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz import fuzz, process

from models.text.boundary import inside_word, is_unspaced
from models.text.span import Span

LEAST_LIKENESS = 70.0
"""Of rapidfuzz' ratio, 0 to 100: below it words are not taken for each other."""

_OF_PLACE = 10.0
"""What a place at the wrong end of the sentence costs a candidate, in the same unit."""


def find(candidates: Sequence[str], source: str, stretch: Span, target: str) -> tuple[Span, float]:
    """The span of `target` that says what `source[stretch]` does, and how sure that is, 0 to 1.

    `candidates` are what the stretch may be called in the target language, the likeliest first.
    """
    expected = proportional(source, stretch, target)
    middle = (expected.start + expected.end) / 2
    best, best_score = expected, 0.0
    for candidate in (*candidates, source[stretch.start : stretch.end]):
        wanted = _bare(candidate)
        if not wanted:
            continue
        spans, texts = _windows(target, len(_words(wanted, Span(0, len(wanted)))))
        alike = process.extract_iter(wanted, texts, scorer=fuzz.ratio, score_cutoff=LEAST_LIKENESS)
        for _, likeness, i in alike:
            span = spans[i]
            away = abs((span.start + span.end) / 2 - middle) / max(1, len(target))
            if likeness - away * _OF_PLACE > best_score:
                best, best_score = span, likeness - away * _OF_PLACE
    return best, best_score / 100


def proportional(source: str, stretch: Span, target: str) -> Span:
    """The words at the same part of the target as the stretch is of the source."""
    scale = len(target) / max(1, len(source))
    start, end = round(stretch.start * scale), round(stretch.end * scale)
    if stretch.start == stretch.end:
        cut = _nearest_cut(target, start, Span(0, len(target)))
        return Span(cut, cut)
    return snap(target, Span(start, end), Span(0, len(target)))


def snap(text: str, span: Span, within: Span) -> Span:
    """`span` moved to ends of words, without outer white space: a word at least, if `within` has one."""
    if within.start == within.end or not text[within.start : within.end].strip():
        return Span(span.start, span.start)
    start, end = _nearest_cut(text, span.start, within), _nearest_cut(text, span.end, within)
    start, end = _strip(text, start, end)
    if start < end:
        return Span(start, end)
    start, end = span.start, max(span.end, span.start + 1)
    words = [word for word in _words(text, within) if text[word.start : word.end].strip()]
    return (
        min(words, key=lambda word: abs(word.start + word.end - start - end)) if words else Span(start, start)
    )


def _words(text: str, within: Span) -> list[Span]:
    """What stands between white space, or a single character in scripts without it."""
    words, start = [], within.start
    for at in range(within.start, within.end + 1):
        at_end = at == within.end
        if at_end or text[at].isspace() or (is_unspaced(text[at]) and not inside_word(text, at)):
            if start < at:
                words.append(Span(start, at))
            start = at + (not at_end and text[at].isspace())
    return words


@lru_cache(maxsize=2)  # all stretches of a sentence are looked for in one translation
def _windows(target: str, count: int) -> tuple[list[Span], list[str]]:
    """Stretches of about so many words, or characters in unspaced scripts, and what they say."""
    words = _words(target, Span(0, len(target)))
    sizes = range(max(1, count - 1), min(len(words), count + 2) + 1)
    spans = [
        Span(words[i].start, words[i + size - 1].end) for size in sizes for i in range(len(words) - size + 1)
    ]
    spans = [_trim(target, span) for span in spans]
    return spans, [_bare(target[span.start : span.end]) for span in spans]


def _trim(text: str, span: Span) -> Span:
    """Without outer punctuation."""
    start, end = span
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return Span(start, end) if start < end else span


def _bare(text: str) -> str:
    span = _trim(text, Span(0, len(text)))
    return text[span.start : span.end].casefold()


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _nearest_cut(text: str, at: int, within: Span) -> int:
    """The offset nearest to `at` that is inside no word."""
    left = right = min(max(at, within.start), within.end)
    while left > within.start and inside_word(text, left):
        left -= 1
    while right < within.end and inside_word(text, right):
        right += 1
    return left if at - left <= right - at else right
