"""What a task tells while it runs, to a reader who watches the result arrive. The result is what counts."""

from collections.abc import Callable
from dataclasses import dataclass

from models.tasks.summary import SummarySentence
from models.tasks.translation import Segment


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of the summary that a model is writing. Together they are its text, before it is checked."""

    text: str


@dataclass(frozen=True, slots=True)
class SentenceReady:
    """A sentence of the summary, checked, and translated if that was asked; as it will be in the result."""

    index: int
    sentence: SummarySentence


@dataclass(frozen=True, slots=True)
class SegmentReady:
    """A segment of the translation. If it is tried again later, the better one is in the result."""

    index: int
    segment: Segment


Event = Words | SentenceReady | SegmentReady
OnEvent = Callable[[Event], None]


class Pieces:
    """Token ids as they come, told as pieces of text, each character once it is whole."""

    def __init__(self, decode: Callable[[tuple[int, ...]], str], on_event: OnEvent):
        self._decode = decode
        self._on_event = on_event
        self._ids: tuple[int, ...] = ()
        self._told = ""

    def add(self, token: int) -> None:
        """Take the next token; tells nothing while it is only a part of a character."""
        self._ids += (token,)
        text = self._decode(self._ids)
        # A decoder may change what it said before; then the rest waits for the result.
        if text.endswith("\ufffd") or not text.startswith(self._told) or text == self._told:
            return
        self._on_event(Words(text[len(self._told) :]))
        self._told = text
