"""The words of an extracted text, to tell which blocks of its page are in it. Knows nothing of articles."""

from collections.abc import Iterable, Sequence

from models.text.article.block import Block, words

_GRAM_WORDS = 4
_LEAST_FOUND = 0.7

Gram = tuple[str, ...]


def grams(found: Sequence[str]) -> set[Gram]:
    """Its runs of four words; a shorter text is one run."""
    return {tuple(found[i : i + _GRAM_WORDS]) for i in range(max(1, len(found) - _GRAM_WORDS + 1))}


class Extraction:
    """The text that an extractor took from a page."""

    def __init__(self, text: str):
        self._found = words(text)
        self._words = set(self._found)
        self._grams = grams(self._found)
        self._runs: dict[int, set[Gram]] = {}

    def holds(self, block: Block) -> bool:
        """Return whether nearly all of the block is in it; a short one has to be there as it is."""
        if len(block.words) < 2 * _GRAM_WORDS:
            return bool(block.words) and block.words in self._runs_of(len(block.words))
        own = grams(block.words)
        return len(own & self._grams) >= _LEAST_FOUND * len(own)

    def _runs_of(self, size: int) -> set[Gram]:
        """Return all runs of so many words: to search the text for each short block takes long."""
        if size not in self._runs:
            last = len(self._found) - size + 1
            self._runs[size] = {tuple(self._found[i : i + size]) for i in range(last)}
        return self._runs[size]

    def share_in(self, blocks: Iterable[Block]) -> float:
        """Return how many of its different words stand in the blocks, 0 to 1; all of them if it has none."""
        seen = set().union(*(block.words for block in blocks))
        return len(seen & self._words) / len(self._words) if self._words else 1.0
