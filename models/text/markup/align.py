"""Finding the words of a translation that a stretch of the source became. No model: texts alone."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cached_property

from rapidfuzz import fuzz, process

from models.text.sentences.boundary import inside_word, is_unspaced
from models.text.sentences.segment import strip
from models.text.span import Span

LEAST_LIKENESS = 70.0
"""The least of rapidfuzz' ratio, 0 to 100, at which words are taken for each other."""

_OF_PLACE = 10.0
"""The cost of a place at the wrong end of the sentence, in the same unit."""


_REACH_CHARACTERS = 2_000
"""Words farther than this from the place where they are expected are not looked at."""

_MOST_WORDS = 100
"""A longer stretch is not looked for but taken from the same part of the sentence."""


class Target:
    """A translation with its words and the places where it can be cut, each found once and only if needed."""

    def __init__(self, text: str):
        self.text = text
        self._windows: dict[tuple[int, int], tuple[list[Span], list[str]]] = {}

    @cached_property
    def words(self) -> list[Span]:
        """Return the words: stretches between white space, or single characters in scripts without it."""
        return _words(self.text, Span(0, len(self.text)))

    @cached_property
    def _centres(self) -> list[int]:
        return [word.start + word.end for word in self.words]

    @cached_property
    def _cuts(self) -> list[int]:
        """The offsets that are inside no word, the text's ends among them."""
        return [at for at in range(len(self.text) + 1) if not inside_word(self.text, at)]

    @cached_property
    def bare(self) -> Span:
        """The text without outer punctuation; all of it if it has nothing else."""
        return _trim(self.text, Span(0, len(self.text)))

    def has_words(self, within: Span) -> bool:
        """Return whether anything but white space is there."""
        first, end = self._indices(within)
        return within.start < within.end and first < end

    def nearest_cut(self, at: int, within: Span) -> int:
        """The offset nearest to `at` that is inside no word, or an end of `within`."""
        at = min(max(at, within.start), within.end)
        i = bisect_left(self._cuts, at)
        right = min(self._cuts[i], within.end)
        left = at if self._cuts[i] == at else max(self._cuts[i - 1], within.start)
        return left if at - left <= right - at else right

    def nearest_word(self, span: Span, within: Span) -> Span:
        """The word in `within` whose middle is nearest to the middle of `span`; empty if there is none."""
        if not self.has_words(within):
            return Span(span.start, span.start)
        first, end = self._indices(within)
        middle = bisect_left(self._centres, span.start + span.end, first, end)
        near = sorted({first, *range(max(first, middle - 2), min(end, middle + 2)), end - 1})
        words = [
            Span(max(self.words[i].start, within.start), min(self.words[i].end, within.end)) for i in near
        ]
        return min(words, key=lambda word: abs(word.start + word.end - span.start - span.end))

    def windows(self, count: int, middle: float) -> tuple[list[Span], list[str]]:
        """Stretches of about so many words, or characters in unspaced scripts, and what they say."""
        block = int(middle) // _REACH_CHARACTERS
        if (count, block) not in self._windows:
            reach = Span((block - 1) * _REACH_CHARACTERS, (block + 2) * _REACH_CHARACTERS)
            self._windows[count, block] = self._windows_of(count, *self._indices(reach))
        return self._windows[count, block]

    def _windows_of(self, count: int, first: int, end: int) -> tuple[list[Span], list[str]]:
        words = self.words[first:end]
        sizes = range(max(1, count - 1), min(len(words), count + 2) + 1)
        spans = [
            _trim(self.text, Span(words[i].start, words[i + size - 1].end))
            for size in sizes
            for i in range(len(words) - size + 1)
        ]
        return spans, [_bare(self.text[span.start : span.end]) for span in spans]

    def _indices(self, within: Span) -> tuple[int, int]:
        """The first word that is at least partly there, and the one after the last."""
        first = bisect_right(self.words, within.start, key=lambda word: word.end)
        return first, max(first, bisect_left(self.words, within.end, key=lambda word: word.start))


def find(candidates: Sequence[str], source: str, stretch: Span, target: Target) -> tuple[Span, float]:
    """The span of `target` that says what `source[stretch]` does, and how sure that is, 0 to 1.

    `candidates` are what the stretch may be called in the target language, the likeliest first.
    """
    expected = proportional(source, stretch, target)
    middle = (expected.start + expected.end) / 2
    best, best_score = expected, 0.0
    for candidate in (*candidates, source[stretch.start : stretch.end]):
        wanted = _bare(candidate)
        count = len(_words(wanted, Span(0, len(wanted))))
        if not 0 < count <= _MOST_WORDS:
            continue
        spans, texts = target.windows(count, middle)
        alike = process.extract_iter(wanted, texts, scorer=fuzz.ratio, score_cutoff=LEAST_LIKENESS)
        for _, likeness, i in alike:
            span = spans[i]
            away = abs((span.start + span.end) / 2 - middle) / max(1, len(target.text))
            if likeness - away * _OF_PLACE > best_score:
                best, best_score = span, likeness - away * _OF_PLACE
    return best, best_score / 100


def proportional(source: str, stretch: Span, target: Target) -> Span:
    """The words at the same part of the target as the stretch is of the source."""
    scale, all_of_it = len(target.text) / max(1, len(source)), Span(0, len(target.text))
    start, end = round(stretch.start * scale), round(stretch.end * scale)
    if stretch.start == stretch.end:
        cut = target.nearest_cut(start, all_of_it)
        return Span(cut, cut)
    return snap(target, Span(start, end), all_of_it)


def snap(target: Target, span: Span, within: Span) -> Span:
    """`span` moved to ends of words, without outer white space: a word at least, if `within` has one."""
    if not target.has_words(within):
        return Span(span.start, span.start)
    found = Span(target.nearest_cut(span.start, within), target.nearest_cut(span.end, within))
    found = strip(target.text, found)
    if found.start < found.end:
        return found
    return target.nearest_word(Span(span.start, max(span.end, span.start + 1)), within)


def _words(text: str, within: Span) -> list[Span]:
    """Return the words: stretches between white space, or single characters in scripts without it."""
    words, start = [], within.start
    for at in range(within.start, within.end + 1):
        at_end = at == within.end
        if at_end or text[at].isspace() or (is_unspaced(text[at]) and not inside_word(text, at)):
            if start < at:
                words.append(Span(start, at))
            start = at + (not at_end and text[at].isspace())
    return words


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
