"""The events that are streamed while a request is worked on: their names and data."""

from collections.abc import Mapping

from pydantic import BaseModel, Field

from models.steps import Event, Words
from models.summarize.summarizer import SentenceReady
from models.translate.translator import SegmentReady
from service.schemas.absent import absent
from service.schemas.answers import EvidencePart, FlagPart, SegmentPart, SpanPart, made


class TokenEvent(BaseModel):
    """A piece of the summary that a model is writing, to be put after the pieces before it."""

    text: str


class SentenceEvent(BaseModel):
    """A sentence of the summary, as in the answer but for its place; its flags count in its own text."""

    index: int
    text: str
    source: SpanPart | None = Field(description="Where the article says it, if the sentence is its own.")
    original: str | None = absent("The sentence before it was translated.")
    evidence: list[EvidencePart]
    flags: list[FlagPart]


class SegmentEvent(SegmentPart):
    """A segment of the translation, as in the answer; one that comes again replaces what was told before."""

    index: int
    total: int = Field(description="How many segments there will be.")


SUMMARY_EVENTS: Mapping[str, type[BaseModel]] = {"token": TokenEvent, "sentence": SentenceEvent}
TRANSLATION_EVENTS: Mapping[str, type[BaseModel]] = {"segment": SegmentEvent}
"""By name, as they come before the whole answer."""


def render_event(event: Event) -> tuple[str, BaseModel]:
    """The event's name and data."""
    if isinstance(event, Words):
        return "token", TokenEvent(text=event.text)
    if isinstance(event, SentenceReady):
        return "sentence", made(SentenceEvent, event.sentence, index=event.index)
    assert isinstance(event, SegmentReady)  # noqa: S101 - there are no others
    return "segment", made(SegmentEvent, event.segment, index=event.index, total=event.total)
