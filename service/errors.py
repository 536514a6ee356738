"""The service's own errors, in addition to those of the models; `problems.py` maps them to statuses."""

import importlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.errors import DragomanError, InvalidInput

log = logging.getLogger(__name__)


class StoreUnavailable(DragomanError):
    """The database, or a file of the service, cannot be read or written.

    The message, which callers read, names no folder and no host; `where` is for the operator. `file` is None
    for a database on a server.
    """

    def __init__(self, kept: str, file: Path | None, reason: BaseException):
        why = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        named = "" if file is None else f" ({file.name})"
        super().__init__(f"{kept}{named} cannot be used" + ("" if file is None else f": {why}"))
        self.where = why if file is None else f"in {file.parent}"
        log.error("%s%s cannot be used: %s", kept, "" if file is None else f" in {file}", reason)


class PageUnavailable(DragomanError):
    """The server of an address that was to be fetched does not answer as it should."""


class MissingExtra(DragomanError):
    """A library that is not installed."""


def import_extra(module: str, *, what: str, extra: str) -> Any:
    """Import a module that `what` needs and an extra brings. Raises MissingExtra."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise MissingExtra(f"{what} needs {library}: pip install 'dragoman[{extra}]'") from error


def with_allowed(said: str, allowed: Sequence[str] | str | None, most: int = 40) -> str:
    """Return what was wrong with what is allowed; of more than `most` values the rest is counted."""
    if allowed is None or (isinstance(allowed, str) and allowed in said):
        return said
    shown = allowed if isinstance(allowed, str) else ", ".join(allowed[:most])
    more = 0 if isinstance(allowed, str) else len(allowed) - most
    return f"{said}; allowed: {shown}" + (f" and {more} more" if more > 0 else "")


# ---------------------------------------------------------------------- requests


class InvalidJson(InvalidInput):
    """The body is not JSON."""


class TooLong(InvalidInput):
    """A text, or all texts together, are over the limit."""


class TooManyTexts(InvalidInput):
    """`texts` has more items than one request may have."""


class UnknownGlossary(InvalidInput):
    """No glossary has this id or name, or it has no dictionary for the pair."""


class UntrustedHost(DragomanError):
    """The request is for a host name that is not this server's."""


class CrossSite(DragomanError):
    """A page of another site made a browser send this."""


class NotReady(DragomanError):
    """The models are not loaded; `reasons` says why, one line each."""

    def __init__(self, reasons: list[str], *, retry_after_s: float = 5.0):
        super().__init__("; ".join(reasons))
        self.reasons = reasons
        self.retry_after_s = retry_after_s


class KeyReused(DragomanError):
    """Another request had the same Idempotency-Key."""


class KeyInUse(DragomanError):
    """A request with the same Idempotency-Key is in work."""


# ---------------------------------------------------------------------- callers


class KeyRequired(DragomanError):
    """There was no key, and anonymous use is off, or strangers may not do this."""


class UnknownKey(DragomanError):
    """No such key was ever made here."""


class RevokedKey(DragomanError):
    """The key was revoked."""


class AdminRequired(DragomanError):
    """The key, if there was one, is not of those that may change what the server has."""


class CharactersSpent(DragomanError):
    """The caller's characters of the day don't suffice; there are new ones in `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float):
        super().__init__(message)
        self.retry_after_s = retry_after_s


# ---------------------------------------------------------------------- jobs


class UnknownJob(DragomanError):
    """There is no such job, or it is another owner's."""


class JobNotDone(DragomanError):
    """The job has no result, or none yet."""
