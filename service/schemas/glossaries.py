"""The JSON of named glossaries."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from models.errors import InvalidInput
from service import terms
from service.glossaries import LONGEST_NAME
from service.glossary_tables import Dictionary, Glossary
from service.schemas.absent import absent
from service.schemas.requests import LanguageCode, validated

Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]


class GlossaryBody(BaseModel):
    """A new glossary; its entries come in exactly one of `entries`, `tsv` and `csv`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Name = Field(description="Requests name the glossary by this, or by its id.")
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


def parse_glossary(data: object) -> tuple[str, Dictionary]:
    """Read a new glossary's name and entries from JSON; raises InvalidInput."""
    body = validated(GlossaryBody, data)
    given = {
        name: value
        for name, value in (("entries", body.entries), ("tsv", body.tsv), ("csv", body.csv))
        if value is not None
    }
    if len(given) != 1:
        was = " and ".join(given) or "none of them"
        raise InvalidInput(
            f"exactly one of entries, tsv, csv must be given, not {was}",
            field=list(given)[-1] if given else "entries",
            allowed=["entries", "tsv", "csv"],
        )
    if body.entries is not None:
        entries = dict(body.entries)
    else:
        entries = (
            terms.read(body.tsv, "tsv", "tsv")
            if body.tsv is not None
            else terms.read(body.csv or "", "csv", "csv")
        )
    return body.name, Dictionary(body.source, body.target, entries)


def render_glossary(glossary: Glossary, entries: list[dict[str, str]] | None = None) -> GlossaryAnswer:
    """The answer for a glossary; `entries` are those of its pairs, in order."""
    parts = [
        DictionaryPart(
            source=pair.source,
            target=pair.target,
            size=pair.size,
            entries=None if entries is None else entries[i],
        )
        for i, pair in enumerate(glossary.pairs)
    ]
    return GlossaryAnswer(id=glossary.id, name=glossary.name, created=glossary.created, dictionaries=parts)
