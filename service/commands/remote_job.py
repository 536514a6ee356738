"""A long text as a job of a server: its progress is shown, and what is done is kept whatever happens."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import RootModel

from models.errors import DragomanError, InvalidInput
from service.commands import so_far
from service.commands.remote import answered_with, ask, refusal, remove
from service.commands.so_far import DONE, INTERRUPTED, UNFINISHED
from service.jobs.schemas import JobAnswer, PartialAnswer
from service.schemas.answers import SummaryAnswer, TranslationAnswer
from service.schemas.events import SegmentEvent

if TYPE_CHECKING:
    from service.commands.session import Session

LONG_CHARACTERS = 8000
"""A text beyond these is sent as a job: it could run past the time that a server gives a request."""

SOON_S, LATE_S, LATER_BY = 0.2, 2.0, 1.5
"""Between two looks: longer from one to the next."""
UNREACHED_S = 60.0
"""So long a server may be away, because it is started anew, say."""
_Looked = RootModel[PartialAnswer | SummaryAnswer | TranslationAnswer]


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
        if not followed.segments:
            raise
    except DragomanError as error:
        why, code = error.message, UNFINISHED
        if not followed.segments:
            raise
    form = body.get("format", "text")
    return so_far.partial(body["text"], form, body["target"], followed.segments, why), code


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
                        if answer.status == "queued":
                            begun = time.monotonic()
                        tell(_progress(answer, time.monotonic() - begun))
                        if answer.problem is not None or answer.finished is not None:
                            raise _failure(self._session, answer)
                    time.sleep(wait_s)
                    wait_s = min(LATE_S, wait_s * LATER_BY)
            return answer
        except KeyboardInterrupt:
            remove(self._session, self._address)  # which calls it off; what was done until then is heard
            with suppress(DragomanError):
                self._look()
            raise
        finally:
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
    if job.status == "queued":
        return "waiting for other work on the server"
    if job.progress.total == 1:  # how many there are is not known yet
        return "working on the server"
    noun = "sentence" if job.task == "translate" else "part"
    return so_far.progress(job.progress.done, job.progress.total, noun, seconds)
