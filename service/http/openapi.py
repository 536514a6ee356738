"""The descriptions of routes, from which the OpenAPI document is made (`openapi_document.py`).

A new route is one `Operation`, put into its blueprint with `add` in place of Flask's `routes.get(...)`:

    LIST = Operation(
        method="GET", path="/glossaries", tag="glossaries", summary="All glossaries", answers=(GlossaryList,)
    )

    def blueprint(self) -> Blueprint:
        routes = Blueprint("glossaries", __name__, url_prefix="/v1")
        add(routes, LIST, self.list)
        return routes

Work on texts adds `errors=WORK_ERRORS`, a route with a name in its path `errors=(NotFound,)` and what it
raises itself; errors are named by their types, whose statuses `service.http.errors` knows. Routes that
follow other people's contracts (compat) are added to Flask as ever and stay out of the document.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from flask import Blueprint
from flask.sansio.app import App
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from models.errors import (
    DeadlineExceeded,
    EngineFailed,
    InvalidInput,
    ModelUnavailable,
    Overloaded,
    UnknownModel,
    UnsupportedLanguage,
)
from service.errors import InvalidJson, NotReady, TooLong, TooManyTexts
from service.settings import Settings

JSON = "application/json"

BODY_ERRORS = (
    InvalidJson,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InvalidInput,
    Overloaded,
)
"""Of every route that reads a JSON body."""

WORK_ERRORS = (
    TooLong,
    TooManyTexts,
    UnknownModel,
    UnsupportedLanguage,
    Overloaded,
    EngineFailed,
    ModelUnavailable,
    NotReady,
    DeadlineExceeded,
)
"""Of every route whose work is done by models on the caller's texts."""


@dataclass(frozen=True, slots=True)
class Example:
    """A body, its answer, or both, as JSON; both are checked against their schemas in the tests."""

    body: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | str | None = None
    answer_type: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The input and the answers of one method of one path."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    """As Flask writes it, below the blueprint's prefix: `/glossaries/<name>`."""
    tag: str
    """The heading that it stands under."""
    summary: str
    description: str = ""
    parameters: type[BaseModel] | None = None
    """The fields that stand in the path; all others are of the query."""
    body: type[BaseModel] | tuple[type[BaseModel], ...] | None = None
    """Its form, or one of these."""
    body_type: str = JSON
    forms: tuple[type[BaseModel], ...] = ()
    """Multipart forms that may be sent in place of the body."""
    limits: Callable[[Settings], Settings] | None = None
    """From the settings to those whose limits the body has, where they are not a request's."""
    status: int = 200
    answers: tuple[type[BaseModel], ...] = ()
    """One of these forms; none with `answer_type` text, or for an answer without a body."""
    answer_type: str = JSON
    file: str = ""
    """The file that the answer may be, of any type."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the answer, with what they say."""
    streams: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    """The events of the stream that the answer may be, before the last one, and the body of each."""
    errors: tuple[type[Exception], ...] = ()
    public: bool = False
    """True if it never wants an API key; `service.http.auth` names it too."""
    examples: Mapping[str, Example] = field(default_factory=dict)
    """By a name in words."""

    @property
    def bodies(self) -> tuple[type[BaseModel], ...]:
        """All forms of `body`."""
        if self.body is None:
            return ()
        return self.body if isinstance(self.body, tuple) else (self.body,)

    @property
    def address(self) -> str:
        """The path as OpenAPI writes it: `/glossaries/{name}`."""
        return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", self.path)


View = Callable[..., ResponseReturnValue]


def add(routes: Blueprint, operation: Operation, view: View) -> None:
    """Route the operation to its view and put it into the application's document."""
    routes.add_url_rule(operation.path, view_func=view, methods=[operation.method])
    routes.record(
        lambda state: declared(state.app).append(
            replace(operation, path=(state.url_prefix or "") + operation.path)
        )
    )


def declared(app: App) -> list[Operation]:
    """The application's operations, with whole paths, in the order in which they were added."""
    operations: list[Operation] = app.extensions.setdefault("dragoman.operations", [])
    return operations
