"""LibreTranslate's interface, for libretranslatepy, deep-translator and its web clients.

Fields come as JSON, as a form, in the query string, or as a mix of the last two. Translated files are stored
for a while under names that cannot be guessed.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from flask import Blueprint, Request, Response, g, request, url_for
from pydantic import AfterValidator, Field
from werkzeug.exceptions import NotFound

from models.choices import MOST_ALTERNATIVES, TextFormat
from models.errors import InvalidInput
from models.translate.translator import Translation, TranslationRequest
from service.documents import sandbox
from service.documents.formats import SUFFIXES
from service.http.body import read_json
from service.http.compat.family import (
    STATUSES,
    ClientFields,
    answer,
    checked_texts,
    directions,
    has_json,
    message,
    open_to_browsers,
    require_no_key,
    translations,
)
from service.http.forms import BoundedRequest
from service.http.quotas import Caller
from service.http.responses import file_response
from service.http.run_request import RequestRunner
from service.options import LanguageCode
from service.problems import Problem
from service.store.document_files import DocumentFiles
from service.validation import validated

if TYPE_CHECKING:
    from service.runtime import Runtime

PATHS = frozenset(
    {"/translate", "/detect", "/languages", "/frontend/settings", "/health", "/translate_file", "/suggest"}
)
DOWNLOADS = "/download_file/"

API_KEY = "api_key"
CANDIDATES = 5
"""Languages that a detection names at most."""


Code = Annotated[LanguageCode, AfterValidator(lambda code: {"pb": "pt-BR", "zt": "zh-Hant"}.get(code, code))]
"""A language, also by LibreTranslate's own codes."""


class TranslateTexts(ClientFields):
    """The body of /translate."""

    q: Any
    """A text, or a list of texts."""
    source: Code
    target: Code
    format: Literal["text", "html"] = "text"
    alternatives: int = Field(0, ge=0)


class Detect(ClientFields):
    """The body of /detect."""

    q: str = Field(min_length=1)


class TranslateFile(ClientFields):
    """The fields of /translate_file beside the file."""

    source: Code
    target: Code


class Suggest(ClientFields):
    """The body of /suggest: a text, and a better translation of it."""

    q: str = Field(min_length=1)
    s: str = Field(min_length=1)
    source: Code
    target: Code


class LibreTranslate:
    """The views of a LibreTranslate server over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._runtime = runtime
        self._settings = runtime.settings
        self._work = work
        self._files = DocumentFiles(runtime.database)

    def blueprint(self) -> Blueprint:
        routes = Blueprint("libretranslate", __name__)
        routes.post("/translate")(self.translate)
        routes.post("/detect")(self.detect)
        routes.get("/languages")(self.languages)
        routes.get("/frontend/settings")(self.frontend_settings)
        routes.get("/health")(self.health)
        routes.post("/translate_file")(self.translate_file)
        routes.get(f"{DOWNLOADS}<key>")(self.download_file)
        routes.post("/suggest")(self.suggest)
        open_to_browsers(routes)
        return routes

    def owns(self, path: str) -> bool:
        return path.rstrip("/") in PATHS or path.startswith(DOWNLOADS)

    def key(self, request: BoundedRequest) -> str | None:
        """`api_key`, in the JSON body, the form or the query."""
        given: object = request.field(API_KEY)
        with suppress(InvalidInput):  # the view says what is wrong with the body
            if request.is_short and has_json(request):
                given = _fields(request, API_KEY).get(API_KEY)
        given = given or request.args.get(API_KEY)
        return given if isinstance(given, str) and given else None

    def error(self, problem: Problem) -> Response:
        return answer({"error": message(problem)}, STATUSES.get(problem.status, problem.status))

    # ------------------------------------------------------------------ texts

    def translate(self) -> Response:
        with self._work.place():
            body = validated(
                TranslateTexts, _fields(request, "q", "source", "target", "format", "alternatives")
            )
            many = isinstance(body.q, list)
            texts = checked_texts(body.q if many else [body.q], "q", self._settings)
            if not many and not texts[0]:
                raise InvalidInput("q is empty", field="q", allowed="a text")
            done = self._translated(texts, body.source, body.target, body.format, body.alternatives)
        found: dict[str, Any] = {"translatedText": [text for text, _ in done]}
        if body.source == "auto":
            found["detectedLanguage"] = [_detected(result) for _, result in done]
        if body.alternatives:
            found["alternatives"] = [list(result.alternatives) if result else [] for _, result in done]
        return answer(found if many else {name: values[0] for name, values in found.items()})

    def detect(self) -> Response:
        with self._work.place():
            body = validated(Detect, _fields(request, "q"))
            (text,) = checked_texts([body.q], "q", self._settings)
            self._work.charge([text])
            found = self._runtime.detector.candidates(text, limit=CANDIDATES)
        return answer(
            [{"language": each.language, "confidence": _percent(each.confidence)} for each in found]
        )

    def suggest(self) -> Response:
        with self._work.place():
            body = validated(Suggest, _fields(request, "q", "s", "source", "target"))
            checked_texts([body.q, body.s], "q", self._settings)
            normalize = self._runtime.languages.normalize
            source = body.source if body.source == "auto" else normalize(body.source, "source")
            target = normalize(body.target, "target")
            self._runtime.suggestions.add(
                text=body.q, translation=body.s, source=source, target=target, caller=g.caller.name
            )
        return answer({"success": True})

    def _translated(
        self, texts: list[str], source: str, target: str, form: TextFormat, alternatives: int = 0
    ) -> list[tuple[str, Translation | None]]:
        self._work.charge(texts)
        make = partial(
            TranslationRequest,
            source=source,
            target=target,
            format=form,
            alternatives=min(alternatives, MOST_ALTERNATIVES),
        )
        requests = [make(text=text) for text in texts]
        return translations(self._work, requests)

    # ------------------------------------------------------------------ files

    def translate_file(self) -> Response:
        with self._work.place():
            body = validated(TranslateFile, _fields(request, "source", "target"))
            name, data = _sent_file()
            part = self._work.in_child(sandbox.to_translate, name, data, self._settings, field="file")
            ((text, result),) = self._translated([part.text], body.source, body.target, part.format)
            target = result.target if result else body.target
            file = self._work.in_child(sandbox.translated, name, data, text, target, field="file")
            key = self._files.put(
                cast(Caller, g.caller).name,
                str(PurePath(name).with_suffix(file.suffix)),
                file.data,
                file.media_type,
            )
        return answer({"translatedFileUrl": url_for(".download_file", key=key, _external=True)})

    def download_file(self, key: str) -> Response:
        file = self._files.open(key)
        if file is None:
            raise NotFound("file not found or expired")
        return file_response(file, file.media_type, file.filename)

    # ------------------------------------------------------------------ the service

    def languages(self) -> Response:
        return answer(
            [
                {"code": code, "name": self._runtime.languages.names().get(code, code), "targets": targets}
                for code, targets in directions(self._runtime).items()
            ]
        )

    def frontend_settings(self) -> Response:
        codes = list(directions(self._runtime))
        target = next((code for code in codes if code != "en"), codes[0])
        return answer(
            {
                "apiKeys": self._runtime.keys.any() or not self._settings.anonymous,
                "keyRequired": not self._settings.anonymous,
                "charLimit": self._settings.max_request_characters,
                "frontendTimeout": 500,  # milliseconds after the last key before a web page asks
                "filesTranslation": True,
                "supportedFilesFormat": list(SUFFIXES),
                "suggestions": True,
                "language": {
                    "source": {"code": "auto", "name": "Auto Detect"},
                    "target": {"code": target, "name": self._runtime.languages.names().get(target, target)},
                },
            }
        )

    def health(self) -> Response:
        return answer({"status": "ok"})


def _fields(request: Request, *names: str) -> Mapping[str, Any]:
    """These of the request's fields, from JSON, else from form and query; a repeated `q` is a list."""
    if has_json(request):
        data = read_json(request)
        if not isinstance(data, dict):
            raise InvalidInput("the body must be a JSON object", allowed=list(names))
        require_no_key(data.get(API_KEY))
        return {name: data[name] for name in names if data.get(name) is not None}
    require_no_key(request.form.get(API_KEY))
    # Not request.values, which leaves out the form of a GET.
    given = {name: request.form.getlist(name) or request.args.getlist(name) for name in names}
    return {
        name: values if name == "q" and len(values) > 1 else values[-1]
        for name, values in given.items()
        if values
    }


def _sent_file() -> tuple[str, bytes]:
    """The uploaded file's name, without a path, and what is in it."""
    file = request.files.get("file")
    if file is None or not file.filename:
        raise InvalidInput("file is required", field="file", allowed="a file, in a multipart form")
    return PurePath(file.filename.replace("\\", "/")).name, file.read()


def _detected(result: Translation | None) -> dict[str, Any]:
    found = result.detected if result is not None else None
    if found is None:
        return {"language": "und", "confidence": 0.0}
    return {"language": found.language, "confidence": _percent(found.confidence)}


def _percent(confidence: float) -> float:
    return round(100 * min(1.0, confidence), 1)
