"""The typed errors. The service maps them to HTTP statuses and exit codes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class DragomanError(Exception):
    """Base of all errors that a user should read.

    `message` says what was wrong in a line of plain words, and names no path of this machine. `field` is the
    input at fault, and `allowed` what it may be: values, or words.
    """

    def __init__(self, message: str, *, field: str | None = None, allowed: Sequence[str] | str | None = None):
        super().__init__(message)
        self.message = message
        self.field = field
        self.allowed = allowed

    def without(self, name: str) -> str:
        """Return the message without this name before it, for lines that begin with the name."""
        return self.message.removeprefix(name).lstrip(": ")


class InvalidInput(DragomanError):
    """The request itself is wrong, and would be the next time."""


class UnknownModel(InvalidInput):
    """No model of this name does the task here; `allowed` are those that do."""


class UnsupportedLanguage(InvalidInput):
    """The model, or every model here, lacks the language or the pair; `allowed` are codes."""


class ModelUnavailable(DragomanError):
    """The model is known, but its weights cannot be fetched, read or loaded here.

    `folder` is where they lie, for whoever keeps the machine.
    """

    def __init__(
        self, message: str, *, folder: Path | None = None, allowed: Sequence[str] | str | None = None
    ):
        super().__init__(message, allowed=allowed)
        self.folder = folder

    @property
    def placed(self) -> str:
        """The message with the folder at fault, for who keeps the machine: no path reaches a client."""
        return self.message if self.folder is None else f"{self.message} ({self.folder})"


class NotConvertible(ModelUnavailable):
    """CTranslate2 has no models of this architecture; another engine may run it."""


class ModelLoading(ModelUnavailable):
    """The model is on its way, being fetched or loaded; try again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float = 10.0):
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(DragomanError):
    """The queue is full; try again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0):
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(DragomanError):
    """The request's time ran out; its work was cancelled."""


class EngineFailed(DragomanError):
    """The engine could not do this one request, or died while it waited; others may be done all the same."""


class ServerFailed(EngineFailed):
    """The server that has the model answered with an error, or broke off its answer."""


class EngineGone(EngineFailed):
    """The engine's process ended, and another takes its place; try again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float = 5.0):
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerUnavailable(EngineGone):
    """The server that has the model cannot be reached or is full; try again after `retry_after_s` seconds."""


class ClientDisconnected(DragomanError):
    """The client disconnected, or gave its work up, and the work was cancelled."""

    def __init__(self) -> None:
        super().__init__("cancelled: the client disconnected")


@contextmanager
def at_fault(field: str, said: str) -> Iterator[None]:
    """Raise InvalidInput for whatever a parser stumbles over here: it is in the caller's input."""
    try:
        yield
    except (InvalidInput, MemoryError):
        raise
    except Exception as error:
        raise InvalidInput(f"{said}: {error}", field=field) from error
