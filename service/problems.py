"""Problem documents (RFC 9457) of errors, by one table of error types, for HTTP, jobs and batches alike."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from limits.errors import StorageError
from pydantic import BaseModel, Field
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    TooManyRequests,
    UnsupportedMediaType,
)

from models.errors import (
    ClientDisconnected,
    DeadlineExceeded,
    DragomanError,
    EngineFailed,
    EngineGone,
    InvalidInput,
    ModelLoading,
    ModelUnavailable,
    Overloaded,
    ServerFailed,
    ServerUnavailable,
    UnknownModel,
    UnsupportedLanguage,
)
from service.errors import (
    AdminRequired,
    CharactersSpent,
    CrossSite,
    InvalidJson,
    JobNotDone,
    KeyRequired,
    NotReady,
    RevokedKey,
    StoreUnavailable,
    TooLong,
    TooManyTexts,
    UnknownGlossary,
    UnknownJob,
    UnknownKey,
    UntrustedHost,
)
from service.validation import InvalidFields, absent

log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """One wrong field of several."""

    field: str | None = absent("Where in the request, such as `target` or `texts[2]`.")
    detail: str = Field(description="What was wrong.")
    allowed: list[str] | str | None = absent("What the field may be.")


class Problem(BaseModel):
    """Why a request, or one item of it, was not done."""

    type: str = Field(description="Names the kind of problem; stable, for programs to compare.")
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status; in an item of `results`, the item's own.")
    detail: str = Field(description="What was wrong this time.")
    field: str | None = absent("The input at fault, such as `target` or `texts[2]`.")
    allowed: list[str] | str | None = absent("What the field may be.")
    errors: list[FieldProblem] | None = absent("Each wrong field, where there are several.")
    reasons: list[str] | None = absent("Why the service is not ready.")
    request_id: str = Field(description="Also in the X-Request-Id header and in the service's log.")

    def of_item(self, number: int) -> "Problem":
        """The same, told of an item of `texts`: the task, which sees one text only, calls it `text`."""
        if self.field == "text":
            self.field = f"texts[{number}]"
        return self


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its status, its name for programs and its name for people."""

    status: int
    slug: str
    title: str


UNEXPECTED = Kind(500, "unexpected-error", "Something went wrong in the service")

KINDS: dict[type[Exception], Kind] = {
    InvalidJson: Kind(400, "invalid-json", "The body is not JSON"),
    KeyRequired: Kind(401, "key-required", "An API key is needed"),
    UnknownKey: Kind(401, "unknown-key", "The API key is not known"),
    RevokedKey: Kind(403, "revoked-key", "The API key was revoked"),
    AdminRequired: Kind(403, "admin-required", "The API key may not do this"),
    UntrustedHost: Kind(403, "untrusted-host", "The server does not go by this host name"),
    CrossSite: Kind(403, "cross-site", "Pages of other sites may not send this"),
    NotFound: Kind(404, "not-found", "There is nothing at this address"),
    UnknownJob: Kind(404, "unknown-job", "There is no such job"),
    MethodNotAllowed: Kind(405, "method-not-allowed", "This address does not take this method"),
    JobNotDone: Kind(409, "job-not-done", "The job has no result"),
    RequestEntityTooLarge: Kind(413, "body-too-large", "The body is too large"),
    TooLong: Kind(413, "text-too-long", "The text is over the limit"),
    TooManyTexts: Kind(413, "too-many-texts", "More texts than a request may have"),
    UnsupportedMediaType: Kind(415, "unsupported-media-type", "The body is of another type"),
    InvalidInput: Kind(422, "invalid-input", "The request cannot be done as it is"),
    UnknownModel: Kind(422, "unknown-model", "No model has this name"),
    UnknownGlossary: Kind(422, "unknown-glossary", "No glossary here is meant by this"),
    UnsupportedLanguage: Kind(422, "unsupported-language", "The language is not one of the model's"),
    Overloaded: Kind(429, "overloaded", "The service is full; try again shortly"),
    TooManyRequests: Kind(429, "rate-limited", "Too many requests from this caller"),
    CharactersSpent: Kind(429, "characters-spent", "The caller's characters of the day are spent"),
    ClientDisconnected: Kind(499, "client-gone", "The client went away"),
    EngineGone: Kind(503, "engine-gone", "The models are started again; try again shortly"),
    ServerFailed: Kind(502, "server-failed", "The model's server failed"),
    ServerUnavailable: Kind(503, "server-unavailable", "The model's server is not available"),
    EngineFailed: Kind(500, "engine-failed", "The model failed on this request"),
    StoreUnavailable: Kind(503, "store-unavailable", "What is kept here cannot be read or written"),
    StorageError: Kind(503, "limits-unavailable", "What callers use cannot be counted"),
    ModelUnavailable: Kind(503, "model-unavailable", "The model's weights cannot be had"),
    ModelLoading: Kind(503, "model-loading", "The model is being fetched or loaded"),
    NotReady: Kind(503, "not-ready", "The models are not loaded yet"),
    DeadlineExceeded: Kind(504, "deadline-exceeded", "The request ran out of time"),
    DragomanError: UNEXPECTED,
}


def kind_of(error: Exception) -> Kind:
    """Return the table's kind for the error's type, or for the nearest of its bases."""
    for base in type(error).__mro__:
        if base in KINDS:
            return KINDS[base]
    if isinstance(error, HTTPException) and error.code:
        return Kind(error.code, error.name.lower().replace(" ", "-"), error.name)
    return UNEXPECTED


def problem(error: Exception, request_id: str) -> Problem:
    """Return the document for an error; a bug is logged with its trace, which the document does not show."""
    kind = kind_of(error)
    document = Problem(
        type=f"/problems/{kind.slug}",
        title=kind.title,
        status=kind.status,
        detail=_detail(error),
        request_id=request_id,
    )
    if kind is UNEXPECTED:
        log.error("request %s failed", request_id, exc_info=error)
    if isinstance(error, DragomanError):
        document.field, document.allowed = error.field, _allowed(error)
    if isinstance(error, InvalidFields):
        document.errors = [
            FieldProblem(field=each.field, detail=each.message, allowed=_allowed(each))
            for each in error.errors
        ]
    if isinstance(error, NotReady):
        document.reasons = error.reasons
    return document


def _detail(error: Exception) -> str:
    if isinstance(error, DragomanError):
        return error.message
    if isinstance(error, HTTPException):
        return error.description or error.name
    return "The service's log has the cause, under this request's id."


def _allowed(error: DragomanError) -> list[str] | str | None:
    allowed: Sequence[str] | str | None = error.allowed
    return allowed if allowed is None or isinstance(allowed, str) else list(allowed)
