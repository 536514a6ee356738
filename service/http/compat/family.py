"""What compatible interfaces share: which addresses they own, and their keys, errors and texts."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from flask import Blueprint, Request, Response, g
from pydantic import BaseModel, ConfigDict

from models.driver import CancelToken
from models.errors import InvalidInput
from models.translate.translator import Translation, TranslationRequest
from service.errors import KeyRequired, TooLong, TooManyTexts, with_allowed
from service.http.forms import KEY_BYTES, BoundedRequest
from service.http.run_request import RequestRunner
from service.problems import Problem
from service.settings import Settings
from service.validation import json_type

if TYPE_CHECKING:
    from service.runtime import Runtime

STATUSES = {401: 403, 415: 400, 422: 400}
"""Kinds of error that clients of DeepL and LibreTranslate know; the other statuses are ours."""


class ClientFields(BaseModel):
    """The fields that a compatible interface reads. Its clients send more, which changes nothing here."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Family(Protocol):
    """One family of clients."""

    def blueprint(self) -> Blueprint: ...

    def owns(self, path: str) -> bool:
        """Return True if this address is the family's, so that its keys and errors have the family's form."""

    def key(self, request: BoundedRequest) -> str | None:
        """The API key that came with a request, wherever the family's clients put it: cheap for strangers.

        None for those who send `Authorization: Bearer KEY`, which is looked for everywhere.
        """
        return None

    def error(self, problem: Problem) -> Response:
        """An error as the family's clients read it."""


def require_no_key(given: object) -> None:
    """Raise KeyRequired for a key in a body that was too long to be searched for one, and so is nobody's."""
    if given and g.is_key_unread:
        raise KeyRequired(f"a key in a body of over {KEY_BYTES} bytes is not read: send it in a header")


def answer(body: Any, status: int = 200) -> Response:
    """A JSON answer; unlike Flask's own it needs no application around it, as in a stream."""
    return Response(json.dumps(body, ensure_ascii=False), status=status, mimetype="application/json")


def message(problem: Problem) -> str:
    """A problem in one line: what was wrong, and what is allowed."""
    if problem.errors:
        return "; ".join(with_allowed(each.detail, each.allowed) for each in problem.errors)
    return with_allowed(problem.detail, problem.allowed)


def has_json(request: Request) -> bool:
    """Return True for a request with a JSON body: some send the type and no body."""
    return request.is_json and bool(request.get_data())


def without_nulls(body: Any) -> Any:
    """The body without its nulls, if it is an object: some clients send every field that there is."""
    is_object = isinstance(body, dict)
    return {name: value for name, value in body.items() if value is not None} if is_object else body


def open_to_browsers(routes: Blueprint, headers: str = "Authorization, Content-Type") -> None:
    """Let web pages of other hosts call these addresses with such headers.

    Nothing that is kept for a caller is to be had there, unlike our jobs and glossaries, which other pages
    may not read.
    """
    opened = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": headers,
        "Access-Control-Max-Age": "86400",
    }

    def add(response: Response) -> Response:
        response.headers.update(opened)
        return response

    routes.after_request(add)


def checked_texts(values: Sequence[Any], field: str, limits: Settings) -> list[str]:
    """The texts of one request, empty ones among them; raises InvalidInput, TooLong or TooManyTexts.

    Clients of these families know one answer or one error for a whole request, so that one wrong text
    refuses it.
    """
    if not values:
        raise InvalidInput(f"{field} is empty", field=field, allowed="at least one text")
    if len(values) > limits.max_texts:
        most = f"at most {limits.max_texts} texts"
        raise TooManyTexts(f"{field} has {len(values)} items", field=field, allowed=most)
    texts = [_text(f"{field}[{i}]" if len(values) > 1 else field, value) for i, value in enumerate(values)]
    if sum(map(len, texts)) > limits.max_request_characters:
        most = f"at most {limits.max_request_characters} characters"
        raise TooLong(f"{field} has {sum(map(len, texts))} characters", field=field, allowed=most)
    return texts


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInput(
            f"{field} must be a string, not {json_type(value)}", field=field, allowed="a string"
        )
    return value


def translations(
    work: RequestRunner, requests: Sequence[TranslationRequest], cancel: CancelToken | None = None
) -> list[tuple[str, Translation | None]]:
    """Each request's text in the target language, and how it came about; None for one of spaces alone.

    That comes back as it is. Raises the first error there was.
    """
    done = work.do([request for request in requests if request.text.strip()], cancel)
    results = iter(outcome.unwrap() for outcome in done.outcomes)
    found = [next(results) if request.text.strip() else None for request in requests]
    return [
        (request.text if result is None else result.translation, result)
        for request, result in zip(requests, found, strict=True)
    ]


def directions(runtime: "Runtime") -> dict[str, list[str]]:
    """The default translation model's source languages, and the targets of each."""
    languages = runtime.languages
    entry = runtime.catalog.get(runtime.settings.translate_model, "translate")
    if entry.pairs:
        found: dict[str, list[str]] = {}
        for source, target in entry.pairs:
            found.setdefault(languages.normalize(source), []).append(languages.normalize(target))
        return found
    known = list(entry.languages) or list(languages.names())
    return dict.fromkeys(known, known)
