"""Answers for errors: problem documents, or the form that a compatible interface has at its own addresses."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from models.errors import EngineGone, ModelLoading, Overloaded
from service.errors import CharactersSpent, NotReady
from service.problems import Problem, problem

if TYPE_CHECKING:
    from service.http.compat.family import Family


def install(app: Flask, families: Sequence["Family"] = ()) -> None:
    """Answer every error of the application in the form of the address's owner, or as a problem document."""

    def respond(error: Exception) -> Response | HTTPException:
        form = next((each.error for each in families if each.owns(request.path)), _document)
        return _respond(error, form)

    app.register_error_handler(Exception, respond)


def _respond(error: Exception, form: Callable[[Problem], Response]) -> Response | HTTPException:
    if isinstance(error, HTTPException) and (error.code or 500) < 400:
        return error  # a redirect, not a problem
    response = form(problem(error, g.request_id))
    if isinstance(error, (Overloaded, NotReady, ModelLoading, EngineGone, CharactersSpent)):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="dragoman"'
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(error.valid_methods)
    return response


def _document(problem: Problem) -> Response:
    return Response(problem.model_dump_json(), status=problem.status, mimetype="application/problem+json")
