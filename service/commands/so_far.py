"""A translation that is not done: how far it is, in words, and the answer that there is of it."""

from collections.abc import Mapping
from html import escape

from service.commands.session import count
from service.schemas.answers import TranslationAnswer
from service.schemas.events import SegmentEvent

DONE, UNFINISHED, INTERRUPTED = 0, 1, 130
"""Exit codes."""

TELLING_S = 2.0
"""Before this nobody is told how long it will take."""


def progress(done: int, total: int, noun: str, seconds: float) -> str:
    """Return `137 of 410 sentences, about 2 minutes left`, after so many seconds of work."""
    left_s = seconds / done * (total - done) if done and seconds > TELLING_S else 0.0
    return f"{done:,} of {count(total, noun)}" + (f", about {_duration(left_s)} left" if left_s >= 1 else "")


def partial(
    text: str, text_format: str, target: str, segments: Mapping[int, SegmentEvent], why: str
) -> TranslationAnswer:
    """Return the answer with these segments, at least one, by their numbers; what is missing is the source's.

    It has only what is known: no model, no timings.
    """
    told = [segments[i] for i in sorted(segments)]
    number = f"{len(told):,} of {count(told[0].total, 'sentence')}"
    parts, end = list[str](), 0
    for each in told:
        is_markup = text_format in ("html", "xml")
        parts += [text[end : each.source.start], escape(each.text, quote=False) if is_markup else each.text]
        end = each.source.end
    return TranslationAnswer.model_construct(
        translation="".join([*parts, text[end:]]),
        segments=told,
        target=target,
        notes=[f"{why}: {number} are translated, the others stand as in the source"],
        partial=True,
    )


def _duration(seconds: float) -> str:
    return count(round(seconds), "second") if seconds < 90 else count(round(seconds / 60), "minute")
