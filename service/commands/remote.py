"""A running server in place of this process's own models: `--server URL`, with the same output."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from models.errors import DragomanError, InvalidInput
from service.commands.session import keep

if TYPE_CHECKING:
    from pydantic import BaseModel

    from service.commands.session import Session

A = TypeVar("A", bound="BaseModel")
F = TypeVar("F", bound=Callable[..., Any])

CONNECT_S = 5.0
INPUT_AT_FAULT = frozenset({400, 404, 413, 415, 422})


_SERVER = click.option(
    "--server",
    metavar="URL",
    envvar="DRAGOMAN_SERVER",
    expose_value=False,
    callback=keep,
    help="Ask the server there rather than load models here; else DRAGOMAN_SERVER.",
)
_KEY = click.option(
    "--key",
    envvar="DRAGOMAN_KEY",
    expose_value=False,
    callback=keep,
    help="The server's API key; else DRAGOMAN_KEY, which other users of this machine cannot see.",
)


def server_options(command: F) -> F:
    """Add `--server` and `--key`, which the session keeps."""
    return _SERVER(_KEY(command))


def answered(
    session: "Session", path: str, body: "dict[str, Any] | None", form: type[A], here: Callable[[], A]
) -> A:
    """Return the server's answer, where one is named, or else what `here` makes."""
    return ask(session, path, body, form) if session.server else here()


def ask(session: "Session", path: str, body: "dict[str, Any] | None", form: type[A]) -> A:
    """Return the server's answer to this body (to a GET without one).

    Raises InvalidInput where the server refuses the input, and DragomanError where it has no answer.
    """
    with session.waiting(f"asking {session.server}"):
        return answered_with(session, path, body, form)


def answered_with(session: "Session", path: str, body: "dict[str, Any] | None", form: type[A]) -> A:
    """Return the answer as `ask` does, without telling that it takes its time."""
    from pydantic import ValidationError

    url = session.server or ""
    status, retry_after, data = _exchange(url, session.key, path, body)
    try:
        if status in (200, 202):
            return form.model_validate_json(data)
        problem = json.loads(data)
        problem["detail"]
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise DragomanError(
            f"what answers at {url} is no Dragoman of this version (status {status})"
        ) from error
    raise refusal(session, status, problem, retry_after)


def refusal(
    session: "Session", status: int, problem: Mapping[str, Any], retry_after: str | None = None
) -> DragomanError:
    """Return the error that a server's problem is."""
    message = str(problem["detail"])
    if status in INPUT_AT_FAULT:
        return InvalidInput(message, field=problem.get("field"), allowed=problem.get("allowed"))
    if status == 401:
        message += "; --key or DRAGOMAN_KEY gives one"
    elif retry_after:
        message += f"; try again in {retry_after} s"
    return DragomanError(f"the server at {session.server}: {message}")


def remove(session: "Session", path: str) -> None:
    """Have the server delete what is at this path, if it can be reached."""
    with suppress(DragomanError):
        _exchange(session.server or "", session.key, path, None, "DELETE")


def _exchange(
    url: str, key: str | None, path: str, body: dict[str, Any] | None, method: str | None = None
) -> tuple[int, str | None, bytes]:
    """Return the answer's status, its Retry-After and its body."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("no http:// or https:// address")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname, parts.port, timeout=CONNECT_S)
    except ValueError as error:
        raise click.UsageError(f"--server cannot be {url!r}: {error}") from error
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection.connect()
    except OSError as error:
        raise DragomanError(
            f"there is no server at {url} ({error.strerror or error}); start one with `dragoman serve`, or "
            "leave --server and DRAGOMAN_SERVER out"
        ) from error
    try:
        connection.sock.settimeout(None)  # the server has a deadline of its own
        sent = None if body is None else json.dumps(body)
        method = method or ("GET" if body is None else "POST")
        connection.request(method, parts.path.rstrip("/") + path, sent, headers)
        response = connection.getresponse()
        return response.status, response.getheader("Retry-After"), response.read()
    except (OSError, HTTPException) as error:
        raise DragomanError(f"the server at {url} did not answer: {error or type(error).__name__}") from error
    finally:
        connection.close()


def body_of(request: Any, body: "type[BaseModel]") -> dict[str, Any]:
    """Return a task's request as the body that asks a server for it."""
    given = {name: getattr(request, name, None) for name in body.model_fields}
    return {name: value for name, value in given.items() if value not in (None, (), {})}
