"""Problem documents (RFC 9457): the status and title of each error type, for HTTP, jobs and batches."""

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
    KeyInUse,
    KeyRequired,
    KeyReused,
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
    """One of several invalid fields."""

    field: str | None = absent("The input at fault, such as `target` or `texts[2]`.")
    detail: str = Field(description="What was wrong.")
    allowed: list[str] | str | None = absent("The allowed values.")


class Problem(BaseModel):
    """Why a request, or one item of it, failed."""

    type: str = Field(description="The kind of problem; stable, for programs to compare.")
    title: str = Field(description="The kind of problem, for people.")
    status: int = Field(description="The HTTP status; in an item of `results`, the item's own.")
    detail: str = Field(description="What was wrong in this request.")
    field: str | None = absent("The input at fault, such as `target` or `texts[2]`.")
    allowed: list[str] | str | None = absent("The allowed values.")
    errors: list[FieldProblem] | None = absent("Every invalid field, if there are several.")
    reasons: list[str] | None = absent("Why the service is not ready.")
    request_id: str = Field(description="Also in the X-Request-Id header and the server's log.")

    def of_item(self, number: int) -> "Problem":
        """Rename the field `text` to `texts[number]`; a task sees a single text."""
        if self.field == "text":
            self.field = f"texts[{number}]"
        return self


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its status, its name for programs and its name for people."""

    status: int
    slug: str
    title: str


UNEXPECTED = Kind(500, "unexpected-error", "Internal error")

KINDS: dict[type[Exception], Kind] = {
    InvalidJson: Kind(400, "invalid-json", "Invalid JSON"),
    KeyRequired: Kind(401, "key-required", "API key required"),
    UnknownKey: Kind(401, "unknown-key", "Unknown API key"),
    RevokedKey: Kind(403, "revoked-key", "API key revoked"),
    AdminRequired: Kind(403, "admin-required", "Admin key required"),
    UntrustedHost: Kind(403, "untrusted-host", "Host not allowed"),
    CrossSite: Kind(403, "cross-site", "Cross-site request refused"),
    NotFound: Kind(404, "not-found", "Not found"),
    UnknownJob: Kind(404, "unknown-job", "Job not found"),
    MethodNotAllowed: Kind(405, "method-not-allowed", "Method not allowed"),
    KeyInUse: Kind(409, "idempotency-key-in-use", "Idempotency key in use"),
    JobNotDone: Kind(409, "job-not-done", "Job not done"),
    RequestEntityTooLarge: Kind(413, "body-too-large", "Body too large"),
    TooLong: Kind(413, "text-too-long", "Text too long"),
    TooManyTexts: Kind(413, "too-many-texts", "Too many texts"),
    UnsupportedMediaType: Kind(415, "unsupported-media-type", "Unsupported media type"),
    InvalidInput: Kind(422, "invalid-input", "Invalid request"),
    KeyReused: Kind(422, "idempotency-key-reused", "Idempotency key reused"),
    UnknownModel: Kind(422, "unknown-model", "Model not found"),
    UnknownGlossary: Kind(422, "unknown-glossary", "Glossary not found"),
    UnsupportedLanguage: Kind(422, "unsupported-language", "Language not supported"),
    Overloaded: Kind(429, "overloaded", "Server busy"),
    TooManyRequests: Kind(429, "rate-limited", "Rate limit exceeded"),
    CharactersSpent: Kind(429, "characters-spent", "Daily character quota used up"),
    ClientDisconnected: Kind(499, "client-gone", "Client disconnected"),
    EngineGone: Kind(503, "engine-gone", "Models restarting"),
    ServerFailed: Kind(502, "server-failed", "Model server failed"),
    ServerUnavailable: Kind(503, "server-unavailable", "Model server unavailable"),
    EngineFailed: Kind(500, "engine-failed", "Model failed"),
    StoreUnavailable: Kind(503, "store-unavailable", "Storage unavailable"),
    StorageError: Kind(503, "limits-unavailable", "Rate-limit storage unavailable"),
    ModelUnavailable: Kind(503, "model-unavailable", "Model weights unavailable"),
    ModelLoading: Kind(503, "model-loading", "Model loading"),
    NotReady: Kind(503, "not-ready", "Not ready"),
    DeadlineExceeded: Kind(504, "deadline-exceeded", "Deadline exceeded"),
    DragomanError: UNEXPECTED,
}


def kind_of(error: Exception) -> Kind:
    """Return the kind of the error's type, or of its nearest base class."""
    for base in type(error).__mro__:
        if base in KINDS:
            return KINDS[base]
    if isinstance(error, HTTPException) and error.code:
        return Kind(error.code, error.name.lower().replace(" ", "-"), error.name)
    return UNEXPECTED


def problem(error: Exception, request_id: str) -> Problem:
    """Return the document for an error. A bug is logged with its traceback, which clients never see."""
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
    return "The server's log has the cause under this request id."


def _allowed(error: DragomanError) -> list[str] | str | None:
    allowed: Sequence[str] | str | None = error.allowed
    return allowed if allowed is None or isinstance(allowed, str) else list(allowed)
