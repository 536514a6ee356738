"""Cuts an output into stretches of words that its source has in the same order."""

from collections import defaultdict
from typing import NamedTuple

from models.checks.language.reading import Reading, Word

_MOST_PLACES = 1000
_COPIED_WORDS = 4
"""A stretch of this many words was copied, not matched by chance."""


class Fragment(NamedTuple):
    """The longest stretch of words from one word on that the source has; a single word if it has none."""

    first: int
    """The index of its first word in the sentence."""
    words: int
    held: bool
    """True if the source has it."""


def fragments(source: Reading, sentences: list[list[Word]]) -> list[list[Fragment]]:
    """Return each sentence cut into fragments, one after another. Words are compared by their stems."""
    stems = [word.stem for word in source.words]
    places: dict[str, list[int]] = defaultdict(list)
    for i, stem in enumerate(stems):
        places[stem].append(i)
    return [_cut([word.stem for word in sentence], stems, places) for sentence in sentences]


def _cut(sentence: list[str], stems: list[str], places: dict[str, list[int]]) -> list[Fragment]:
    found: list[Fragment] = []
    first = 0
    while first < len(sentence):
        longest = 0
        for place in places.get(sentence[first], ())[:_MOST_PLACES]:
            longest = max(longest, _shared(sentence, first, stems, place))
            if first + longest == len(sentence):
                break  # no other place has more; without this, a text that repeats itself takes very long
        found.append(Fragment(first, max(longest, 1), longest > 0))
        first += found[-1].words
    return found


def _shared(sentence: list[str], first: int, stems: list[str], place: int) -> int:
    words = 0
    most = min(len(sentence) - first, len(stems) - place)
    while words < most and sentence[first + words] == stems[place + words]:
        words += 1
    return words


def copied_share(cut: list[list[Fragment]]) -> float:
    """Return the share of an output's words that stand in long stretches of its source, 0 to 1."""
    everything = sum(fragment.words for sentence in cut for fragment in sentence)
    copied = sum(f.words for sentence in cut for f in sentence if f.held and f.words >= _COPIED_WORDS)
    return copied / everything if everything else 0.0
