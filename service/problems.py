"""Problem documents (RFC 9457): the status and title of each error type, for HTTP, jobs and batches."""

import logging
import math
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
    PageUnavailable,
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


ALLOWED = "The allowed values; where they cannot be listed, what is allowed in words."


class FieldProblem(BaseModel):
    """One of several invalid fields."""

    field: str | None = absent("The input at fault, such as `target` or `texts[2]`.")
    detail: str = Field(description="What was wrong.")
    allowed: list[str] | str | None = absent(ALLOWED)


class Problem(BaseModel):
    """Why a request, or one item of it, failed."""

    type: str = Field(
        description="The kind of problem; stable, for programs to compare. The server explains it there."
    )
    title: str = Field(description="The kind of problem, for people.")
    status: int = Field(description="The HTTP status; in an item of `results`, the item's own.")
    detail: str = Field(description="What was wrong in this request.")
    field: str | None = absent("The input at fault, such as `target` or `texts[2]`.")
    allowed: list[str] | str | None = absent(ALLOWED)
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
    about: str = ""
    """What it means, and what to do about it; shown at the problem's `type`."""


UNEXPECTED = Kind(
    500,
    "unexpected-error",
    "Internal error",
    "A bug in Dragoman. The server's log has its trace under the request id.",
)

KINDS: dict[type[Exception], Kind] = {
    InvalidJson: Kind(
        400,
        "invalid-json",
        "Invalid JSON",
        "The body is not JSON in UTF-8. `detail` says where it breaks off.",
    ),
    KeyRequired: Kind(
        401,
        "key-required",
        "API key required",
        "This server wants an API key, or strangers may not do this. Send `Authorization: Bearer KEY`.",
    ),
    UnknownKey: Kind(
        401,
        "unknown-key",
        "Unknown API key",
        "The key was never made here. Check it for a missing character, or ask whoever runs this server.",
    ),
    RevokedKey: Kind(
        403,
        "revoked-key",
        "API key revoked",
        "The key was valid once, and was revoked. Ask whoever runs this server for another.",
    ),
    AdminRequired: Kind(
        403,
        "admin-required",
        "Admin key required",
        "Only keys made with `dragoman keys create --admin` may have models fetched.",
    ),
    UntrustedHost: Kind(
        403,
        "untrusted-host",
        "Host not allowed",
        "The request names a host that is not this server's. DRAGOMAN_TRUSTED_HOSTS lists its names.",
    ),
    CrossSite: Kind(
        403,
        "cross-site",
        "Cross-site request refused",
        "A page of another site made the browser send this form. Send JSON from a program instead.",
    ),
    NotFound: Kind(
        404, "not-found", "Not found", "There is nothing at this address. /docs lists all addresses."
    ),
    UnknownJob: Kind(
        404, "unknown-job", "Job not found", "There is no such job, it is another key's, or it has expired."
    ),
    MethodNotAllowed: Kind(
        405,
        "method-not-allowed",
        "Method not allowed",
        "The address is right, and the method is not. `allowed` and the header Allow name those that are.",
    ),
    KeyInUse: Kind(
        409,
        "idempotency-key-in-use",
        "Idempotency key in use",
        "The first request with this Idempotency-Key is still being worked on. Ask again later.",
    ),
    JobNotDone: Kind(
        409,
        "job-not-done",
        "Job not done",
        "The job has no result yet. Look at its status, or ask for the result with `partial=true`.",
    ),
    RequestEntityTooLarge: Kind(
        413,
        "body-too-large",
        "Body too large",
        "The body has more bytes than this server takes. Use /v1/jobs for long work.",
    ),
    TooLong: Kind(
        413,
        "text-too-long",
        "Text too long",
        "A text, or all texts together, are over the limit. Use /v1/jobs for long work.",
    ),
    TooManyTexts: Kind(
        413,
        "too-many-texts",
        "Too many texts",
        "`texts` has more items than one request may have. Send them in several, or as a job.",
    ),
    UnsupportedMediaType: Kind(
        415,
        "unsupported-media-type",
        "Unsupported media type",
        "The Content-Type is not one that this address reads.",
    ),
    InvalidInput: Kind(
        422,
        "invalid-input",
        "Invalid request",
        "A field is wrong: `field` names it, `allowed` says what it may be, `errors` lists several.",
    ),
    KeyReused: Kind(
        422,
        "idempotency-key-reused",
        "Idempotency key reused",
        "Another request had the same Idempotency-Key. Each request needs a new one.",
    ),
    UnknownModel: Kind(
        422,
        "unknown-model",
        "Model not found",
        "No model here has this name and does this task. `allowed`, or /v1/models, lists those that do.",
    ),
    UnknownGlossary: Kind(
        422,
        "unknown-glossary",
        "Glossary not found",
        "You have no glossary of this id or name, or it has nothing for this pair of languages.",
    ),
    UnsupportedLanguage: Kind(
        422,
        "unsupported-language",
        "Language not supported",
        "The model, or every model here, lacks the language. `allowed` and /v1/languages list those it has.",
    ),
    Overloaded: Kind(
        429,
        "overloaded",
        "Server busy",
        "The server, or your share of it, is full. Try again after Retry-After seconds.",
    ),
    TooManyRequests: Kind(
        429,
        "rate-limited",
        "Rate limit exceeded",
        "Your requests come faster than your rate allows. Try again after Retry-After seconds.",
    ),
    CharactersSpent: Kind(
        429,
        "characters-spent",
        "Daily character quota used up",
        "You have used the day's characters. There are new ones at midnight UTC, in Retry-After seconds.",
    ),
    ClientDisconnected: Kind(
        499,
        "client-gone",
        "Client disconnected",
        "The client closed its connection, and the work was cancelled.",
    ),
    EngineGone: Kind(
        503,
        "engine-gone",
        "Models restarting",
        "The models' process ended and is being started again. Try again after Retry-After seconds.",
    ),
    ServerFailed: Kind(
        502,
        "server-failed",
        "Model server failed",
        "The server that has the model answered with an error, which `detail` repeats.",
    ),
    ServerUnavailable: Kind(
        503,
        "server-unavailable",
        "Model server unavailable",
        "The server that has the model cannot be reached, or is full. Try again after Retry-After seconds.",
    ),
    PageUnavailable: Kind(
        502,
        "page-unavailable",
        "Page not available",
        "The server of the address did not answer, or not with the page. `detail` says what it did.",
    ),
    EngineFailed: Kind(
        500,
        "engine-failed",
        "Model failed",
        "The model could not do this request; others are not affected. The server's log has the cause.",
    ),
    StoreUnavailable: Kind(
        503,
        "store-unavailable",
        "Storage unavailable",
        "The server's data folder cannot be read or written. Its log has the cause.",
    ),
    StorageError: Kind(
        503,
        "limits-unavailable",
        "Rate-limit storage unavailable",
        "The storage that counts requests cannot be reached. The server's log has the cause.",
    ),
    ModelUnavailable: Kind(
        503,
        "model-unavailable",
        "Model weights unavailable",
        "The model is known, but its weights cannot be fetched, read or loaded here.",
    ),
    ModelLoading: Kind(
        503,
        "model-loading",
        "Model loading",
        "The model is being fetched or loaded. Try again after Retry-After seconds, or ask /v1/models.",
    ),
    NotReady: Kind(503, "not-ready", "Not ready", "The models are not loaded. `reasons` says why."),
    DeadlineExceeded: Kind(
        504,
        "deadline-exceeded",
        "Deadline exceeded",
        "The work was not done in time and was cancelled. Use /v1/jobs, or `partial` for a translation.",
    ),
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
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        document.allowed = _methods(error)
    if isinstance(error, NotReady):
        document.reasons = error.reasons
    return document


def _detail(error: Exception) -> str:
    if isinstance(error, Overloaded | CharactersSpent):
        return f"{error.message}; {try_again(error.retry_after_s)}"
    if isinstance(error, DragomanError):
        return error.message
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        return f"the method is not allowed at this address; use {' or '.join(_methods(error))}"
    if isinstance(error, HTTPException):
        return error.description or error.name
    return "The server's log has the cause under this request id."


_UNITS = ((3600, "hour"), (60, "minute"), (1, "second"))


def try_again(after_s: float) -> str:
    """Return in words when a refused request may be sent again, rounded up."""
    unit_s, unit = next((each for each in _UNITS if after_s > 2 * each[0]), _UNITS[-1])
    number = max(1, math.ceil(after_s / unit_s))
    return f"try again in {number} {unit}{'' if number == 1 else 's'}"


def _methods(error: MethodNotAllowed) -> list[str]:
    """Return the methods of the address, but for those that go without saying."""
    return [each for each in error.valid_methods or () if each not in ("HEAD", "OPTIONS")]


def _allowed(error: DragomanError) -> list[str] | str | None:
    allowed: Sequence[str] | str | None = error.allowed
    return allowed if allowed is None or isinstance(allowed, str) else list(allowed)
