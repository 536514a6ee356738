"""Answers for errors: problem documents, or the form that a compatible interface has at its own addresses."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from models.errors import Overloaded
from service.errors import CharactersSpent, NotReady
from service.problems import problem
from service.schemas import Problem


class Form(Protocol):
    """How errors are told at some addresses, where it is not as problem documents."""

    def owns(self, path: str) -> bool: ...

    def error(self, problem: Problem) -> Response: ...


def install(app: Flask, forms: Sequence[Form] = ()) -> None:
    """Answer every error of the application: in the form of who owns the address, else as a problem."""

    def respond(error: Exception) -> Response | HTTPException:
        form = next((form.error for form in forms if form.owns(request.path)), _document)
        return _respond(error, form)

    app.register_error_handler(Exception, respond)


def _respond(error: Exception, form: Callable[[Problem], Response]) -> Response | HTTPException:
    if isinstance(error, HTTPException) and (error.code or 500) < 400:
        return error  # a redirect, not a problem
    response = form(problem(error, g.request_id))
    if isinstance(error, (Overloaded, NotReady, CharactersSpent)):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="dragoman"'
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(error.valid_methods)
    return response


def _document(problem: Problem) -> Response:
    return Response(problem.model_dump_json(), status=problem.status, mimetype="application/problem+json")
