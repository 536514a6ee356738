"""DeepL's interface, /v2 and /v3, for its official clients: only `server_url` changes.

Texts, languages, glossaries (stored in the service's own: /v2 has one language pair each, /v3 several) and
documents (run as jobs, downloaded once). Unsupported features are refused (formality, style rules,
translation memories) or, where they are preferences, accepted without effect (`context`, `split_sentences`,
`prefer_more`, ...).
"""

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from flask import Blueprint, Request, Response, g, request
from pydantic import BeforeValidator, Field
from werkzeug.exceptions import NotFound

from models.driver import CancelToken
from models.errors import InvalidInput
from models.translate.translator import Translation, TranslationRequest
from service.errors import CharactersSpent, UnknownGlossary, UnknownJob
from service.http import disconnect
from service.http.body import read_json
from service.http.compat.family import (
    STATUSES,
    ClientFields,
    answer,
    checked_texts,
    directions,
    has_json,
    message,
    require_no_key,
    translations,
    without_nulls,
)
from service.http.forms import BoundedRequest, sent_file
from service.http.quotas import UNLIMITED, require_known
from service.http.responses import file_response
from service.http.run_request import RequestRunner
from service.options import LONGEST_CODE, LanguageCode
from service.problems import KINDS, Problem
from service.store.database import PairSize
from service.store.glossaries import Dictionary, Glossaries, Glossary
from service.store.glossary_files import read_entries, write_tsv
from service.store.jobs import Job, NewJob
from service.tasks import named_terms
from service.validation import validated

if TYPE_CHECKING:
    from service.http.jobs import Jobs
    from service.runtime import Runtime

VARIANTS = {
    "en": {"EN-GB": "English (British)", "EN-US": "English (American)"},
    "pt": {"PT-BR": "Portuguese (Brazilian)", "PT-PT": "Portuguese (European)"},
    "zh": {"ZH": "Chinese (simplified)", "ZH-HANS": "Chinese (simplified)"},
    "zh-Hant": {"ZH-HANT": "Chinese (traditional)"},
}
"""Targets that DeepL's clients name by a variant, as they refuse EN and PT; models here know no variants."""

_OWN_CODES = {"no": "NB"}
QUOTA = 456
"""Of `CharactersSpent`: clients ask again where it is 429."""
BILLED = "billed_characters"
"""Of a job's options: the number of characters that were charged for."""
MOST_GLOSSARIES = 10
"""That a request may name, as at DeepL; each is loaded."""
AUTH_KEY = "auth_key"
NOT_READY = 503
"""What DeepL's clients take as `not yet`."""
JOB_STATUSES = {"queued": "queued", "running": "translating", "done": "done", "failed": "error"}
TSV = "text/tab-separated-values"


def _list(value: Any) -> Any:
    """A form's value, or DeepL's own list in one string: `b,i`."""
    return [tag.strip() for tag in value.split(",") if tag.strip()] if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Tags = Annotated[list[str], BeforeValidator(_list)]


class _TranslateFields(ClientFields):
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


class DeepLTranslate(_TranslateFields):
    """The body of /v2/translate."""

    text: Any
    tag_handling: Literal["", "html", "xml"] = ""
    ignore_tags: Tags = Field([])
    model_type: str = ""


class DeepLDocument(_TranslateFields):
    """The fields of /v2/document beside the file."""

    filename: str = ""
    output_format: str = ""


class Entries(ClientFields):
    """Entries for one pair of languages."""

    source_lang: LanguageCode
    target_lang: LanguageCode
    entries: str
    entries_format: Literal["tsv", "csv"] = "tsv"

    @property
    def dictionary(self) -> Dictionary:
        """As the store takes it."""
        return Dictionary(self.source_lang, self.target_lang, read_entries(self.entries, self.entries_format))


class NewV2(Entries):
    """A new glossary of one pair."""

    name: str


class NewV3(ClientFields):
    """A new glossary of some pairs."""

    name: str
    dictionaries: list[Entries] = Field(min_length=1)


class Changes(ClientFields):
    """Another name, more entries, or both."""

    name: str | None = None
    dictionaries: list[Entries] = Field([])


class DocumentKey(ClientFields):
    """The body of a question after a document."""

    document_key: str


class DeepL:
    """The views of a DeepL server over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner, jobs: "Jobs"):
        self._runtime = runtime
        self._settings = runtime.settings
        self._work = work
        self._jobs = jobs
        self._fetched: set[str] = set()
        """Documents that were fetched, and are about to be forgotten."""

    def blueprint(self) -> Blueprint:
        routes = Blueprint("deepl", __name__)
        routes.route("/v2/translate", methods=["GET", "POST"])(self.translate)
        routes.route("/v2/usage", methods=["GET", "POST"])(self.usage)
        routes.route("/v2/languages", methods=["GET", "POST"])(self.languages)
        routes.get("/v2/glossary-language-pairs")(self.language_pairs)
        routes.post("/v2/glossaries")(self.create_v2)
        routes.get("/v2/glossaries")(self.list_v2)
        routes.get("/v2/glossaries/<glossary_id>")(self.get_v2)
        routes.delete("/v2/glossaries/<glossary_id>", endpoint="delete_v2")(self.delete)
        routes.get("/v2/glossaries/<glossary_id>/entries")(self.entries_v2)
        routes.post("/v3/glossaries")(self.create_v3)
        routes.get("/v3/glossaries")(self.list_v3)
        routes.get("/v3/glossaries/<glossary_id>")(self.get_v3)
        routes.patch("/v3/glossaries/<glossary_id>")(self.change)
        routes.delete("/v3/glossaries/<glossary_id>", endpoint="delete_v3")(self.delete)
        routes.get("/v3/glossaries/<glossary_id>/entries")(self.entries_v3)
        routes.put("/v3/glossaries/<glossary_id>/dictionaries")(self.replace_dictionary)
        routes.delete("/v3/glossaries/<glossary_id>/dictionaries")(self.delete_dictionary)
        # `quotas.py` and `app.py` know the names of these.
        routes.post("/v2/document")(self.upload_document)
        routes.post("/v2/document/<document_id>")(self.document_status)
        routes.post("/v2/document/<document_id>/result")(self.document_result)
        return routes

    def owns(self, path: str) -> bool:
        return path.startswith(("/v2/", "/v3/"))

    def key(self, request: BoundedRequest) -> str | None:
        """`Authorization: DeepL-Auth-Key KEY`, or `auth_key` as older clients send it."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "deepl-auth-key" and token.strip():
            return token.strip()
        return request.field(AUTH_KEY) or request.args.get(AUTH_KEY) or None

    def error(self, problem: Problem) -> Response:
        spent = problem.type == f"/problems/{KINDS[CharactersSpent].slug}"
        status = QUOTA if spent else STATUSES.get(problem.status, problem.status)
        return answer({"message": message(problem)}, status)

    def translate(self) -> Response:
        with ExitStack() as held:
            held.enter_context(self._work.place())
            body = validated(DeepLTranslate, _fields(request))
            requests = self._requests(body)
            self._work.charge(each.text for each in requests)

            def work(cancel: CancelToken) -> str:
                return self._answer(body, translations(self._work, requests, cancel))

            return disconnect.respond(held, work, self.error)

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
                quality="fast" if body.model_type == "latency_optimized" else "auto",
            )
            for text in texts
        ]

    def _terms(self, body: _TranslateFields, source: str) -> Callable[[str], Mapping[str, str]]:
        """The glossaries' terms for a text; those of the glossary that is named first count."""
        named = [body.glossary_id] if body.glossary_id else body.glossary_ids
        if len(named) > MOST_GLOSSARIES or len(set(named)) < len(named):
            raise InvalidInput(
                f"glossary_ids has {len(named)} ids, {len(set(named))} of them different",
                field="glossary_ids",
                allowed=f"at most {MOST_GLOSSARIES} ids, each once",
            )
        lookups = [named_terms(self._runtime, self._own(), each, source, body.target_lang) for each in named]
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

    # ------------------------------------------------------------------ languages

    def languages(self) -> Response:
        # The client sends a form with its GET, which request.values leaves out.
        kind = request.form.get("type") or request.args.get("type") or "source"
        if kind not in ("source", "target"):
            raise InvalidInput(f"type is {kind[:40]!r}", field="type", allowed=["source", "target"])
        if kind == "source":
            return answer(
                [{"language": code, "name": name} for code, name in self._source_languages().items()]
            )
        return answer(
            [
                {"language": code, "name": name, "supports_formality": False}
                for code, name in self._target_languages().items()
            ]
        )

    def _source_languages(self) -> dict[str, str]:
        names = self._runtime.languages.names()
        return {deepl_code(code): names.get(code, code) for code in directions(self._runtime)}

    def _target_languages(self) -> dict[str, str]:
        names = self._runtime.languages.names()
        codes = dict.fromkeys(code for own in directions(self._runtime).values() for code in own)
        return {
            variant: name
            for code in codes
            for variant, name in VARIANTS.get(code, {deepl_code(code): names.get(code, code)}).items()
        }

    # ------------------------------------------------------------------ glossaries

    def language_pairs(self) -> Response:
        pairs = dict.fromkeys(
            (code(source), code(target))
            for source, targets in directions(self._runtime).items()
            for target in targets
            if source != target
        )
        known = [{"source_lang": source, "target_lang": target} for source, target in pairs]
        return answer({"supported_languages": known})

    def delete(self, glossary_id: str) -> Response:
        self._glossary(glossary_id)
        self._own().delete(glossary_id)
        return Response(status=204)

    def create_v2(self) -> Response:
        with self._work.place():
            body = validated(NewV2, _body())
            return answer(_v2(self._own().create(body.name, self._dictionaries([body]))), 201)

    def list_v2(self) -> Response:
        # Those of several pairs are known to /v3 alone, as at DeepL.
        found = [_v2(each) for each in self._all() if len(each.pairs) == 1]
        return answer({"glossaries": found})

    def get_v2(self, glossary_id: str) -> Response:
        return answer(_v2(self._single_pair_glossary(glossary_id)))

    def entries_v2(self, glossary_id: str) -> Response:
        with self._work.place():
            (pair,) = self._single_pair_glossary(glossary_id).pairs
            entries = self._own().entries(glossary_id, pair.source, pair.target)
            return Response(write_tsv(entries), content_type=f"{TSV}; charset=utf-8")

    def create_v3(self) -> Response:
        with self._work.place():
            body = validated(NewV3, _body())
            made = self._own().create(body.name, self._dictionaries(body.dictionaries))
            return answer(_v3(made), 201)

    def list_v3(self) -> Response:
        return answer({"glossaries": [_v3(each) for each in self._all()]})

    def get_v3(self, glossary_id: str) -> Response:
        return answer(_v3(self._glossary(glossary_id)))

    def change(self, glossary_id: str) -> Response:
        with self._work.place():
            body = validated(Changes, _body())
            self._glossary(glossary_id)
            dictionaries = self._dictionaries(body.dictionaries)
            changed = self._own().update(glossary_id, name=body.name, dictionaries=dictionaries)
            return answer(_v3(changed))

    def entries_v3(self, glossary_id: str) -> Response:
        with self._work.place():
            pair = self._pair(self._glossary(glossary_id), request.args)
            entries = self._own().entries(glossary_id, pair.source, pair.target)
            found = {
                "source_lang": code(pair.source),
                "target_lang": code(pair.target),
                "entries": write_tsv(entries).removesuffix("\n"),
                "entries_format": "tsv",
            }
            return answer({"dictionaries": [found]})

    def replace_dictionary(self, glossary_id: str) -> Response:
        with self._work.place():
            body = validated(Entries, _body())
            self._glossary(glossary_id)
            changed = self._own().update(glossary_id, dictionaries=self._dictionaries([body]), replace=True)
            fields = {"source_lang": body.source_lang, "target_lang": body.target_lang}
            return answer(_dictionary(self._pair(changed, fields)))

    def delete_dictionary(self, glossary_id: str) -> Response:
        pair = self._pair(self._glossary(glossary_id), request.args)
        self._own().delete_dictionary(glossary_id, pair.source, pair.target)
        return Response(status=204)

    def _own(self) -> Glossaries:
        return self._work.glossaries()

    def _all(self) -> list[Glossary]:
        require_known("glossaries are not listed: ask for one by its id")
        return self._own().all()

    def _dictionaries(self, sent: Sequence[Entries]) -> list[Dictionary]:
        """The entries that were sent, whose characters are counted like a text's."""
        dictionaries = [each.dictionary for each in sent]
        self._work.charge(chain.from_iterable(pair for each in dictionaries for pair in each.entries.items()))
        return dictionaries

    def _glossary(self, glossary_id: str) -> Glossary:
        try:
            return self._own().get(glossary_id)
        except UnknownGlossary as error:
            raise NotFound(error.message) from None

    def _single_pair_glossary(self, glossary_id: str) -> Glossary:
        glossary = self._glossary(glossary_id)
        if len(glossary.pairs) != 1:
            raise NotFound(f"the glossary {glossary_id} has {len(glossary.pairs)} dictionaries; /v3 knows it")
        return glossary

    def _pair(self, glossary: Glossary, given: Mapping[str, str]) -> PairSize:
        """The glossary's dictionary for `source_lang` and `target_lang`."""
        for field in ("source_lang", "target_lang"):
            if not given.get(field):
                raise InvalidInput(f"{field} is required", field=field)
            if len(given[field]) > LONGEST_CODE:
                most = f"at most {LONGEST_CODE} characters"
                raise InvalidInput(f"{field} is too long", field=field, allowed=most)
        normalize = self._runtime.languages.normalize
        wanted = normalize(given["source_lang"]), normalize(given["target_lang"])
        for pair in glossary.pairs:
            if (pair.source, pair.target) == wanted:
                return pair
        raise NotFound(f"the glossary {glossary.id} has no dictionary for {wanted[0]} to {wanted[1]}")

    # ------------------------------------------------------------------ documents

    def upload_document(self) -> Response:
        job = self._jobs.take(self._new_document_job)
        return answer({"document_id": job.id, "document_key": _key(job)})

    def document_status(self, document_id: str) -> Response:
        job = self._document_job(document_id)
        told: dict[str, Any] = {"document_id": job.id, "status": JOB_STATUSES.get(job.status, "error")}
        if job.status == "running" and job.started is not None and job.done:
            each_s = (time.time() - job.started) / job.done
            told["seconds_remaining"] = max(1, round(each_s * (job.total - job.done)))
        elif job.status == "done":
            told["billed_characters"] = job.options.get(BILLED, 0)
        elif job.problem is not None:
            told["error_message"] = message(Problem.model_validate_json(job.problem))
        return answer(told)

    def document_result(self, document_id: str) -> Response:
        job = self._document_job(document_id)
        if job.status != "done" and job.ended:
            raise UnknownJob(f"the document has no translation: it is {job.status}")
        if job.status != "done":
            return answer({"message": f"the document is not ready: it is {job.status}"}, NOT_READY)
        result = self._jobs.service.store.open(job, partial(self._sent, job.id, g.key_id))
        return file_response(result, result.media_type, result.filename, result.notes)

    def _sent(self, job_id: str, owner: str | None) -> None:
        """Keep nothing of a document that was sent whole; a client that was cut off may ask again."""

        def remove() -> None:
            self._jobs.service.remove(job_id, owner)
            self._fetched.discard(job_id)

        self._fetched.add(job_id)
        threading.Thread(target=remove, daemon=True).start()  # the server's loop does not wait for it

    def _document_job(self, document_id: str) -> Job:
        fields = read_json(request) if has_json(request) else request.form.to_dict()
        given = validated(DocumentKey, fields)
        job = self._jobs.find(document_id)
        if job.id in self._fetched or job.form != "document" or BILLED not in job.options:
            raise UnknownJob("document not found")
        key = given.document_key.encode("utf-8", "replace")
        if not secrets.compare_digest(key, _key(job).encode()):
            raise UnknownJob("no document has this id and key")
        return job

    def _new_document_job(self) -> NewJob:
        data, fields = sent_file()
        require_no_key(fields.get(AUTH_KEY))
        name = str(fields.pop("file"))
        given = validated(DeepLDocument, fields)
        _refuse_what_no_model_has(given)
        terms = self._terms(given, given.source_lang or "auto")
        name = _named(name, fields.get("filename"))
        _check_output(name, given.output_format)
        text = self._jobs.read_document("translate", name, data)
        options: dict[str, Any] = {"file": name, "target": given.target_lang, BILLED: len(text)}
        if given.source_lang:
            options["source"] = given.source_lang
        if entries := dict(terms(text)):
            options["glossary"] = entries
        return self._jobs.new_document("translate", options, data)

    def usage(self) -> Response:
        used, daily = self._work.usage()
        return answer({"character_count": used, "character_limit": daily or UNLIMITED})


def _refuse_what_no_model_has(body: _TranslateFields) -> None:
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
    require_no_key(request.form.get(AUTH_KEY))
    given = request.form if request.method == "POST" and request.form else request.args
    return {name: values if name == "text" else values[-1] for name, values in given.lists()}


def deepl_code(code: str) -> str:
    """A source language of ours as DeepL writes it: `EN`, `ZH`, `NB`."""
    base = code.split("-")[0]
    return _OWN_CODES.get(base, base.upper())


def _body() -> Any:
    if request.is_json:
        return read_json(request)
    require_no_key(request.form.get(AUTH_KEY))
    return request.form.to_dict()


def code(language: str) -> str:
    """A language of a glossary, as DeepL's clients compare it: without variants, in lower case."""
    return language.split("-")[0].lower()


def _v2(glossary: Glossary) -> dict[str, Any]:
    (pair,) = glossary.pairs
    return {**_head(glossary), "ready": True, **_dictionary(pair)}


def _v3(glossary: Glossary) -> dict[str, Any]:
    return {**_head(glossary), "dictionaries": [_dictionary(pair) for pair in glossary.pairs]}


def _head(glossary: Glossary) -> dict[str, Any]:
    created = glossary.created.isoformat(timespec="microseconds")
    return {"glossary_id": glossary.id, "name": glossary.name, "creation_time": created}


def _dictionary(pair: PairSize) -> dict[str, Any]:
    return {
        "source_lang": code(pair.source),
        "target_lang": code(pair.target),
        "entry_count": pair.size,
    }


def _named(name: str, given: object) -> str:
    """The file's name: a field of its own counts for more, as DeepL says."""
    return PurePath(str(given or name).replace("\\", "/")).name


def _check_output(name: str, output_format: str) -> None:
    """Raise InvalidInput for a format that the document does not come back in."""
    suffix = PurePath(name).suffix.lower()
    back = ".txt" if suffix == ".pdf" else suffix
    if f".{output_format.lower().lstrip('.')}" != back and (output_format or back != suffix):
        raise InvalidInput(
            f"a document like {suffix} comes back as {back}", field="output_format", allowed=back.lstrip(".")
        )


def _key(job: Job) -> str:
    return sha256(f"{job.id} {job.created!r}".encode()).hexdigest().upper()
