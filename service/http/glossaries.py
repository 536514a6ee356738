"""/v1/glossaries: stored glossaries, which translations use by name or id."""

from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Literal

from flask import Blueprint, Response, request
from pydantic import BaseModel, Field, StringConstraints
from werkzeug.exceptions import NotFound

from models.errors import InvalidInput, Overloaded, UnsupportedLanguage
from service.answers import answer_part
from service.errors import StoreUnavailable, UnknownGlossary
from service.http.body import read_json
from service.http.openapi import Example, Operation, add
from service.http.quotas import require_known
from service.http.responses import json_response
from service.http.run_request import RequestRunner
from service.options import LanguageCode
from service.store.database import PairSize
from service.store.glossaries import LONGEST_NAME, Dictionary, Glossaries, Glossary
from service.store.glossary_files import read_entries, write_tsv
from service.validation import STRICT, absent, validated

if TYPE_CHECKING:
    from service.runtime import Runtime

TSV = "text/tab-separated-values"
FORMS = {TSV: "tsv", "text/csv": "csv"}
"""Bodies that are the entries themselves; the glossary's name and languages are then in the query."""

NAMED = "The glossary's id, or its name where no other has it. Without an API key, its id alone."


class GlossaryBody(BaseModel):
    """A new glossary; its entries come in exactly one of `entries`, `tsv` and `csv`."""

    model_config = STRICT

    name: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)] = Field(
        description="Requests name the glossary by this, or by its id."
    )
    source: LanguageCode = Field(description="The terms' language.")
    target: LanguageCode = Field(description="The language of what they are to be.")
    entries: dict[str, str] | None = Field(None, description="Terms, and what each is to be.")
    tsv: str | None = Field(None, description="The same as lines of two columns, between them a tab.")
    csv: str | None = Field(None, description="The same as lines of two columns, between them a comma.")


class DictionaryPart(BaseModel):
    """A glossary's dictionary for one pair of languages."""

    source: str
    target: str
    size: int = Field(description="How many entries there are.")
    entries: dict[str, str] | None = absent("The entries themselves, where one glossary was asked for.")


class GlossaryAnswer(BaseModel):
    """A glossary."""

    id: str
    name: str
    created: datetime
    dictionaries: list[DictionaryPart]


class GlossaryList(BaseModel):
    """All glossaries, the oldest first."""

    glossaries: list[GlossaryAnswer]


class PairQuery(BaseModel):
    """The languages of one of a glossary's dictionaries; needed where it has several."""

    source: LanguageCode | None = Field(None, description="The terms' language.")
    target: LanguageCode | None = Field(None, description="The language of what they are to be.")


_NEW = {"name": "capitals", "source": "en", "target": "fr", "entries": {"Vienna": "Vienne"}}
_MADE = {
    "id": "5c9f3b8e-5b0f-4a55-9c53-1f8f4ad3c2aa",
    "name": "capitals",
    "created": "2026-11-24T03:00:00.000001Z",
    "dictionaries": [{"source": "en", "target": "fr", "size": 1}],
}
_WHOLE = {
    **_MADE,
    "dictionaries": [{"source": "en", "target": "fr", "size": 1, "entries": {"Vienna": "Vienne"}}],
}

CREATE = Operation(
    method="POST",
    path="/glossaries",
    tag="glossaries",
    summary="Keep a glossary",
    description=f"Or send its entries as {TSV} or text/csv, and name, source and target in the query.",
    bodies=(GlossaryBody,),
    status=201,
    answers=(GlossaryAnswer,),
    errors=(UnsupportedLanguage, Overloaded, StoreUnavailable),
    examples={"one entry": Example(_NEW, _MADE)},
)
LIST = Operation(
    method="GET",
    path="/glossaries",
    tag="glossaries",
    summary="All glossaries, without their entries",
    description="Not without an API key, except for callers on the server's own machine.",
    answers=(GlossaryList,),
    errors=(StoreUnavailable,),
    examples={"one of them": Example(answer={"glossaries": [_MADE]})},
)
GET = Operation(
    method="GET",
    path="/glossaries/<named>",
    tag="glossaries",
    summary="One glossary, with its entries",
    description=NAMED,
    answers=(GlossaryAnswer,),
    errors=(NotFound, Overloaded, StoreUnavailable),
    examples={"one entry": Example(answer=_WHOLE)},
)
ENTRIES = Operation(
    method="GET",
    path="/glossaries/<named>/entries.tsv",
    tag="glossaries",
    summary="A glossary's entries as tab-separated lines",
    description=NAMED,
    parameters=PairQuery,
    answer_type=TSV,
    errors=(NotFound, InvalidInput, Overloaded, StoreUnavailable),
    examples={"one entry": Example(answer="Vienna\tVienne\n")},
)
REPLACE = Operation(
    method="PUT",
    path="/glossaries/<named>",
    tag="glossaries",
    summary="Rename a glossary, and replace its entries for one pair of languages",
    description="Its id and its other pairs stay. Lines are taken too, as for a new one.",
    bodies=(GlossaryBody,),
    answers=(GlossaryAnswer,),
    errors=(NotFound, UnsupportedLanguage, Overloaded, StoreUnavailable),
    examples={"one entry": Example(_NEW, _MADE)},
)
DELETE = Operation(
    method="DELETE",
    path="/glossaries/<named>",
    tag="glossaries",
    summary="Forget a glossary",
    description=NAMED,
    status=204,
    errors=(NotFound, StoreUnavailable),
)


class GlossaryViews:
    """The views of /v1/glossaries over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._runtime = runtime
        self._work = work

    def blueprint(self) -> Blueprint:
        routes = Blueprint("glossaries", __name__, url_prefix="/v1")
        add(routes, CREATE, self.create)
        add(routes, LIST, self.all)
        add(routes, GET, self.get)
        add(routes, ENTRIES, self.entries)
        add(routes, REPLACE, self.replace)
        add(routes, DELETE, self.delete)
        return routes

    def create(self) -> Response:
        with self._work.place():
            name, dictionary = parse_glossary(_body())
            self._work.charge(chain.from_iterable(dictionary.entries.items()))
            made = self._own().create(name, [dictionary])
        return json_response(render_glossary(made), 201)

    def replace(self, named: str) -> Response:
        with self._work.place():
            name, dictionary = parse_glossary(_body())
            self._work.charge(chain.from_iterable(dictionary.entries.items()))
            kept = self._find(named).id
            changed = self._own().update(kept, name=name, dictionaries=[dictionary], replace=True)
        return json_response(render_glossary(changed))

    def all(self) -> Response:
        require_known("glossaries are not listed: ask for one by its id")
        return json_response(GlossaryList(glossaries=[render_glossary(g) for g in self._own().all()]))

    def get(self, named: str) -> Response:
        with self._work.place():
            glossary = self._find(named)
            entries = [self._own().entries(glossary.id, pair.source, pair.target) for pair in glossary.pairs]
            return json_response(render_glossary(glossary, entries))

    def entries(self, named: str) -> Response:
        with self._work.place():
            glossary = self._find(named)
            pair = self._pair(glossary)
            entries = self._own().entries(glossary.id, pair.source, pair.target)
            return Response(write_tsv(entries), content_type=f"{TSV}; charset=utf-8")

    def delete(self, named: str) -> Response:
        self._own().delete(self._find(named).id)
        return Response(status=204)

    def _own(self) -> Glossaries:
        return self._work.glossaries()

    def _find(self, named: str) -> Glossary:
        try:
            return self._own().find(named)
        except UnknownGlossary as error:
            raise NotFound(error.message) from None

    def _pair(self, glossary: Glossary) -> PairSize:
        """The dictionary that the query means."""
        normalize = self._runtime.languages.normalize
        asked = validated(PairQuery, request.args.to_dict())
        wanted = {side: normalize(code, side) for side, code in asked.model_dump(exclude_none=True).items()}
        pairs = [
            pair
            for pair in glossary.pairs
            if wanted.get("source", pair.source) == pair.source
            and wanted.get("target", pair.target) == pair.target
        ]
        if len(pairs) == 1:
            return pairs[0]
        allowed = [f"source={pair.source}&target={pair.target}" for pair in glossary.pairs]
        raise InvalidInput(f"{len(pairs)} of its dictionaries are meant", field="source", allowed=allowed)


def parse_glossary(data: object) -> tuple[str, Dictionary]:
    """Read a new glossary's name and entries from JSON; raises InvalidInput."""
    body = validated(GlossaryBody, data)
    forms: tuple[Literal["entries", "tsv", "csv"], ...] = ("entries", "tsv", "csv")
    given = [name for name in forms if getattr(body, name) is not None]
    if len(given) != 1:
        was = " and ".join(given) or "none of them"
        raise InvalidInput(
            f"exactly one of entries, tsv, csv must be given, not {was}",
            field=given[-1] if given else "entries",
            allowed=forms,
        )
    form, value = given[0], getattr(body, given[0])
    entries = dict(value) if form == "entries" else read_entries(value, form, form)
    return body.name, Dictionary(body.source, body.target, entries)


def render_glossary(glossary: Glossary, entries: list[dict[str, str]] | None = None) -> GlossaryAnswer:
    """The answer for a glossary; `entries` are those of its pairs, in order."""
    parts = [
        answer_part(DictionaryPart, pair, entries=None if entries is None else entries[i])
        for i, pair in enumerate(glossary.pairs)
    ]
    return answer_part(GlossaryAnswer, glossary, dictionaries=parts)


def _body() -> object:
    """The new glossary's fields, from JSON, or from the query and a body of lines."""
    form = FORMS.get(request.mimetype)
    if form is None:
        return read_json(request)
    try:
        lines = request.get_data().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput("the entries are not UTF-8", field=form, allowed="UTF-8") from None
    return {**request.args.to_dict(), form: lines}
