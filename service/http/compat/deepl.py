"""DeepL's interface, /v2 and /v3, as its official clients speak it: `server_url` is all that changes.

What no model here has is refused (formality, style rules, translation memories) or, where it is a wish and
not a demand, accepted without effect (`context`, `split_sentences`, `prefer_more`, ...).
"""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any, Literal

from flask import Blueprint, Request, Response, g, request
from pydantic import BeforeValidator, Field

from models.errors import InvalidInput
from models.tasks.stop import Stop
from models.tasks.translation import Translation, TranslationRequest
from service.errors import CharactersSpent
from service.http import keepalive
from service.http.body import read_json
from service.http.compat.deepl_documents import DeepLDocuments
from service.http.compat.deepl_glossaries import DeepLGlossaries
from service.http.compat.deepl_languages import DeepLLanguages, deepl_code
from service.http.compat.family import (
    STATUSES,
    ClientFields,
    answer,
    checked_texts,
    has_json,
    message,
    translations,
    without_nulls,
)
from service.http.forms import BoundedRequest
from service.http.quotas import UNLIMITED
from service.http.work import RequestRunner
from service.problems import KINDS
from service.schemas.problem import Problem
from service.schemas.requests import LONGEST_CODE, LanguageCode, validated
from service.work.named_terms import named_terms

if TYPE_CHECKING:
    from service.http.jobs import Jobs
    from service.runtime import Runtime

QUOTA = 456
"""Of `CharactersSpent`: clients ask again where it is 429."""


def _list(value: Any) -> Any:
    """A form's value, or DeepL's own list in one string: `b,i`."""
    return [tag.strip() for tag in value.split(",") if tag.strip()] if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Tags = Annotated[list[str], BeforeValidator(_list)]


class _Wishes(ClientFields):
    """The fields of texts and documents; others change nothing here."""

    target_lang: LanguageCode
    source_lang: str = Field("", max_length=LONGEST_CODE)
    formality: Annotated[
        Literal["default", "more", "less", "prefer_more", "prefer_less"], BeforeValidator(_lower)
    ] = "default"
    glossary_id: str = ""
    glossary_ids: Tags = Field([])
    style_id: str = ""
    translation_memory_id: str = ""
    custom_instructions: list[str] = Field([])


class DeepLTranslate(_Wishes):
    """The body of /v2/translate."""

    text: Any
    tag_handling: Literal["", "html", "xml"] = ""
    ignore_tags: Tags = Field([])
    model_type: str = ""


class DeepLDocument(_Wishes):
    """The fields of /v2/document beside the file."""

    filename: str = ""
    output_format: str = ""


class DeepL:
    """The views of a DeepL server over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner, jobs: "Jobs"):
        self._runtime = runtime
        self._settings = runtime.settings
        self._work = work
        self._languages = DeepLLanguages(runtime)
        self._glossaries = DeepLGlossaries(runtime, work)
        self._documents = DeepLDocuments(jobs, self._wishes)

    def blueprint(self) -> Blueprint:
        routes = Blueprint("deepl", __name__)
        routes.route("/v2/translate", methods=["GET", "POST"])(self.translate)
        routes.route("/v2/usage", methods=["GET", "POST"])(self.usage)
        self._languages.add_to(routes)
        self._glossaries.add_to(routes)
        self._documents.add_to(routes)
        return routes

    def owns(self, path: str) -> bool:
        return path.startswith(("/v2/", "/v3/"))

    def key(self, request: BoundedRequest) -> str | None:
        """`Authorization: DeepL-Auth-Key KEY`, or `auth_key` as older clients send it."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "deepl-auth-key" and token.strip():
            return token.strip()
        return request.field("auth_key") or request.args.get("auth_key") or None

    def error(self, problem: Problem) -> Response:
        spent = problem.type == f"/problems/{KINDS[CharactersSpent].slug}"
        status = QUOTA if spent else STATUSES.get(problem.status, problem.status)
        return answer({"message": message(problem)}, status)

    # ------------------------------------------------------------------ texts

    def translate(self) -> Response:
        with ExitStack() as held:
            held.enter_context(self._work.place())
            body = validated(DeepLTranslate, _fields(request))
            requests = self._requests(body)
            self._work.charge(each.text for each in requests)

            def work(stop: Stop) -> str:
                return self._answer(body, translations(self._work, requests, stop))

            return keepalive.respond(held, work, self.error)

    def _requests(self, body: DeepLTranslate) -> list[TranslationRequest]:
        texts = checked_texts(
            body.text if isinstance(body.text, list) else [body.text], "text", self._settings
        )
        _refuse_what_no_model_has(body)
        source = body.source_lang or "auto"
        terms = self._terms(body, source)
        return [
            TranslationRequest(
                text=text,
                source=source,
                target=body.target_lang,
                format=body.tag_handling or "text",
                ignore_tags=tuple(body.ignore_tags),
                glossary=terms(text),
            )
            for text in texts
        ]

    def _wishes(self, fields: Any) -> tuple[DeepLDocument, Callable[[str], Mapping[str, str]]]:
        body = validated(DeepLDocument, fields)
        _refuse_what_no_model_has(body)
        return body, self._terms(body, body.source_lang or "auto")

    def _terms(self, body: _Wishes, source: str) -> Callable[[str], Mapping[str, str]]:
        """The glossaries' terms for a text; those of the glossary that is named first count."""
        named = [body.glossary_id] if body.glossary_id else body.glossary_ids
        lookups = [
            named_terms(self._runtime, each, source, body.target_lang, owner=g.key_id) for each in named
        ]
        return lambda text: {term: to for lookup in reversed(lookups) for term, to in lookup(text).items()}

    def _answer(self, body: DeepLTranslate, done: list[tuple[str, Translation | None]]) -> str:
        parts = []
        fallback = (
            deepl_code(self._runtime.languages.normalize(body.source_lang)) if body.source_lang else "EN"
        )
        given = body.text if isinstance(body.text, list) else [body.text]
        for source, (text, result) in zip(given, done, strict=True):
            known = result is not None and result.source != "und"
            part = {
                "detected_source_language": deepl_code(result.source) if result and known else fallback,
                "text": text,
                "billed_characters": len(source),
            }
            if body.model_type:
                part["model_type_used"] = body.model_type.removeprefix("prefer_")
            parts.append(part)
        return json.dumps({"translations": parts}, ensure_ascii=False)

    # ------------------------------------------------------------------ the service

    def usage(self) -> Response:
        used, daily = self._work.usage()
        return answer({"character_count": used, "character_limit": daily or UNLIMITED})


def _refuse_what_no_model_has(body: _Wishes) -> None:
    if body.formality in ("more", "less"):
        raise InvalidInput(
            f"formality {body.formality!r} is not supported for target_lang {body.target_lang[:40]}",
            field="formality",
            allowed=["default", "prefer_more", "prefer_less"],
        )
    for field in ("style_id", "translation_memory_id", "custom_instructions"):
        if getattr(body, field):
            raise InvalidInput(f"{field} is not supported here", field=field, allowed="nothing")


def _fields(request: Request) -> Any:
    """The request's fields: JSON, else the form's or the query's, where `text` may come several times."""
    if has_json(request):
        return without_nulls(read_json(request))
    given = request.form if request.method == "POST" and request.form else request.args
    return {name: values if name == "text" else values[-1] for name, values in given.lists()}
