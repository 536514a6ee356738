"""/v1/memory: the caller's own translations of sentences, which translations then use as they are."""

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request
from pydantic import BaseModel, Field

from models.errors import InvalidInput, Overloaded, UnsupportedLanguage
from service.errors import StoreUnavailable
from service.http.body import read_json
from service.http.openapi import Example, Operation, add
from service.http.responses import json_response
from service.http.run_request import RequestRunner
from service.options import LanguageCode
from service.store.database import PairSize
from service.store.tmx import TMX_TYPE, TmxPair, read_tmx, write_tmx
from service.validation import STRICT, validated

if TYPE_CHECKING:
    from service.runtime import Runtime

XML = frozenset({TMX_TYPE, "application/xml", "text/xml"})
"""Bodies that are a TMX file."""


class MemoryBody(BaseModel):
    """Sentences for one pair of languages."""

    model_config = STRICT

    source: LanguageCode = Field(description="The sentences' language.")
    target: LanguageCode = Field(description="The language of what they are to be.")
    entries: dict[str, str] = Field(description="Sentences, and what each is to be.")


class MemoryPart(BaseModel):
    """A pair of languages."""

    source: str
    target: str
    size: int = Field(description="How many sentences there are.")


class MemoryAnswer(BaseModel):
    """What the caller's translation memory has."""

    pairs: list[MemoryPart]


class MemoryKept(MemoryAnswer):
    """What it has after more was kept."""

    kept: int = Field(description="How many pairs the request had.")


class MemoryQuery(BaseModel):
    """A part of the memory; without these all of it is meant."""

    source: LanguageCode | None = Field(None, description="Only sentences in this language.")
    target: LanguageCode | None = Field(None, description="Only translations into this language.")


class MemoryForgetQuery(MemoryQuery):
    """What is to be forgotten; without these all of it is."""

    text: str | None = Field(None, description="Only this sentence.")


_NEW = {"source": "en", "target": "fr", "entries": {"The talks go on.": "Les pourparlers se poursuivent."}}
_PAIRS = [{"source": "en", "target": "fr", "size": 1}]

KEEP = Operation(
    method="POST",
    path="/memory",
    tag="memory",
    summary="Keep translated sentences",
    description=f"Or send a TMX file as {TMX_TYPE}. Translations take a sentence that is kept as it "
    "stands there, and offer those of nearly the same sentences as alternatives. Each key has a memory of "
    "its own; without a key, callers on the server's own machine alone have one.",
    bodies=(MemoryBody,),
    status=201,
    answers=(MemoryKept,),
    errors=(UnsupportedLanguage, Overloaded, StoreUnavailable),
    examples={"one sentence": Example(_NEW, {"pairs": _PAIRS, "kept": 1})},
)
SHOW = Operation(
    method="GET",
    path="/memory",
    tag="memory",
    summary="The languages of the sentences that are kept",
    answers=(MemoryAnswer,),
    errors=(StoreUnavailable,),
    examples={"one pair": Example(answer={"pairs": _PAIRS})},
)
EXPORT = Operation(
    method="GET",
    path="/memory.tmx",
    tag="memory",
    summary="The sentences that are kept, as a TMX file",
    parameters=MemoryQuery,
    answer_type=TMX_TYPE,
    errors=(InvalidInput, StoreUnavailable),
    examples={"none": Example(answer="".join(write_tmx(())))},
)
FORGET = Operation(
    method="DELETE",
    path="/memory",
    tag="memory",
    summary="Forget all sentences, or those that the query names",
    parameters=MemoryForgetQuery,
    status=204,
    errors=(InvalidInput, StoreUnavailable),
)


class MemoryViews:
    """The views of /v1/memory over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._runtime = runtime
        self._work = work

    def blueprint(self) -> Blueprint:
        routes = Blueprint("memory", __name__, url_prefix="/v1")
        add(routes, KEEP, self.keep)
        add(routes, SHOW, self.show)
        add(routes, EXPORT, self.export)
        add(routes, FORGET, self.forget)
        return routes

    def keep(self) -> Response:
        with self._work.place():
            if request.mimetype in XML:
                pairs = self._work.in_child(read_tmx, request.get_data(), field="file")
            else:
                pairs = parse_memory(read_json(request))
            self._work.charge(chain.from_iterable((each.text, each.translation) for each in pairs))
            memory = self._work.memory()
            kept = memory.add(pairs)
            return json_response(MemoryKept(kept=kept, pairs=_parts(memory.pairs())), 201)

    def show(self) -> Response:
        return json_response(MemoryAnswer(pairs=_parts(self._work.memory().pairs())))

    def export(self) -> Response:
        query = validated(MemoryQuery, request.args.to_dict())
        pairs = self._work.memory().sentences(query.source, query.target)
        answer = Response(
            write_tmx(pairs),
            content_type=f"{TMX_TYPE}; charset=utf-8",
        )
        answer.headers["Content-Disposition"] = 'attachment; filename="memory.tmx"'
        return answer

    def forget(self) -> Response:
        query = validated(MemoryForgetQuery, request.args.to_dict())
        self._work.memory().forget(query.source, query.target, query.text)
        return Response(status=204)


def parse_memory(data: object) -> list[TmxPair]:
    """Read pairs from JSON. Raises InvalidInput."""
    body = validated(MemoryBody, data)
    if not body.entries:
        raise InvalidInput("there are no entries", field="entries", allowed="at least one")
    return [TmxPair(body.source, body.target, *pair) for pair in body.entries.items()]


def _parts(pairs: Iterable[PairSize]) -> list[MemoryPart]:
    return [MemoryPart(source=each.source, target=each.target, size=each.size) for each in pairs]
