"""A job: what was asked, how far it is, and what came out. Plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from models.errors import DragomanError
from service.options import TaskName
from service.tasks import Result

Form = Literal["text", "html", "texts", "document"]
Status = Literal["queued", "running", "done", "failed", "cancelled"]
CallbackStatus = Literal["pending", "delivered", "failed"]


class Gone(DragomanError):
    """The job was cancelled while it was worked on."""


@dataclass(frozen=True, slots=True)
class Item:
    """One text, page or document of a job, by its place in it."""

    number: int
    content: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as it is put in."""

    task: TaskName
    form: Form
    options: Mapping[str, Any]
    """The request's other fields, checked; a document's hold its name, as `file`."""
    contents: Sequence[str | bytes | Result]
    """The items in order; a Result for one that was wrong from the start."""
    request_id: str
    owner: str | None = None
    caller: str = ""
    """Whose share it takes: the key's, or the address's without one."""
    callback: str | None = None
    """The URL that is told when it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it stands. Times are seconds since 1970."""

    number: int
    """Jobs are done, and listed, in the order of their numbers."""
    id: str
    owner: str | None
    task: TaskName
    form: Form
    options: Mapping[str, Any]
    request_id: str
    status: Status
    done: int
    """Of `total`: texts, or of a single one the pieces that models were given; then both may grow."""
    total: int
    created: float
    started: float | None
    finished: float | None
    problem: bytes | None
    """A problem document, of a job that failed."""
    interruptions: int
    """The number of times that the service died while it worked on this."""
    callback: str | None
    callback_status: CallbackStatus | None
    callback_tries: int
    caller: str

    @property
    def ended(self) -> bool:
        """True if nothing more will become of it."""
        return self.status in ("done", "failed", "cancelled")
