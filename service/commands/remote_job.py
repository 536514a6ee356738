"""A long text as a job of a server: its progress is shown, and what is done is kept whatever happens."""

import time
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from pydantic import RootModel

from models.errors import DragomanError, InvalidInput
from service.commands.remote import answered_with, ask, refusal, remove
from service.commands.session import count
from service.jobs.schemas import JobAnswer, PartialAnswer
from service.schemas import SummaryAnswer, TranslationAnswer
from service.schemas.events import SegmentEvent

if TYPE_CHECKING:
    from service.commands.session import Session

LONG_CHARACTERS = 8000
"""A text beyond these is sent as a job: it could run past the time that a server gives a request."""

SOON_S, LATE_S, LATER_BY = 0.2, 2.0, 1.5
"""Between two looks: longer from one to the next."""
UNREACHED_S = 60.0
"""So long a server may be away, because it is started anew, say."""
TELLING_S = 2.0
"""Before this nobody is told how long it will take."""

_Looked = RootModel[PartialAnswer | SummaryAnswer | TranslationAnswer]

DONE, UNFINISHED, INTERRUPTED = 0, 1, 130
"""Exit codes."""


def summarized(session: "Session", body: dict[str, Any]) -> SummaryAnswer:
    """Return the server's summary of a long text. Raises as `ask` does."""
    return SummaryAnswer.model_validate(_Followed(session, {**body, "task": "summarize"}).answer())


def translated(session: "Session", body: dict[str, Any]) -> tuple[TranslationAnswer, int]:
    """Return the server's translation of a long text, and the exit code.

    After Ctrl-C, or a failure midway, it is partial: what is missing stands as in the source. Raises as `ask`
    does where there is nothing.
    """
    followed = _Followed(session, {**body, "task": "translate"})
    try:
        return TranslationAnswer.model_validate(followed.answer()), DONE
    except KeyboardInterrupt:
        why, code = "interrupted", INTERRUPTED
        followed.hear_last()
        if not followed.segments:
            raise
    except DragomanError as error:
        why, code = error.message, UNFINISHED
        if not followed.segments:
            raise
    segments = [followed.segments[i] for i in sorted(followed.segments)]
    number = f"{len(segments):,} of {count(segments[0].total, 'sentence')}"
    made = TranslationAnswer.model_construct(
        translation=_assembled(body["text"], segments, is_markup=body.get("format") in ("html", "xml")),
        segments=segments,
        target=body["target"],
        notes=[f"{why}: {number} are translated, the others stand as in the source"],
        partial=True,
    )
    return made, code


class _Followed:
    """One job, from its beginning to its end; `segments` are those that it has told so far."""

    def __init__(self, session: "Session", body: dict[str, Any]):
        self._session = session
        self._after = 0
        self._reached = time.monotonic()
        self.segments: dict[int, SegmentEvent] = {}
        self._address = f"/v1/jobs/{ask(session, '/v1/jobs', body, JobAnswer).id}"

    def answer(self) -> SummaryAnswer | TranslationAnswer:
        """Wait for the answer. However that ends, the server is told that the job is not wanted any more."""
        begun, wait_s = time.monotonic(), SOON_S
        try:
            with self._session.waiting("handed in at the server") as tell:
                while isinstance(answer := self._look(), PartialAnswer | None):
                    if answer is not None:
                        tell(_progress(answer, time.monotonic() - begun))
                        if answer.problem is not None or answer.finished is not None:
                            raise _failure(self._session, answer)
                    time.sleep(wait_s)
                    wait_s = min(LATE_S, wait_s * LATER_BY)
            return answer
        finally:
            remove(self._session, self._address)

    def hear_last(self) -> None:
        """Hear what was done until the job was called off, and have it forgotten."""
        self._look()
        remove(self._session, self._address)

    def _look(self) -> PartialAnswer | SummaryAnswer | TranslationAnswer | None:
        """Return the answer, or how the job stands; None where the server is away for a while."""
        path = f"{self._address}/result?partial=true&after={self._after}"
        try:
            answer = answered_with(self._session, path, None, _Looked).root
        except InvalidInput:
            raise
        except DragomanError:
            if time.monotonic() - self._reached > UNREACHED_S:
                raise
            return None
        self._reached = time.monotonic()
        if isinstance(answer, PartialAnswer):
            self._after = answer.next or 0
            self.segments |= {each.index: each for each in answer.segments or ()}
        return answer


def _failure(session: "Session", job: PartialAnswer) -> DragomanError:
    if job.problem is None:
        return DragomanError(f"the server has {job.status} the job")
    return refusal(session, job.problem.status, job.problem.model_dump())


def _progress(job: PartialAnswer, seconds: float) -> str:
    """Return `137 of 410 sentences, about 2 minutes left`."""
    done, total = job.progress.done, job.progress.total
    if job.status == "queued":
        return "waiting for other work on the server"
    what = count(total, "sentence" if job.task == "translate" else "part")
    left_s = seconds / done * (total - done) if done and seconds > TELLING_S else 0.0
    return f"{done:,} of {what}" + (f", about {_duration(left_s)} left" if left_s >= 1 else "")


def _duration(seconds: float) -> str:
    return count(round(seconds), "second") if seconds < 90 else count(round(seconds / 60), "minute")


def _assembled(text: str, segments: Sequence[SegmentEvent], *, is_markup: bool) -> str:
    """Return the text with these segments in their places."""
    parts, end = list[str](), 0
    for each in segments:
        parts += [text[end : each.source.start], escape(each.text, quote=False) if is_markup else each.text]
        end = each.source.end
    return "".join([*parts, text[end:]])
