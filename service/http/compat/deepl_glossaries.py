"""DeepL's glossaries, over the service's own: /v2 for one pair of languages each, /v3 for several."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from flask import Blueprint, Response, g, request
from pydantic import Field
from werkzeug.exceptions import NotFound

from models.errors import InvalidInput
from service.errors import UnknownGlossary
from service.http.body import read_json
from service.http.compat.family import ClientFields, answer, directions
from service.http.work import RequestRunner
from service.schemas.requests import LONGEST_CODE, LanguageCode, validated
from service.store.glossaries import Dictionary, DictionarySize, Glossaries, Glossary, read_entries, write_tsv

if TYPE_CHECKING:
    from service.runtime import Runtime

TSV = "text/tab-separated-values"


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


class DeepLGlossaries:
    """The views of DeepL's glossaries. What is not there is 404, as its clients expect."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._runtime = runtime
        self._work = work

    def add_to(self, routes: Blueprint) -> None:
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
        self._get(glossary_id)
        self._own().delete(glossary_id)
        return Response(status=204)

    # ------------------------------------------------------------------ /v2

    def create_v2(self) -> Response:
        with self._work.place():
            body = validated(NewV2, _body())
            return answer(_v2(self._own().create(body.name, self._read([body]))), 201)

    def list_v2(self) -> Response:
        # Those of several pairs are known to /v3 alone, as at DeepL.
        found = [_v2(each) for each in self._own().all() if len(each.pairs) == 1]
        return answer({"glossaries": found})

    def get_v2(self, glossary_id: str) -> Response:
        return answer(_v2(self._single(glossary_id)))

    def entries_v2(self, glossary_id: str) -> Response:
        (pair,) = self._single(glossary_id).pairs
        entries = self._own().entries(glossary_id, pair.source, pair.target)
        return Response(write_tsv(entries), content_type=f"{TSV}; charset=utf-8")

    # ------------------------------------------------------------------ /v3

    def create_v3(self) -> Response:
        with self._work.place():
            body = validated(NewV3, _body())
            made = self._own().create(body.name, self._read(body.dictionaries))
            return answer(_v3(made), 201)

    def list_v3(self) -> Response:
        return answer({"glossaries": [_v3(each) for each in self._own().all()]})

    def get_v3(self, glossary_id: str) -> Response:
        return answer(_v3(self._get(glossary_id)))

    def change(self, glossary_id: str) -> Response:
        with self._work.place():
            body = validated(Changes, _body())
            self._get(glossary_id)
            dictionaries = self._read(body.dictionaries)
            changed = self._own().update(glossary_id, name=body.name, dictionaries=dictionaries)
            return answer(_v3(changed))

    def entries_v3(self, glossary_id: str) -> Response:
        pair = self._pair(self._get(glossary_id), request.args)
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
            self._get(glossary_id)
            changed = self._own().update(glossary_id, dictionaries=self._read([body]), replace=True)
            fields = {"source_lang": body.source_lang, "target_lang": body.target_lang}
            return answer(_dictionary(self._pair(changed, fields)))

    def delete_dictionary(self, glossary_id: str) -> Response:
        pair = self._pair(self._get(glossary_id), request.args)
        self._own().delete_dictionary(glossary_id, pair.source, pair.target)
        return Response(status=204)

    # ------------------------------------------------------------------ inside

    def _own(self) -> Glossaries:
        return self._runtime.glossaries.of(g.key_id, g.caller.name)

    def _read(self, sent: Sequence[Entries]) -> list[Dictionary]:
        """The entries that were sent, whose characters are counted like a text's."""
        dictionaries = [each.dictionary for each in sent]
        self._work.charge(chain.from_iterable(pair for each in dictionaries for pair in each.entries.items()))
        return dictionaries

    def _get(self, glossary_id: str) -> Glossary:
        try:
            return self._own().get(glossary_id)
        except UnknownGlossary as error:
            raise NotFound(error.message) from None

    def _single(self, glossary_id: str) -> Glossary:
        glossary = self._get(glossary_id)
        if len(glossary.pairs) != 1:
            raise NotFound(f"the glossary {glossary_id} has {len(glossary.pairs)} dictionaries; /v3 knows it")
        return glossary

    def _pair(self, glossary: Glossary, given: Mapping[str, str]) -> DictionarySize:
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


def _body() -> Any:
    return read_json(request) if request.is_json else request.form.to_dict()


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


def _dictionary(pair: DictionarySize) -> dict[str, Any]:
    return {
        "source_lang": code(pair.source),
        "target_lang": code(pair.target),
        "entry_count": pair.size,
    }
